"""Reading of the debiasing experiment: α as given, in hindsight or selected without labels, and the figures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.datasets import Array
from experiments.plots import COLOURS, LINES, MARKERS, label, legend, line, panel_per
from experiments.statistics import mean_std, percent
from icon.estimators.diagnostics import BINS

CELL = ["dataset", "graph", "batch"]
GRAPHS = {"clean": COLOURS[0], "corrupted": COLOURS[3]}

#: From the runs of a data set, graph and batch size to the run of each seed whose α is selected.
Selector = Callable[[DataFrame], DataFrame]


def fixed(runs: DataFrame, alpha: float) -> DataFrame:
    """The α that was tried and is nearest, for every seed."""
    tried = runs["alpha"].unique()
    found: DataFrame = runs[runs["alpha"] == tried[np.abs(tried - alpha).argmin()]]
    return found


def agreement(runs: DataFrame) -> DataFrame:
    """Where the restarts agree most; of equals, the smallest α."""
    return runs.loc[runs.sort_values("alpha").groupby("seed")["agreement"].idxmax()]


def held_out(runs: DataFrame) -> DataFrame:
    """Where edges kept aside are best predicted."""
    return runs.loc[runs.sort_values("alpha").groupby("seed")["held-out"].idxmin()]


def hindsight(runs: DataFrame) -> DataFrame:
    """The one α with the highest mean accuracy over seeds, which labels tell."""
    best: Any = runs.groupby("alpha")["accuracy"].mean().idxmax()
    return fixed(runs, best)


SELECTORS: dict[str, Selector] = {
    "accuracy (%): α = 0": partial(fixed, alpha=0.0),
    "accuracy (%): α = 0.2": partial(fixed, alpha=0.2),
    "accuracy (%): agreement": agreement,
    "accuracy (%): held-out edges": held_out,
    "best in hindsight": hindsight,
}
ERRORS: dict[str, Selector] = {"ECE: α = 0": partial(fixed, alpha=0.0), "ECE: α = 0.2": partial(fixed, alpha=0.2)}


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, graph and batch size, and their means."""
    body, means = [], []
    for key, runs in frame.groupby(CELL):
        row: dict[str, Any] = dict(zip(("data set", "graph", "batch"), key, strict=True))
        accuracies = {name: select(runs)["accuracy"] for name, select in SELECTORS.items()}
        errors = {name: select(runs)["ece"] for name, select in ERRORS.items()}
        means.append(row | {name: values.mean() for name, values in (accuracies | errors).items()})
        row |= {name: percent(values) for name, values in accuracies.items()}
        row["its α"] = f"{hindsight(runs)['alpha'].iloc[0]:g}"
        body.append(row | {name: mean_std(values) for name, values in errors.items()})
    for graph, some in DataFrame(means).groupby("graph"):
        row = {"data set": "mean", "graph": graph} | {name: f"{100 * some[name].mean():.1f}" for name in SELECTORS}
        body.append(row | {name: f"{some[name].mean():.3f}" for name in ERRORS})
    return DataFrame(body).astype({"batch": "Int64"}).astype({"batch": "object"})


def against_alpha(frame: DataFrame, measure: str, name: str, factor: float) -> Figure:
    """A panel per data set, a line per graph and batch size."""
    figure, places = panel_per(sorted(frame["dataset"].unique()), (2.6, 2.3))
    for number, batch in enumerate(sorted(frame["batch"].unique())):
        for (dataset, graph), runs in frame[frame["batch"] == batch].groupby(["dataset", "graph"]):
            line(
                places[dataset], runs, "alpha", measure, factor, marker=MARKERS[number], color=GRAPHS[graph],
                linestyle=LINES[number % len(LINES)], label=f"{graph} graph, batches of {batch}",
            )  # fmt: skip
    label(places.values(), "α", name)
    legend(figure, next(iter(places.values())), 2)
    return figure


def reliability(frame: DataFrame) -> Figure:
    """Accuracy against confidence, all data sets, batch sizes and seeds together; a panel per graph, a line per α."""
    figure, places = panel_per([f"{graph} graph" for graph in GRAPHS], (3.0, 2.8), sharey=True)
    alphas = frame["alpha"].unique()
    shown = sorted({alphas[np.abs(alphas - wanted).argmin()] for wanted in (0, 0.3, 0.6, 0.9)})
    for panel, graph in zip(places.values(), GRAPHS, strict=True):
        panel.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for alpha, colour, marker in zip(shown, COLOURS, MARKERS, strict=False):
            confidence, right = pooled(frame[(frame["graph"] == graph) & (frame["alpha"] == alpha)])
            panel.plot(confidence, right, color=colour, marker=marker, label=f"α = {alpha:g}")
    label(places.values(), "confidence", "accuracy")
    legend(figure, next(iter(places.values())), 4)
    return figure


def pooled(runs: DataFrame) -> tuple[Array, Array]:
    """Confidence and accuracy of the bins that hold points, weighted by how many."""
    share, confidence, right = (
        runs.reindex(columns=[f"bin {number} {name}" for number in range(BINS)]).fillna(0).to_numpy()
        for name in ("share", "confidence", "accuracy")
    )
    filled = share.sum(axis=0) > 0
    weight = share[:, filled] / share[:, filled].sum(axis=0)
    return (weight * confidence[:, filled]).sum(axis=0), (weight * right[:, filled]).sum(axis=0)
