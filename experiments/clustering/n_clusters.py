"""How many clusters there are: what says so without labels, and how far from the number of classes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import linalg
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from experiments import record
from experiments.clustering import n_clusters_reading as reading
from experiments.clustering import protocol, rivals
from experiments.datasets import Array, Dataset, at_most, refuse_validation
from experiments.record import Configuration, Experiment, Measures, labels_of
from icon.estimators.counting import PARTS, POINTS, Count, count_clusters, walked
from icon.estimators.initialization import k_means
from icon.estimators.merging import merge

#: Numbers that the silhouette compares.
TRIED = (*range(2, 21), 25, 30, 40, 50, 70, 100, 140, 200)


@dataclass(frozen=True)
class Settings(record.Settings):
    """``few``, ``some``: points that the silhouette and the eigengap, and HDBSCAN, see at most. ``most``: eigengaps."""

    neighbors: int = 10
    walks: int = 3
    directions: int = 128
    few: int = 2500
    some: int = 5000
    most: int = 200


def configurations(dataset: Dataset) -> list[Configuration]:
    refuse_validation(dataset)
    return [{"rule": rule} for rule in reading.RULES]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The number of one rule, and the scores of so many groups, merged from the same k-means clusters for all rules."""
    labels_of(dataset)
    rule, begun = configuration["rule"], time.process_time()
    if rule in (reading.OURS, reading.MODULAR, reading.DISTINCT):
        count = counted(dataset, seed, settings)
        number = {reading.OURS: count.n_clusters, reading.MODULAR: count.modular}.get(rule, count.distinct)
    else:
        number = OTHERS[rule](dataset, seed, settings)
    seconds = time.process_time() - begun
    parts, joint = small_clusters(dataset, seed, settings)
    groups = merge(joint, min(number, len(joint)))[parts]
    measures = {"chosen": number, "classes": dataset.classes, "seconds": round(seconds, 2)}
    return protocol.scores(dataset, groups) | measures


@lru_cache(maxsize=2)
def counted(dataset: Dataset, seed: int, settings: Settings) -> Count:
    """Found once for the rule and its two halves."""
    x = protocol.inputs(dataset, settings.directions)
    return count_clusters(x, settings.neighbors, settings.walks, dataset.metric, seed)


@lru_cache(maxsize=2)
def small_clusters(dataset: Dataset, seed: int, settings: Settings) -> tuple[Array, Array]:
    """Many k-means clusters ``[n]`` and their table under p."""
    x = torch.from_numpy(protocol.inputs(dataset, settings.directions))
    parts = np.unique(k_means(x, min(PARTS, dataset.n // POINTS), seed, n_init=1), return_inverse=True)[1]
    return parts, walked(protocol.union(dataset, settings.neighbors), parts, settings.walks)


def true_number(dataset: Dataset, seed: int, settings: Settings) -> int:
    return dataset.classes


def silhouette(dataset: Dataset, seed: int, settings: Settings) -> int:
    """The number of k-means clusters with the highest mean silhouette.

    Source: Rousseeuw 1987, Silhouettes: a graphical aid to the interpretation and validation of cluster analysis.
    """
    x = protocol.inputs(at_most(dataset, settings.few, seed), settings.directions)
    found = {k: KMeans(k, n_init=1, random_state=seed).fit_predict(x) for k in TRIED if k <= len(x) // 4}
    best: int = max(found, key=lambda k: float(silhouette_score(x, found[k])))
    return best


def eigengap(dataset: Dataset, seed: int, settings: Settings) -> int:
    """After which of the smallest eigenvalues of the normalised Laplacian of the union graph the largest gap is.

    The gap after the first eigenvalue is left out, as there are to be two clusters at least.

    Source: von Luxburg 2007, A tutorial on spectral clustering (arXiv 0711.0189).
    """
    graph = protocol.union(at_most(dataset, settings.few, seed), settings.neighbors).toarray()
    scale = np.sqrt(graph.sum(axis=1))
    n = len(graph)
    last = n - 1 - min(settings.most, n - 1)
    values = linalg.eigh(graph / np.outer(scale, scale), eigvals_only=True, subset_by_index=(last, n - 1))[::-1]
    return int(np.argmax(-np.diff(values)[1:])) + 2


def hdbscan(dataset: Dataset, seed: int, settings: Settings) -> int:
    """How many clusters `rivals.hdbscan` finds; noise is none of them."""
    shared = protocol.Settings(neighbors=settings.neighbors, directions=settings.directions)
    found = rivals.hdbscan(at_most(dataset, settings.some, seed), seed, shared).labels
    return max(1, int(found.max()) + 1)


OTHERS = {
    reading.TRUE: true_number,
    reading.SILHOUETTE: silhouette,
    reading.EIGENGAP: eigengap,
    reading.HDBSCAN: hdbscan,
}

EXPERIMENT = Experiment(
    name="n-clusters",
    question="How many clusters are there, and what says so without labels?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=reading.table,
    figures={"numbers": reading.numbers},
    tables={"Numbers by data set": reading.per_dataset, "More than ours in log2 error": reading.against_ours},
)
