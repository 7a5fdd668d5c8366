"""LaTeX to MathML that browsers draw without a script: latex2mathml, and where MathML Core differs."""

from __future__ import annotations

import re
from functools import cache

from latex2mathml.converter import convert
from markupsafe import Markup, escape

THIN = 'lspace="0.167em" rspace="0.167em"'
TIGHT = 'stretchy="false" lspace="0" rspace="0"'
REPAIRS = (
    # A function such as log comes as an identifier, which gets no space: "log x" would read "logx".
    (r"<m([io])>([A-Za-z]{2,})</m\1>", rf"<mo {THIN}>\2</mo>"),
    (r' rspace="0.167em"(>\w+</mo><mo stretchy="false">&#x00028;)', r' rspace="0"\1'),  # none before a parenthesis
    # A bar stretches to its row, but not under a superscript, so the two bars of a norm would differ.
    (r'<m[io](?: stretchy="false")?>(&#x0007C;|&#x02016;)</m[io]>', rf"<mo {TIGHT}>\1</mo>"),
    (r"<mo>&#x02223;</mo>", r'<mo stretchy="false">&#x02223;</mo>'),
)


@cache
def mathml(latex: str) -> Markup:
    """The formula as MathML; its LaTeX as code where the converter does not know a command."""
    try:
        markup = convert(re.sub(r"\\(lim|max|min)_", r"\\\1\\limits_", latex), display="block")
    except Exception:  # the converter raises many unrelated types on bad LaTeX; the page must still be made
        markup = "\\"
    if "\\" in markup:
        return Markup('<code class="latex">{}</code>').format(latex)
    for pattern, repair in REPAIRS:
        markup = re.sub(pattern, repair, markup)
    return Markup(markup.replace("<math ", f'<math alttext="{escape(latex)}" ', 1))
