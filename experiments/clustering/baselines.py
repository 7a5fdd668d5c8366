"""Clustering by scikit-learn: k-means, spectral clustering, a Gaussian mixture."""

from __future__ import annotations

import time
import warnings
from functools import lru_cache

import numpy as np
from sklearn.cluster import KMeans
from sklearn.cluster import k_means as cluster_rows
from sklearn.manifold import spectral_embedding
from sklearn.mixture import GaussianMixture

from experiments.clustering.protocol import Clusters, Settings, inputs, union
from experiments.datasets import Array, Dataset

MANY = 20  # clusters from which covariances are diagonal


def k_means(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    found = KMeans(dataset.classes, n_init=10, random_state=seed).fit(inputs(dataset, settings.directions))
    return Clusters(found.labels_, float(found.inertia_))


def spectral(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """What ``SpectralClustering`` does with its defaults on the union graph."""
    vectors = eigenvectors(dataset, settings.neighbors)[0]
    _, labels, _ = cluster_rows(vectors, dataset.classes, n_init=10, random_state=seed)
    return Clusters(labels)


@lru_cache(maxsize=1)
def eigenvectors(dataset: Dataset, neighbors: int) -> tuple[Array, float]:
    """``[n, clusters]`` of the graph, and the CPU seconds that they took.

    They do not depend on the seed, apart from the solver's first vector, so they are computed once.
    """
    graph = union(dataset, neighbors)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        found = spectral_embedding(graph, n_components=dataset.classes, random_state=0, drop_first=False)
    return np.asarray(found), time.process_time() - start


def gaussian_mixture(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """Full covariances on at most 32 principal directions, diagonal ones from `MANY` clusters on; three restarts."""
    x = inputs(dataset, min(32, settings.directions))
    kind, least = "full" if dataset.classes < MANY else "diag", 1e-3 * float(x.var())
    model = GaussianMixture(dataset.classes, covariance_type=kind, n_init=3, reg_covar=least, random_state=seed).fit(x)
    return Clusters(model.predict(x), -float(model.lower_bound_))
