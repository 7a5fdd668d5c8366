"""docs/authors.md, the page for people who come from a method's own program: ``python -m table.authors`` writes it."""

from __future__ import annotations

from pathlib import Path

import typer

import icon
from icon.methods.program import Program
from icon.methods.record import Method
from table.cells import code, usage
from table.page.markdown import sheet
from table.page.templating import fill

PATH = Path(__file__).parent.parent / "docs" / "authors.md"


def render() -> str:
    """The whole page."""
    methods = [method for method in icon.methods() if method.program is not None]
    unknown = "does not follow from ours"
    lines = [[m.name, _there(p), f"`{_made(m)}`", p.factor or unknown] for m in methods if (p := m.program)]
    return fill("authors.md", methods=methods, lines=lines, sheet=sheet, call=call)


def _there(program: Program) -> str:
    if not program.url:
        return "no program was found"
    return f"[{program.repository}]({program.url})" + (f": {program.call}" if program.call else "")


def _made(method: Method) -> str:
    settings = ', settings="authors"' if method.program and method.program.settings else ""
    return f'icon.method("{method.slug}"{settings})'


def call(method: Method) -> str:
    """The lines that compute the number of the authors' program."""
    own = usage().get(f"{method.slug} as its authors run it")
    lines = own or code(method.row, method.column, method.slug).removesuffix("\nvalue.backward()")
    lines = lines.replace(f'icon.method("{method.slug}")', _made(method))
    follows = method.program is not None and method.program.factor
    return lines.replace("value = loss(", "number = loss.published(") if follows else lines


def main() -> None:
    """Write docs/authors.md."""
    PATH.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
