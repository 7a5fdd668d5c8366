"""What the clustering experiments share: inputs, the neighbour graph, the estimator's configuration, the scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

import icon
from experiments.datasets import Array, Dataset, inputs
from experiments.record import Fixed, Measures, labels_of
from icon.estimators import initialization
from icon.estimators.arguments import automatic
from icon.estimators.base import BLOCK, apply, on_disk
from icon.metrics import ari, clustering_accuracy, nmi
from icon.nn import mappers
from icon.p.knn import knn_rows
from icon.training import PairSampler
from icon.training.state import seeded

#: Data sets whose losses and accuracies were looked at while the configuration was made.
SEEN = ("digits", "usps", "pendigits", "cifar10-mobilenetv2", "fashion-mnist", "banking77", "clinc150")


class Settings(Fixed):
    """The same for every data set; what was chosen by looking at losses and accuracies is said in the reports."""

    neighbors: int = 10
    walks: int = 3
    debias: float = 0.3
    ema: float = 0.99
    hidden: int = 256
    directions: int = 128
    steps: int = 200
    restarts: int = 3
    batch: int = 1024
    learning_rate = 5e-3  # of Adam, for our head and those of the other methods; no setting here

    @property
    def total_steps(self) -> int:
        """Of one restart of ours, over-clustering included, which is also what a method from random heads gets."""
        return self.steps + self.steps // 2

    def head(self, x: Tensor, clusters: int) -> nn.Module:
        """From features to logits, drawn with torch's global generator; x are features ``[m, d]`` to scale by."""
        return mappers.build("mlp", x, clusters, hidden=self.hidden)

    def options(self, dataset: Dataset, seed: int) -> dict[str, Any]:
        """Further arguments of the estimator."""
        return {}

    def batch_size(self, dataset: Dataset) -> int:
        """How many pairs a step sees, for every method that takes steps: few points whole, as in `icon.Clustering`."""
        return automatic(dataset.n, dataset.classes, self.batch) or dataset.n


class OneRestart(Settings):
    """For variants of one method, which all begin alike."""

    restarts: int = 1


class Clusters(NamedTuple):
    """Of one method and seed: ``labels [n]``, the loss that it minimised, if one, and those of test points ``[m]``."""

    labels: Array
    loss: float | None = None
    test: Array | None = None


@lru_cache(maxsize=4)
def nearest(dataset: Dataset, k: int) -> sp.csr_array:
    """``[n, n]``: 1 where j is one of the k nearest others of i. On disk the search is exact only for few points."""
    rows, _ = knn_rows(dataset.x, k, "auto" if on_disk(dataset.x) else "exact", dataset.metric)
    return ones(rows.to_scipy())


@lru_cache(maxsize=2)
def union(dataset: Dataset, k: int) -> sp.csr_array:
    """``[n, n]``, symmetric: 1 where one of two points is among the k nearest of the other."""
    directed = nearest(dataset, k)
    return ones(directed + directed.T)


def ones(graph: Any) -> sp.csr_array:
    """Every edge with weight 1; indices of 32 bits, as scikit-learn wants them."""
    found = sp.csr_array(graph, dtype=np.float64)
    indices, starts = found.indices.astype(np.int32), found.indptr.astype(np.int32)
    return sp.csr_array((np.ones(found.nnz), indices, starts), shape=found.shape)


def edges_of(graph: sp.csr_array) -> Array:
    """``[m, 2]`` of a symmetric graph, with the smaller index first, in order."""
    upper = sp.csr_array(sp.triu(graph, k=1))
    upper.sort_indices()
    return np.stack(upper.nonzero(), axis=1).astype(np.int64)


def graph_of(edges: Array, n: int) -> sp.csr_array:
    """``[n, n]``: 1 in both directions of every edge."""
    start, end = np.concatenate([edges, edges[:, ::-1]]).T
    return sp.csr_array((np.ones(len(start)), (start, end)), shape=(n, n))


def fitted(dataset: Dataset, seed: int, settings: Settings, graph: Any = None, **changes: Any) -> icon.Clustering:
    """The estimator, on the union graph where no other is given, or with ``column="knn"`` on one graph of each view."""
    options: dict[str, Any] = {
        "n_clusters": dataset.classes, "column": "graph", "init": initialization.OF_FEATURES, "walks": settings.walks,
        "debias": settings.debias, "hidden": settings.hidden, "max_iter": settings.steps, "n_init": settings.restarts,
        "batch_size": settings.batch_size(dataset), "learning_rate": settings.learning_rate, "device": "cpu",
        "random_state": seed, **settings.options(dataset, seed), **changes,
    }  # fmt: skip
    if options["column"] == "knn":
        return icon.Clustering(n_neighbors=settings.neighbors, **options).fit(list(dataset.views))
    graph = union(dataset, settings.neighbors) if graph is None else graph
    hyper = {"exclude_self": False} if graph.diagonal().any() else None
    return icon.Clustering(hyper=hyper, **options).fit(inputs(dataset, settings.directions), graph)


def cluster(dataset: Dataset, seed: int, settings: Settings, graph: Any = None, **changes: Any) -> Clusters:
    """The clusters of the estimator."""
    model = fitted(dataset, seed, settings, graph, **changes)
    return Clusters(model.labels_, model.loss_, None if dataset.test is None else model.predict(dataset.test.x))


def assigned(head: nn.Module, x: Any) -> Array:
    """``[n]`` the most probable cluster of each row of features, which may lie on disk."""
    return np.concatenate([apply(head, x[start : start + BLOCK]).argmax(axis=1) for start in range(0, len(x), BLOCK)])


def best_restart(
    method: Callable[..., Clusters], dataset: Dataset, seed: int, settings: Settings, from_ours: bool = False
) -> Clusters:
    """The restart with the lowest loss of another method, ``(dataset, seed, settings, first clusters or None)``: from
    random heads, as published, or from the starts of our restarts."""
    firsts = [labels for labels, _ in starts(dataset, seed, settings)] if from_ours else [None] * settings.restarts
    runs = [method(dataset, settings.restarts * seed + number, settings, first) for number, first in enumerate(firsts)]
    return min(runs, key=lambda clusters: float(clusters.loss or 0))


@lru_cache(maxsize=4)
def starts(dataset: Dataset, seed: int, settings: Settings) -> list[tuple[Array, float]]:
    """For each restart merged k-means clusters ``[n]``, as by `icon.Clustering`, and the CPU seconds that finding them
    took; found once for all methods."""
    found = []
    for restart in range(settings.restarts * seed, settings.restarts * (seed + 1)):
        begun = time.process_time()
        x = torch.from_numpy(inputs(dataset, settings.directions))
        pairs = PairSampler(icon.p.Graph()(union(dataset, settings.neighbors))).walks(settings.walks)
        with seeded(restart, torch.device("cpu")):
            labels, _ = initialization.merged_k_means(x, pairs, dataset.classes, None, restart)
        found.append((labels, time.process_time() - begun))
    return found


def measured(dataset: Dataset, make: Callable[[], Clusters], before: float = 0.0) -> Measures:
    """Accuracy, NMI and ARI of what is made, its loss, and the seconds of a processor that making it took."""
    start = time.process_time()
    labels, loss, test = make()
    seconds = round(time.process_time() - start + before, 2)
    scored = scores(dataset, labels) if dataset.test is None or test is None else scores(dataset.test, test)
    return scored | {"seconds": seconds} | ({} if loss is None else {"loss": float(loss)})


def scores(dataset: Dataset, labels: Array) -> Measures:
    """The one place where labels are looked at, those that are known.

    A point that a method leaves out as noise (-1) is never right. To NMI and ARI noise is one cluster more: as clusters
    of one point each it would earn NMI for telling points apart.
    """
    y = labels_of(dataset, partly=True)
    y, labels = y[y >= 0], labels[y >= 0]
    found = labels >= 0
    accuracy = clustering_accuracy(y[found], labels[found]) * found.mean() if found.any() else 0.0
    return {"accuracy": float(accuracy), "nmi": nmi(y, labels), "ari": ari(y, labels)}
