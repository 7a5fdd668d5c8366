"""Clustering by scikit-learn: k-means, spectral clustering, a Gaussian mixture."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.cluster import k_means as cluster_rows
from sklearn.manifold import spectral_embedding
from sklearn.metrics import pairwise_distances_argmin
from sklearn.mixture import GaussianMixture

from experiments.clustering.protocol import Clusters, Settings, inputs, union
from experiments.datasets import Array, Dataset
from icon.estimators.base import BLOCK, on_disk

SAMPLE, PASSES = 100_000, 20  # rows on disk from which k-means begins, and its passes over all
MANY = 20  # clusters from which covariances are diagonal


def k_means(dataset: Dataset, seed: int, settings: Settings, first: Array | None = None) -> Clusters:
    """The best of ten runs, or one from the means of first clusters ``[n]``; one run from a sample's means on disk."""
    x = inputs(dataset, settings.directions)
    loss = None
    if on_disk(x):
        centres = centres_on_disk(x, dataset.classes, seed)
        labels = nearest_centres(x, centres)
    else:
        start = "k-means++" if first is None else means_of(x, first)
        clusters, runs = (dataset.classes, 10) if first is None else (len(start), 1)
        found = KMeans(clusters, init=start, n_init=runs, random_state=seed).fit(x)
        labels, centres, loss = found.labels_, found.cluster_centers_, float(found.inertia_)
    return Clusters(labels, loss, None if dataset.test is None else nearest_centres(dataset.test.x, centres))


def nearest_centres(x: Array, centres: Array) -> Array:
    """``[n]`` the nearest centre of each row, which may lie on disk."""
    found: Array = np.concatenate([pairwise_distances_argmin(part, centres) for part in blocks(x)])
    return found


def blocks(x: Array) -> Iterator[Array]:
    """Rows in float32, so many at a time."""
    for start in range(0, len(x), BLOCK):
        yield np.asarray(x[start : start + BLOCK], dtype=np.float32)


def centres_on_disk(x: Array, clusters: int, seed: int) -> Array:
    """``[clusters, d]`` of k-means of a sample, then `PASSES` of Lloyd's passes over all rows."""
    rows = np.sort(np.random.default_rng(seed).choice(len(x), min(SAMPLE, len(x)), replace=False))
    centres = KMeans(clusters, random_state=seed).fit(np.asarray(x[rows], dtype=np.float32)).cluster_centers_
    for _ in range(PASSES):
        total, count = np.zeros(centres.shape), np.zeros(len(centres))
        for part in blocks(x):
            near = pairwise_distances_argmin(part, centres)
            total += sp.csr_array((np.ones(len(part)), (near, np.arange(len(part)))), (clusters, len(part))) @ part
            count += np.bincount(near, minlength=clusters)
        centres = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], centres).astype(np.float32)
    return np.asarray(centres)


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
