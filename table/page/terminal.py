"""The table in a terminal: the grid, then one line for each method."""

from __future__ import annotations

import textwrap

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Sheet
from rich.text import Text

from icon.cli.terminal import STYLES, grid
from table.page.schema import Table
from table.page.view import Counts, Index, checked, error, verdict, worst

PACKAGE = 18  # columns for the names of packages, which are broken at their hyphens
FAILED = "bold white on red"
SIGNS = {True: "✓", False: "✗", None: ""}  # verified, failed, not checked


def print_table(table: Table, console: Console) -> None:
    """Print the grid with names and marks, the summary, and what was measured of each method."""
    index, counts = Index(table), Counts(table)
    families = [Text(name, style=STYLES.get(slug, "")) for slug, name in index.families.items()]
    body = [(each["name"], [_cell(index, row, slug) for row in index.rows]) for slug, each in index.columns.items()]
    grid(console, "p \\ q", [row["name"] for row in index.rows.values()], body)
    console.print(Padding(Text(" · ", style="dim").join(families), (1, 0)))
    console.print(_methods(table, console))
    console.print(Text(counts.sentence, style="bold green" if counts.whole else FAILED))


def _cell(index: Index, row: str, column: str) -> Text:
    if not index.cells[row, column]["computes"]:
        return Text(f"{SIGNS[False]} fails", style=FAILED)
    lines = []
    for method in index.methods_at(row, column):
        good = verdict(method)
        line = Text(method["name"], style=FAILED if good is False else STYLES.get(method["family"], ""))
        lines.append(line.append(SIGNS[good], style="not dim not italic green" if good else ""))
    return Text("\n").join(lines)


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
                "\n".join(textwrap.fill(f"{item['package']}: {item['status']}", PACKAGE) for item in method["peers"]),
                SIGNS[verdict(method)],
                style=FAILED if verdict(method) is False else None,
            )
        sheet.add_section()
    return sheet
