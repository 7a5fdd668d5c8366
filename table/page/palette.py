"""The colours of the families, for the page (light and dark) and the figure (light)."""

from __future__ import annotations

from typing import NamedTuple


class Shade(NamedTuple):
    """A fill, the ink that is read on it (contrast of at least 4.5), and a stronger edge."""

    fill: str
    ink: str
    edge: str


class Colours(NamedTuple):
    """The same shade for both themes."""

    light: Shade
    dark: Shade


FAMILIES = {
    "dimensionality-reduction": Colours(Shade("#d2e5fa", "#0c3a66", "#4a90d0"), Shade("#17395c", "#d3e7fd", "#5b9bd8")),
    "cluster-learning": Colours(Shade("#ffdcc4", "#6a2d06", "#e08348"), Shade("#5a2f15", "#ffe0cb", "#d98450")),
    "unimodal-ssl": Colours(Shade("#d0eed6", "#0f4a27", "#49a566"), Shade("#17472a", "#d0f3d9", "#57b277")),
    "multimodal-ssl": Colours(Shade("#e6dafa", "#42207c", "#9469d6"), Shade("#3d2a68", "#e8dcff", "#a583e0")),
    "supervised": Colours(Shade("#fcefae", "#554300", "#c9a400"), Shade("#4b4010", "#f9edb4", "#c4a738")),
    "gap": Colours(Shade("#eef0f3", "#4a5260", "#9aa3b0"), Shade("#2a2f38", "#c0c8d4", "#6b7482")),
}
UNKNOWN = FAMILIES["gap"]
FAILED = Colours(Shade("#b3261e", "#ffffff", "#7f1510"), Shade("#b3261e", "#ffffff", "#ff8a80"))
PASSED = Colours(Shade("#ffffff", "#176b34", "#176b34"), Shade("#14181e", "#7fd89a", "#7fd89a"))

#: Of the points of a map, by their label; each has a contrast of at least 3 to the page.
LABELS = {
    "light": ["#1f6fc4", "#c25a00", "#1d8348", "#c62f3b", "#7a4fc0",
              "#8a5a3c", "#c23a94", "#5f6b78", "#7d7a00", "#00808f"],
    "dark": ["#5aa9f7", "#ff9a3d", "#4fc57c", "#ff6b74", "#b08cf0",
             "#cf9a78", "#f27cc6", "#aab4c0", "#cfca3a", "#3fc9d9"],
}  # fmt: skip


def colours(family: str) -> Colours:
    """The family's colours; those of a gap for a family that is not known here."""
    return FAMILIES.get(family, UNKNOWN)
