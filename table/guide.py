"""Hooks of MkDocs for the guide: a page for each method from the registry, and formulas as MathML."""

from __future__ import annotations

import html
import logging
import re
from argparse import Action
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import icon
from icon.cli.main import parsers
from icon.methods.record import FAMILIES, Method
from table.authors import call
from table.cells import code
from table.methods import module_of, path_of
from table.page.markdown import sheet
from table.page.mathml import mathml
from table.page.templating import fill
from table.texts import column, row

ROOT = Path(__file__).parent.parent
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of the methods."""
    assert config.nav is not None
    next(part for part in config.nav if "Methods" in part)["Methods"] = [
        "methods/index.md",
        *({name: [{m.name: _page_of(m)} for m in methods]} for name, methods in _families()),
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
    return FORMULA.sub(lambda match: _drawn(match[2], inline=match[1] == "span"), text)


def _drawn(escaped: str, inline: bool) -> str:
    latex = html.unescape(escaped).strip()
    drawn = mathml(latex)
    if drawn.startswith("<code"):
        logging.getLogger("mkdocs.hooks.guide").warning("no MathML can be made of the formula %s", latex)
    return drawn.replace('display="block"', 'display="inline"', 1) if inline else f'<div class="formula">{drawn}</div>'


def index() -> str:
    """The list of all methods, by family."""
    head = ("Method", "Year", "Row q", "Column p", "Call")

    def line(m: Method) -> list[str]:
        return [f"[{m.name}]({m.slug}.md)", str(m.year or ""), m.row, m.column, f'`icon.method("{m.slug}")`']

    families = {name: sheet(head, map(line, methods)) for name, methods in _families()}
    return fill("methods.md", count=len(icon.methods()), families=families)


def commands() -> str:
    """The help of the command ``icon``, and of each of its subcommands."""
    commands = parsers()[1]
    head = ("Argument", "Meaning", "Default")
    sheets = {name: sheet(head, map(_argument, command._actions[1:])) for name, command in commands.items()}
    return fill("commands.md", commands=commands, sheets=sheets)


def _argument(action: Action) -> tuple[str, str, str]:
    """What an argument is called, what it means, and its default as it is typed; a flag that is not set has none."""
    meaning = str(action.help)
    if action.choices is not None:
        meaning += f" One of {', '.join(f'`{each}`' for each in action.choices)}."
    default = "" if action.default is None or action.default is False else f"`{action.default}`"
    return f"`{' '.join(action.option_strings) or action.metavar}`", meaning, default


def page(method: Method) -> str:
    """What the registry and the file of the reference say of one method."""
    module = module_of(method.slug)
    return fill(
        "method.md",
        method=method,
        family=FAMILIES[method.family],
        code=code(method.row, method.column, method.slug),
        loss=repr(icon.method(method.slug)),
        formula=getattr(module, "FORMULA", ""),
        row=row(method.row),
        column=column(method.column),
        reference=path_of(method.slug),
        peers=getattr(module, "PEERS", ()),
        call=call(method),
        others=[m for m in icon.methods() if (m.row, m.column) == (method.row, method.column) and m != method],
    )


def _families() -> Iterator[tuple[str, list[Method]]]:
    for slug, name in FAMILIES.items():
        yield name, [m for m in icon.methods() if m.family == slug]


def _page_of(method: Method) -> str:
    return f"methods/{method.slug}.md"
