"""What the figures share: their style, colours that colour-blind readers tell apart, panels, lines and dots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

#: White under both themes of a page.
STYLE: Any = {
    "font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "#dddddd", "grid.linewidth": 0.6, "lines.markersize": 4,
    "lines.linewidth": 1.2, "legend.frameon": False,
}  # fmt: skip
#: Of Okabe and Ito; markers and line styles tell the same once more.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#555555", "#999900")
MARKERS = "osD^vP*X"


def panels(rows: int, columns: int, size: tuple[float, float], left: float = 0.4, **shared: Any) -> tuple[Figure, Any]:
    """A figure and its panels ``[rows, columns]``, each of that size in inches, with room on the left and below."""
    figure = Figure(figsize=(left + size[0] * columns, 0.8 + size[1] * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def panel_per(names: Sequence[str], size: tuple[float, float]) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a titled panel per name, at most four in a row."""
    columns = min(len(names), 3 if len(names) in (5, 6) else 4)
    figure, places = panels(-(-len(names) // columns), columns, size)
    for unused in places.flat[len(names) :]:
        unused.set_visible(False)
    found = dict(zip(names, places.flat, strict=False))
    for name, panel in found.items():
        panel.set_title(name)
    return figure, found


def lines(
    panel: Axes, runs: DataFrame, by: str, x: str, y: str, scale: float = 100, apart: float = 0, styles: str = "-"
) -> None:
    """A line for each entry of ``by``, in order: means of y over seeds against x. Bars are one standard deviation; they
    are moved apart where lines share places."""
    groups = runs.groupby(by, observed=True)
    for number, (name, some) in enumerate(groups):
        found = some.groupby(x)[y].agg(["mean", "std"]).fillna(0) * scale
        places = found.index.to_numpy() + apart * (number - (groups.ngroups - 1) / 2)
        style = look(number) | {"linestyle": styles.split()[number % len(styles.split())], "label": name}
        panel.errorbar(places, found["mean"], found["std"], elinewidth=0.7, **style)


def look(number: int) -> dict[str, Any]:
    """The colour and the marker of the line of that number."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def scatter(panel: Axes, points: str, **style: Any) -> None:
    """A map that is written as ``x,y,label x,y,label ...``; the colours are the labels."""
    x, y, labels = np.array([point.split(",") for point in points.split()], dtype=np.float64).T
    panel.scatter(x, y, color=mpl.colormaps["tab10"](labels.astype(int) % 10), **style)
    panel.set(xticks=[], yticks=[])
    panel.set_aspect("equal", "datalim")


def label(figure: Figure, panels: Iterable[Axes], x: str, y: str, columns: int) -> Figure:
    """What the axes are, below every panel and beside those on the left, and one legend, that of the first panel."""
    for panel in panels:
        place = panel.get_subplotspec()
        panel.set_xlabel(x)
        panel.set_ylabel(y if place is not None and place.is_first_col() else "")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure
