"""The periodic table as a picture: table.svg, table.pdf and table.png."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.textpath import TextPath

from table.page import palette
from table.page.schema import Method, Table
from table.page.view import Counts, Index, unbroken, verdict

# Lengths are pixels of a figure 1280 wide; matplotlib counts fonts and lines in points, 72 to the inch.
WIDTH, DPI = 1280, 100
POINT = 72 / DPI
NAME, LEADING = 13, 1.15
YEAR, SLIM = 16, 3  # pixels of a band below the name: with its year, and without
MARGIN, LABELS, HEAD, TOP, LEGEND = 20, 124, 44, 108, 76
CELL_HEIGHT, GAP, RADIUS, PAD = 118, 6, 9, 9
INK, QUIET, FAINT, LINE = "#1b1f26", "#57606c", "#78828f", "#d5dae1"

FONT = "DejaVu Sans"  # comes with matplotlib, so the picture is the same everywhere
FONT_STACK = f"'{FONT}', 'Bitstream Vera Sans', Verdana, Geneva, sans-serif"  # of like widths, for readers of the SVG


class Box(NamedTuple):
    """A rectangle; y grows downwards."""

    x: float
    y: float
    width: float
    height: float


def draw(table: Table, out: Path, marked: Collection[str] = ()) -> None:
    """Write ``table.svg`` and ``table.pdf`` (in both, text stays text) and ``table.png`` into the folder ``out``.

    Args:
        table: what was found.
        out: the folder.
        marked: slugs of methods that are outlined; a marked variant is drawn in its cell.
    """
    out.mkdir(parents=True, exist_ok=True)
    figure = _figure(table, marked)
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "table", "pdf.fonttype": 42}
    with matplotlib.rc_context(settings | {"hatch.linewidth": 1.2 * POINT}):
        figure.savefig(out / "table.svg", metadata={"Date": None, "Title": table["summary"]})
        figure.savefig(out / "table.pdf", metadata={"CreationDate": None, "Title": table["summary"]})
        figure.savefig(out / "table.png", dpi=2 * DPI)
    drawn = (out / "table.svg").read_text(encoding="utf-8")  # its reader may lack the font
    (out / "table.svg").write_text(drawn.replace(f"'{FONT}'", FONT_STACK), encoding="utf-8")


def _figure(table: Table, marked: Collection[str]) -> Figure:
    index = Index(table)
    rows, columns = table["rows"], table["columns"]
    height = TOP + HEAD + len(rows) * (CELL_HEIGHT + GAP) + LEGEND
    pitch = (WIDTH - 2 * MARGIN - LABELS + GAP) / len(columns)
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()

    _title(axes, table)
    left, top = MARGIN + LABELS, TOP + HEAD
    for across, column in enumerate(columns):
        lines = wrap(column["name"], pitch - GAP - 4, 13, bold=True)
        middle = left + across * pitch + (pitch - GAP) / 2
        _text(axes, middle, top - 11 - (len(lines) - 1) * 13 * LEADING, 13, *lines, weight="bold", ha="center")
    for down, row in enumerate(rows):
        y = top + down * (CELL_HEIGHT + GAP)
        lines = wrap(unbroken(row["name"]), LABELS - 12, 14.5, bold=True)
        first = y + CELL_HEIGHT / 2 + 5 - 9 * len(lines)
        _text(axes, MARGIN, first, 14.5, *lines, weight="bold", leading=1.24)
        _text(axes, MARGIN, first + 18 * len(lines) + 1, 12, row["partition_name"], color=QUIET)
        for across, column in enumerate(columns):
            box = Box(left + across * pitch, y, pitch - GAP, CELL_HEIGHT)
            place = row["slug"], column["slug"]
            variants = [v for v in table["variants"] if v["slug"] in marked and (v["row"], v["column"]) == place]
            methods = [*index.methods_at(*place), *variants]
            _cell(axes, box, methods, index.cells[place]["computes"], marked)
    _legend(axes, table, height - LEGEND + 24)
    return figure


def _title(axes: Axes, table: Table) -> None:
    counts = Counts(table)
    _text(axes, MARGIN, 43, 24, "I-Con: a periodic table of representation learning", weight="bold")
    lede = "There is one loss, KL(p ‖ q). A column says what is near (p), and a row says how nearness is learned (q)."
    _text(axes, MARGIN, 71, 14.5, lede, color=QUIET)
    colour = palette.PASSED.light.ink if counts.whole else palette.FAILED.light.fill
    _text(axes, WIDTH - MARGIN, 43, 14.5, *counts.parts[:2], color=colour, weight="bold", ha="right", leading=1.6)
    _text(axes, MARGIN + LABELS, TOP + 4, 13, "Supervisory distribution p(j | i)  →", color=QUIET)
    _text(axes, MARGIN, TOP + HEAD - 11, 12.5, "Learned q(j | i)  ↓", color=QUIET)


def _cell(axes: Axes, box: Box, methods: list[Method], computes: bool, marked: Collection[str]) -> None:
    """The frame, and in it a band for each method, as tall as its name is long.

    Marked variants may be more than a cell can hold: then years are left out, and after that letters are smaller.
    """
    red = palette.FAILED.light.fill
    edge = palette.colours(methods[0]["family"]).light.edge if methods else LINE
    frame = _rounded(
        axes,
        box,
        edgecolor=edge if computes else red,
        linewidth=(1 if computes else 3) * POINT,
        linestyle="-" if methods or not computes else (0, (4, 3)),
        zorder=2.5,  # above the bands, which it clips
    )
    bold = [m["status"] != "gap" or m["slug"] in marked for m in methods]
    names = [wrap(m["name"], box.width - 2 * PAD - 2, NAME, heavy) for m, heavy in zip(methods, bold, strict=True)]
    lines = NAME * LEADING * sum(map(len, names))
    dated = lines + YEAR * len(names) <= box.height
    size = NAME if dated else NAME * min(1, (box.height - SLIM * len(names)) / lines)
    under = 1.3 if dated else 0.3  # in lines
    y, unit = box.y, box.height / max(1, sum(len(name) + under for name in names))
    for method, name in zip(methods, names, strict=True):
        height = (len(name) + under) * unit
        _entry(axes, Box(box.x, y, box.width, height), method, name, frame, method["slug"] in marked, size, dated)
        y += height
    if not methods:
        words, colour = ("no name", FAINT) if computes else ("fails", red)
        _text(axes, box.x + box.width / 2, box.y + box.height / 2 + 4, 12, words, color=colour, ha="center")


def _entry(
    axes: Axes,
    band: Box,
    method: Method,
    name: list[str],
    frame: FancyBboxPatch,
    marked: bool,
    size: float,
    dated: bool,
) -> None:
    """A method alone has its name at the top and its year at the bottom; several are centred in their bands."""
    verified, gap = verdict(method), method["status"] == "gap"
    shade = palette.FAILED.light if verified is False else palette.colours(method["family"]).light
    fill: dict[str, Any] = {"facecolor": shade.fill, "linewidth": 0}
    if gap and verified is not False:
        fill |= {"hatch": "//", "edgecolor": "#dfe3e9"}
    axes.add_patch(Rectangle((band.x, band.y), band.width, band.height, **fill)).set_clip_path(frame)
    if band.y + band.height < frame.get_y() + frame.get_height() - 1:
        axes.plot((band.x, band.x + band.width), [band.y + band.height] * 2, color="white", linewidth=1.5 * POINT)

    alone = band.height >= CELL_HEIGHT - 1
    slack = band.height - len(name) * size * LEADING - (YEAR if dated else 0)
    first = band.y + (PAD + 10 if alone else slack / 2 + 11 * size / NAME)
    foot = band.y + band.height - (PAD + 1 if alone else slack / 2 + 2)
    weight, slope = "bold" if marked or not gap else "normal", "italic" if gap else "normal"
    _text(axes, band.x + PAD, first, size, *name, color=shade.ink, weight=weight, style=slope)
    if dated:
        year = "gap" if gap else str(method["year"] or "")
        _text(axes, band.x + PAD, foot, 12, year, color=shade.ink, style=slope)
    if verified is not None:
        _mark(axes, band.x + band.width - PAD - 9, foot - 4, shade.ink, verified)
    if marked:
        _rounded(axes, band, edgecolor=INK, linewidth=3 * POINT, zorder=2.8)  # above the frame of its cell


def _rounded(axes: Axes, box: Box, **line: Any) -> FancyBboxPatch:
    """A line around a box, with round corners."""
    style = f"round,pad=0,rounding_size={RADIUS}"
    patch = FancyBboxPatch((box.x, box.y), box.width, box.height, boxstyle=style, facecolor="none", **line)
    axes.add_patch(patch)
    return patch


def _mark(axes: Axes, x: float, y: float, colour: str, verified: bool) -> None:
    """A tick or a cross, drawn rather than written, so that no font can lack it."""
    strokes = [((0, 0), (3, 3.4), (8.5, -4))] if verified else [((0, -4), (8, 4)), ((0, 4), (8, -4))]
    for stroke in strokes:
        path = [(x + right, y + down) for right, down in stroke]
        axes.plot(*zip(*path, strict=True), color=colour, linewidth=1.8 * POINT, solid_capstyle="round")


def _legend(axes: Axes, table: Table, y: float) -> None:
    """The families and the two marks, in as many lines as they need."""
    entries = [(family["name"], palette.colours(family["slug"]).light, None) for family in table["families"]]
    marks = [("verified", palette.PASSED.light, True), ("not verified", palette.FAILED.light, False)]
    x: float = MARGIN
    for label, shade, mark in (*entries, *marks):
        room = 23 + width(label, 12.5)
        if x + room > WIDTH - MARGIN:
            x, y = MARGIN, y + 25
        if mark is None:
            axes.add_patch(Rectangle((x, y - 8), 16, 16, facecolor=shade.fill, edgecolor=shade.edge, linewidth=POINT))
        else:
            _mark(axes, x + 4, y, shade.edge, mark)
        _text(axes, x + 23, y + 4.5, 12.5, label)
        x += room + 20


def _text(axes: Axes, x: float, y: float, size: float, *lines: str, leading: float = LEADING, **look: Any) -> None:
    """Lines of text, with the baseline of the first at ``y``."""
    look = {"family": FONT, "size": size * POINT, "color": INK, **look}
    for place, line in enumerate(lines):
        axes.text(x, y + place * size * leading, line, **look)


def width(words: str, size: float, bold: bool = False) -> float:
    """The width of a line of text in pixels."""
    font = FontProperties(family=FONT, weight="bold" if bold else "normal")
    return float(TextPath((0, 0), words, prop=font, size=size).get_extents().width)


def wrap(words: str, room: float, size: float, bold: bool = False) -> list[str]:
    """Lines no wider than ``room``; a word is broken only at a hyphen, and only where it does not fit."""
    lines: list[str] = []
    for word in words.split(" "):
        pieces = [word] if width(word, size, bold) <= room else re.findall(r"[^-]+-?|-", word)
        for number, piece in enumerate(pieces):
            joined = f"{lines[-1]}{' ' if number == 0 else ''}{piece}" if lines else piece
            if lines and width(joined, size, bold) <= room:
                lines[-1] = joined
            else:
                lines.append(piece)
    return lines
