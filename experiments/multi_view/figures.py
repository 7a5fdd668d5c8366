"""The figures: accuracy against the number of views, and the bounds of every pair."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from experiments.datasets import Array
from experiments.multi_view.findings import most_views, pairs, value

#: Colours of Okabe and Ito, told apart by colour-blind readers; line style and marker tell the same once more.
LINES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("view 1, core graph", "core", "embedding 1", {"color": "#0072B2", "marker": "o", "linestyle": "-"}),
    ("view 1, full graph", "full", "embedding 1", {"color": "#56B4E9", "marker": "s", "linestyle": "--"}),
    ("view 1, raw features", "core", "raw 1", {"color": "#555555", "marker": "x", "linestyle": "-"}),
    ("all views, core graph", "core", "embedding all", {"color": "#D55E00", "marker": "o", "linestyle": "-"}),
    ("all views, full graph", "full", "embedding all", {"color": "#E69F00", "marker": "s", "linestyle": "--"}),
    ("all views, raw features", "core", "raw all", {"color": "#999999", "marker": "x", "linestyle": "--"}),
)


def accuracy(frame: DataFrame) -> Figure:
    """A panel per data set; bars are one standard deviation over seeds."""
    datasets = sorted(frame["dataset"].unique())
    figure = Figure(figsize=(max(5.2, 3.2 * len(datasets)), 4.0), layout="constrained")
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        _curves(panel, frame, dataset)
    panels[0].set_ylabel("held-out k-NN accuracy")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(datasets) + 1))
    return figure


def _curves(panel: Axes, frame: DataFrame, dataset: str) -> None:
    most = most_views(frame, dataset)
    for number, (name, graph, measure, style) in enumerate(LINES):
        counts = np.arange(2, most + 1)
        found = [value(frame, dataset, graph, int(views), measure) for views in counts]
        spread = [v.std() if len(v) > 1 else 0.0 for v in found]
        aside = 0.012 * (number - (len(LINES) - 1) / 2) * max(1, most - 2)  # bars beside one another
        panel.errorbar(
            counts + aside, [v.mean() for v in found], spread, label=name, markersize=4, linewidth=1.3, **style
        )
    panel.set_title(dataset)
    panel.set_xlabel("views learned together")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)


def bounds(frame: DataFrame) -> Figure:
    """A column per data set, a row per graph: the mean bound of every pair of views, all views learned together."""
    datasets = sorted(frame["dataset"].unique())
    figure = Figure(figsize=(3.3 * len(datasets) + 0.4, 6.0), layout="constrained")
    panels = figure.subplots(2, len(datasets), squeeze=False)
    for column, dataset in enumerate(datasets):
        grids = [_grid(frame, dataset, graph) for graph in ("core", "full")]
        low, high = np.nanmin(grids), np.nanmax(grids)
        for panel, graph, grid in zip(panels[:, column], ("core", "full"), grids, strict=True):
            image = panel.imshow(grid, cmap="viridis", vmin=low, vmax=high)
            _numbers(panel, grid, (low + high) / 2)
            panel.set_title(f"{dataset}, {len(grid)} views: {graph} graph")
        bar = figure.colorbar(image, ax=panels[:, column], location="bottom", shrink=0.8)
        bar.set_label("InfoNCE bound (nats)")
    return figure


def _grid(frame: DataFrame, dataset: str, graph: str) -> Array:
    """``[views, views]``, symmetric, without a diagonal."""
    most = most_views(frame, dataset)
    grid = np.full((most, most), np.nan)
    for (a, b), bound in pairs(frame, dataset, graph, most).items():
        grid[a - 1, b - 1] = grid[b - 1, a - 1] = bound.mean()
    return grid


def _numbers(panel: Axes, grid: Array, middle: float) -> None:
    for (a, b), bound in np.ndenumerate(grid):
        if np.isfinite(bound):
            ink = "white" if bound < middle else "black"
            panel.text(b, a, f"{bound:.2f}", ha="center", va="center", color=ink, fontsize=7 if len(grid) > 4 else 9)
    ticks = range(len(grid))
    panel.set_xticks(ticks, [str(v + 1) for v in ticks])
    panel.set_yticks(ticks, [f"view {v + 1}" for v in ticks])
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
