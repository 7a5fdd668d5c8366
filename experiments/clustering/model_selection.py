"""Walks and α selected without labels, once for all data sets: where the restarts share most information."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame
from sklearn.metrics import mutual_info_score

from experiments.clustering.protocol import Settings, fitted, scores, union
from experiments.datasets import Array, Dataset
from experiments.plots import COLOURS, MARKERS, legend, panel_per
from experiments.record import Configuration, Experiment, Measures, labels_of
from experiments.statistics import by_seed, mean_std

WALKS = (1, 2, 3)
ALPHAS = (0.1, 0.3, 0.6)


def configurations(dataset: Dataset, settings: Settings) -> list[Configuration]:
    labels_of(dataset)
    return [{"walks": walks, "alpha": alpha} for walks in WALKS for alpha in ALPHAS]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Scores, and what the selection sees: the information that the restarts share."""
    graph = union(dataset, settings.neighbors)
    changes = {"walks": configuration["walks"], "debias": configuration["alpha"]}
    model = fitted(dataset, seed, settings, graph, **changes)
    return scores(dataset, model.labels_) | {
        "shared": shared_information(model.starts_, dataset.classes),
        "loss": float(model.loss_),
    }


def shared_information(labels: Array, clusters: int) -> float:
    """Mean mutual information of the pairs of clusterings ``[restarts, n]``, as a share of log(clusters).

    1: every pair is the same and its clusters are equally large. Empty clusters lower it, so that a collapse, on which
    all restarts would agree, is not selected.
    """
    found = [mutual_info_score(a, b) for a, b in combinations(labels, 2)]
    return float(np.mean(found) / np.log(clusters))


def by_configuration(frame: DataFrame, measure: str) -> DataFrame:
    """``[data sets, (walks, α)]``, means over seeds."""
    return frame.pivot_table(index="dataset", columns=["walks", "alpha"], values=measure)


def selected(frame: DataFrame) -> tuple[int, float]:
    """Walks and α with the most shared information in the mean over data sets."""
    mean = by_configuration(frame, "shared").mean()
    walks, alpha = list(mean.index)[int(mean.argmax())]
    return int(walks), float(alpha)


def table(frame: DataFrame) -> DataFrame:
    """A row per configuration: what the selection sees, and the accuracy it leads to."""
    shared, accuracy = (by_configuration(frame, measure) for measure in ("shared", "accuracy"))
    body = []
    for walks, alpha in list(accuracy.columns):
        row = {"walks": str(walks), "α": f"{alpha:g}", "shared information": f"{shared[walks, alpha].mean():.3f}"}
        row["selected"] = "yes" if (walks, alpha) == selected(frame) else "no"
        for dataset in accuracy.index:
            found = by_seed(frame, "accuracy", dataset=dataset, walks=walks, alpha=alpha)
            row[f"accuracy (%): {dataset}"] = mean_std(100 * found, 1)
        body.append(row | {"mean accuracy": f"{100 * accuracy[walks, alpha].mean():.1f}"})
    return DataFrame(body)


def agreement(frame: DataFrame) -> Figure:
    """Accuracy against shared information: a panel per data set, a mark per configuration."""
    shared, accuracy = (by_configuration(frame, measure) for measure in ("shared", "accuracy"))
    figure, places = panel_per(list(shared.index), (2.6, 2.3))
    for dataset, panel in places.items():
        for marker, walks in zip(MARKERS, WALKS, strict=False):
            for colour, alpha in zip(COLOURS, ALPHAS, strict=False):
                panel.plot(
                    shared.at[dataset, (walks, alpha)], 100 * accuracy.at[dataset, (walks, alpha)], linestyle="",
                    marker=marker, color=colour, markersize=5, label=f"walks: {walks}, α = {alpha:g}",
                )  # fmt: skip
    figure.supylabel("accuracy (%)", fontsize=9)
    figure.supxlabel("shared information (of log C)", fontsize=9)
    legend(figure, next(iter(places.values())), 3)
    return figure


EXPERIMENT = Experiment(
    name="model-selection",
    title="Walks and α selected without labels",
    question="On which number of walks and which α do the restarts agree, and is it a good configuration?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=table,
    figures={"agreement": agreement},
)
