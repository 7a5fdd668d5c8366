"""docs/authors.md, the page for people who come from a method's own program: ``python -m table.authors`` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import icon
from icon.methods.program import Program
from icon.methods.record import Method
from table.cells import code, usage
from table.page.markdown import sheet

PATH = Path(__file__).parent.parent / "docs" / "authors.md"
HEAD = ("Method", "Their call", "Our call", "Their number")
INTRODUCTION = """# Coming from the authors' code

This page is written from the records of the methods by `python -m table.authors`. It says for each method which program
its authors run, how the same number is computed here, and what is easily overlooked.

`loss.published(input, target)` is the number that their program reports, so that a learning rate carries over. It is
differentiable, and a multiple of the cross-entropy form CE (`loss.terms(input, target).cross_entropy`) or of the loss
L, plus a constant: τ is the temperature, n the number of anchors, k that of neighbours and C that of columns.
`icon.method(name, settings="authors")` has the hyper-parameters of their default run; those that you give win.

Every form of a program was derived anew and is compared with ours by `python -m table`. Three traps are common to many
methods. A queue or a memory makes the keys of other anchors negatives: here the negatives are the candidates that you
pass. A teacher is moved by `icon.nn.EMA`, which copies buffers such as batch statistics and averages parameters. Most
programs expect unit features, where our cosine scores scale the rows themselves."""


def render() -> str:
    """The whole page."""
    known = [(m, m.program) for m in icon.methods() if m.program is not None]
    lines = [[m.name, _there(p), f"`{_made(m, p)}`", p.factor or "does not follow"] for m, p in known]
    parts = [INTRODUCTION, sheet(HEAD, lines), *(part for m, p in known for part in (f"## {m.name}", *facts(m, p)))]
    return "\n\n".join(parts) + "\n"


def _there(program: Program) -> str:
    if not program.url:
        return "no program was found"
    return f"[{program.repository}]({program.url})" + (f": {program.call}" if program.call else "")


def _made(method: Method, program: Program) -> str:
    settings = ', settings="authors"' if program.settings else ""
    return f'icon.method("{method.slug}"{settings})'


def facts(method: Method, program: Program) -> Iterator[str]:
    """The paragraphs on the program of one method."""
    if program.url:
        where = f"[{program.repository}/{program.path}]({program.url}), version {program.commit[:8]}"
        yield f"There: {program.call or 'the loss'} in {where}."
    else:
        yield "There: no program of the authors was found."
    own = usage().get(f"{method.slug} as its authors run it")
    call = own or code(method.row, method.column, method.slug).removesuffix("\nvalue.backward()")
    call = call.replace(f'icon.method("{method.slug}")', _made(method, program))
    if program.factor:
        call = call.replace("value = loss(", "number = loss.published(")
    yield f"```python\n{call}\n```"
    if program.settings:
        given = ", ".join(f"`{name}={value!r}`" for name, value in program.settings.items())
        yield f"Their settings are {given}."
    if program.factor:
        yield f"`loss.published` gives {program.factor}."
    if program.differs:
        yield f"What differs: {program.differs}"
    if program.traps:
        yield "\n".join(f"- {trap}" for trap in program.traps)


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
