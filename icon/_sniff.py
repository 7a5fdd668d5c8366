"""What delimited text shows of itself: what separates its cells, marks its decimals, and whether it has a header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from statistics import mode
from typing import Any, cast

import numpy as np

from icon import _checks as check

MISSING = frozenset([
    "", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
])  # what pandas takes for a gap, and the mark of the UCI repository  # fmt: skip
TRUTH = {"true": 1, "false": 0}
SPACES, NO_SEPARATOR = r"\s+", "\x1f"
SAMPLE = 200  # rows that are looked at, at most
_SEPARATORS = ("\t", ";", ",", "|", SPACES)
_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.I)
_GROUPED = {".": re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"), ",": re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?")}
_COMMA = re.compile(r"[+-]?(\d*|\d{1,3}(\.\d{3})+),\d+(e[+-]?\d+)?", re.I)
_POINT = re.compile(r"[+-]?\d*\.\d*(e[+-]?\d+)?", re.I)
_WHOLE = re.compile(r"[+-]?\d+(e[+-]?\d+)?", re.I)
_FRACTION = re.compile(r"0\d+|\d{6,}|\d+e[+-]?\d+", re.I)  # what stands behind a decimal mark
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # 1,234: more than one, or more than a thousand
_NAMES = re.compile("labels?|class(es)?|targets?|y|id|species|category|cluster|group|type|name|0", re.I)  # 0: by pandas


def separator(
    head: str, whole: bool, argument: str, name: str, given: str | None = None
) -> tuple[str, list[list[str]]]:
    """The separator, and the cells of the beginning; a ValueError where none serves, or several do."""
    rows_by: dict[str, list[list[str]]] = {}
    scores: dict[str, float] = {}
    for sep in [given] if given else _SEPARATORS[: -1 if argument == "labels" else None]:  # labels may have spaces
        try:
            rows = [row for row in cut(head, sep, SAMPLE) if any(row)]
        except csv.Error:  # a line without this separator is too long for a cell
            continue
        rows_by[sep] = rows = rows if whole or len(rows) < 3 else rows[:-1]
        if not rows:
            raise ValueError(
                f"{argument}: got {name}, expected a file that is not empty (lines that begin with # are left out)"
            )
        widths = {len(row) for row in rows[1:] or rows}
        width = max(widths)
        shortest = width if argument == "labels" and not given else width - 1  # a label may have a comma in it
        if len(widths) > 1 or not shortest <= len(rows[0]) <= width or (width == 1 and not given):
            continue
        cells = [cell for row in rows[1:] or rows for cell in row]
        decimals = not given and argument != "graph" and (sep, width) == (",", 2)  # maybe; edges have two ends
        if decimals and all(_WHOLE.fullmatch(cell) for cell in cells):
            headed = any(not is_value(cell, ".") for cell in rows[0])
            fractions = any(_FRACTION.fullmatch(cell) for cell in cells[1::2])
            grouped = all(_EITHER.fullmatch(",".join(row)) for row in rows)
            if len(rows[0]) == 1 or (not headed and (fractions or grouped)):
                continue  # decimals with a comma, thousands, or names of rows
        scores[sep] = sum(_is_any_value(cell) or cell in MISSING for cell in cells) / len(cells)
    for sep in [*_within_cells(rows_by, scores)]:
        scores.pop(sep, None)
    best = [sep for sep in scores if scores[sep] == max(scores.values())]
    if len(best) == 1 or set(best) == {"\t", SPACES}:
        return best[0], rows_by[best[0]]
    single = [rows for sep, rows in rows_by.items() if sep != SPACES and all(len(row) == 1 for row in rows)]
    if not best and not given and len(single) == len(rows_by.keys() - {SPACES}):
        return NO_SEPARATOR, single[0]
    if best:
        raise ValueError(f"{argument}: got {name}, separated by {' or '.join(map(repr, best))}, expected --sep")
    if not rows_by:
        raise ValueError(f"{argument}: got {name}, expected lines with a separator (--sep)")
    sep = max(rows_by, key=lambda s: (s != SPACES, sum(map(len, rows_by[s]))))
    usual = mode(len(row) for row in rows_by[sep])
    odd = next((i for i, row in enumerate(rows_by[sep]) if len(row) != usual), None)
    if odd is None:
        seen = (
            f"{sep.join(rows_by[sep][0])!r} in the first line of {name}, which is {check.counted(usual, 'cell')} or one"
        )
        raise ValueError(f"{argument}: got {seen}, expected --sep and --decimal")
    seen = f"{check.counted(len(rows_by[sep][odd]), 'cell')} in row {odd + 1} of {name} and {usual} in others"
    raise ValueError(
        f"{argument}: got {seen} (separated by {sep!r}), expected rows of one length, or --sep and --decimal"
    )


def _within_cells(rows_by: dict[str, list[list[str]]], scores: dict[str, float]) -> Iterator[str]:
    """What else cuts all rows alike, but only within or beside the cells of another separator.

    Those are the space in 5 kg between tabs and in 3, 4, and the comma in 1,5. A space between numbers is none of them.
    """
    behind = any(cell.endswith(",") for row in rows_by.get(SPACES, ()) for cell in row)
    beside = {"\t": scores.get(SPACES, 1) < 1, ",": behind}
    for sep in scores.keys() - {SPACES}:
        cells = [cell for row in rows_by[sep][1:] or rows_by[sep] for cell in row]
        if beside.get(sep) and all(sum(map(_is_any_value, cell.split())) < 2 for cell in cells):
            yield SPACES
        if sep != "," and all(_COMMA.fullmatch(cell) for cell in cells if "," in cell):
            yield ","


def cut(text: str, sep: str, most: int | None) -> list[list[str]]:
    """Rows of cells, up to a number; an empty line is an empty row."""
    lines: Any = io.StringIO(text)
    if sep == SPACES:
        lines, sep = (line.replace("\t", " ").strip() for line in lines), " "
    rows = csv.reader(lines, delimiter=sep, skipinitialspace=True)
    return [[cell.strip() for cell in row] for row in islice(rows, most)]


def decimal_mark(rows: Sequence[Sequence[str]], name: str) -> str:
    """The decimal mark that the cells show."""
    cells = [cell for row in rows for cell in row]
    commas = [cell for cell in cells if _COMMA.fullmatch(cell)]
    sure = [cell for cell in commas if not _EITHER.fullmatch(cell)]
    points = [c for c in cells if _POINT.fullmatch(c) and not re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", c)]
    if commas and (points or not sure):
        seen = " and ".join([(sure or commas)[0], *points[:1]])
        raise ValueError(f"features: got {seen} in {name}, expected one decimal mark (--decimal . or --decimal ,)")
    return "," if commas else "."


def has_header(first: Sequence[str], body: Sequence[Sequence[str]], decimal: str = ".") -> bool | None:
    """Whether a first line is a header; None where it may be one and may be a row.

    Without numbers in it, it is a header if there is text over numbers, and a row if there is none but gaps. A text
    that occurs again below it makes it a row. Behind an empty cell, 0, 1, ... to the right of it or below it is a
    header: pandas writes an index so. Else the numbers f_1, ..., f_m decide that stand over columns with entries. One
    is strange if it lies outside of the values below by more than their width, if it stands over text, and where the
    line counts (0, 1, 2, ... or 1, 2, 3, ...) over numbers that all have decimals.

    * It is a header if it rises or falls, m >= 3 (beside text over numbers: 1) and all f_j are strange; where they are
      so by their values, there have to be three rows, and not all of them rise or fall as it does.
    * It is a header if it counts, m >= 3, and half of the f_j are strange, or m >= 6 and the rows go otherwise.
    * It may be either if half of the f_j are strange (m < 3: all; if it rises or falls: any); if they are all written
      with at most half of the digits of all numbers below; if it counts (but for 1, 2); and if it rises or falls,
      evenly or with m >= 6, where the rows do not.
    * Else it is a row, but may be either beside text over numbers.
    """
    words = [j for j, cell in enumerate(first) if cell not in MISSING and not is_value(cell, decimal)]
    if not body:
        return None if words else False
    columns = [[cell for cell in column if cell not in MISSING] for column in zip(*body, strict=True)]
    numeric = [bool(c) and all(is_value(cell, decimal) for cell in c) for c in columns]
    named = [j for j in words if numeric[j]]
    if any(first[j] in columns[j] for j in words):
        return False
    at = [j for j, cell in enumerate(first) if number(cell, decimal) is not None and columns[j]]
    if not at:
        sure = all(re.search(r"\w", first[j]) for j in named) if named else not any(numeric)
        return (sure or None) if words else False
    indexed = [row[0] for row in body] == [str(i) for i in range(len(body))]
    if first[0] == "" and (indexed or [first[j] for j in at] == [str(i) for i in range(len(at))]):
        return True  # an index that pandas wrote
    rows = [[row[j] for j in at] for row in body]
    verdict = _of_numbers([first[j] for j in at], [columns[j] for j in at], rows, decimal, bool(named))
    return None if named and verdict is False else verdict


def _of_numbers(
    first: list[str], columns: list[list[str]], body: list[list[str]], decimal: str, named: bool
) -> bool | None:
    """The part of `has_header` on numbers in the first line."""
    f = [cast(float, number(cell, decimal)) for cell in first]
    rows = [[x for x in (number(cell, decimal) for cell in row) if x is not None] for row in body]
    m, way, many = len(f), _order(f), len(body) >= 3
    counts = first == [str(i) for i in range(m)] or first == [str(i + 1) for i in range(m)]
    short = all(2 * max(len(cell), 4) <= min(map(len, column)) for cell, column in zip(first, columns, strict=True))
    everything = [x for row in rows for x in row]
    form, strange = [], []
    for value, column in zip(f, columns, strict=True):
        numbers = [x for x in (number(cell, decimal) for cell in column) if x is not None]
        form.append(not numbers or (counts and not any(_INTEGER.fullmatch(cell) for cell in column)))
        pool = numbers if len(numbers) >= 3 else everything
        width = (max(pool) - min(pool) or abs(pool[0]) or 1.0) if pool else 0.0
        far = bool(pool) and not min(pool) - width <= value <= max(pool) + width
        strange.append(form[-1] or (far and (m >= 3 or len(numbers) >= 3)))
    half = sum(strange) * 2 >= m and many
    if way == 0:
        return None if short or (half and (m >= 3 or all(strange))) else False
    alike, enough = m > 1 and all(_order(row) == way for row in rows), m >= 3 or named
    if enough and (all(form) or (all(strange) and many and not alike)):
        return True
    if enough and counts and (half or (m >= 6 and not alike)):
        return True
    if short or all(strange) or (m >= 3 and any(strange)) or (counts and first != ["1", "2"]):
        return None
    even = m >= 3 and np.allclose(np.diff(f), f[1] - f[0], rtol=1e-6, atol=0)
    return None if (even or m >= 6) and not alike else False


def _order(numbers: list[float]) -> int:
    """1 if they rise, -1 if they fall, else 0."""
    return all(a < b for a, b in pairwise(numbers)) or -all(a > b for a, b in pairwise(numbers))


def is_label_header(cells: list[str], expected: int | None, blank: int) -> bool | None:
    """Whether the first cell of labels is a header, see `read_labels`; ``blank`` lines follow them."""
    first, rest = cells[0], cells[1:]
    known = [cell for cell in rest if cell not in MISSING]
    common = _NAMES.fullmatch(first) is not None
    kind = next((kind for kind in (_NUMBER.fullmatch, lambda c: c.lower() in TRUTH) if all(map(kind, known))), None)
    above = bool(known and kind and not (kind(first) or first in MISSING))  # text over numbers, which has to be a name
    if first and len(cells) == expected:
        new = not kind and first not in rest
        is_name = common or new  # a header would leave a blank last line to be a label
        return None if above or (common and new) or (blank and is_name) else False
    if not first or len(cells) == 1:
        return False
    fits = expected is not None and len(cells) == expected + 1
    if known and kind:
        return fits or above
    if first in rest:
        return None if fits else False
    return True if fits or common else None if expected is None else False


def parse(word: str, decimal: str) -> float | None:
    """The number that a word is: true and false are 1 and 0."""
    return TRUTH[word.lower()] if word.lower() in TRUTH else number(word, decimal)


def number(cell: str, decimal: str) -> float | None:
    """The number that a cell is, if it is one. Thousands may be grouped: 1,234.5."""
    group = "." if decimal == "," else ","
    if _GROUPED[decimal].fullmatch(cell):
        cell = cell.replace(group, "")
    if decimal == ",":
        cell = cell.replace(".", ";").replace(",", ".")
    return float(cell) if _NUMBER.fullmatch(cell) else None


def is_value(cell: str, decimal: str) -> bool:
    """Whether a cell is a number, true or false."""
    return parse(cell, decimal) is not None


def _is_any_value(cell: str) -> bool:
    return is_value(cell, ".") or is_value(cell, ",")
