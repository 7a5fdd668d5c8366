"""The methods: registered by a decorator, found by name, and recognised in a loss that was built of parts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ParamSpec

from torch import Tensor

from icon import _checks as check
from icon._values import same
from icon.core.loss import Loss
from icon.methods.axes import COLUMNS, ROWS, loss, rebuilt
from icon.methods.record import FAMILIES, Citation, Method, citations

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
) -> Callable[[Callable[P, Loss]], Callable[P, Loss]]:
    """Decorator that registers a factory of losses as a method; its signature says the hyper-parameters.

    Args:
        slug: its name in code.
        name: its name for people.
        cell: row and column of the table.
        family: key of `icon.methods.record.FAMILIES`.
        relation: how the loss relates to the reference, in words.
        cite: a key of ``references.bib`` or a `Citation`; None for a gap.
        variant: in words, where it stands beside its cell; empty for a method whose name is in the table.
        sets: hyper-parameters of p or q that its own ones set under another name.

    Raises:
        ValueError: the slug or the name is taken or no name, the coordinate, the family or the citation does not exist,
            or a hyper-parameter has no default.
        TypeError: the cell is not a pair, or ``sets`` no tuple of names.
    """
    if not (isinstance(cell, tuple) and len(cell) == 2):
        raise TypeError(f"cell: got {cell!r}, expected (row, column)")
    citation = citations()[check.choice(cite, "cite", tuple(citations()))] if isinstance(cite, str) else cite

    def add(factory: Callable[P, Loss]) -> Callable[P, Loss]:
        hyper = {p.name: p.default for p in inspect.signature(factory).parameters.values()}
        if inspect.Parameter.empty in hyper.values():
            raise ValueError(f"{slug}: got a hyper-parameter without a default, expected one for each")
        own: dict[str, Any] = {"hyper": hyper, "coordinate": variant, "build": factory, "sets": sets}
        register(Method(slug, name, *cell, family, relation, citation, **own))
        return factory

    return add


def register(record: Method) -> None:
    """Add a method to the table.

    Args:
        record: the method. Without a factory its loss is ``icon.loss(row, column, **hyper)``.

    Raises:
        ValueError: the slug or the name is taken or no name, or the coordinate or the family does not exist.
        TypeError: no record, or one whose ``sets`` are no tuple of names.
    """
    if not isinstance(record, Method):
        raise TypeError(f"record: got {record!r}, expected an icon.Method")
    if not (isinstance(record.slug, str) and re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", record.slug)):
        raise ValueError(f"slug: got {record.slug!r}, expected lower-case letters, digits and single hyphens")
    printed = record.name
    if not (isinstance(printed, str) and printed.strip() and printed.isprintable() and " / " not in printed):
        raise ValueError(f"name: got {printed!r}, expected some text in one line, without ' / ' between two names")
    if not (isinstance(record.sets, (tuple, list)) and all(isinstance(each, str) for each in record.sets)):
        raise TypeError(f"sets: got {record.sets!r}, expected a tuple of names of hyper-parameters")
    taken = {name.lower() for known in _METHODS.values() for name in (known.slug, known.name)}
    for argument, name in (("slug", record.slug), ("name", printed)):
        if name.lower() in taken:
            raise ValueError(f"{argument}: got {name!r}, which is registered, expected a new one")
    check.choice(record.row, "row", tuple(ROWS))
    check.choice(record.column, "column", tuple(COLUMNS))
    check.choice(record.family, "family", tuple(FAMILIES))
    _METHODS[record.slug] = record


def method(name: str, *, settings: str | None = None, **hyper: Any) -> Loss:
    """The loss of a named method, ``icon.method("simclr", temperature=0.1)``; see `methods` for the names.

    Args:
        name: its slug or its printed name.
        settings: ``"authors"`` takes the hyper-parameters of the authors' own program where none are given, see
            ``docs/authors.md``.
        hyper: hyper-parameters of the method, or of its parts as `icon.loss` takes them. With those of its parts the
            loss may be another one, which has the name that its parts have, or none.

    Raises:
        ValueError: an unknown name (the nearest are suggested).
        TypeError: an unknown hyper-parameter, or one of another kind.
    """
    record = find(name)
    authors = dict(record.program.settings) if record.program else {}
    if settings is not None:
        check.choice(settings, "settings", ("authors",))
        hyper = authors | hyper
    _refuse_other_kinds(hyper, record.hyper)
    built = _built(record, hyper)
    others = hyper.keys() - record.hyper.keys()
    is_another = others and all(_form(record, built, _built(record, known)) != "" for known in ({}, authors))
    return built.replace(name=None if is_another else record.name)


def _refuse_other_kinds(hyper: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise where a flag is no flag, or a number no number; its range is for the parts to check."""
    for name, value in hyper.items():
        default = defaults.get(name)
        if isinstance(default, bool):
            check.flag(value, name)
        elif isinstance(default, (int, float)) and (value is None or isinstance(value, (bool, str))):
            raise TypeError(f"{name}: got {value!r}, expected a number")


def _built(record: Method, hyper: dict[str, Any]) -> Loss:
    """The loss of a method with hyper-parameters of its own and of its parts; an error if it is something else."""
    if record.build is None:
        chosen = {**record.hyper, **hyper}
        if "sigma" in hyper or "temperature" in hyper:  # the given scale replaces the default of the other kind
            chosen = {k: v for k, v in chosen.items() if k not in ("sigma", "temperature") or k in hyper}
        return loss(record.row, record.column, **chosen)
    built: Any = record.build(**{name: value for name, value in hyper.items() if name in record.hyper})
    if not isinstance(built, Loss):
        raise TypeError(f"{record.slug}: got {type(built).__name__} from its factory, expected an icon.Loss")
    if (built.row, built.column) != (record.row, record.column):
        raise ValueError(
            f"{record.slug}: got a loss of {built.row} x {built.column} from its factory, expected one of "
            f"{record.row} x {record.column}"
        )
    others = {name: value for name, value in hyper.items() if name not in record.hyper}
    return rebuilt(built, f"{record.row} x {record.column}", others) if others else built


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
    return pd.DataFrame(cells, index=pd.Index(list(ROWS), name="q \\ p"), columns=pd.Index(list(COLUMNS)))


def names_of(given: Loss) -> str | None:
    """The names of the methods whose parts equal those of a loss, their own hyper-parameters apart; the table first."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for record in methods():
        if (record.row, record.column) != (given.row, given.column):
            continue
        with suppress(Exception):  # what is wrong with a factory is said where its method is asked for
            form = _form(record, given, _built(record, {}))
            if form is not None:
                names[record.in_table].append(record.name + form)
    return " / ".join(names[True] or names[False]) or None


def _form(record: Method, given: Loss, built: Loss) -> str | None:
    """What a loss adds to the name of a method, which builds another one: nothing, or the form that it has; None where
    it differs in more than the hyper-parameters of the method."""
    of_q = inspect.signature(type(built.q)).parameters
    own = {("q." if name in of_q else "p.") + name.removeprefix("target_") for name in record.hyper}
    own |= {f"{part}.{name}" for name in record.sets for part in "pq"}
    if _different(_parts(built), _parts(given)) - own:
        return None
    return "" if built.normalization == given.normalization else f" ({given.normalization} form)"


def published(given: Loss, input: Any, target: Any) -> Tensor:
    """What the authors' program reports; see `Loss.published`."""
    named = _named(given.name) or _named(names_of(given))
    if not named:
        raise ValueError(f"published: got a loss without the name of a method ({given.name}), expected a named one")
    record = next((m for m in named if m.program is not None and m.program.factor), named[0])
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


def _parts(given: Loss) -> dict[str, Any]:
    """What a loss is made of, as values: the parts and all that differs from their defaults."""
    return {
        "loss": type(given),
        "p": type(given.p),
        "q": type(given.q),
        # How views are given is no other loss.
        **{f"p.{name}": value for name, value in given.p.hyper_parameters().items() if name != "join"},
        **{f"q.{name}": value for name, value in given.q.hyper_parameters().items()},
        **_of_operations(given.p.operations),
        "divergence": given.divergence or "kl",
        "stationary": given.stationary_anchors,
    }


def _of_operations(operations: Sequence[Any]) -> dict[str, Any]:
    """Operations on p by their kind, whose value is their first field; their other fields where they are set."""
    by_kind: dict[str, Any] = {}
    for operation in operations:
        kind, (first, *others) = f"p.{type(operation).__name__.lower()}", fields(operation)
        by_kind[kind] = getattr(operation, first.name)
        by_kind |= {f"{kind}.{f.name}": value for f in others if (value := getattr(operation, f.name)) != f.default}
    return by_kind | ({"order": [type(operation) for operation in operations]} if len(operations) > 1 else {})


def _different(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if not same(one.get(name), other.get(name))}
