"""The table, the scores by cell and divergence, and the maps of the first seed."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.divergences import protocol
from experiments.divergences.protocol import CELLS, COSINE, DIVERGENCES, EUCLIDEAN, SNE
from experiments.plots import COLOURS, dots, panels
from experiments.record import Experiment
from experiments.statistics import long, mean_std, ordered

#: All measures; the number of clusters is no share, and is not shown in percent.
MEASURES = {"accuracy": "accuracy", "nmi": "NMI", "knn": "k-NN accuracy", "trustworthiness": "trustworthiness"}
CLUSTERS = {"clusters": "clusters with points (a number)"}
#: The measure that decides in a cell.
DECIDES = {cell: "knn" if cell in (COSINE, EUCLIDEAN, SNE) else "accuracy" for cell in CELLS}


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, cell and score, a column per divergence."""
    names = list((MEASURES | CLUSTERS).values())
    shares = frame.assign(**{measure: 100 * frame[measure] for measure in MEASURES})
    runs = ordered(long(shares, MEASURES | CLUSTERS, "score (%)"), cell=CELLS, **{"score (%)": names})
    runs = ordered(runs, divergence=list(DIVERGENCES))
    rows = ["dataset", "cell", "score (%)"]
    found = runs.pivot_table("value", rows, "divergence", lambda values: mean_std(values, 1), observed=True)
    return found.rename(columns=DIVERGENCES).rename_axis(columns=None).reset_index()


def scores(frame: DataFrame) -> Figure:
    """A row per data set, a panel per cell."""
    names = sorted(frame["dataset"].unique())
    figure, places = panels(len(names), len(CELLS), (2.5, 1.9), sharey=True)
    for row, dataset in enumerate(names):
        places[row, 0].set_ylabel(dataset)
        for panel, (cell, measure) in zip(places[row], DECIDES.items(), strict=True):
            runs = frame[(frame["dataset"] == dataset) & (frame["cell"] == cell)]
            for place, (divergence, colour) in enumerate(zip(DIVERGENCES, COLOURS, strict=False)):
                dots(panel, place, 100 * runs.loc[runs["divergence"] == divergence, measure], colour)
            panel.set_title(cell if row == 0 else "")
            panel.set_xlabel(f"{MEASURES[measure]} (%)" if row == len(names) - 1 else "")
            panel.margins(x=0.1)
    places[0, 0].set_yticks(range(len(DIVERGENCES)), list(DIVERGENCES.values()))
    places[0, 0].invert_yaxis()
    return figure


def maps(frame: DataFrame) -> Figure:
    """A row per data set and a panel per divergence; the colours are the classes."""
    names = sorted(frame["dataset"].unique())
    figure, places = panels(len(names), len(DIVERGENCES), (2.0, 2.0))
    drawn = frame[(frame["cell"] == SNE) & (frame["seed"] == 0)].set_index(["dataset", "divergence"])["map"]
    for row, dataset in enumerate(names):
        for panel, (divergence, name) in zip(places[row], DIVERGENCES.items(), strict=True):
            points = np.array([point.split(",") for point in drawn[dataset, divergence].split()], dtype=float)
            panel.scatter(points[:, 0], points[:, 1], c=points[:, 2], cmap=mpl.colormaps["tab10"], s=4)
            panel.set(xticks=[], yticks=[], title=name if row == 0 else "")
            panel.set_aspect("equal", "datalim")
        places[row, 0].set_ylabel(dataset)
    return figure


EXPERIMENT = Experiment(
    name="divergences",
    title="Other divergences than KL",
    question=(
        "Is KL the right divergence between p and q? Beyond I-Con (Shone, Li, Alshammari, Hamilton, Freeman 2025, "
        "arXiv 2509.04734) reports that total variation improves the clustering of DINO features, that supervised "
        "contrastive learning gains from total variation with distances (first version) or from Jensen–Shannon with "
        "distances (second version), and that bounded divergences improve SNE."
    ),
    settings=protocol.Settings,
    configurations=protocol.configurations,
    run=protocol.run,
    table=table,
    figures={"scores": scores, "maps": maps},
)
