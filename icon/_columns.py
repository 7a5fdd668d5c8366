"""Which columns of a table are features, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icon import _checks as check
from icon._sniff import MISSING, TRUTH, parse
from icon.tables import Layout, TableOptions, as_option, in_one_line, positions

MOST_NAMED = 20  # columns that a message proposes to drop


@dataclass(frozen=True)
class Features:
    """Features and how they were understood.

    Args:
        values: ``[n, d]``.
        header: whether the first line was one; None where the file has no lines.
        ids: ``[n]``, the column that ``TableOptions.id`` names.
        notes: what was left out, and what looks like a mistake; one line each.
    """

    values: NDArray[Any]
    header: bool | None = None
    ids: pd.Series[Any] | None = None
    notes: list[str] = field(default_factory=list)


def chosen(names: list[str], options: TableOptions) -> tuple[list[int], int | None]:
    """Positions of the features, and of the id."""
    ids = [] if options.id is None else positions(names, options.id, "id")
    if options.id is not None and len(ids) != 1:
        given = options.id or "an empty text"
        raise ValueError(f"id: got {given}, which names {len(ids)} columns, expected one (--id)")
    used = list(range(len(names))) if options.columns is None else positions(names, options.columns, "columns")
    gone = {*(positions(names, options.drop, "drop") if options.drop else []), *ids}
    if not (used := [j for j in used if j not in gone]):
        raise ValueError("columns: got a choice that leaves no column, expected at least one (--columns, --drop, --id)")
    return used, ids[0] if ids else None


def numbers(frame: pd.DataFrame, layout: Layout, path: str, options: TableOptions) -> Features:
    """The columns ``0, 1, ...`` of a table that are features; an index without a name is one if it is asked for."""
    names, notes = layout.names, list(layout.notes)
    used, kept = chosen(names, options)
    called = _called(names)
    if layout.header and not names[0] and len(names) > 1 and 0 in used and options.columns is None:
        used.remove(0)
        notes.append("left out column 0, which has no name: an index (--columns or --id takes it)")
    left: dict[str, list[str]] = {"text": [], "dates or durations": [], "nothing": []}
    blocks: dict[int, NDArray[Any]] = {}
    odd: dict[int, str] = {}
    for j in used:
        values, other = _column(frame[j], layout.decimal)
        if other in left and options.columns is None:
            left[other] += [called[j]] if names[j] or other != "nothing" else []
        elif other:
            odd[j] = other
        else:
            blocks[j] = values
    kinds = dict.fromkeys(other if other in left else "text" for other in odd.values())
    _refuse(", ".join(kinds), {j: "" if other in left else other for j, other in odd.items()}, names, path)
    for is_bad, what in ((np.isnan, "gaps"), (np.isinf, "infinity")):
        _refuse(what, {j: rows for j, values in blocks.items() if (rows := _rows(is_bad(values)))}, names, path)
    notes += [f"left out columns of {what}: {', '.join(some)}" for what, some in left.items() if some]
    if not blocks or not len(frame):
        others = [f"{what} in {', '.join(some[:8])}" for what, some in left.items() if some and what != "nothing"]
        seen = "only " + " and ".join(others) if others else check.counted(len(frame), "row")
        raise ValueError(f"features: got {seen} in {path}, expected numbers (--sep, --decimal, --header or --columns)")
    rising = [j for j, values in blocks.items() if _counts(values)]
    if options.columns is None and 0 < len(rising) < len(blocks):
        some = ",".join(called[j] for j in rising[:5])
        ways = f"--drop {as_option(names, rising[:5])} or --id {as_option(names, rising[:1])}"
        notes.append(f"warning: column {some} counts upwards and is used as a feature ({ways})")
    notes += _unequal_units(blocks, names)
    ids = None if kept is None else frame[kept].rename(names[kept] or "id")
    return Features(np.hstack(list(blocks.values())), layout.header, ids, notes)


def _called(names: list[str]) -> list[str]:
    """What columns are called in messages: by name, by position without one, and by both where a name occurs again."""
    called, seen = [], set[str]()
    for j, name in enumerate(map(in_one_line, names)):
        called.append(f"{name} ({j})" if name in seen else name or str(j))
        seen.add(called[j])
    return called


def _refuse(what: str, which: dict[int, str], names: list[str], path: str) -> None:
    """Raise ValueError where columns have something wrong, if any do; ``which`` cells have it in each of them."""
    if which:
        called = _called(names)
        where = check.some(called[j] + (f" ({cells})" if cells else "") for j, cells in which.items())
        ways = f" (--drop {as_option(names, list(which))})" if len(which) <= MOST_NAMED else ""
        columns = "column" if len(which) == 1 else "columns"
        raise ValueError(f"features: got {what} in {columns} {where} of {path}, expected numbers only{ways}")


def _rows(bad: NDArray[np.bool_]) -> str:
    """The first of some bad rows, counted from 1, and the number of the others."""
    rows = np.flatnonzero(bad.any(axis=1))
    if not len(rows):
        return ""
    return f"row {rows[0] + 1}" + (f" and {len(rows) - 1:,} more" if len(rows) > 1 else "")


def _column(column: pd.Series[Any], decimal: str | None) -> tuple[NDArray[Any], str]:
    """Numbers ``[n, k]``, or what else the column is: nothing, text, dates or durations, or text among numbers.
    ``decimal`` is None where the file has types: there text is text.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(np.asarray(column))
    cells = column.dropna()
    if cells.empty:
        return np.empty((len(column), 0)), "nothing"
    if pd.api.types.is_numeric_dtype(column.dtype):  # also Int64, boolean, Float64
        plain: Any = getattr(column.dtype, "numpy_dtype", column.dtype) if len(cells) == len(column) else np.float64
        values = column.to_numpy() if column.dtype == plain else column.to_numpy(plain, na_value=np.nan)
        return (values.astype(np.uint8) if values.dtype.kind == "b" else values)[:, None], ""
    if isinstance(cells.iloc[0], date | time | timedelta):
        return np.empty(0), "dates or durations"
    if isinstance(cells.iloc[0], list | tuple | np.ndarray):
        return _lists(column, cells)
    return _words(column, cells, decimal)


def _lists(column: pd.Series[Any], cells: pd.Series[Any]) -> tuple[NDArray[Any], str]:
    lengths = cells.map(len)
    if lengths.nunique() > 1:
        odd = lengths.index[lengths != lengths.iloc[0]][0]
        return np.empty(0), f"lists of {lengths.iloc[0]} and {lengths[odd]} numbers, in row {odd + 1}"
    if not lengths.iloc[0]:
        return np.empty((len(column), 0)), "nothing"
    block = np.stack([np.asarray(value) for value in cells]).reshape(len(cells), -1)
    if block.dtype.kind == "O":
        block = np.array([[np.nan if x is None else x for x in row] for row in block]).reshape(len(cells), -1)
    if block.dtype.kind not in "biuf":
        return np.empty(0), "text"
    return pd.DataFrame(block).set_axis(cells.index).reindex(column.index).to_numpy(), ""


def _words(column: pd.Series[Any], cells: pd.Series[Any], decimal: str | None) -> tuple[NDArray[Any], str]:
    if decimal is None and isinstance(cells.iloc[0], str):
        return np.empty(0), "text"
    words = cells.astype(str).str.strip()
    words = words[~words.isin(MISSING)]
    parsed = words.map(lambda word: parse(word, decimal or ".")).astype(np.float64)
    odd = words[parsed.isna()]
    if len(odd):
        numbers = len(words) - len(odd) + int(odd.str.fullmatch("[+-]?\\d[\\d.,' \u00a0\u2009\u202f]*%?").sum())
        return np.empty(0), f"{odd.iloc[0]!r} in row {odd.index[0] + 1}" if numbers * 2 >= len(words) else "text"
    values = parsed.reindex(column.index).to_numpy()
    truth = len(words) == len(column) and words.str.lower().isin(TRUTH).all()
    return (values.astype(np.uint8) if truth else values)[:, None], ""


def _counts(values: NDArray[Any]) -> bool:
    """Whether one column is a number of the row, or of a sample: distinct whole numbers that rise."""
    column = values[:, 0]
    if values.shape[1] != 1 or len(column) < 3 or not (column[:2] < column[1:3]).all():
        return False
    return bool((column[:-1] < column[1:]).all() and (column % 1 == 0).all())


@np.errstate(over="ignore")  # variances and ratios of the largest numbers are infinite
def _unequal_units(blocks: dict[int, NDArray[Any]], names: list[str]) -> list[str]:
    """A warning where a few columns vary so much more than all others that these hardly count in a distance."""
    variances = {j: float(values.var(axis=0, dtype=np.float64).sum()) for j, values in blocks.items()}
    columns = sorted((j for j, variance in variances.items() if variance > 0), key=variances.__getitem__)[::-1]
    ordered = np.array([variances[j] for j in columns])
    if len(ordered) < 2 or not np.isfinite(ordered.sum()):
        return []
    ratios = ordered[:-1] / ordered[1:]
    few = int(ratios.argmax()) + 1
    if few > len(columns) / 2 or ratios.max() < 100 or ordered[few:].sum() > ordered.sum() / 100:
        return []
    called = _called(names)
    some = ",".join(called[j] for j in columns[:few])
    who = f"column {some} varies" if few == 1 else f"columns {some} vary"
    return [
        f"warning: {who} at least {ratios.max() ** 0.5:,.0f} times as much as {called[columns[few]]} and the others, "
        "so that these hardly count (divide each column by its standard deviation, or "
        f"--drop {as_option(names, columns[:few])})"
    ]
