"""How many clusters there are: what says so without labels, and how far from the number of classes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from scipy import linalg
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from experiments.clustering import methods, protocol
from experiments.datasets import Array, Dataset, at_most, inputs
from experiments.plots import label, look, panels
from experiments.record import Configuration, Experiment, Fixed, Measures, grid
from experiments.statistics import difference, in_percent
from icon.estimators.counting import PARTS, POINTS, Count, count_clusters, walked
from icon.estimators.initialization import k_means
from icon.estimators.merging import merge

OURS, MODULAR, DISTINCT = "ours", "highest modularity", "stays most"
SILHOUETTE, EIGENGAP, HDBSCAN, TRUE = "silhouette", "eigengap", "HDBSCAN", "true number"
SHOWN = (OURS, SILHOUETTE, EIGENGAP, HDBSCAN)  # in the figure, and with their seconds
CONSTANT = "one number for all, best in hindsight"
#: Numbers that the silhouette compares.
TRIED = (*range(2, 21), 25, 30, 40, 50, 70, 100, 140, 200)


class Settings(Fixed):
    """``few``, ``some``: points that the silhouette and the eigengap, and HDBSCAN, see at most. ``most``: eigengaps."""

    neighbors: int = 10
    walks: int = 3
    directions: int = 128
    few: int = 2500
    some: int = 5000
    most: int = 200


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The number of one rule, and the scores of so many groups, merged from the same k-means clusters for all rules."""
    begun = time.process_time()
    number = RULES[configuration["rule"]][1](dataset, seed, settings)
    seconds = time.process_time() - begun
    parts, joint = small_clusters(dataset, seed, settings)
    groups = merge(joint, min(number, len(joint)))[parts]
    measures = {"chosen": number, "classes": dataset.classes, "seconds": round(seconds, 2)}
    return protocol.scores(dataset, groups) | measures


@lru_cache(maxsize=2)
def counted(dataset: Dataset, seed: int, settings: Settings) -> Count:
    """Found once for the rule and its two halves."""
    x = inputs(dataset, settings.directions)
    return count_clusters(x, settings.neighbors, settings.walks, dataset.metric, seed)


@lru_cache(maxsize=2)
def small_clusters(dataset: Dataset, seed: int, settings: Settings) -> tuple[Array, Array]:
    """Many k-means clusters ``[n]`` and their table under p."""
    x = torch.from_numpy(inputs(dataset, settings.directions))
    parts = np.unique(k_means(x, min(PARTS, dataset.n // POINTS), seed, n_init=1), return_inverse=True)[1]
    return parts, walked(protocol.union(dataset, settings.neighbors), parts, settings.walks)


def silhouette(dataset: Dataset, seed: int, settings: Settings) -> int:
    """The number of k-means clusters with the highest mean silhouette (Rousseeuw 1987)."""
    x = inputs(at_most(dataset, settings.few, seed), settings.directions)
    found = {k: KMeans(k, n_init=1, random_state=seed).fit_predict(x) for k in TRIED if k <= len(x) // 4}
    best: int = max(found, key=lambda k: float(silhouette_score(x, found[k])))
    return best


def eigengap(dataset: Dataset, seed: int, settings: Settings) -> int:
    """After which of the smallest eigenvalues, from the second on, of the union graph's Laplacian the largest gap is.

    Source: von Luxburg 2007, A tutorial on spectral clustering (arXiv 0711.0189).
    """
    graph = protocol.union(at_most(dataset, settings.few, seed), settings.neighbors).toarray()
    scale, n = np.sqrt(graph.sum(axis=1)), len(graph)
    last = n - 1 - min(settings.most, n - 1)
    values = linalg.eigh(graph / np.outer(scale, scale), eigvals_only=True, subset_by_index=(last, n - 1))[::-1]
    return int(np.argmax(-np.diff(values)[1:])) + 2


def hdbscan(dataset: Dataset, seed: int, settings: Settings) -> int:
    """How many clusters `methods.hdbscan` finds; noise is none of them."""
    return max(1, int(methods.hdbscan(at_most(dataset, settings.some, seed), seed, settings).labels.max()) + 1)


#: By name what the table says, and the number of clusters.
RULES: dict[str, tuple[str, Callable[[Dataset, int, Settings], int]]] = {
    OURS: ('`n_clusters="auto"` (ours)', lambda *run: counted(*run).n_clusters),
    MODULAR: ("highest modularity alone", lambda *run: counted(*run).modular),
    DISTINCT: ("stays most beyond points without clusters, alone", lambda *run: counted(*run).distinct),
    SILHOUETTE: ("silhouette of k-means", silhouette),
    EIGENGAP: ("eigengap of the graph", eigengap),
    HDBSCAN: ("HDBSCAN", hdbscan),
    TRUE: ("the true number", lambda dataset, seed, settings: dataset.classes),
}
NAMES = {rule: title for rule, (title, _) in RULES.items()}


def constant(frame: DataFrame) -> int:
    """The number with the smallest mean error where it is the same for all data sets."""
    classes = frame.groupby("dataset")["classes"].first()
    return min(range(2, 201), key=lambda number: float(np.log2(number / classes).abs().mean()))


def table(frame: DataFrame) -> DataFrame:
    """A row per rule, the constant number among them: means over seeds, then over data sets that count alike. The error
    is log2 of the chosen number over the true one, and a difference from ours has its 95 % interval over data sets."""
    titles, same = NAMES | {CONSTANT: f"{CONSTANT} ({constant(frame)})"}, constant(frame)
    chosen = frame.pivot(index=["dataset", "seed"], columns="rule", values="chosen").assign(**{CONSTANT: same})
    log2: Any = np.log2(chosen[list(titles)].div(frame.groupby("dataset")["classes"].first(), axis=0, level="dataset"))
    error, close = log2.abs().groupby("dataset").mean(), log2.abs() <= np.log2(1.5)
    scores = frame.groupby(["rule", "dataset"])[["accuracy", "nmi", "seconds"]].mean().groupby("rule").mean()
    scores = scores.reindex(list(titles))
    ours = {rule: "" if rule in (OURS, TRUE) else difference(error[rule], error[OURS], 2) for rule in titles}
    return DataFrame({
        "rule": titles,
        "mean absolute log2 error": error.mean().map("{:.2f}".format),
        "more than ours": ours,
        "mean log2": log2.groupby("dataset").mean().mean().map("{:+.2f}".format),
        "within a factor of 1.5, %": (100 * close.groupby("dataset").mean().mean()).map("{:.0f}".format),
        "largest error": {rule: f"{error[rule].max():.2f} ({error[rule].idxmax()})" for rule in titles},
        "accuracy": in_percent(scores["accuracy"]).fillna(""),
        "NMI": in_percent(scores["nmi"]).fillna(""),
        "CPU s": scores["seconds"].map("{:.1f}".format).where(scores.index.isin(SHOWN), ""),
    }).reset_index(drop=True)  # fmt: skip


def per_dataset(frame: DataFrame) -> DataFrame:
    """A row per data set: the numbers of each rule, one per seed."""
    runs = frame.sort_values("seed").astype({"chosen": int}).astype({"chosen": str})
    found = runs.groupby(["dataset", "rule"])["chosen"].agg(", ".join).unstack()[list(NAMES)].drop(columns=TRUE)
    found.insert(0, "classes", frame.groupby("dataset")["classes"].first().astype(int).astype(str))
    return found.rename_axis(index="data set", columns=None).reset_index()


def numbers(frame: DataFrame) -> Figure:
    """A row per data set, by its number of classes: a dot for each seed and rule, and the true number as a bar."""
    classes: Any = frame.groupby("dataset")["classes"].first().sort_values(kind="stable")
    figure, places = panels(1, 1, (7.2, 0.42 * len(classes) + 0.4), left=0.9)
    panel, rows = places[0, 0], np.arange(len(classes))
    bar: Any = {"color": "black", "markersize": 16, "markeredgewidth": 1.8, "label": "number of classes"}
    panel.plot(classes, rows, "|", **bar)
    for number, rule in enumerate(SHOWN):
        own = frame[frame["rule"] == rule]
        aside = own["dataset"].map(classes.index.get_loc) + 0.18 * (number - (len(SHOWN) - 1) / 2)
        panel.plot(own["chosen"], aside, linestyle="", alpha=0.7, label=rule, **look(number))
    panel.set_xscale("log", base=2)
    ticks = [1, 2, 5, 10, 20, 50, 100, 200]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    panel.set_yticks(rows, list(classes.index))
    return label(figure, [panel], "number of clusters", "", 5)


EXPERIMENT = Experiment(
    name="n-clusters",
    question="How many clusters are there, and what can tell without labels?",
    settings=Settings,
    configurations=grid(rule=tuple(RULES)),
    run=run,
    development=True,
    table=table,
    figures={"numbers": numbers},
    tables={"Numbers by data set": per_dataset},
)
