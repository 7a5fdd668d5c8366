"""index.html: one self-contained file with the grid and all that its cells open to; and a page for each study."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode, b64encode
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from table.page import palette, view
from table.page.mathml import mathml
from table.page.schema import Study, Table
from table.texts import TEXTS, when

TEMPLATES = Path(__file__).parent / "templates"
THUMBNAIL = (240, 150)  # pixels


def render(table: Table) -> str:
    """The whole page as text; it needs no other file and no network, apart from the pages of the studies."""
    trained = {(cell["row"], cell["column"]): cell for cell in (table["gallery"] or {"cells": []})["cells"]}
    index, counts = view.Index.of(table), view.Counts.of(table)
    page = _environment().get_template("page.html")
    return page.render(table=table, index=index, counts=counts, trained=trained)


def render_study(study: Study) -> str:
    """The page of one study, which stands in a folder beside index.html."""
    return _environment().get_template("study.html").render(study=study)


def _environment() -> Environment:
    """Every value is escaped, unless it is markup already; a name that a template does not know is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals |= {"VERDICTS": view.VERDICTS, "NOTES": view.NOTES, "palette": palette}
    environment.globals |= {"TEXTS": TEXTS, "when": when}
    environment.globals["text"] = lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8"))
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False}
    environment.filters |= {"mathml": mathml, "coded": coded, "paragraphs": paragraphs, "thumbnail": thumbnail}
    # A number that JSON does not have becomes null.
    environment.filters["finite"] = lambda data: json.loads(json.dumps(data), parse_constant=lambda name: None)
    environment.filters["base64"] = lambda text: b64encode(text.encode()).decode()
    for name in ("entry", "evidence", "kind", "notes", "number", "peer", "polyline", "program", "provenance",
                 "questioned", "tolerance", "unbroken", "verdict"):  # fmt: skip
        environment.filters[name] = getattr(view, name)
    return environment


def coded(text: str) -> Markup:
    """Text with code between backticks and bold words between double asterisks, as in Markdown."""

    def marked(found: re.Match[str]) -> str:
        return f"<strong>{found[2]}</strong>" if found[1] is None else f"<code>{found[1]}</code>"

    return Markup(re.sub(r"`([^`]*)`|\*\*([^*]+)\*\*", marked, str(escape(text))))


def paragraphs(text: str) -> Markup:
    """The paragraphs of a text; those that begin with an asterisk are a list, as in Markdown."""
    found = Markup("")
    for is_list, parts in groupby(text.split("\n\n"), lambda part: part.startswith("* ")):
        if is_list:
            items = Markup("").join(Markup("<li>{}</li>").format(coded(part[2:])) for part in parts)
            found += Markup("<ul>{}</ul>").format(items)
        else:
            found += Markup("").join(Markup("<p>{}</p>").format(coded(part)) for part in parts)
    return found


def thumbnail(figure: str) -> str:
    """A small picture of a figure, an SVG text, as the address of an image; the SVG itself where it is not a photo.

    Of a tall figure it is the top, because the whole would be too narrow to be seen.
    """
    found = re.search(r'href="data:image/png;base64,([^"]+)"', figure)
    if found is None:
        return "data:image/svg+xml;base64," + b64encode(figure.encode()).decode()
    small = io.BytesIO()
    with Image.open(io.BytesIO(b64decode(found[1]))) as picture:
        wide, high = THUMBNAIL
        shown = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, picture.width * high // wide)))
        shown.thumbnail(THUMBNAIL)
        shown.quantize(32).save(small, "png", optimize=True)
    return "data:image/png;base64," + b64encode(small.getvalue()).decode()
