"""The table, accuracy against the number of views, and the bounds of every pair of views."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.datasets import Array
from experiments.multi_view import protocol
from experiments.plots import COLOURS, label, legend, line, panel_per, panels
from experiments.record import Experiment
from experiments.statistics import mean_std

GRAPHS = ("core", "full")
ACCURACIES = {"embedding 1": "view 1", "embedding all": "all views", "raw 1": "raw view 1", "raw all": "raw all views"}
WITH_FIRST, OTHERS = "bound, pairs with view 1", "bound, other pairs"
#: Of a line: its name, graph and measure, and how it looks.
LINES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("view 1, core graph", "core", "embedding 1", {"color": COLOURS[0], "marker": "o", "linestyle": "-"}),
    ("view 1, full graph", "full", "embedding 1", {"color": COLOURS[5], "marker": "s", "linestyle": "--"}),
    ("view 1, raw features", "core", "raw 1", {"color": COLOURS[6], "marker": "x", "linestyle": "-"}),
    ("all views, core graph", "core", "embedding all", {"color": COLOURS[3], "marker": "o", "linestyle": "-"}),
    ("all views, full graph", "full", "embedding all", {"color": COLOURS[1], "marker": "s", "linestyle": "--"}),
    ("all views, raw features", "core", "raw all", {"color": "#999999", "marker": "x", "linestyle": "--"}),
)


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, number of views and graph."""
    pairs = frame.filter(like="bound ")
    first = pairs.filter(like="bound 1-")
    runs = frame.assign(**{WITH_FIRST: first.mean(axis=1), OTHERS: pairs.drop(columns=first.columns).mean(axis=1)})
    runs.loc[runs["views"] == 2, "graph"] = "core = full"
    found = runs.groupby(["dataset", "views", "graph"])
    texts = found[list(ACCURACIES)].agg(mean_std).rename(columns=ACCURACIES)
    for name in (WITH_FIRST, OTHERS):
        texts[name] = found[name].agg(lambda bounds: None if bounds.isna().all() else mean_std(bounds, 2))
    return texts.reset_index()


def accuracy(frame: DataFrame) -> Figure:
    """A panel per data set; with two views there is one pair, and the graphs are the same."""
    figure, places = panel_per(sorted(frame["dataset"].unique()), (3.2, 3.2))
    for dataset, panel in places.items():
        runs = frame[frame["dataset"] == dataset]
        width = 0.012 * max(1, runs["views"].max() - 2)
        for number, (name, graph, measure, look) in enumerate(LINES):
            some = runs[(runs["graph"] == graph) | (runs["views"] == 2)]
            line(panel, some, "views", measure, aside=width * (number - 2.5), label=name, **look)
        panel.set_xticks(sorted(runs["views"].unique()))
    label(places.values(), "views learned together", "held-out k-NN accuracy")
    legend(figure, next(iter(places.values())), min(3, len(places) + 1))
    return figure


def bounds(frame: DataFrame) -> Figure:
    """A column per data set, a row per graph: the mean bound of every pair of views, all views learned together."""
    datasets = sorted(frame["dataset"].unique())
    figure, places = panels(len(GRAPHS), len(datasets), (3.1, 2.8))
    for column, dataset in enumerate(datasets):
        grids = [grid(frame[frame["dataset"] == dataset], graph) for graph in GRAPHS]
        low, high = np.nanmin(grids), np.nanmax(grids)
        for panel, graph, found in zip(places[:, column], GRAPHS, grids, strict=True):
            image = panel.imshow(found, cmap="viridis", vmin=low, vmax=high)
            for (a, b), number in np.ndenumerate(found):
                ink = "white" if number < (low + high) / 2 else "black"
                panel.text(b, a, "" if a == b else f"{number:.2f}", ha="center", va="center", color=ink, fontsize=7)
            panel.set(title=f"{dataset}: {graph} graph", xlabel="view", ylabel="view")
            panel.set_xticks(range(len(found)), range(1, len(found) + 1))
            panel.set_yticks(range(len(found)), range(1, len(found) + 1))
            panel.grid(False)
        figure.colorbar(image, ax=places[:, column], location="bottom", shrink=0.8, label="InfoNCE bound (nats)")
    return figure


def grid(runs: DataFrame, graph: str) -> Array:
    """``[views, views]`` of the most views, symmetric, without a diagonal."""
    most = int(runs["views"].max())
    means = runs[(runs["views"] == most) & ((runs["graph"] == graph) | (most == 2))].mean(numeric_only=True)
    found = np.full((most, most), np.nan)
    for a, b in np.ndindex(most, most):
        if a < b:
            found[a, b] = found[b, a] = means[f"bound {a + 1}-{b + 1}"]
    return found


EXPERIMENT = Experiment(
    name="multi-view",
    title="Contrastive multiview coding: more views",
    question=(
        "Does the embedding of one view get better as more views are learned together (Tian, Krishnan, Isola 2020)? "
        "And does it matter whether the first view is paired with each other one (the core graph) or all views are "
        "paired with all (the full graph)?"
    ),
    settings=protocol.Settings,
    configurations=protocol.configurations,
    run=protocol.run,
    table=table,
    figures={"accuracy": accuracy, "bounds": bounds},
)
