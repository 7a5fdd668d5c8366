"""The table: five rows, nine columns, and the methods that live in their cells."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from icon import _checks as check
from icon import p, q
from icon.core.loss import Loss
from icon.methods.beyond import BEYOND
from icon.methods.catalog import METHODS
from icon.methods.record import Method

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Axis:
    """A row or a column of the table: its name and the distribution that it stands for."""

    slug: str
    name: str
    build: Callable[..., Any]


_SETTINGS = (
    "normalization",
    "divergence",
    "reduction",
    "empty",
    "anchor_weights",
    "block",
    "evaluator",
    "matmul_precision",
    "totals",
)
_OPERATIONS = ("symmetrize", "walks", "debias")  # in the order in which they are applied


def _narrow(leak: float | None = None, **hyper: Any) -> q.Kernel:
    return q.Gaussian(partition="max", **hyper) if leak is None else q.Argmax(leak, **hyper)


ROWS = {
    row.slug: row
    for row in (
        Axis("gaussian", "Gaussian", q.Gaussian),
        Axis("gaussian-wide", "Gaussian, σ → ∞", q.Gaussian),
        Axis("gaussian-narrow", "Gaussian, σ → 0", _narrow),
        Axis("student-t", "Student-t", q.StudentT),
        Axis("clusters", "Clusters", q.Clusters),
    )
}

COLUMNS = {
    column.slug: column
    for column in (
        Axis("gaussian", "Gaussian", p.Gaussian),
        Axis("student-t", "Student-t", p.StudentT),
        Axis("identity", "Identity", p.Identity),
        Axis("graph", "Graph kernel", p.Graph),
        Axis("knn", "Uniform k-NN", p.KNN),
        Axis("pairs", "Positive pairs", p.Pairs),
        Axis("cross-modal", "Cross-modal pairs", p.CrossModal),
        Axis("classes", "Classes", p.Classes),
        Axis("data-label", "Data-label pairs", p.DataLabel),
    )
}

_CONTRASTIVE = ("pairs", "cross-modal", "classes")


def loss(row: str, column: str, **hyper: Any) -> Loss:
    """The loss of a coordinate of the table.

    >>> icon.loss("gaussian", "pairs", temperature=0.1)

    Args:
        row, column: see `table`.
        hyper: hyper-parameters by name. Those of q go to q, the others to p; a name that both have reaches p with the
            prefix ``target_`` (``target_sigma``). ``symmetrize``, ``walks`` and ``debias`` are operations on p, in that
            order. The settings of `Loss` (``normalization``, ``divergence``, ...) go there.

    Raises:
        ValueError: an unknown row or column (the nearest are suggested), or a hyper-parameter out of range.
        TypeError: a hyper-parameter that neither p nor q has.
    """
    check.choice(row, "row", tuple(ROWS))
    check.choice(column, "column", tuple(COLUMNS))
    settings = {name: hyper.pop(name) for name in _SETTINGS if name in hyper}
    name = hyper.pop("name", None)
    operations = {name: hyper.pop(name) for name in _OPERATIONS if name in hyper}
    q_names = _parameters(ROWS[row].build) - ({"partition"} if row == "gaussian-narrow" else set())
    p_names = _parameters(COLUMNS[column].build) - {"operations"}
    q_hyper: dict[str, Any] = {}
    p_hyper: dict[str, Any] = {}
    for key, value in hyper.items():
        if key in q_names:
            q_hyper[key] = value
        elif key in p_names:
            p_hyper[key] = value
        elif key.removeprefix("target_") in p_names:
            p_hyper[key.removeprefix("target_")] = value
        else:
            known = sorted(q_names | p_names | {*_SETTINGS, *_OPERATIONS})
            raise TypeError(f"{key}: unknown hyper-parameter of {row} x {column}, expected one of {', '.join(known)}")
    supervisory = COLUMNS[column].build(**(_p_defaults(row, column) | p_hyper))
    if operations.get("symmetrize"):
        supervisory = supervisory.symmetrize(operations["symmetrize"])
    if operations.get("walks", 1) != 1:
        supervisory = supervisory.walks(operations["walks"])
    if operations.get("debias", 0) != 0:
        supervisory = supervisory.debias(operations["debias"])
    learned = ROWS[row].build(**(_q_defaults(row, column, q_hyper) | q_hyper))
    return Loss(supervisory, learned, name=name, **settings)


def method(name: str, **hyper: Any) -> Loss:
    """The loss of a named method, ``icon.method("simclr", temperature=0.1)``; see `methods` for the names.

    Raises:
        ValueError: an unknown name (the nearest are suggested).
        TypeError: an unknown hyper-parameter.
    """
    record = find(name)
    chosen = {**record.hyper, **hyper}
    if "sigma" in hyper or "temperature" in hyper:  # the given scale replaces the default of the other kind
        chosen = {k: v for k, v in chosen.items() if k not in ("sigma", "temperature") or k in hyper}
    arguments = record.translate(**chosen) if record.translate else chosen
    return loss(record.row, record.column, name=record.name, **arguments)


def methods() -> list[Method]:
    """Every registered method: those of the table by row and column, then those beyond it."""
    rows, columns = list(ROWS), list(COLUMNS)
    return sorted(_METHODS.values(), key=lambda m: (not m.in_table, rows.index(m.row), columns.index(m.column)))


def find(name: str) -> Method:
    """The record of a slug or a printed name, upper or lower case."""
    by_name = {record.name.lower(): record.slug for record in _METHODS.values()}
    slug = str(name).lower()
    return _METHODS[check.choice(by_name.get(slug, slug), "method", tuple(_METHODS))]


def register(record: Method) -> None:
    """Add a method to the table.

    Raises:
        ValueError: the slug is taken, or the coordinate does not exist.
    """
    taken = {name.lower() for known in _METHODS.values() for name in (known.slug, known.name)}
    for argument, name in (("slug", record.slug), ("name", record.name)):
        if name.lower() in taken:
            raise ValueError(f"{argument}: got {name!r}, which is registered, expected a new one")
    check.choice(record.row, "row", tuple(ROWS))
    check.choice(record.column, "column", tuple(COLUMNS))
    _METHODS[record.slug] = record


def table() -> pd.DataFrame:
    """The periodic table: 5 rows x 9 columns, the names of the methods in the cells (empty: no name)."""
    import pandas as pd  # half a second that only this function needs

    cells = {column: dict.fromkeys(ROWS, "") for column in COLUMNS}
    for record in (m for m in methods() if m.in_table):
        already = cells[record.column][record.row]
        cells[record.column][record.row] = f"{already} · {record.name}" if already else record.name
    frame = pd.DataFrame(cells, index=pd.Index(list(ROWS), name="q \\ p"), columns=pd.Index(list(COLUMNS)))
    return frame


def names_of(given: Loss) -> str | None:
    """The names of the registered methods that a loss built from parts is an instance of; those of the table first."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for record in methods():
        if (record.row, record.column) != (given.row, given.column):
            continue
        built = method(record.slug)
        if _structure(built) == _structure(given):
            form = "" if built.normalization == given.normalization else f" ({given.normalization} form)"
            names[record.in_table].append(record.name + form)
    return " / ".join(names[True] or names[False]) or None


# -- helpers ----------------------------------------------------------------------------------------------------------

_METHODS = {record.slug: record for record in (*METHODS, *BEYOND)}
Loss.find_names = staticmethod(names_of)


def _structure(given: Loss) -> tuple[Any, ...]:
    """What makes a loss one method and not another, free hyper-parameters apart."""
    learned = given.q
    return (
        type(given.p),
        getattr(given.p, "metric", None),
        given.p.exclude_self,
        tuple(type(operation) for operation in given.p.operations),
        getattr(given.p, "symmetric", None),
        getattr(given.p, "overlap", None),
        learned.log_weights is None,
        isinstance(learned.partition, q.partitions.LogSumExp) and bool(learned.margin),
        type(learned),
        getattr(learned, "metric", None),
        getattr(learned, "preprocess", None),
        bool(getattr(learned, "beta", 0)),
        bool(getattr(learned, "entropy_weight", 0)),
        getattr(learned, "marginals_name", None),
        type(learned.partition),
        learned.detach_candidates,
        getattr(learned, "initial_scale", 1.0) == 0,
        given.divergence_name,
        given.stationary_anchors,
    )


def _parameters(build: Callable[..., Any]) -> set[str]:
    names = set(inspect.signature(build).parameters)
    if build is _narrow:
        names |= set(inspect.signature(q.Gaussian).parameters) - {"sigma", "temperature", "learnable"}
    return names - {"hyper", "self"}


def _p_defaults(row: str, column: str) -> dict[str, Any]:
    """Where self belongs to the support: a kernel of the features under clusters (K-means), the variance of VI-Reg."""
    with_self = (row == "clusters" and column in ("gaussian", "student-t")) or (
        row == "gaussian-wide" and column == "pairs"
    )
    return {"exclude_self": False} if with_self else {}


def _q_defaults(row: str, column: str, given: dict[str, Any]) -> dict[str, Any]:
    """The similarity that the field uses for a column: cosine between views, dot with prototypes, else Euclidean."""
    if not row.startswith("gaussian"):
        return {}
    euclidean = (
        "sigma" in given or (row != "gaussian" and column == "pairs") or column not in (*_CONTRASTIVE, "data-label")
    )
    metric = given.get("metric")
    if metric is None:
        metric = (
            "sqeuclidean" if euclidean and "temperature" not in given else "dot" if column == "data-label" else "cosine"
        )
    defaults: dict[str, Any] = {"metric": metric}
    if row == "gaussian-wide":
        defaults["partition"] = "mean"
    if row == "gaussian" and "sigma" not in given and "temperature" not in given:
        scale = {"sqeuclidean": ("sigma", sqrt(0.5)), "cosine": ("temperature", 0.1), "dot": ("temperature", 1.0)}
        defaults.update([scale[metric]])
    return defaults
