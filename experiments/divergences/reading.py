"""The table, the scores by cell and divergence, and the maps of the first seed."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from experiments.divergences.protocol import CELLS, DIVERGENCES, K_MEANS, RANDOM, SNE
from experiments.plots import COLOURS, dots, panels
from experiments.statistics import by_seed, clearly, mean_std

#: The measures of each cell, the one that decides first.
MEASURES = {
    **{cell: [score] for cell, score in CELLS.items()},
    **{
        cell: [CELLS[cell], ("nmi", "NMI"), ("clusters", "clusters with points (a number)")]
        for cell in (RANDOM, K_MEANS)
    },
    SNE: [CELLS[SNE], ("trustworthiness", "trustworthiness")],
}
MARK = {1: " ↑", 0: "", -1: " ↓"}


def value(frame: DataFrame, dataset: str, cell: str, divergence: str, measure: str) -> Series:
    """The values by seed, in percent but for the number of clusters."""
    found = by_seed(frame, measure, dataset=dataset, cell=cell, divergence=divergence)
    return found if measure == "clusters" else 100 * found


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, cell and score, a column per divergence; an arrow where it clearly differs from KL."""
    body = []
    for dataset in sorted(frame["dataset"].unique()):
        for cell, measures in MEASURES.items():
            for measure, name in measures:
                row = {"data set": dataset, "cell": cell, "score (%)": name}
                values = {d: value(frame, dataset, cell, d, measure) for d in DIVERGENCES}
                for divergence, found in values.items():
                    mark = MARK[clearly(found, values["kl"])]
                    row[DIVERGENCES[divergence]] = mean_std(found, 1) + mark
                body.append(row)
    return DataFrame(body)


def scores(frame: DataFrame) -> Figure:
    """A row per data set, a panel per cell."""
    names = sorted(frame["dataset"].unique())
    figure, places = panels(len(names), len(CELLS), (2.3, 1.9), (1.0, 0.6), sharey=True)
    for row, dataset in enumerate(names):
        places[row, 0].set_ylabel(dataset)
        for panel, (cell, (measure, name)) in zip(places[row], CELLS.items(), strict=True):
            for place, (divergence, colour) in enumerate(zip(DIVERGENCES, COLOURS, strict=False)):
                dots(panel, place, value(frame, dataset, cell, divergence, measure), colour)
            panel.set_title(cell if row == 0 else "")
            panel.set_xlabel(f"{name} (%)" if row == len(names) - 1 else "", fontsize=8)
            panel.margins(x=0.1)
    places[0, 0].set_yticks(range(len(DIVERGENCES)), list(DIVERGENCES.values()))
    places[0, 0].invert_yaxis()
    return figure


def maps(frame: DataFrame) -> Figure:
    """A row per data set and a panel per divergence; the colours are the classes."""
    names = sorted(frame["dataset"].unique())
    figure, places = panels(len(names), len(DIVERGENCES), (2.0, 2.0), (0.2, 0.4))
    drawn = frame[(frame["cell"] == SNE) & (frame["seed"] == 0)].set_index(["dataset", "divergence"])["map"]
    for row, dataset in enumerate(names):
        for panel, (divergence, name) in zip(places[row], DIVERGENCES.items(), strict=True):
            points = np.array([point.split(",") for point in drawn[dataset, divergence].split()], dtype=float)
            panel.scatter(points[:, 0], points[:, 1], c=points[:, 2], cmap=mpl.colormaps["tab10"], s=4)
            panel.set(xticks=[], yticks=[], title=name if row == 0 else "")
            panel.set_aspect("equal", "datalim")
        places[row, 0].set_ylabel(dataset)
    return figure
