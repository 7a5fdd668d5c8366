"""What `icon table` and `icon show` print."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from icon.methods import axes, registry
from icon.methods.program import Program

#: What the factor of a program is made of.
SYMBOLS = {
    "n": "anchors",
    "k": "neighbours",
    "C": "columns of the input",
    "τ": "the temperature",
    "CE": "the cross-entropy form",
    "L": "the loss",
}


def table(style: str) -> None:
    """The table with the names in its cells.

    Args:
        style: text, csv, markdown or json.
    """
    frame = registry.table()
    if style == "csv":
        sys.stdout.write(frame.to_csv())
    elif style == "json":
        sys.stdout.write(frame.to_json(orient="index", indent=1) + "\n")
    elif style == "markdown":
        lines = [
            ["q \\ p", *frame.columns],
            ["---"] * (1 + len(frame.columns)),
            *([row, *frame.loc[row]] for row in frame.index),
        ]
        sys.stdout.writelines("| " + " | ".join(line) + " |\n" for line in lines)
    else:
        sheet = Table(show_lines=True, padding=0)
        sheet.add_column("p \\ q", style="bold", min_width=11)
        for row in axes.ROWS.values():
            sheet.add_column(row.name, overflow="fold")
        for slug, column in axes.COLUMNS.items():  # nine columns do not fit a terminal: on its side
            sheet.add_row(column.name, *(frame.loc[row, slug].replace(" · ", "\n") for row in frame.index))
        Console().print(sheet)
        variants = [m.slug for m in registry.methods() if not m.in_table]
        Console().print("variants of the cells (icon show NAME): " + ", ".join(variants), highlight=False)


def cell(row: str, column: str) -> None:
    """A coordinate: the methods in it, and how to make its loss.

    Raises:
        ValueError: an unknown row or column.
    """
    console = Console(soft_wrap=True, highlight=False)
    found = axes.loss(row.lower(), column.lower())
    here = [m for m in registry.methods() if (m.row, m.column) == (found.row, found.column)]
    names = [m.name for m in here if m.in_table]
    console.print(f"[bold]{', '.join(names) or 'no name: it computes all the same'}[/bold]")
    console.print(f'loss = icon.loss("{found.row}", "{found.column}")')
    console.print(repr(found), markup=False)
    if variants := [m.slug for m in here if not m.in_table]:
        console.print("variants: " + ", ".join(variants), markup=False)


def method(name: str) -> None:
    """A method: what it is, how to make it, where it was published.

    Raises:
        ValueError: an unknown name.
    """
    console = Console(soft_wrap=True, highlight=False)
    method = registry.find(name)
    console.print(f"[bold]{method.name}[/bold]" + (f" ({method.year})" if method.year else "  (a gap: unpublished)"))
    console.print(f"{method.coordinate or f'{method.row} x {method.column}'}, {method.family}", markup=False)
    console.print(f'loss = icon.method("{method.slug}")')
    console.print(repr(registry.method(method.slug)), markup=False)
    if method.hyper:
        console.print("hyper-parameters: " + ", ".join(f"{k}={v}" for k, v in method.hyper.items()), markup=False)
    console.print(f"verified: {method.relation}", markup=False)
    if (program := method.program) is not None:
        _program(console, program)
    if method.citation is not None:
        c = method.citation
        console.print(f"{c.authors} ({c.year}). {c.title}. {c.venue}." + (f" {c.url}" if c.url else ""), markup=False)


def _program(console: Console, program: Program) -> None:
    """What the authors run, and what one who comes from there gets wrong."""
    where = f"{program.call}, {program.url}" if program.url else "none found"
    console.print(f"authors' program: {where}", markup=False)
    if program.factor:
        meanings = ", ".join(f"{s}: {m}" for s, m in SYMBOLS.items() if s in program.factor.replace("/", " ").split())
        number = f"{program.factor} ({meanings})" if meanings else program.factor
        console.print(f"loss.published: {number}", markup=False)
    if program.settings:
        console.print("authors' settings: " + ", ".join(f"{k}={v}" for k, v in program.settings.items()), markup=False)
    if program.differs:
        console.print(f"what differs: {program.differs}", markup=False)
    for trap in program.traps:
        console.print(f"note: {trap}", markup=False)
