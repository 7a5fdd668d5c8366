"""Delimited text as people write it: read as it is meant, or refused in one line that names the option that decides."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import re
import shlex
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pandas as pd

from icon import _checks as check
from icon import _sniff as sniff
from icon._sniff import MISSING, SPACES

_HEAD, _LINES = 2**16, 10  # characters and lines that are looked at, at least
_SPELLED = {"tab": "\t", "\\t": "\t", "space": SPACES, " ": SPACES}


@dataclass(frozen=True)
class TableOptions:
    """What decides how a table is read where the file does not say it; None is: look at the file.

    Args:
        sep: between cells: one character, or "tab" or "space" (any number of spaces).
        decimal: the decimal mark, "." or ",".
        header: whether the first line holds the names of the columns.
        columns: the features: names or positions from 0, separated by commas; a:b are the positions a to b - 1.
        drop: columns that are not features, written as ``columns``.
        id: one column that is not a feature but is kept beside the result, to join it by.

    Raises:
        ValueError: a separator of several characters, or another decimal mark.
    """

    sep: str | None = None
    decimal: str | None = None
    header: bool | None = None
    columns: str | None = None
    drop: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if self.sep is not None and self.sep not in _SPELLED and (len(self.sep) != 1 or self.sep in '"\n\r'):
            raise ValueError(f"sep: got {self.sep!r}, expected one character, tab or space (--sep)")
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"decimal: got {self.decimal!r}, expected . or , (--decimal)")

    @property
    def separator(self) -> str | None:
        """``sep`` as pandas writes it."""
        return self.sep and _SPELLED.get(self.sep, self.sep)


@dataclass(frozen=True)
class Layout:
    """How a table is laid out; what only text has is None. A column without a name has the name ``""``."""

    sep: str | None
    decimal: str | None
    header: bool | None
    names: list[str]
    notes: list[str] = field(default_factory=list)


def positions(names: Sequence[str], wanted: str, option: str, argument: str | None = None) -> list[int]:
    """Positions of columns written as in `TableOptions`. A name goes before a position."""
    columns: list[int] = []
    for item in next(csv.reader([wanted], skipinitialspace=True), []):
        span = re.fullmatch(r"(\d*):(\d*)", item)
        if (count := names.count(item)) > 1 or (count and not item):
            what = f"{argument or option}: got {item!r}, the name of {check.counted(count, 'column')}"
            raise ValueError(f"{what}, expected a position (--{option})")
        if count:
            columns.append(names.index(item))
        elif span:
            columns += range(len(names))[slice(*(int(end) if end else None for end in span.groups()))]
        elif item.isdecimal() and int(item) < len(names):
            columns.append(int(item))
        else:
            some = ", ".join(filter(None, map(in_one_line, names[:8]))) or "positions only"
            wanted = f"names ({some}) or positions below {len(names)} (--{option})"
            raise ValueError(f"{argument or option}: got {item!r}, expected {wanted}")
    return list(dict.fromkeys(columns))


def quoted(name: str) -> str:
    """A name as one item of `positions`."""
    return '"' + name.replace('"', '""') + '"'


def as_option(names: Sequence[str], columns: Sequence[int]) -> str:
    """Columns as the value of an option that a shell takes: by name where that tells them, else by position."""
    counts = Counter(names)
    return shlex.quote(",".join(_item(names[j], j, counts) for j in columns))


def _item(name: str, j: int, counts: Counter[str]) -> str:
    if not name or counts[name] > 1 or in_one_line(name) != name:
        return f"{j}:{j + 1}" if str(j) in counts else str(j)  # a name goes before a position
    return name if next(csv.reader([name], skipinitialspace=True)) == [name] else quoted(name)


def in_one_line(name: str) -> str:
    """The name of a column as a message shows it: those of spreadsheets may have several lines."""
    return " ".join(name.split())


# -- reading ----------------------------------------------------------------------------------------------------------


class _Lines(io.TextIOBase):
    """Text without the lines that begin with #. (pandas would cut every cell at a #.)

    It counts these, and the blank lines at its beginning, which are left out, and at its end, which are not.
    """

    def __init__(self, text: io.TextIOBase) -> None:
        self._text, self._ahead, self._begun = text, "", False
        self.comments = self.first = self.last = 0

    def head(self) -> tuple[str, bool]:
        """Whole lines from the beginning, and whether they are all; they will be read once more."""
        head = self.read(_HEAD)
        while head.count("\n") < _LINES and (more := self.read(1)):
            head += more
        self._ahead = head + (more := self.read(1))
        return head, not more

    def read(self, size: int | None = -1) -> str:
        """At least ``size`` characters up to the end of a line; none at the end."""
        text, self._ahead = self._ahead, ""
        while not text and (text := self._text.read(size) + self._text.readline()):
            if "\0" in text:
                raise ValueError("no text")
            text, comments = re.subn(r"(?m)^[ \t]*#.*\n?", "", text)
            self.comments += comments
            if not self._begun:
                self.first += len(text) - len(text := text.lstrip("\n"))
                self._begun = bool(text)
            said = text.rstrip("\n")
            self.last = len(text) - len(said) - 1 if said else self.last + len(text)
        return text


@contextmanager
def _opened(source: str | bytes) -> Iterator[_Lines]:
    """Text of a file, of standard input (-) or of bytes; unpacked, and without a byte-order mark."""
    if source == "-":
        stdin = getattr(sys.stdin, "buffer", sys.stdin).read()
        source = stdin.encode() if isinstance(stdin, str) else stdin
    with ExitStack() as stack:
        raw: Any = io.BytesIO(source) if isinstance(source, bytes) else stack.enter_context(Path(source).open("rb"))
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        raw = stack.enter_context(gzip.GzipFile(fileobj=raw)) if packed else raw
        encoding = "utf-16" if raw.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        raw.seek(0)
        yield _Lines(stack.enter_context(io.TextIOWrapper(raw, encoding)))


def read_columns(
    source: str | bytes, name: str, options: TableOptions, argument: str = "features"
) -> tuple[pd.DataFrame, Layout]:
    """Columns ``0, 1, ...`` of delimited text (a path, - for standard input, or itself) and how it was understood.

    The separator is the one that cuts all lines into equally many cells, most of them numbers; the decimal mark is the
    one that the cells show (lines like 1,5 without a header are two columns); for the first line see `has_header`. If
    it is one shorter than the others, the first column holds the names of the rows. The beginning is looked at, then
    pandas reads the text once. Rows of different lengths, and what can be read in two ways, are refused by the option
    that decides; blank lines between the rows of one column are gaps; the ``argument`` is "features" or "graph".
    """
    with _opened(source) as lines:
        layout = _layout(*lines.head(), name, options, argument)
        count = range(len(layout.names))
        kept = positions(layout.names, options.id, "id") if options.id else []
        old = tuple(int(part) for part in pd.__version__.split(".")[:2]) < (3, 1)
        gaps: Any = list(MISSING)
        exact = {"float_precision": "round_trip"} if old else {}  # what newer ones always do
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # it is of cells that are lost
            frame = cast(Any, pd.read_csv)(
                lines, sep=layout.sep, decimal=layout.decimal, header=None, names=count, index_col=False,
                skiprows=int(layout.header or 0), skipinitialspace=True, skip_blank_lines=len(count) > 1,
                keep_default_na=False, na_values={i: gaps for i in count if i not in kept} if kept else gaps,
                dtype=dict.fromkeys(kept, str), low_memory=False, **exact,
            )  # fmt: skip
        if len(count) == 1 and lines.last > 0:
            frame = frame[: -lines.last]
        if lines.comments and not len(frame):
            raise ValueError(f"features: got only lines that begin with # below the first of {name}, expected rows")
        if lines.comments:
            layout.notes.append(f"left out {check.counted(lines.comments, 'line')} beginning with #")
    return frame, layout


def read_labels(
    source: str | bytes, name: str, options: TableOptions, key: str | None = None, expected: int | None = None
) -> list[str]:
    """The cells of one column of delimited text; that of the index, as pandas writes it, is not counted.

    The first cell is no header if it occurs again or if the number of rows is the expected one (then text over numbers,
    and a name that such columns have, may be either). Else it is one over cells of another kind (text over numbers),
    where only that makes the number fit, and if it is a name that such columns have (label, class, y, ...). A number
    over numbers is a label if the expected number is not known. Several columns without a key are refused, and a first
    cell that may be a header or a label.
    """
    with _opened(source) as lines:
        head, whole = lines.head()
        sep, sample = sniff.separator(head, whole, "labels", name, options.separator)
        rows = sniff.cut("".join(iter(lines.read, "")), sep, None)
    width = max(map(len, sample))
    if lines.comments:
        left = check.counted(lines.comments, "line")
        logging.getLogger(__name__).warning("labels: left out %s beginning with # in %s", left, name)
    blank = max(lines.last, 0)
    rows = rows[: len(rows) - blank]
    rows = [row or [""] for row in rows if row or width == 1]
    short = options.sep is not None and len(rows[0]) == width - 1
    if (ragged := next((i for i, row in enumerate(rows) if len(row) != width and (i or not short)), None)) is not None:
        seen = f"{check.counted(len(rows[ragged]), 'cell')} in row {ragged + 1} of {name}"
        raise ValueError(f"labels: got {seen}, expected {width} (--sep)")
    rows[0] = [""] * (width - len(rows[0])) + rows[0]
    header, first = options.header, 0
    if key is not None:
        header = True if key in rows[0] and not key.isdecimal() else header
        first = positions(rows[0] if header is not False else [""] * width, quoted(key), "labels-key", "labels")[0]
    elif width > 1 and not rows[0][0] and header is not False:
        header, first = True, 1
    if key is None and width - first != 1:
        named = ", ".join(map(in_one_line, rows[0][first:][:8]))
        raise ValueError(f"labels: got {width} columns in {name} ({named}), expected one (--labels-key, or --sep)")
    cells = [row[first] for row in rows]
    if header is None and (header := sniff.is_label_header(cells, expected, blank if width == 1 else 0)) is None:
        raise ValueError(
            f"labels: got {cells[0]!r} in the first line of {name}, which is a label or a name, expected --header "
            "or --no-header of the labels (--labels-header, --no-labels-header)"
        )
    cells = cells[int(header) :]
    unknown = min(blank, max((expected or 0) - len(cells), 0)) if width == 1 else 0
    if unknown and lines.first and not header:
        seen = f"blank lines at the beginning and at the end of {name}, and {check.counted(len(cells), 'label')}"
        raise ValueError(f"labels: got {seen} between them, expected {expected} (write an unknown one as -1)")
    return cells + [""] * unknown


def _layout(head: str, whole: bool, name: str, options: TableOptions, argument: str) -> Layout:
    sep, rows = sniff.separator(head, whole, argument, name, options.separator)
    first, body = rows[0], rows[1:]
    decimal = options.decimal or sniff.decimal_mark(body or rows, name)
    short = len(first) < max(map(len, rows))
    trailing = short and not any(row[-1] for row in body)
    header = options.header
    mentioned = ",".join(filter(None, (options.columns, options.drop, options.id)))
    if header is None and any(not sniff.is_value(c, ".") and c in first for c in next(csv.reader([mentioned]), [])):
        header = True
    if header is None:
        counts = first in ([str(j) for j in range(len(first))], [str(j + 1) for j in range(len(first))])
        lines = head.split("\n")[:2]
        plain = not MISSING.intersection(first) and all(f'"{c}"' in lines[0] and "," not in c for c in first)
        if short:
            header = True if counts or not all(sniff.is_value(cell, decimal) for cell in first) else None
        elif plain and lines[0].count('"') == 2 * len(first) > lines[-1].count('"'):
            header = True  # R puts names in quotes, and no numbers
        else:
            header = sniff.has_header(first, body, decimal)
    if short and not header:
        seen = f"{check.counted(len(first), 'cell')} in the first line of {name} and {len(first) + 1} below"
        raise ValueError(f"features: got {seen}, expected rows of one length, or --header")
    if header is None:
        seen = " ".join(first[:4]) + (" ..." if len(first) > 4 else "")
        what = f"{seen!r} in the first line of {name}, which is names or a row"
        option = "graph-header" if argument == "graph" else "header"
        raise ValueError(f"{argument}: got {what}, expected --{option} or --no-{option}")
    names = ([*first, ""] if trailing else [""] * short + first) if header else [""] * len(first)
    return Layout(sep, decimal, header, names)
