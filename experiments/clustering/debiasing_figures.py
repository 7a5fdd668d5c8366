"""The figures of the debiasing experiment: accuracy and calibration against α, and the reliability diagram."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.clustering.calibration import BINS
from experiments.clustering.reading import grid
from experiments.clustering.rules import Cell, cells
from experiments.datasets import Array

GRAPH_COLOURS = {"clean": "#0072B2", "corrupted": "#D55E00"}
BATCH_STYLES = (("o", "-"), ("s", "--"), ("^", ":"))


def accuracy(frame: DataFrame) -> Figure:
    return _against_alpha(frame, "accuracy", "accuracy (%)", 100)


def calibration(frame: DataFrame) -> Figure:
    return _against_alpha(frame, "ece", "expected calibration error", 1)


def _against_alpha(frame: DataFrame, measure: str, name: str, factor: float) -> Figure:
    """A panel per data set, a line per graph and batch size; bars are one standard deviation over seeds."""
    datasets = sorted(frame["dataset"].unique())
    figure, panels = grid(datasets, 3, (2.8 if len(datasets) > 1 else 5.2, 2.7), (0.0, 0.7))
    batches = sorted(int(batch) for batch in frame["batch"].unique())
    for cell in cells(frame):
        found = factor * cell.by_alpha(measure)
        spread = found.std().fillna(0)
        marker, line = BATCH_STYLES[batches.index(cell.batch) % len(BATCH_STYLES)]
        panels[cell.dataset].errorbar(
            found.columns, found.mean(), spread, label=f"{cell.graph} graph, batches of {cell.batch}", marker=marker,
            linestyle=line, color=GRAPH_COLOURS[cell.graph], markersize=3.5, linewidth=1.2, elinewidth=0.6,
        )  # fmt: skip
    for dataset, panel in panels.items():
        panel.set_title(dataset)
        panel.set_xlabel("α")
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    figure.supylabel(name, fontsize=9)
    figure.legend(*panels[datasets[0]].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def reliability(frame: DataFrame) -> Figure:
    """Accuracy against confidence, all data sets, batch sizes and seeds together; a panel per graph, a line per α."""
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    panels = figure.subplots(1, len(GRAPH_COLOURS), sharey=True)
    alphas = sorted(frame["alpha"].unique())
    shown = sorted({min(alphas, key=lambda a: abs(a - wanted)) for wanted in (0, 0.3, 0.6, 0.9)})
    for panel, graph in zip(panels, GRAPH_COLOURS, strict=True):
        panel.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        some = [cell for cell in cells(frame) if cell.graph == graph]
        for number, alpha in enumerate(shown):
            confidence, right = _pooled(some, alpha)
            colour = ("#0072B2", "#009E73", "#E69F00", "#D55E00")[number]
            panel.plot(confidence, right, color=colour, marker="osD^"[number], markersize=4, label=f"α = {alpha:g}")
        panel.set_title(f"{graph} graph")
        panel.set_xlabel("confidence")
    panels[0].set_ylabel("accuracy")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _pooled(some: list[Cell], alpha: float) -> tuple[Array, Array]:
    """Confidence and accuracy of the bins that hold points, weighted by how many."""
    weight, confidence, right = (np.zeros(BINS) for _ in range(3))
    for cell in some:
        runs = cell.runs[cell.runs["alpha"] == alpha].pivot(index="measure", columns="seed", values="value")
        for number in range(BINS):
            if f"bin {number} share" in runs.index:
                share = runs.loc[f"bin {number} share"].fillna(0)
                weight[number] += share.sum()
                confidence[number] += (share * runs.loc[f"bin {number} confidence"].fillna(0)).sum()
                right[number] += (share * runs.loc[f"bin {number} accuracy"].fillna(0)).sum()
    filled = weight > 0
    return confidence[filled] / weight[filled], right[filled] / weight[filled]
