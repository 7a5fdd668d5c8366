"""HTML by construction: every string is escaped unless it is Markup already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = {"br", "hr", "img", "input", "link", "meta"}


class Markup(str):
    """Text that is HTML already and is not escaped again."""


Child = str | int | None | Iterable["Child"]


def text(child: Child) -> Markup:
    """A child, or many, as HTML; None is nothing."""
    if child is None:
        return Markup()
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int):
        return Markup(escape(str(child)))
    return Markup("".join(text(item) for item in child))


def el(tag: str, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """One element. ``class_`` is class, ``aria_label`` is aria-label; None and False leave an attribute out."""
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Markup(opening if tag in VOID else f"{opening}{text(children)}</{tag}>")
