"""Agreement of clusters with classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from icon import _checks as check


def clustering_accuracy(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Share of points that are right under the best one-to-one matching of clusters and classes (Hungarian), in [0, 1].

    Source: Kuhn 1955, Naval Research Logistics 2.
    """
    y, c = _same_length(labels, clusters)
    counts = np.zeros((c.max() + 1, y.max() + 1), dtype=np.int64)
    np.add.at(counts, (c, y), 1)
    matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / len(y))


def nmi(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Normalised mutual information (arithmetic mean of the entropies), in [0, 1]."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(*_same_length(labels, clusters)))


def ari(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Adjusted Rand index: 1 for the same partition, 0 in expectation for a random one."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(*_same_length(labels, clusters)))


def _same_length(labels: ArrayLike, clusters: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y = check.integers(labels, "labels").cpu().numpy()
    c = check.integers(clusters, "clusters", len(y)).cpu().numpy()
    return y, c
