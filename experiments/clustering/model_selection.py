"""Walks and α selected without labels, once for all data sets: where the restarts share most information."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.clustering.protocol import Settings, fitted, scores
from experiments.datasets import Array, Dataset
from experiments.plots import COLOURS, MARKERS, label, panel_per
from experiments.record import Configuration, Experiment, Measures, grid
from experiments.statistics import in_percent, percent
from icon.estimators.judging import shared

WALKS = (1, 2, 3)
ALPHAS = (0.1, 0.3, 0.6)


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Scores, and what the selection sees: the information that the restarts share."""
    model = fitted(dataset, seed, settings, walks=configuration["walks"], debias=configuration["alpha"])
    seen = shared_information(model.restarts_, dataset.classes)
    return scores(dataset, model.labels_) | {"shared": seen, "loss": float(model.loss_)}


def shared_information(labels: Array, clusters: int) -> float:
    """Mean mutual information of pairs of clusterings ``[restarts, n]`` as a share of log C: none in a collapse."""
    return float(np.mean([shared(a, b, clusters) for a, b in combinations(labels, 2)]))


def selected(frame: DataFrame) -> tuple[int, float]:
    """Walks and α with the most shared information in the mean over data sets."""
    found = means(frame)["shared information"]
    walks, alpha = found.index[int(found.argmax())]
    return int(walks), float(alpha)


def means(frame: DataFrame) -> DataFrame:
    """By walks and α, over data sets that count alike."""
    runs = frame.groupby(["dataset", "walks", "alpha"])[["shared", "accuracy"]].mean()
    found = runs.groupby(["walks", "alpha"]).mean()
    return found.rename(columns={"shared": "shared information", "accuracy": "mean accuracy"})


def table(frame: DataFrame) -> DataFrame:
    """A row per configuration: what the selection sees, and the accuracy it leads to."""
    found = means(frame)
    accuracies = frame.pivot_table("accuracy", ["walks", "alpha"], "dataset", percent)
    accuracies.insert(0, "shared information", found["shared information"].map("{:.3f}".format))
    accuracies.insert(1, "selected", ["yes" if where == selected(frame) else "no" for where in found.index])
    accuracies["mean accuracy"] = in_percent(found["mean accuracy"])
    return accuracies.rename_axis(index=["walks", "α"], columns=None).reset_index()


def agreement(frame: DataFrame) -> Figure:
    """Accuracy against shared information: a panel per data set, a mark per configuration."""
    figure, places = panel_per(sorted(frame["dataset"].unique()), (2.6, 2.3))
    for (dataset, walks, alpha), runs in frame.groupby(["dataset", "walks", "alpha"]):
        style: Any = {"marker": MARKERS[WALKS.index(walks)], "color": COLOURS[ALPHAS.index(alpha)], "markersize": 5}
        x, y = runs["shared"].mean(), 100 * runs["accuracy"].mean()
        places[str(dataset)].plot(x, y, linestyle="", label=f"walks: {walks}, α = {alpha:g}", **style)
    return label(figure, places.values(), "shared information (of log C)", "accuracy (%)", 3)


EXPERIMENT = Experiment(
    name="model-selection",
    question="On which number of walks and which α do the restarts agree, and is it a good configuration?",
    settings=Settings,
    configurations=grid(walks=WALKS, alpha=ALPHAS),
    run=run,
    table=table,
    figures={"agreement": agreement},
    partly=True,
)
