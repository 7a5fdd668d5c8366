"""How the table and its methods look: wrapped at words and coloured in a terminal, whole plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: The styles of the families.
STYLES = {
    "dimensionality-reduction": "blue",
    "cluster-learning": "dark_orange",
    "unimodal-ssl": "green",
    "multimodal-ssl": "magenta",
    "supervised": "yellow",
    "gap": "italic dim",
}
_ENDLESS = 10_000  # columns of what is no terminal: nothing is wrapped


def console() -> Console:
    """Standard output; rich looks whether it is a terminal, how wide it is, and at NO_COLOR."""
    stdout = Console(highlight=False)
    return stdout if stdout.is_terminal else Console(highlight=False, width=_ENDLESS)


def line(to: Console, text: Text) -> None:
    """Print a line; where it has to be wrapped, what follows is indented."""
    for number, part in enumerate(text.wrap(to, to.width - 2)):
        part.rstrip()
        to.print(Text("  " if number else "").append_text(part))


def grid(to: Console, corner: str, across: Sequence[str], body: Sequence[tuple[str, Sequence[Text]]]) -> None:
    """Print a table with one cell below the other where no word of it would be broken, else as a list.

    Its columns have the names ``across``, its rows a label and cells, and ``corner`` stands above the labels.
    """
    heads = [Text(head.replace(", ", ",\n"), style="bold") for head in across]  # σ → ∞ stays in one line
    columns = [
        [head, *cells] for head, cells in zip(heads, zip(*(cells for _, cells in body), strict=True), strict=True)
    ]
    columns.insert(0, [Text(corner), *(Text(label, style="bold") for label, _ in body)])
    least = [max(map(_longest_word, column)) for column in columns]
    most = [max(max(map(len, text.plain.split("\n"))) for text in column) for column in columns]
    tried = ([min(max(width, a), b) for a, b in zip(least, most, strict=True)] for width in range(to.width, -1, -1))
    widths = next((each for each in tried if sum(each) + 2 * len(each) < to.width), None)
    if widths is None:
        _list(to, across, body)
        return
    sheet = Table(box=box.ROUNDED, show_lines=True, padding=(0, 0, 0, 1), border_style="dim")
    for column, width in zip(columns, widths, strict=True):
        sheet.add_column(column[0], width=width)
    for cells in zip(*(column[1:] for column in columns), strict=True):
        sheet.add_row(*cells)
    to.print(sheet)


def markdown(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table. pandas writes one with tabulate, which is not a dependency."""
    sheet = Table(*head, box=box.MARKDOWN, header_style="")
    for each in lines:
        sheet.add_row(*each)
    to = Console(width=_ENDLESS, color_system=None, markup=False, emoji=False, highlight=False)
    with to.capture() as printed:
        to.print(sheet)
    return printed.get().strip() + "\n"


def _longest_word(text: Text) -> int:
    """The longest part that must not be broken; a limit, σ → ∞, is one."""
    return max(map(len, text.plain.replace(" → ", "→→→").split()), default=0)


def _list(to: Console, across: Sequence[str], body: Sequence[tuple[str, Sequence[Text]]]) -> None:
    label = max(map(len, across)) + 1
    for name, cells in body:
        to.print(Text(name, style="bold"))
        sheet = Table.grid(padding=(0, 1, 0, 0))
        sheet.add_column(width=label + 1)
        sheet.add_column()
        for head, cell in zip(across, cells, strict=True):
            if cell.plain:
                sheet.add_row(Text(f"  {head}"), cell)
        to.print(sheet)
