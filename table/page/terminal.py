"""The table in a terminal: the grid, then one line for each method."""

from __future__ import annotations

import textwrap

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Sheet
from rich.text import Text

from icon.cli.terminal import STYLES
from table.page.schema import Table
from table.page.view import Counts, Index, checked, error, unbroken, verdict, worst

WIDE = 117  # columns that the grid needs as it stands; in fewer it is turned on its side
PACKAGE = 18  # columns for the names of packages, which are broken at their hyphens
FAILED = "bold white on red"


def print_table(table: Table, console: Console) -> None:
    """Print the grid with names and marks, the summary, and what was measured of each method."""
    index, counts = Index(table), Counts(table)
    families = [Text(name, style=STYLES.get(slug, "")) for slug, name in index.families.items()]
    console.print(_grid(index, console))
    console.print(Padding(Text(" · ", style="dim").join(families), (1, 0)))
    console.print(_methods(table, console))
    console.print(Text(counts.sentence, style="bold green" if counts.whole else FAILED))


def _signs(console: Console) -> dict[bool | None, str]:
    """What stands for verified, failed and not checked; plain letters where the terminal has no others."""
    yes, no = ("+", "X") if console.options.ascii_only else ("✓", "✗")
    return {True: yes, False: no, None: ""}


def _grid(index: Index, console: Console) -> Sheet:
    rows, columns = ([(slug, item["name"]) for slug, item in axis.items()] for axis in (index.rows, index.columns))
    upright = console.width >= WIDE
    down, across = (rows, columns) if upright else (columns, rows)
    label = 9 if upright else 12
    room = max(8, (min(console.width, 132) - label) // len(across) - 1)

    sheet = Sheet(box=box.HORIZONTALS, show_edge=False, show_lines=True, padding=0)
    sheet.add_column(Text("q ↓ p →" if upright else "p ↓ q →", style="dim"), width=label, style="bold")
    for _, name in across:
        sheet.add_column(_broken(name, room), width=room)
    for slug, name in down:
        places = [(slug, other) if upright else (other, slug) for other, _ in across]
        sheet.add_row(_broken(name, label), *(_cell(index, *place, room, console) for place in places))
    return sheet


def _broken(words: str, room: int) -> str:
    return "\n".join(textwrap.wrap(unbroken(words), room))


def _cell(index: Index, row: str, column: str, room: int, console: Console) -> Text:
    signs = _signs(console)
    if not index.cells[row, column]["computes"]:
        return Text(f"{signs[False]} fails", style=FAILED)
    lines = []
    for method in index.methods_at(row, column):
        good = verdict(method)
        style = FAILED if good is False else STYLES.get(method["family"], "")
        line = Text(_broken(method["name"], room - 1), style=style)
        lines.append(line.append(signs[good], style="not dim not italic green" if good else ""))
    return Text("\n").join(lines) if lines else Text("." if console.options.ascii_only else "·", style="dim")


def _methods(table: Table, console: Console) -> Sheet:
    roomy = console.width >= 100
    sheet = Sheet(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, int(roomy), 0, 0))
    sheet.add_column("Method", no_wrap=True)
    sheet.add_column("Coordinate", min_width=15)
    if roomy:
        sheet.add_column("Relation", ratio=1)
    sheet.add_column("Error", justify="right", no_wrap=True)
    sheet.add_column("At most", justify="right", no_wrap=True)
    sheet.add_column("Other packages", ratio=1, min_width=PACKAGE)
    sheet.add_column("OK", justify="center", no_wrap=True)
    for methods in (table["methods"], table["variants"]):
        for method in checked(methods):
            check = worst(method["checks"])
            sheet.add_row(
                method["slug"],
                method["coordinate"] or f"{method['row']} × {method['column']}",
                *([method["relation"]] if roomy else []),
                f"{error(check):.1e}" if check else "none",
                f"{check['tolerance']:.0e}" if check else "",
                "\n".join(_broken(f"{item['package']}: {item['status']}", PACKAGE) for item in method["peers"]),
                _signs(console)[verdict(method)],
                style=FAILED if verdict(method) is False else None,
            )
        sheet.add_section()
    return sheet
