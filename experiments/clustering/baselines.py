"""Clustering by scikit-learn: k-means, spectral clustering, a Gaussian mixture."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.cluster import k_means as cluster_rows
from sklearn.manifold import spectral_embedding
from sklearn.mixture import GaussianMixture

from experiments.clustering.protocol import Clusters, Settings, inputs, union
from experiments.datasets import Array, Dataset

MANY = 20  # clusters from which covariances are diagonal


def k_means(dataset: Dataset, seed: int, settings: Settings, first: Array | None = None) -> Clusters:
    """The best of ten runs, or one from the means of first clusters ``[n]``."""
    x = inputs(dataset, settings.directions)
    if first is None:
        found = KMeans(dataset.classes, n_init=10, random_state=seed).fit(x)
    else:
        centres = means_of(x, first)
        found = KMeans(len(centres), init=centres, n_init=1).fit(x)
    return Clusters(found.labels_, float(found.inertia_))


def means_of(x: Array, labels: Array) -> Array:
    """``[clusters, d]`` the means of the clusters that have points."""
    return np.stack([x[labels == cluster].mean(axis=0) for cluster in np.unique(labels)])


def spectral(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """What ``SpectralClustering`` does with its defaults on the union graph."""
    vectors = eigenvectors(dataset, settings.neighbors, union)[0]
    _, labels, _ = cluster_rows(vectors, dataset.classes, n_init=10, random_state=seed)
    return Clusters(labels)


@lru_cache(maxsize=2)
def eigenvectors(
    dataset: Dataset, neighbors: int, affinity: Callable[[Dataset, int], sp.csr_array]
) -> tuple[Array, float]:
    """``[n, clusters]`` of the graph, and the CPU seconds that they took.

    They do not depend on the seed, apart from the solver's first vector, so they are computed once.
    """
    graph = affinity(dataset, neighbors)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        found = spectral_embedding(graph, n_components=dataset.classes, random_state=0, drop_first=False)
    return np.asarray(found), time.process_time() - start


def gaussian_mixture(dataset: Dataset, seed: int, settings: Settings, first: Array | None = None) -> Clusters:
    """Full covariances on at most 32 principal directions, diagonal ones from `MANY` clusters on; the best of three
    runs, or one from the means of first clusters ``[n]``."""
    x = inputs(dataset, min(32, settings.directions))
    kind, least = "full" if dataset.classes < MANY else "diag", 1e-3 * float(x.var())
    means = None if first is None else means_of(x, first)
    clusters, runs = (dataset.classes, 3) if means is None else (len(means), 1)
    model = GaussianMixture(
        clusters, covariance_type=kind, n_init=runs, reg_covar=least, random_state=seed, means_init=means
    ).fit(x)
    return Clusters(model.predict(x), -float(model.lower_bound_))
