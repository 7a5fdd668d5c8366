"""The figures: scores by cell and divergence, and the maps of the first seed."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.divergences.findings import datasets, value
from experiments.divergences.protocol import CELLS, DIVERGENCES, SNE

#: Colours of Okabe and Ito, one per divergence.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")


def scores(frame: DataFrame) -> Figure:
    """A row per data set, a panel per cell; a dot per seed and a bar at their mean."""
    names = datasets(frame)
    figure = Figure(figsize=(2.3 * len(CELLS) + 1.0, 0.6 + 1.9 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(CELLS), squeeze=False, sharey=True)
    for row, dataset in enumerate(names):
        panels[row, 0].set_ylabel(dataset)
        for column, cell in enumerate(CELLS):
            panel = panels[row, column]
            for place, (which, colour) in enumerate(zip(DIVERGENCES, COLOURS, strict=True)):
                found = value(frame, dataset, cell, which)
                panel.plot(found, np.full(len(found), place), "o", color=colour, markersize=3.5, alpha=0.6)
                panel.plot(found.mean(), place, "|", color="black", markersize=11, markeredgewidth=1.6)
            panels[0, column].set_title(cell)
            panel.grid(color="#dddddd", linewidth=0.6)
            panel.set_axisbelow(True)
            panel.margins(x=0.1)
    for panel, (_, name) in zip(panels[-1], CELLS.values(), strict=True):
        panel.set_xlabel(f"{name} (%)", fontsize=8)
    panels[0, 0].set_yticks(range(len(DIVERGENCES)), list(DIVERGENCES.values()))
    panels[0, 0].invert_yaxis()
    return figure


def maps(frame: DataFrame) -> Figure:
    """The map of the first seed, a row per data set and a panel per divergence; the colours are the classes."""
    names = datasets(frame)
    figure = Figure(figsize=(2.2 * len(DIVERGENCES), 0.5 + 2.2 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(DIVERGENCES), squeeze=False)
    first = frame[(frame["cell"] == SNE) & (frame["seed"] == 0) & frame["measure"].str.startswith("map ")]
    for row, dataset in enumerate(names):
        for panel, (which, name) in zip(panels[row], DIVERGENCES.items(), strict=True):
            found = first[(first["dataset"] == dataset) & (first["divergence"] == which)]
            parts = found["measure"].str.split(" ", expand=True)
            columns = found.assign(axis=parts[1], point=parts[2].astype(int)).pivot(
                index="point", columns="axis", values="value"
            )
            panel.scatter(
                columns["x"], columns["y"], c=columns["label"], cmap=mpl.colormaps["tab10"], s=4, rasterized=True
            )
            panel.set_xticks([])
            panel.set_yticks([])
            panel.set_aspect("equal", "datalim")
            panel.set_title(name if row == 0 else "")
        panels[row, 0].set_ylabel(dataset)
    return figure
