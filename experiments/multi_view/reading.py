"""The table, accuracy against the number of views, and the bounds of every pair of views."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from experiments.datasets import Array
from experiments.plots import COLOURS, legend, line, panel_per, panels
from experiments.statistics import by_seed, mean_std

GRAPHS = ("core", "full")
ACCURACIES = {
    "embedding 1": "view 1",
    "embedding all": "all views",
    "raw 1": "raw view 1",
    "raw all": "raw all views",
}
#: Name of the line, graph, measure; colour, marker and style.
CURVES = (
    ("view 1, core graph", "core", "embedding 1", COLOURS[0], "o", "-"),
    ("view 1, full graph", "full", "embedding 1", COLOURS[5], "s", "--"),
    ("view 1, raw features", "core", "raw 1", COLOURS[6], "x", "-"),
    ("all views, core graph", "core", "embedding all", COLOURS[3], "o", "-"),
    ("all views, full graph", "full", "embedding all", COLOURS[1], "s", "--"),
    ("all views, raw features", "core", "raw all", "#999999", "x", "--"),
)


def value(frame: DataFrame, dataset: str, graph: str, views: int, measure: str) -> Series:
    """The values of a measure by seed; of two views, those of the one graph there is."""
    return by_seed(frame, measure, dataset=dataset, graph="core" if views == 2 else graph, views=views)


def bound(frame: DataFrame, dataset: str, graph: str, views: int, first: bool) -> str | None:
    """The mean InfoNCE bound of the pairs with the first view, or of those without it."""
    pairs = [(a, b) for a, b in combinations(range(1, views + 1), 2) if (a == 1) == first]
    found = [value(frame, dataset, graph, views, f"bound {a}-{b}") for a, b in pairs]
    return mean_std(sum(found[1:], found[0]) / len(found), 2) if found else None


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, number of views and graph."""
    body = []
    for dataset in sorted(frame["dataset"].unique()):
        for views in range(2, _most_views(frame, dataset) + 1):
            for graph in GRAPHS[:1] if views == 2 else GRAPHS:
                row = {"data set": dataset, "views": str(views), "graph": "core = full" if views == 2 else graph}
                for measure, name in ACCURACIES.items():
                    row[name] = mean_std(value(frame, dataset, graph, views, measure))
                bounds = (bound(frame, dataset, graph, views, first) for first in (True, False))
                body.append(row | dict(zip(("bound, pairs with view 1", "bound, other pairs"), bounds, strict=True)))
    return DataFrame(body)


def accuracy(frame: DataFrame) -> Figure:
    """A panel per data set."""
    figure, places = panel_per(sorted(frame["dataset"].unique()), (3.2, 3.2))
    for dataset, panel in places.items():
        counts = np.arange(2, _most_views(frame, dataset) + 1)
        for number, (name, graph, measure, colour, marker, style) in enumerate(CURVES):
            aside = 0.012 * (number - (len(CURVES) - 1) / 2) * len(counts[1:])  # bars beside one another
            found = [value(frame, dataset, graph, int(views), measure) for views in counts]
            line(panel, counts + aside, found, label=name, color=colour, marker=marker, linestyle=style)
        panel.set(xlabel="views learned together", xticks=counts)
    first = next(iter(places.values()))
    first.set_ylabel("held-out k-NN accuracy")
    legend(figure, first, min(3, len(places) + 1))
    return figure


def bounds(frame: DataFrame) -> Figure:
    """A column per data set, a row per graph: the mean bound of every pair of views, all views learned together."""
    datasets = sorted(frame["dataset"].unique())
    figure, places = panels(len(GRAPHS), len(datasets), (3.1, 2.8))
    for column, dataset in enumerate(datasets):
        grids = [_grid(frame, dataset, graph) for graph in GRAPHS]
        low, high = np.nanmin(grids), np.nanmax(grids)
        for panel, graph, grid in zip(places[:, column], GRAPHS, grids, strict=True):
            image = panel.imshow(grid, cmap="viridis", vmin=low, vmax=high)
            _numbers(panel, grid, (low + high) / 2)
            panel.set_title(f"{dataset}, {len(grid)} views: {graph} graph")
        figure.colorbar(image, ax=places[:, column], location="bottom", shrink=0.8, label="InfoNCE bound (nats)")
    return figure


def _most_views(frame: DataFrame, dataset: str) -> int:
    return int(frame.loc[frame["dataset"] == dataset, "views"].max())


def _grid(frame: DataFrame, dataset: str, graph: str) -> Array:
    """``[views, views]``, symmetric, without a diagonal."""
    most = _most_views(frame, dataset)
    grid = np.full((most, most), np.nan)
    for a, b in combinations(range(most), 2):
        grid[a, b] = grid[b, a] = value(frame, dataset, graph, most, f"bound {a + 1}-{b + 1}").mean()
    return grid


def _numbers(panel: Axes, grid: Array, middle: float) -> None:
    for (a, b), number in np.ndenumerate(grid):
        if np.isfinite(number):
            ink = "white" if number < middle else "black"
            panel.text(b, a, f"{number:.2f}", ha="center", va="center", color=ink, fontsize=7 if len(grid) > 4 else 9)
    ticks = range(len(grid))
    panel.set_xticks(ticks, [str(v + 1) for v in ticks])
    panel.set_yticks(ticks, [f"view {v + 1}" for v in ticks])
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    panel.grid(False)
