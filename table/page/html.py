"""index.html: one self-contained file with the grid, a dialog for each cell, and the data itself."""

from __future__ import annotations

import math
from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from table.page import palette, view
from table.page.mathml import mathml
from table.page.schema import Table

TEMPLATES = Path(__file__).parent / "templates"


def render(table: Table) -> str:
    """The whole page as text; it needs no other file and no network."""
    page = _environment().get_template("page.html")
    return page.render(table=table, index=view.Index.of(table), counts=view.Counts.of(table), palette=palette)


def _environment() -> Environment:
    """Every value is escaped, unless it is markup already; a name that a template does not know is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals["VERDICTS"] = view.VERDICTS
    environment.globals["text"] = lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8"))
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False}
    environment.filters |= {"mathml": mathml, "finite": _finite, "base64": lambda svg: b64encode(svg.encode()).decode()}
    environment.filters["coded"] = coded
    for name in ("entry", "number", "provenance", "tolerance", "unbroken", "verdict", "peer", "program", "worst"):
        environment.filters[name] = getattr(view, name)
    return environment


def coded(text: str) -> Markup:
    """Text with code between backticks, as in Markdown."""
    parts = enumerate(text.split("`"))
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in parts)


def _finite(value: Any) -> Any:
    """The data with null for the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
