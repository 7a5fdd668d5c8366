"""What `icon table` and `icon show` print."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.text import Text

from icon import _checks as check
from icon.cli import terminal
from icon.cli.terminal import STYLES
from icon.methods import axes, registry
from icon.methods.program import Program
from icon.methods.record import FAMILIES, Method

#: What the factor of a program is made of.
SYMBOLS = {
    "n": "anchors",
    "k": "neighbours",
    "C": "columns of the input",
    "τ": "the temperature",
    "CE": "the cross-entropy form",
    "L": "the loss",
}


def load_modules(modules: Sequence[str] | None) -> None:
    """Import modules of the user, which register methods and parts of their own."""
    if modules:
        sys.path.append(os.getcwd())  # where a module is sought by python -m, but not by a command
    for name in modules or ():
        try:
            import_module(name)
        except (ImportError, TypeError, ValueError) as error:  # the others are of a path, or of what it registers
            reason = check.reason(error)
            raise ValueError(f"load: got {name!r}, expected a module that can be imported ({reason})") from None


def table(style: str, as_json: bool, load: Sequence[str] | None) -> None:
    """The table with the names in its cells, as text, csv, markdown or json."""
    if as_json and style not in ("text", "json"):
        raise ValueError(f"--json: got --style {style} as well, expected only one of them")
    load_modules(load)
    frame = registry.table()
    if style == "csv":
        sys.stdout.write(frame.to_csv())
    elif style == "json" or as_json:
        sys.stdout.write(frame.to_json(orient="index", indent=1) + "\n")
    elif style == "markdown":
        sys.stdout.write(terminal.markdown(["q \\ p", *frame.columns], frame.itertuples()))
    else:
        _grid()


def _grid() -> None:
    """The table on its side, for nine columns do not fit a terminal; then its variants, and the colours."""
    console = terminal.console()
    body = [(column.name, [_names(row, slug) for row in axes.ROWS]) for slug, column in axes.COLUMNS.items()]
    terminal.grid(console, "p \\ q", [row.name for row in axes.ROWS.values()], body)
    variants = [Text(m.slug, style=STYLES.get(m.family, "")) for m in registry.methods() if not m.in_table]
    terminal.line(console, Text("variants of the cells (icon show NAME): ") + Text(", ").join(variants))
    if console.is_terminal:
        families = [Text(name, style=STYLES.get(slug, "")) for slug, name in FAMILIES.items()]
        terminal.line(console, Text("colours: ") + Text(", ").join(families))


def _names(row: str, column: str) -> Text:
    here = [m for m in registry.methods() if m.in_table and (m.row, m.column) == (row, column)]
    return Text("\n").join(Text(m.name, style=STYLES.get(m.family, "")) for m in here)


def show(name: str, column: str | None, as_json: bool, load: Sequence[str] | None) -> None:
    """A coordinate of a row and a column, or a method."""
    load_modules(load)
    if column is None:
        kinds = [kind for kind, known in (("row", axes.ROWS), ("column", axes.COLUMNS)) if name.lower() in known]
        if kinds:
            expected = "a method, or a row and a column, as in icon show student-t gaussian"
            raise ValueError(f"method: got {name!r}, the name of a {' and of a '.join(kinds)}, expected {expected}")
        _method(name, as_json)
    else:
        _cell(name, column, as_json)


def _cell(row: str, column: str, as_json: bool) -> None:
    """A coordinate by its slugs: the methods in it, and how to make its loss."""
    loss = axes.loss(row.lower(), column.lower())
    here = [m for m in registry.methods() if (m.row, m.column) == (loss.row, loss.column)]
    code = f'loss = icon.loss("{loss.row}", "{loss.column}")'
    if as_json:
        place = {"row": loss.row, "column": loss.column, "code": code, "loss": repr(loss)}
        _print_json({**place, "methods": [_record(m) for m in here]})
        return
    console = terminal.console()
    names = Text(", ").join(Text(m.name, style=_bold(m)) for m in here if m.in_table)
    terminal.line(
        console, names if names.plain else Text("This cell has no name; it computes all the same.", style="bold")
    )
    terminal.line(console, Text(code))
    terminal.line(console, Text(repr(loss)))
    if variants := [Text(m.slug, style=STYLES.get(m.family, "")) for m in here if not m.in_table]:
        terminal.line(console, Text("variants: ") + Text(", ").join(variants))


def _method(name: str, as_json: bool) -> None:
    """A method by its slug or its printed name: what it is, how to make it, where it was published."""
    method = registry.find(name)
    if as_json:
        _print_json(_record(method))
        return
    console = terminal.console()
    year = f" ({method.year})" if method.year else "  (a gap: unpublished)"
    terminal.line(console, Text.assemble((method.name, _bold(method)), year))
    place = method.coordinate or f"{method.row} x {method.column}"
    terminal.line(console, Text.assemble(f"{place}, ", (method.family, STYLES.get(method.family, ""))))
    terminal.line(console, Text(f'loss = icon.method("{method.slug}")'))
    terminal.line(console, Text(repr(registry.method(method.slug))))
    if method.hyper:
        _labelled(console, "hyper-parameters", ", ".join(f"{k}={v}" for k, v in method.hyper.items()))
    is_of_icon = getattr(method.build, "__module__", "").startswith("icon.methods.")  # whose methods all have a check
    _labelled(console, "verified" if is_of_icon else "relation (not verified)", method.relation)
    if (program := method.program) is not None:
        _program(console, program)
    if (c := method.citation) is not None:
        link = (" ", (c.url, f"link {c.url}")) if c.url else ()
        terminal.line(console, Text.assemble(f"{c.authors} ({c.year}). {c.title}. {c.venue}.", *link))


def _program(console: Console, program: Program) -> None:
    """What the authors run, and what one who comes from there gets wrong."""
    if not program.url:
        _labelled(console, "authors' program", "none found")
    elif console.is_terminal:  # the address is longer than a line
        short = (f"{program.repository}, {program.path}", f"link {program.url}")
        _labelled(console, "authors' program", f"{program.call}, ", short)
    else:
        _labelled(console, "authors' program", f"{program.call}, {program.url}")
    if program.factor:
        meanings = ", ".join(f"{s}: {m}" for s, m in SYMBOLS.items() if s in program.factor.replace("/", " ").split())
        _labelled(console, "loss.published", f"{program.factor} ({meanings})" if meanings else program.factor)
    if program.settings:
        _labelled(console, "authors' settings", ", ".join(f"{k}={v}" for k, v in program.settings.items()))
    if program.differs:
        _labelled(console, "what differs", program.differs)
    for trap in program.traps:
        _labelled(console, "note", trap)


def _bold(method: Method) -> str:
    return f"bold {STYLES.get(method.family, '')}".replace(" dim", "").strip()


def _labelled(console: Console, label: str, *words: str | tuple[str, str]) -> None:
    terminal.line(console, Text.assemble((label, "cyan"), ": ", *words))


def _record(method: Method) -> dict[str, Any]:
    """All that is known of a method, for a program to read."""
    citation, program = method.citation, method.program
    names = ("slug", "name", "row", "column", "coordinate", "family", "status", "year", "relation")
    return {
        **{name: getattr(method, name) or None for name in names},
        "hyper": dict(method.hyper),
        "code": f'loss = icon.method("{method.slug}")',
        "loss": repr(registry.method(method.slug)),
        "citation": None if citation is None else {**asdict(citation), "url": citation.url},
        "program": None if program is None else {
            **{name: getattr(program, name) or None for name in ("repository", "path", "commit", "url", "call")},
            "published": program.factor or None,
            "settings": dict(program.settings),
            "differs": program.differs or None,
            "notes": list(program.traps),
        },
    }  # fmt: skip


def _print_json(record: dict[str, Any]) -> None:
    """Values that JSON does not have, such as a tensor or infinity among hyper-parameters, are printed as text."""
    record = json.loads(json.dumps(record, default=str), parse_constant=str)
    sys.stdout.write(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
