"""What the clustering experiments share: inputs, the neighbour graph, the estimator's configuration, the scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

import icon
from experiments.datasets import Array, Dataset
from experiments.record import Configuration, Measures, checked
from icon import _checks as check
from icon.metrics import ari, clustering_accuracy, nmi
from icon.p.spatial import knn_rows

#: Data sets whose losses and accuracies were looked at while the configuration was made.
SEEN = (
    "digits",
    "usps",
    "pendigits",
    "cifar10-mobilenetv2",
    "fashion-mnist",
    "banking77",
    "clinc150",
)


@dataclass(frozen=True)
class Settings:
    """The same for every data set; chosen on looks at loss and accuracy during development, see `configuration`."""

    neighbors: int = 10
    walks: int = 3
    debias: float = 0.3
    ema: float = 0.99
    hidden: int = 256
    directions: int = 128
    steps: int = 200
    starts: int = 3
    batch: int = 1024

    def __post_init__(self) -> None:
        checked(self, check.count, "neighbors", "walks", "hidden", "directions", "steps", "starts", "batch")
        checked(self, check.fraction, "debias", "ema")


class Clusters(NamedTuple):
    """Of one method and seed: ``labels [n]``, and what the method minimised, where it is a loss."""

    labels: Array
    loss: float | None = None


@lru_cache(maxsize=2)
def inputs(dataset: Dataset, directions: int) -> Array:
    """``[n, d]`` float32: what every method sees, the features in at most so many principal directions."""
    from sklearn.decomposition import PCA

    x = _features(dataset)
    most = min(directions, *x.shape)
    return x if x.shape[1] <= most else PCA(most, random_state=0).fit_transform(x).astype(np.float32)


@lru_cache(maxsize=4)
def nearest(dataset: Dataset, k: int) -> sp.csr_array:
    """``[n, n]``: 1 where j is one of the k nearest others of i (Euclidean, all features)."""
    rows, _ = knn_rows(_features(dataset), k, "exact")
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


def batch_size(dataset: Dataset, settings: Settings) -> int:
    """Pairs of a step, for every method that takes steps."""
    return min(dataset.n, settings.batch)


def total_steps(settings: Settings) -> int:
    """Steps of a start of ours, over-clustering included, and so those of a method that starts at random."""
    return settings.steps + settings.steps // 2


def fitted(dataset: Dataset, seed: int, settings: Settings, graph: sp.csr_array, **changes: Any) -> icon.Clustering:
    """The estimator on a graph; ``changes`` are to its parameters."""
    configuration = {
        "walks": settings.walks,
        "debias": settings.debias,
        "hidden": settings.hidden,
        "max_iter": settings.steps,
        "n_init": settings.starts,
        "batch_size": batch_size(dataset, settings),
        "hyper": {"exclude_self": False} if graph.diagonal().any() else None,
        "device": "cpu",
    }
    model = icon.Clustering(dataset.classes, "graph", random_state=seed, **(configuration | changes))
    return model.fit(inputs(dataset, settings.directions), graph)


def cluster(
    dataset: Dataset, seed: int, settings: Settings, graph: sp.csr_array | None = None, **changes: Any
) -> Clusters:
    """The clusters of the estimator, on the union graph where no other is given."""
    model = fitted(dataset, seed, settings, union(dataset, settings.neighbors) if graph is None else graph, **changes)
    return Clusters(model.labels_, model.loss_)


def measured(dataset: Dataset, make: Callable[[], Clusters]) -> Measures:
    """Accuracy, NMI and ARI of what is made, its loss, and the seconds of a processor that making it took."""
    start = time.process_time()
    labels, loss = make()
    seconds = time.process_time() - start
    measures = scores(dataset, labels) | {"seconds": round(seconds, 2)}
    return measures if loss is None else measures | {"loss": float(loss)}


@dataclass(frozen=True)
class OneStart(Settings):
    """Where the same start tells how methods differ."""

    starts: int = 1


def scores(dataset: Dataset, labels: Array) -> Measures:
    """The one place where labels are looked at."""
    functions = {"accuracy": clustering_accuracy, "nmi": nmi, "ari": ari}
    return {name: function(np.asarray(dataset.y), labels) for name, function in functions.items()}


def usable(dataset: Dataset) -> None:
    """Refuse a data set without features, or without a label for each point.

    Raises:
        ValueError: so it is.
    """
    _features(dataset)
    if dataset.y is None or bool((dataset.y < 0).any()):
        raise ValueError(f"labels: got unknown ones of {dataset.name}, expected --labels FILE, one per point, to score")


def one_per(names: Any) -> Callable[[Dataset, Settings], list[Configuration]]:
    """A configuration ``{"variant": name}`` per name, for every data set that can be clustered and scored."""

    def configurations(dataset: Dataset, settings: Settings) -> list[Configuration]:
        usable(dataset)
        return [{"variant": name} for name in names]

    return configurations


def _features(dataset: Dataset) -> Array:
    if dataset.x is None:
        raise ValueError(f"dataset: got {dataset.name}, a graph, expected one with features")
    return dataset.x


def configuration(settings: Settings) -> str:
    """The fixed configuration in words, with how it was chosen."""
    return (
        f"Every method sees the same features in at most {settings.directions} principal directions, and, where it "
        f"needs one, the same graph: {settings.neighbors} nearest neighbours (Euclidean), an edge where one of two "
        f"points is among the other's (union). The number of clusters is that of the classes. Heads are MLPs with "
        f"{settings.hidden} hidden units, trained by Adam (5e-3, falling to zero over the second half) on batches of "
        f"{settings.batch} pairs. Ours takes {settings.steps // 2} steps of over-clustering and {settings.steps} of "
        f"clustering from each of {settings.starts} start(s), of which the lowest loss is kept. Labels only score: "
        "accuracy under the best one-to-one matching (Hungarian), mean ± standard deviation over seeds; a difference "
        "is paired by seed and clear where its 95 % Student interval leaves out zero. The configuration is the same "
        "for all data sets. The number of neighbours and of starts, the head and the optimiser were fixed beforehand; "
        "how to start was found, and walks, α and the batch were set, by looking at losses and accuracies during "
        f"development on {', '.join(SEEN[:-1])} and {SEEN[-1]}, so the numbers there are not of unseen data; the other "
        "data sets were never looked at before their runs."
    )
