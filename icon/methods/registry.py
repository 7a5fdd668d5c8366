"""The methods: registered by a decorator, found by name, and recognised in a loss that was built of parts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

from torch import Tensor

from icon import _checks as check
from icon._values import same
from icon.core.loss import Loss
from icon.methods.axes import COLUMNS, ROWS, loss, rebuilt
from icon.methods.program import Number
from icon.methods.record import Citation, Method, citations

if TYPE_CHECKING:
    import pandas as pd

P = ParamSpec("P")
_METHODS: dict[str, Method] = {}


def register_method(
    slug: str,
    name: str,
    *,
    cell: tuple[str, str],
    family: str,
    relation: str,
    cite: str | Citation | None = None,
    variant: str = "",
    sets: tuple[str, ...] = (),
    number: Number | None = None,
) -> Callable[[Callable[P, Loss]], Callable[P, Loss]]:
    """Decorator that registers a factory of losses as a method; its signature tells the hyper-parameters.

    Args:
        slug: its name in code.
        name: its name for people.
        cell: row and column of the table.
        family: key of `icon.methods.record.FAMILIES`.
        relation: how the loss relates to the reference, in words.
        cite: a key of ``references.bib`` or a `Citation`; None for a gap.
        variant: in words, where it stands beside its cell; empty for a method whose name is in the table.
        sets: hyper-parameters of p or q that its own ones set under another name.
        number: what the authors' program reports, see `icon.methods.record.Method`.

    Raises:
        ValueError: the slug or the name is taken, the coordinate does not exist, or a hyper-parameter has no default.
    """

    def add(factory: Callable[P, Loss]) -> Callable[P, Loss]:
        hyper = {p.name: p.default for p in inspect.signature(factory).parameters.values()}
        if inspect.Parameter.empty in hyper.values():
            raise ValueError(f"{slug}: got a hyper-parameter without a default, expected one for each")
        citation = citations()[cite] if isinstance(cite, str) else cite
        own: dict[str, Any] = {"hyper": hyper, "coordinate": variant, "build": factory, "sets": sets, "number": number}
        register(Method(slug, name, *cell, family, relation, citation, **own))
        return factory

    return add


def register(record: Method) -> None:
    """Add a method to the table.

    Args:
        record: the method. Without a factory its loss is ``icon.loss(row, column, **hyper)``.

    Raises:
        ValueError: the slug or the name is taken, or the coordinate does not exist.
    """
    taken = {name.lower() for known in _METHODS.values() for name in (known.slug, known.name)}
    for argument, name in (("slug", record.slug), ("name", record.name)):
        if name.lower() in taken:
            raise ValueError(f"{argument}: got {name!r}, which is registered, expected a new one")
    check.choice(record.row, "row", tuple(ROWS))
    check.choice(record.column, "column", tuple(COLUMNS))
    _METHODS[record.slug] = record


def method(name: str, *, settings: str | None = None, **hyper: Any) -> Loss:
    """The loss of a named method, ``icon.method("simclr", temperature=0.1)``; see `methods` for the names.

    Args:
        name: its slug or its printed name.
        settings: ``"authors"`` takes the hyper-parameters of the authors' own program where none are given, see
            ``docs/authors.md``.
        hyper: hyper-parameters of the method, or of its parts as `icon.loss` takes them.

    Raises:
        ValueError: an unknown name (the nearest are suggested).
        TypeError: an unknown hyper-parameter.
    """
    record = find(name)
    if settings is not None:
        check.choice(settings, "settings", ("authors",))
        hyper = {**(record.program.settings if record.program else {}), **hyper}
    if record.build is None:
        chosen = {**record.hyper, **hyper}
        if "sigma" in hyper or "temperature" in hyper:  # the given scale replaces the default of the other kind
            chosen = {k: v for k, v in chosen.items() if k not in ("sigma", "temperature") or k in hyper}
        arguments = record.translate(**chosen) if record.translate else chosen
        return loss(record.row, record.column, name=record.name, **arguments)
    own = {key: hyper.pop(key) for key in tuple(hyper) if key in record.hyper}
    built = record.build(**own)
    if not hyper:
        return built.replace(name=record.name)
    return rebuilt(built, f"{record.row} x {record.column}", hyper, record.name)


def methods() -> list[Method]:
    """Every registered method: those of the table by row and column, then variants of its cells."""
    rows, columns = list(ROWS), list(COLUMNS)
    return sorted(_METHODS.values(), key=lambda m: (not m.in_table, rows.index(m.row), columns.index(m.column)))


def find(name: str, argument: str = "method") -> Method:
    """The record of a slug or a printed name, upper or lower case; an error names the argument that it was."""
    by_name = {record.name.lower(): record.slug for record in _METHODS.values()}
    slug = str(name).lower()
    return _METHODS[check.choice(by_name.get(slug, slug), argument, tuple(_METHODS))]


def table() -> pd.DataFrame:
    """The periodic table: a row for each q, a column for each p, the names of the methods in the cells."""
    import pandas as pd  # half a second that only this function needs

    cells = {column: dict.fromkeys(ROWS, "") for column in COLUMNS}
    for record in (m for m in methods() if m.in_table):
        already = cells[record.column][record.row]
        cells[record.column][record.row] = f"{already} · {record.name}" if already else record.name
    frame = pd.DataFrame(cells, index=pd.Index(list(ROWS), name="q \\ p"), columns=pd.Index(list(COLUMNS)))
    return frame


def names_of(given: Loss) -> str | None:
    """The names of the methods whose parts equal those of a loss, their own hyper-parameters apart; the table first."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for record in methods():
        if (record.row, record.column) != (given.row, given.column):
            continue
        built = method(record.slug)
        own = {f"{part}.{name.removeprefix(prefix)}" for name in (*record.hyper, *record.sets) for part in "pq"
               for prefix in ("", "target_")}  # fmt: skip
        if _different(_parts(built), _parts(given)) <= own:
            form = "" if built.normalization == given.normalization else f" ({given.normalization} form)"
            names[record.in_table].append(record.name + form)
    return " / ".join(names[True] or names[False]) or None


def published(given: Loss, input: Any, target: Any) -> Tensor:
    """What the authors' program reports; see `Loss.published`."""
    found = _named(given.name) or _named(names_of(given))
    if not found:
        raise ValueError(f"published: got a loss without the name of a method ({given.name}), expected a named one")
    record = next((m for m in found if m.program is not None and m.program.factor), found[0])
    program = record.program
    if program is None or not program.factor:
        why = "nobody published it" if record.citation is None else "its number does not follow from this loss"
        detail = f": {program.differs}" if program is not None and program.differs else ""
        raise ValueError(f"published: got {record.name}, expected a method with a program: {why}{detail}")
    _refuse_another_form(given, record)
    return program.published(given, input, target)


def _refuse_another_form(given: Loss, record: Method) -> None:
    """Raise where a loss differs from the authors' settings in kind, and not in a number."""
    theirs = method(record.slug, settings="authors")
    ours, expected = _parts(given), _parts(theirs)
    ours["normalization"], expected["normalization"] = given.normalization, theirs.normalization
    for name in sorted(_different(expected, ours) - {"q.learnable"}):
        values = ours.get(name), expected.get(name)
        if not any(_is_number(value) for value in values):
            raise ValueError(
                f"published: got {name.split('.')[-1]}={values[0]}, expected {values[1]} as in the authors' program of "
                f'{record.name}: icon.method("{record.slug}", settings="authors")'
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, list, tuple, Tensor)) and not isinstance(value, bool)


def _named(names: str | None) -> list[Method]:
    """The methods of a name, or of several as `names_of` joins them."""
    return [m for m in methods() if m.name in (names or "").split(" / ")]


Loss.find_names = staticmethod(names_of)
Loss.find_published = staticmethod(published)


def _parts(given: Loss) -> dict[str, Any]:
    """What a loss is made of, as values: the parts and all that differs from their defaults."""
    operations = {f"p.{type(operation).__name__.lower()}": operation for operation in given.p.operations}
    return {
        "p": type(given.p),
        "q": type(given.q),
        # How views are given is no other loss.
        **{f"p.{name}": value for name, value in given.p.hyper_parameters().items() if name != "join"},
        **{f"q.{name}": value for name, value in given.q.hyper_parameters().items()},
        **operations,
        **({"order": tuple(operations)} if len(operations) > 1 else {}),
        "divergence": given.divergence_name,
        "stationary": given.stationary_anchors,
    }


def _different(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if not same(one.get(name), other.get(name))}
