"""Maps in two dimensions: what the row, the column, the form and debiasing do to them."""

from __future__ import annotations

import time
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from scipy.stats import mode
from sklearn.neighbors import NearestNeighbors

import icon
from experiments.datasets import Array, Dataset, scaled
from experiments.plots import panels, scatter
from experiments.record import Configuration, Experiment, Fixed, Measures, labels_of
from experiments.statistics import mean_std
from icon.metrics import trustworthiness
from icon.neighbors import nearest_neighbors


class Settings(Fixed):  # chosen beforehand and not tuned for any
    steps: int = 500
    directions: int = 50
    perplexity: float = 30.0
    kept: int = 90
    neighbors: int = 30
    edges: int = 15
    judged: int = 5000
    near: int = 15
    drawn: int = 450


CELL = ("row", "dof", "column", "form", "alpha")
ROWS = ("gaussian", "student-t")
#: The forms of four cells, the tails of t-SNE, the other columns, and debiasing.
CELLS: list[Configuration] = [
    dict(zip(CELL, cell, strict=True))
    for cell in (
        *product(ROWS, (1.0,), ("gaussian", "knn"), ("row", "joint"), (0.0,)),
        *product(("student-t",), (0.5, 2.0, 10.0, 100.0), ("gaussian",), ("joint",), (0.0,)),
        *product(ROWS, (1.0,), ("student-t", "graph", "pairs", "classes"), ("row",), (0.0,)),
        *product(("student-t",), (1.0,), ("gaussian",), ("joint",), (0.1, 0.5)),
        ("student-t", 1.0, "knn", "row", 0.1),
        ("gaussian", 1.0, "gaussian", "row", 0.1),
    )
]
SHARES = {"trustworthiness": "trustworthiness", "preserved": "neighbours kept", "knn": "k-NN accuracy"}


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Seconds of the steps, three measures of the map, and of the first seed also ``map``, as ``x,y,label ...``."""
    x, y = scaled(dataset, settings.directions), labels_of(dataset)
    row, dof, column, form, alpha = (configuration[name] for name in CELL)
    p = supervision(dataset, column, settings)
    p = (p.symmetrize() if form == "joint" else p).debias(alpha)
    own = {"dof": dof} if row == "student-t" else {"metric": "sqeuclidean", "sigma": 0.5**0.5}
    model = icon.Embedding(
        row=row, column=column, max_iter=settings.steps, hyper={"normalization": form, **own}, tol=0, random_state=seed
    )
    began = time.perf_counter()
    z = model.fit(x, y, affinity=p).embedding_
    seconds = time.perf_counter() - began
    some = np.random.default_rng(seed).permutation(dataset.n)[: settings.judged]
    near = NearestNeighbors(n_neighbors=settings.near).fit(z).kneighbors(return_distance=False)
    truth = neighbours(dataset, settings.directions, settings.near)[0]
    return {
        "seconds": seconds,
        "trustworthiness": trustworthiness(x[some], z[some], k=settings.near),
        "preserved": float(np.mean([np.isin(near[i], truth[i]).mean() for i in some])),
        "knn": float(np.mean(mode(y[near[:, :10]], axis=1).mode == y)),
    } | ({"map": drawn(z, y, settings.drawn)} if seed == 0 else {})


def drawn(z: Array, y: Array, count: int) -> str:
    """Some points of a map as text, in a square of 1,000."""
    some = np.random.default_rng(0).permutation(len(z))[:count]
    low, high = np.percentile(z, 0.5, axis=0), np.percentile(z, 99.5, axis=0)
    places = np.clip(999 * (z[some] - low) / max(float((high - low).max()), 1e-30), 0, 999).astype(int)
    return " ".join(f"{a},{b},{label}" for (a, b), label in zip(places, y[some], strict=True))


@lru_cache(maxsize=2)
def neighbours(dataset: Dataset, directions: int, near: int) -> tuple[Array, float]:
    """``[n, k]`` the nearest others of each point, by exact search, and the median distance to the last of them."""
    x = scaled(dataset, directions)
    found = nearest_neighbors(x, min(near, dataset.n - 1), "exact").indices
    return found, float(np.median(np.linalg.norm(x - x[found[:, -1]], axis=1)))


@lru_cache(maxsize=6)
def supervision(dataset: Dataset, column: str, settings: Settings) -> Any:
    """p of a column. The graph has the nearest of each; a pair is a point and the nearest one that is free, or of what
    remains two of them; the last of an odd number joins a pair."""
    x = torch.from_numpy(scaled(dataset, settings.directions))
    near, typical = neighbours(dataset, settings.directions, settings.near)
    if column == "gaussian":
        return icon.p.Gaussian(perplexity=settings.perplexity, n_neighbors=settings.kept)(x)
    if column == "knn":
        return icon.p.KNN(settings.neighbors)(x)
    if column == "classes":
        return icon.p.Classes()(torch.from_numpy(labels_of(dataset)))
    if column == "graph":
        return icon.p.Graph()(icon.p.KNN(settings.edges).symmetrize("union")(x).to_scipy() > 0)
    if column == "student-t":
        return icon.p.StudentT(sigma=typical, n_neighbors=settings.kept)(x)
    ids, free = np.arange(dataset.n), np.ones(dataset.n, dtype=bool)
    for i in np.random.default_rng(0).permutation(dataset.n):
        partners = near[i][free[near[i]]] if free[i] else []
        if len(partners):
            ids[partners[0]] = i
            free[[i, partners[0]]] = False
    alone = np.flatnonzero(free)
    ids[alone[1::2]] = alone[: len(alone) // 2 * 2 : 2]
    if len(alone) % 2:
        ids[alone[-1]] = ids[near[alone[-1], 0]]
    return icon.p.Pairs()(torch.from_numpy(ids))


def named(frame: DataFrame) -> DataFrame:
    """The runs data set by data set, with each cell in words, short enough for the title of a panel."""
    frame = frame.sort_values("dataset", kind="stable")
    rows = frame["row"].map({"gaussian": "Gaussian", "student-t": "Student-t ν="})
    dof = frame["dof"].map("{:g}".format).where(frame["row"] == "student-t", "")
    debiased = frame["alpha"].map(", α={:g}".format).where(frame["alpha"] > 0, "")
    return frame.assign(cell=rows + dof + " × " + frame["column"] + ", " + frame["form"] + debiased)


def table(frame: DataFrame) -> DataFrame:
    """A row per data set and cell."""
    runs = named(frame)
    cells = runs.assign(**(100 * runs[list(SHARES)])).groupby(["dataset", "cell"], sort=False)
    texts = cells[[*SHARES, "seconds"]].agg(partial(mean_std, digits=1))
    return texts.rename(columns={name: f"{text} (%)" for name, text in SHARES.items()}).reset_index()


def sheet(frame: DataFrame) -> Figure:
    """Two cells in a row, each with a panel per data set; the colours are the classes."""
    runs = named(frame[frame["seed"] == 0])
    datasets, cells = list(runs["dataset"].unique()), list(runs["cell"].unique())
    figure, places = panels(-(-len(cells) // 2), 2 * len(datasets), (1.7, 1.85))
    for panel in places.flat:
        panel.set_visible(False)
    for run in runs.itertuples():
        cell, place = cells.index(run.cell), datasets.index(run.dataset)
        panel = places.reshape(-1, len(datasets))[cell, place]
        scatter(panel, str(run.map), s=2, linewidths=0)
        panel.set(visible=True, xlabel=run.dataset if cell < 2 else "")
        panel.set_title("" if place else str(run.cell), fontsize=8, loc="left")
    return figure


EXPERIMENT = Experiment(
    name="maps",
    question="What do the row, the column, the row or joint form and debiasing do to a map?",
    settings=Settings,
    configurations=lambda dataset: CELLS,
    run=run,
    table=table,
    figures={"maps": sheet},
)
