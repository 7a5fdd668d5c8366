"""The rows and the columns of the table, and the loss of a row and a column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from icon import _checks as check
from icon import p, q
from icon._values import parameters
from icon.core.loss import Loss


@dataclass(frozen=True)
class Axis:
    """A row or a column of the table: its names in code and for people, and what makes the distribution."""

    slug: str
    name: str
    build: Callable[..., Any]


#: Settings of a loss and operations on p that `loss` takes by keyword; operations are applied in this order.
SETTINGS = tuple(parameters(Loss).keys() - {"p", "q"})
OPERATIONS = ("symmetrize", "walks", "debias")
_RANGE = {"min_temperature": "min", "max_temperature": "max"}  # of a learned temperature, by plain names


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

#: The scale of a Gaussian by its metric, where none is given.
_SCALES = {"sqeuclidean": {"sigma": sqrt(0.5)}, "cosine": {"temperature": 0.1}, "dot": {"temperature": 1.0}}
#: Where self belongs to the support: a kernel of the features under clusters (K-means), the variance of VI-Reg.
_WITH_SELF = (("clusters", "gaussian"), ("clusters", "student-t"), ("gaussian-wide", "pairs"))


def loss(row: str, column: str, **hyper: Any) -> Loss:
    """The loss of a coordinate of the table.

    >>> icon.loss("gaussian", "pairs", temperature=0.1)

    Args:
        row: slug of a row, see `icon.table`.
        column: slug of a column.
        hyper: hyper-parameters by name. Those of q go to q, the others to p; a name that both have reaches p with the
            prefix ``target_`` (``target_sigma``). ``symmetrize``, ``walks`` and ``debias`` are operations on p, in that
            order. The settings of `Loss` (``normalization``, ``divergence``, ...) go there.

    Raises:
        ValueError: an unknown row or column (the nearest are suggested), or a hyper-parameter out of range.
        TypeError: a hyper-parameter that neither p nor q has, or that a part of your own shares with a setting of the
            loss or an operation on p.
    """
    check.choice(row, "row", tuple(ROWS))
    check.choice(column, "column", tuple(COLUMNS))
    q_names = _parameters(ROWS[row].build) - ({"partition"} if row == "gaussian-narrow" else set())
    p_names = _parameters(COLUMNS[column].build)
    given = sorted_out(hyper, p_names, q_names, f"{row} x {column}")
    p_defaults = {"exclude_self": False} if (row, column) in _WITH_SELF else {}
    supervisory = COLUMNS[column].build(**(p_defaults | given["p"]))
    learned = ROWS[row].build(**(_q_defaults(row, column, given["q"]) | given["q"]))
    return Loss(composed(supervisory, given["operations"]), learned, **given["settings"])


def sorted_out(hyper: dict[str, Any], p_names: set[str], q_names: set[str], of: str) -> dict[str, dict[str, Any]]:
    """Hyper-parameters by what they are of: ``p``, ``q``, ``operations`` on p, ``settings`` of the loss.

    A TypeError names one that none of them has, or that a part of your own shares with a setting or an operation.
    """
    found: dict[str, dict[str, Any]] = {"p": {}, "q": {}, "operations": {}, "settings": {}}
    for key, value in hyper.items():
        if key in (*SETTINGS, *OPERATIONS) and key in q_names | p_names:
            kind = "an operation on p" if key in OPERATIONS else "a setting of the loss"
            raise TypeError(
                f"{key}: got {value!r} for {of}, which could be {kind} or the argument of a part of your own, expected "
                "icon.Loss(p, q), where each has its place"
            )
        if key in SETTINGS:
            found["settings"][key] = value
        elif key in OPERATIONS:
            found["operations"][key] = value
        elif key in q_names or _RANGE.get(key) in q_names:
            found["q"][_RANGE.get(key, key)] = value
        elif (own := key if key in p_names else key.removeprefix("target_")) in p_names:
            found["p"][own] = value
        else:
            known = sorted(q_names | p_names | {*SETTINGS, *OPERATIONS})
            raise TypeError(f"{key}: unknown hyper-parameter of {of}, expected one of {', '.join(known)}")
    return found


def composed(supervisory: p.Distribution, operations: dict[str, Any]) -> p.Distribution:
    """p with operations by name, in the order of `OPERATIONS`; each replaces the one of its kind that p has."""
    own = {type(operation).__name__.lower(): operation for operation in supervisory.operations}
    others = tuple(operation for name, operation in own.items() if name not in OPERATIONS)
    if not operations:
        return supervisory
    supervisory = supervisory.with_operations(others)
    for name in OPERATIONS:
        if operations.get(name):
            supervisory = getattr(supervisory, name)(operations[name])
        elif name in own and name not in operations:
            supervisory = supervisory.with_operations((*supervisory.operations, own[name]))
    return supervisory


def rebuilt(given: Loss, of: str, hyper: dict[str, Any]) -> Loss:
    """A loss with other hyper-parameters of its parts, operations on its p, or settings, as in `loss`."""
    found = sorted_out(hyper, _parameters(type(given.p)), _parameters(type(given.q)), of)
    learned = given.q.hyper_parameters()
    if "sigma" in found["q"] and "temperature" in learned:  # a scale of the other kind, and what it scales
        learned = {**learned, "metric": "sqeuclidean"}
        del learned["temperature"]
    elif "temperature" in found["q"] and "sigma" in learned:
        learned = {**learned, "metric": "cosine"}
        del learned["sigma"]
    supervisory = composed(given.p.replace(**found["p"]) if found["p"] else given.p, found["operations"])
    learned_q = type(given.q)(**(learned | found["q"])) if found["q"] else given.q
    if learned_q.row != given.row:
        raise TypeError(f"partition: got {hyper.get('partition')!r}, which is of another row than {of}")
    return given.replace(p=supervisory, q=learned_q, **found["settings"])


def _parameters(build: Callable[..., Any]) -> set[str]:
    names = set(parameters(build)) - {"operations"}
    if build is _narrow:
        names |= set(parameters(q.Gaussian)) - {"sigma", "temperature", "learnable"}
    return names


def _q_defaults(row: str, column: str, given: dict[str, Any]) -> dict[str, Any]:
    """The similarity that the field uses for a column: cosine between views, dot with prototypes, else Euclidean."""
    if not row.startswith("gaussian"):
        return {}
    is_of_views = column in ("cross-modal", "classes") or (row, column) == ("gaussian", "pairs")
    is_product = "sigma" not in given and (is_of_views or column == "data-label")
    usual = "dot" if column == "data-label" else "cosine"
    metric = given.get("metric") or (usual if is_product or "temperature" in given else "sqeuclidean")
    defaults: dict[str, Any] = {"metric": metric}
    if row == "gaussian-wide":
        defaults["partition"] = "mean"
    if row == "gaussian" and not given.keys() & {"sigma", "temperature"}:
        defaults |= _SCALES[check.choice(metric, "metric", tuple(_SCALES))]
    return defaults
