"""Agreement of clusters with classes.

Labels and clusters are names of any kind (`icon.labels.read_labels`). Points whose label is unknown (None, NaN, -1) are
left out. A cluster -1, as of DBSCAN's noise, is a cluster like any other.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from icon.labels import classes_of, read_labels


def clustering_accuracy(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Share of points that are right under the best one-to-one matching of clusters and classes (Hungarian), in [0, 1].

    >>> import icon
    >>> icon.metrics.clustering_accuracy(["cat", "cat", "dog", "dog"], [1, 1, 0, 1])
    0.75

    Args:
        labels: ``[n]`` names of any kind; None, NaN and -1 are unknown, and these points are left out.
        clusters: ``[n]`` names of any kind, one for each point.

    Raises:
        ValueError: lengths that differ, no known label, or a point without a cluster.

    Source: Kuhn 1955, Naval Research Logistics 2.
    """
    return float(matched(*_codes(labels, clusters)).mean())


def nmi(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Normalised mutual information (arithmetic mean of the entropies), in [0, 1].

    >>> import icon
    >>> icon.metrics.nmi(["cat", "cat", "dog", "dog"], [0, 1, 0, 1])
    0.0

    Args:
        labels: ``[n]`` names of any kind; None, NaN and -1 are unknown, and these points are left out.
        clusters: ``[n]`` names of any kind, one for each point.

    Raises:
        ValueError: lengths that differ, no known label, or a point without a cluster.
    """
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(*_codes(labels, clusters)))


def ari(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Adjusted Rand index: 1 for the same partition, 0 in expectation for a random one.

    >>> import icon
    >>> icon.metrics.ari(["cat", "cat", "dog", "dog"], [1, 1, 0, 0])
    1.0

    Args:
        labels: ``[n]`` names of any kind; None, NaN and -1 are unknown, and these points are left out.
        clusters: ``[n]`` names of any kind, one for each point.

    Raises:
        ValueError: lengths that differ, no known label, or a point without a cluster.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(*_codes(labels, clusters)))


def matched(labels: NDArray[np.int64], clusters: NDArray[np.int64]) -> NDArray[np.bool_]:
    """``[n]`` whether a point's label is the one that its cluster stands for; both integers from 0.

    Memory follows the number of points, and not that of names.
    """
    counts = sp.coo_array((np.ones(len(labels)), (clusters, labels))).tocsr()
    counts.data += 1
    # Who stands for nobody is matched to itself, which is worth 1: so all are matched, as the function demands.
    alone, unused = map(sp.eye_array, counts.shape)
    worth = sp.block_array([[counts, alone], [unused, counts.T]], format="csr")
    _, label_of = min_weight_full_bipartite_matching(worth, maximize=True)
    is_matched: NDArray[np.bool_] = label_of[clusters] == labels
    return is_matched


def agreement(restarts: NDArray[np.int64]) -> float | None:
    """The mean adjusted Rand index between pairs of restarts, ``[s, n]`` clusters; None with fewer than two.

    Raises:
        ValueError, TypeError: a point without a cluster, or clusters that are neither whole numbers nor names.
    """
    pairs = [ari(a, b) for a, b in combinations([_clusters(each, "restarts") for each in restarts], 2)]
    return float(np.mean(pairs)) if pairs else None


def _codes(labels: ArrayLike, clusters: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y = classes_of(labels)
    return y.codes[y.known], _clusters(clusters, "clusters", len(y.codes))[y.known]


def _clusters(given: ArrayLike, name: str, n: int | None = None) -> NDArray[np.int64]:
    """``[n]`` the number of each point's cluster."""
    clusters = read_labels(given, name, n, minus_one_is_unknown=False)
    if not clusters.known.all():
        raise ValueError(f"{name}: got None or NaN, expected a cluster for each point")
    return clusters.codes
