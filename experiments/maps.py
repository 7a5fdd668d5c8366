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
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

import icon
from experiments.datasets import Array, Dataset
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
    drawn: int = 600


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
    x, y = features(dataset, settings.directions), labels_of(dataset)
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
    truth = neighbours(dataset, settings)
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
def features(dataset: Dataset, directions: int) -> Array:
    """At most so many principal directions, in units of their root mean square."""
    x = dataset.x - dataset.x.mean(axis=0)
    x = PCA(directions, random_state=0).fit_transform(x) if x.shape[1] > directions else x
    return np.asarray(x / np.sqrt((x**2).mean()), dtype=np.float32)


@lru_cache(maxsize=2)
def neighbours(dataset: Dataset, settings: Settings) -> Array:
    """``[n, k]`` the neighbours that a map should keep, by exact search."""
    return nearest_neighbors(features(dataset, settings.directions), settings.near, "exact").indices


@lru_cache(maxsize=6)
def supervision(dataset: Dataset, column: str, settings: Settings) -> Any:
    """p of a column. The graph has the nearest of each; a pair is a point and the nearest one that is free, or of what
    remains two of them; the last of an odd number joins a pair."""
    x, near = torch.from_numpy(features(dataset, settings.directions)), neighbours(dataset, settings)
    if column == "gaussian":
        return icon.p.Gaussian(perplexity=settings.perplexity, n_neighbors=settings.kept)(x)
    if column == "knn":
        return icon.p.KNN(settings.neighbors)(x)
    if column == "classes":
        return icon.p.Classes()(torch.from_numpy(labels_of(dataset)))
    if column == "graph":
        return icon.p.Graph()(icon.p.KNN(settings.edges).symmetrize("union")(x).to_scipy() > 0)
    if column == "student-t":
        typical = np.median(np.linalg.norm(x.double().numpy() - x.double().numpy()[near[:, -1]], axis=1))
        return icon.p.StudentT(sigma=float(typical), n_neighbors=settings.kept)(x)
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


def name_of(cell: Any) -> str:
    """A cell in words, short enough for the title of a panel."""
    row = "Gaussian" if cell.row == "gaussian" else f"Student-t ν={cell.dof:g}"
    return f"{row} × {cell.column}, {cell.form}" + (f", α={cell.alpha:g}" if cell.alpha else "")


def in_order(frame: DataFrame) -> DataFrame:
    """The runs data set by data set, in the order of the cells, whose ``number`` and name they get."""
    runs = frame.merge(DataFrame(CELLS).rename_axis("number").reset_index())
    runs = runs.sort_values(["dataset", "number"], kind="stable")
    return runs.assign(cell=[name_of(run) for run in runs.itertuples()])


def table(frame: DataFrame) -> DataFrame:
    """A row per data set and cell."""
    runs = in_order(frame)
    cells = runs.assign(**(100 * runs[list(SHARES)])).groupby(["dataset", "cell"], sort=False)
    texts = cells[[*SHARES, "seconds"]].agg(partial(mean_std, digits=1))
    return texts.rename(columns={name: f"{text} (%)" for name, text in SHARES.items()}).reset_index()


def sheet(frame: DataFrame) -> Figure:
    """Two cells in a row, each with a panel per data set; the colours are the classes."""
    runs = in_order(frame[frame["seed"] == 0])
    datasets, cells = list(runs["dataset"].unique()), sorted(runs["number"].unique())
    figure, places = panels(-(-len(cells) // 2), 2 * len(datasets), (1.7, 1.85))
    for panel in places.flat:
        panel.set_visible(False)
    for run in runs.itertuples():
        cell, place = cells.index(run.number), datasets.index(run.dataset)
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
