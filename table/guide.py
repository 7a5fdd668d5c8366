"""Hooks of MkDocs for the guide: a page for each method from the registry, and formulas as MathML."""

from __future__ import annotations

import html
import inspect
import logging
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

import icon
from icon.cli.main import app
from icon.methods.axes import COLUMNS, ROWS
from icon.methods.record import FAMILIES, Method
from table import texts
from table.authors import facts
from table.cells import code
from table.methods import module_of, path_of
from table.page.markdown import sheet
from table.page.mathml import mathml

ROOT = Path(__file__).parent.parent
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of the methods."""
    assert config.nav is not None
    next(part for part in config.nav if "Methods" in part)["Methods"] = [
        "methods/index.md",
        *({name: [{m.name: _page_of(m)} for m in found]} for name, found in _families()),
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and beside each the file with the reference that the method is compared with."""
    made = {"methods/index.md": index(), "reference/command-line.md": commands()}
    for method in icon.methods():
        made[_page_of(method)] = page(method)
        made[f"methods/{method.slug}.txt"] = (ROOT / path_of(method.slug)).read_text(encoding="utf-8")
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_content(text: str, **_: Any) -> str:
    """Formulas as MathML, which browsers draw without a script."""
    return FORMULA.sub(lambda found: _drawn(found[2], inline=found[1] == "span"), text)


def _drawn(escaped: str, inline: bool) -> str:
    latex = html.unescape(escaped).strip()
    drawn = mathml(latex)
    if drawn.startswith("<code"):
        logging.getLogger("mkdocs.hooks.guide").warning("no MathML can be made of the formula %s", latex)
    return drawn.replace('display="block"', 'display="inline"', 1) if inline else f'<div class="formula">{drawn}</div>'


def index() -> str:
    """The list of all methods, by family."""
    methods = icon.methods()
    parts = [
        "# Methods",
        f"There are {len(methods)} named methods. Each is one loss with a row q and a column p of the table, or a "
        "variant of such a cell. Its page shows the call, the formula, the paper, and the program that its authors "
        "run. A gap is a cell that has a name here and that nobody has published.",
    ]
    for name, found in _families():
        lines = [[f"[{m.name}]({m.slug}.md)", str(m.year or ""), m.row, m.column, f'`icon.method("{m.slug}")`']
                 for m in found]  # fmt: skip
        parts += [f"## {name}", sheet(("Method", "Year", "Row q", "Column p", "Call"), lines)]
    return "\n\n".join(parts) + "\n"


def commands() -> str:
    """The help of the command ``icon``, and of each of its subcommands."""
    parts = ["# Command line", "The package installs the command `icon`."]
    top = get_command(app)
    assert isinstance(top, TyperGroup)
    for name, command in top.commands.items():
        assert command.callback is not None
        defaults = {key: given.default for key, given in inspect.signature(command.callback).parameters.items()}
        lines = [
            [
                f"`{' '.join(p.opts) if isinstance(p, TyperOption) else str(p.name).upper()}`",
                getattr(p, "help", "") + _choices(defaults[str(p.name)]),
                _shown(defaults[str(p.name)]),
            ]
            for p in command.params
        ]
        parts += [f"## icon {name}", command.help or "", sheet(("Argument", "Meaning", "Default"), lines)]
        examples = re.sub("^Examples?: ", "", command.epilog or "").replace("    ", "\n")
        parts.append(f"```shell\n{examples}\n```")
    return "\n\n".join(parts) + "\n"


def _choices(default: object) -> str:
    """What an argument may be, where that is one of a few words."""
    return f" One of {', '.join(f'`{each.value}`' for each in type(default))}." if isinstance(default, Enum) else ""


def _shown(default: object) -> str:
    """A default as it is typed; empty where there is none, or where a flag is not set."""
    if any(default is nothing for nothing in (None, False, inspect.Parameter.empty)):
        return ""
    return f"`{default.value if isinstance(default, Enum) else default}`"


def page(method: Method) -> str:
    """What the registry and the file of the reference say of one method."""
    return "\n\n".join(_parts(method)) + "\n"


def _parts(method: Method) -> Iterator[str]:
    q, p = texts.row(method.row)["formula"], texts.column(method.column)["formula"]
    yield f"# {method.name}"
    yield _introduction(method)
    yield f"```python\n{code(method.row, method.column, method.slug)}\n```"
    yield f"By default the loss is\n\n```text\n{icon.method(method.slug)!r}\n```"
    if method.hyper:
        yield (
            "Its hyper-parameters are " + ", ".join(f"`{name}={value!r}`" for name, value in method.hyper.items()) + "."
        )
    yield "## Formula"
    if formula := getattr(module_of(method.slug), "FORMULA", ""):
        yield f"$$\n{formula}\n$$"
    yield f"The row *{ROWS[method.row].name}* has the learned distribution\n\n$$\n{q}\n$$"
    yield f"and the column *{COLUMNS[method.column].name}* the supervisory distribution\n\n$$\n{p}\n$$"
    yield "## How it is verified"
    yield (
        f"The relation to the reference is: {method.relation}. The reference, in NumPy and without anything of icon, "
        f"and the checks are in [{path_of(method.slug)}]({method.slug}.txt)."
    )
    if packages := [package.name for package in getattr(module_of(method.slug), "PEERS", ())]:
        yield f"The same numbers come from {' and '.join(packages)}."
    yield f"Run the checks with `python -m table --only {method.slug}` in a checkout."
    if method.program is not None:
        yield "## The authors' program"
        yield from facts(method, method.program)
    if (cited := method.citation) is not None:
        where = f" [{cited.url.removeprefix('https://')}]({cited.url})" if cited.url else ""
        yield "## Paper"
        yield f"{cited.authors} ({cited.year}). *{cited.title}*. {cited.venue}.{where}"
        yield f"```bibtex\n{cited.bibtex()}\n```"
    if others := [m for m in icon.methods() if (m.row, m.column) == (method.row, method.column) and m != method]:
        yield "## Others in the cell"
        yield ", ".join(f"[{other.name}]({other.slug}.md)" for other in others)


def _introduction(method: Method) -> str:
    cell = f"the row `{method.row}` and the column `{method.column}`"
    place = f"is a variant of the cell of {cell}: {method.coordinate}" if method.coordinate else f"stands in {cell}"
    family = FAMILIES[method.family].lower()
    origin = (
        "Nobody has published it: it fills a gap of the table" if method.citation is None else f"Its family is {family}"
    )
    return f"{method.name} {place}. {origin}."


def _families() -> Iterator[tuple[str, list[Method]]]:
    for slug, name in FAMILIES.items():
        yield name, [m for m in icon.methods() if m.family == slug]


def _page_of(method: Method) -> str:
    return f"methods/{method.slug}.md"
