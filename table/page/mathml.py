"""LaTeX to MathML that browsers draw without a script: latex2mathml, and where MathML Core differs."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from xml.etree import ElementTree

from latex2mathml.converter import convert

from table.page.markup import Markup, el

LIMITS = {"lim", "max", "min", "sup", "inf", "argmax", "argmin"}
MID = "∣"
BARS = {"|", "‖", "∥", MID}
FUNCTIONS = {"log", "exp", "ln", "det", "dim", "cos", "sin", "tan", "arg", "Pr"}
VARIANTS = {
    "script": "SCRIPT",
    "double-struck": "DOUBLE-STRUCK",
    "bold": "BOLD",
    "fraktur": "FRAKTUR",
    "sans-serif": "SANS-SERIF",
    "monospace": "MONOSPACE",
}


def mathml(latex: str, *, display: bool = True) -> Markup:
    """The formula as MathML; its LaTeX as code where the converter does not know a command."""
    try:
        root = ElementTree.fromstring(convert(latex, display="block" if display else "inline"))
    except Exception:  # the converter raises many unrelated types on bad LaTeX; the page must still be made
        return el("code", latex, class_="latex")
    if any("\\" in (node.text or "") for node in root.iter()):
        return el("code", latex, class_="latex")
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        _spell_variant(node)
        _lower_limit(node)
        _keep_bars_small(node)
    for parent in list(root.iter("mrow")):
        _space_functions(parent)
    root.set("alttext", latex)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _spell_variant(node: ElementTree.Element) -> None:
    """MathML Core draws only mathvariant=normal; the other alphabets are Unicode letters of their own."""
    variant = VARIANTS.get(node.get("mathvariant", ""))
    if variant is None or node.text is None:
        return
    node.attrib.pop("mathvariant")
    node.text = "".join(_letter(character, variant) for character in node.text)


def _letter(character: str, variant: str) -> str:
    try:
        name = unicodedata.name(character).replace("LATIN ", "").replace(" LETTER", "")
        for style in (f"MATHEMATICAL {variant} {name}", f"{variant} {name}"):
            try:
                return unicodedata.lookup(style)
            except KeyError:
                continue
    except ValueError:
        pass
    return character


def _lower_limit(node: ElementTree.Element) -> None:
    """The converter sets what belongs under a limit or an operator beside it."""
    if node.tag != "msub":
        return
    base = node[0]
    if base.text in LIMITS or base.get("movablelimits") == "true":
        node.tag = "munder"
        base.set("movablelimits", "true")


def _keep_bars_small(node: ElementTree.Element) -> None:
    """A plain bar stretches to its row, but not under a superscript, so the two bars of a norm would differ."""
    if node.tag.endswith("mo") and node.text in BARS and node.get("fence") is None:
        node.set("stretchy", "false")
        if node.text != MID:
            node.set("lspace", "0")
            node.set("rspace", "0")


def _space_functions(row: ElementTree.Element) -> None:
    """The converter writes log as an identifier, which gets no space: `log x` would read `logx`."""
    spaced = list(_with_spaces(list(row)))
    for child in list(row):
        row.remove(child)
    row.extend(spaced)


def _with_spaces(children: list[ElementTree.Element]) -> Iterator[ElementTree.Element]:
    for position, child in enumerate(children):
        if not _is_function(child):
            yield child
            continue
        before = children[position - 1] if position else None
        after = children[position + 1] if position + 1 < len(children) else None
        if before is not None and before.tag != "mo":
            yield ElementTree.Element("mspace", width="0.167em")
        yield child
        if after is not None and not (after.tag == "mo" and after.text in ("(", "[", "|", "{")):
            yield ElementTree.Element("mspace", width="0.167em")


def _is_function(node: ElementTree.Element) -> bool:
    base = node[0] if node.tag in ("msub", "msup", "msubsup") and len(node) else node
    return base.tag == "mi" and base.text in FUNCTIONS
