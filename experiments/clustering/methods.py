"""Clustering by libraries, with the settings that papers or documentation recommend."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.cluster import k_means as cluster_rows
from sklearn.manifold import spectral_embedding
from sklearn.metrics import pairwise_distances_argmin
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize

from experiments.clustering.protocol import Clusters, Settings, ones, union
from experiments.datasets import Array, Dataset, inputs
from icon.estimators.base import BLOCK, on_disk

SAMPLE, PASSES = 100_000, 20  # rows on disk from which k-means begins, and its passes over all
MANY = 20  # clusters from which covariances are diagonal
WHOLE = 12_000  # points up to which Ward may merge any two clusters
SCALE = 7  # the neighbour whose distance is a point's own scale in self-tuning spectral clustering
GROUP = 15  # points that HDBSCAN takes for a cluster at least: what its documentation begins with


def k_means(dataset: Dataset, seed: int, settings: Settings, first: Array | None = None) -> Clusters:
    """The best of ten runs, or one from the means of first clusters ``[n]``; one run from a sample's means on disk."""
    x = inputs(dataset, settings.directions)
    if on_disk(x):
        centres, loss = centres_on_disk(x, dataset.classes, seed), None
        labels = nearest_centres(x, centres)
    else:
        means = None if first is None else means_of(x, first)
        clusters, start, runs = (dataset.classes, "k-means++", 10) if means is None else (len(means), means, 1)
        found = KMeans(clusters, init=start, n_init=runs, random_state=seed).fit(x)
        labels, centres, loss = found.labels_, found.cluster_centers_, float(found.inertia_)
    return Clusters(labels, loss, None if dataset.test is None else nearest_centres(dataset.test.x, centres))


def nearest_centres(x: Array, centres: Array) -> Array:
    """``[n]`` the nearest centre of each row, which may lie on disk."""
    found: Array = np.concatenate([pairwise_distances_argmin(part, centres) for part in blocks(x)])
    return found


def blocks(x: Array) -> Iterator[Array]:
    """Rows in float32, so many at a time."""
    return (np.asarray(x[start : start + BLOCK], dtype=np.float32) for start in range(0, len(x), BLOCK))


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


Affinity = Callable[[Dataset, int], sp.csr_array]


def spectral(dataset: Dataset, seed: int, settings: Settings, affinity: Affinity = union) -> Clusters:
    """What ``SpectralClustering`` does with its defaults on the union graph, or by `self_tuned` affinities with rows of
    unit length (Zelnik-Manor, Perona 2004, Self-Tuning Spectral Clustering, with the number of clusters given)."""
    vectors = eigenvectors(dataset, settings.neighbors, affinity)[0]
    rows = vectors if affinity is union else normalize(vectors)
    return Clusters(cluster_rows(rows, dataset.classes, n_init=10, random_state=seed)[1])


@lru_cache(maxsize=2)
def eigenvectors(dataset: Dataset, neighbors: int, affinity: Affinity) -> tuple[Array, float]:
    """``[n, clusters]`` of the graph, found once for all seeds, and the CPU seconds that they took."""
    graph = affinity(dataset, neighbors)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        found = spectral_embedding(graph, n_components=dataset.classes, random_state=0, drop_first=False)
    return np.asarray(found), time.process_time() - start


def self_tuned(dataset: Dataset, neighbors: int) -> sp.csr_array:
    """``exp(-d_ij² / (s_i s_j))`` on the union graph ``[n, n]``, s the distance to a point's `SCALE`-th neighbour.

    The paper has no graph; without the smallest affinities the eigenvectors can be had for many points.
    """
    near = sp.csr_array(kneighbors_graph(dataset.x, max(neighbors, SCALE), mode="distance"))
    scale = near.data.reshape(dataset.n, -1)[:, SCALE - 1]
    scale = np.maximum(scale, 1e-9 * (scale.max() or 1.0))  # of points with many copies
    near.data = np.exp(-(near.data**2) / (np.repeat(scale, np.diff(near.indptr)) * scale[near.indices]))
    both = near.maximum(near.T)
    found = ones(both)
    found.data = both.data
    return found


def gaussian_mixture(dataset: Dataset, seed: int, settings: Settings, first: Array | None = None) -> Clusters:
    """Full covariances on at most 32 principal directions, diagonal ones from `MANY` clusters on; the best of three
    runs, or one from the means of first clusters ``[n]``."""
    x = inputs(dataset, min(32, settings.directions))
    kind, least = "full" if dataset.classes < MANY else "diag", 1e-3 * float(x.var())
    means = None if first is None else means_of(x, first)
    clusters, runs = (dataset.classes, 3) if means is None else (len(means), 1)
    options = {"covariance_type": kind, "n_init": runs, "reg_covar": least, "means_init": means}
    model = GaussianMixture(clusters, random_state=seed, **options).fit(x)
    return Clusters(model.predict(x), -float(model.lower_bound_))


def ward(dataset: Dataset, seed: int, settings: Any) -> Clusters:
    """Ward's merging of all points, or along the union graph beyond `WHOLE` points, where all pairs are too many."""
    graph = None if dataset.n <= WHOLE else union(dataset, settings.neighbors)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the number of connected components")
        found = AgglomerativeClustering(dataset.classes, connectivity=graph).fit(inputs(dataset, settings.directions))
    return Clusters(found.labels_)


def hdbscan(dataset: Dataset, seed: int, settings: Any) -> Clusters:
    """As many clusters of `GROUP` points and more as it finds; -1 is noise, which `protocol.scores` counts as errors.

    Source: Campello, Moulavi, Sander 2013, Density-Based Clustering Based on Hierarchical Density Estimates.
    """
    return Clusters(HDBSCAN(GROUP, copy=True).fit_predict(inputs(dataset, settings.directions)))


def umap_k_means(dataset: Dataset, seed: int, settings: Settings, **options: Any) -> Clusters:
    """k-means of a map by umap-learn, with its defaults (15 neighbours, two dimensions) where no options are given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a neural UMAP that is missing, and of graphs that are not connected
        try:
            from umap import UMAP
        except ImportError:
            raise ImportError("umap: not installed, expected it for UMAP + k-means: pip install umap-learn") from None
        threads = torch.get_num_threads()
        z = UMAP(random_state=seed, n_jobs=1, **options).fit_transform(inputs(dataset, settings.directions))
        torch.set_num_threads(threads)  # which numba changes, and small operations take five times as long
    return Clusters(KMeans(dataset.classes, n_init=10, random_state=seed).fit_predict(z))
