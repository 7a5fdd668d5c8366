"""The templates of the page and its siblings, and what they can call."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode, b64encode
from functools import cache
from inspect import getmembers, isfunction
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup
from PIL import Image

from table.page import palette, view
from table.page.mathml import mathml
from table.texts import TEXTS, when

TEMPLATES = Path(__file__).parent / "templates"
THUMBNAIL = (240, 150)  # pixels
#: Of Markdown, code, emphasis and lists alone; what is HTML is escaped.
MARKDOWN = MarkdownIt("zero").enable(["backticks", "emphasis", "list"])


def fill(template: str, **values: Any) -> str:
    """The text of a template."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    """In HTML every value is escaped, unless it is markup; a name that a template does not know is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.globals |= {"VERDICTS": view.VERDICTS, "TEXTS": TEXTS, "when": when, "palette": palette}
    environment.globals["text"] = lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8"))
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False}
    environment.filters |= dict(getmembers(view, isfunction))
    environment.filters |= {"mathml": mathml, "coded": coded, "paragraphs": paragraphs, "thumbnail": thumbnail}
    # A number that JSON does not have becomes null.
    environment.filters["finite"] = lambda data: json.loads(json.dumps(data), parse_constant=lambda name: None)
    environment.filters["base64"] = lambda text: b64encode(text.encode()).decode()
    return environment


def coded(text: str) -> Markup:
    """Text with code between backticks and bold words between double asterisks, as in Markdown."""
    return Markup(MARKDOWN.renderInline(text))


def paragraphs(text: str) -> Markup:
    """The paragraphs of a text; those that begin with an asterisk are a list, as in Markdown."""
    return Markup(MARKDOWN.render(re.sub(r"\n\n(?=\* )", "\n", text)))


def thumbnail(figure: str) -> str:
    """A small picture of a figure, an SVG text, as the address of an image; the SVG itself where it is not a photo.

    Of a tall figure it is the top, because the whole would be too narrow to be seen.
    """
    link = re.search(r'href="data:image/png;base64,([^"]+)"', figure)
    if link is None:
        return "data:image/svg+xml;base64," + b64encode(figure.encode()).decode()
    small = io.BytesIO()
    with Image.open(io.BytesIO(b64decode(link[1]))) as picture:
        wide, high = THUMBNAIL
        shown = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, picture.width * high // wide)))
        shown.thumbnail(THUMBNAIL)
        shown.quantize(32).save(small, "png", optimize=True)
    return "data:image/png;base64," + b64encode(small.getvalue()).decode()
