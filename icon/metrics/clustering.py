"""Agreement of clusters with classes.

Labels and clusters are names of any kind (`icon.labels.read_labels`). Points whose label is unknown (None, NaN, -1) are
left out. A cluster -1, as of DBSCAN's noise, is a cluster like any other.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from icon.labels import classes_of, read_labels

DENSE = 2**24  # entries of a contingency table that is matched as a whole


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

    Classes and clusters that share no points, directly or by way of others, are matched apart: memory follows the
    largest group that hangs together, and not the number of names.
    """
    shape = (int(clusters.max()) + 1, int(labels.max()) + 1)
    counts = sp.csr_array((np.ones(len(labels), dtype=np.int64), (clusters, labels)), shape=shape)
    few = shape[0] * shape[1] <= DENSE
    group = np.zeros(sum(shape), dtype=np.int32) if few else _hanging_together(counts)
    label_of = np.full(shape[0], -1) if few else _stars(counts, group)
    for rows, columns in _groups(shape[0], group):
        row, column = linear_sum_assignment(counts[rows][:, columns].toarray(), maximize=True)
        label_of[rows] = -1
        label_of[rows[row]] = columns[column]
    is_matched: NDArray[np.bool_] = label_of[clusters] == labels
    return is_matched


def _hanging_together(counts: sp.csr_array) -> NDArray[np.int32]:
    """``[n + m]`` the number of the group of each row, then of each column, joined by entries above 0."""
    both = sp.block_array([[None, counts], [counts.T, None]])
    group: NDArray[np.int32] = connected_components(both, directed=False)[1]
    return group


def _stars(counts: sp.csr_array, group: NDArray[np.int32]) -> NDArray[np.int64]:
    """``[n]`` the column of the largest entry of each group, in the row where that is; -1 in all other rows.

    Of a group with one row or one column this is the matching.
    """
    entries = counts.tocoo()
    row, column = entries.coords
    order = np.lexsort((-entries.data, group[row]))
    first = order[np.flatnonzero(np.diff(group[row][order], prepend=-1))]
    column_of = np.full(counts.shape[0], -1)
    column_of[row[first]] = column[first]
    return column_of


def _groups(n: int, group: NDArray[np.int32]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The ``n`` rows and the columns that hang together, several of each or all that there are."""
    rows, columns = (np.bincount(part, minlength=group.max() + 1) for part in (group[:n], group[n:]))
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    several = np.flatnonzero((rows > 1) & (columns > 1)) if len(parts) > 1 else [0]
    return [(parts[k][parts[k] < n], parts[k][parts[k] >= n] - n) for k in several]


def _codes(labels: ArrayLike, clusters: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y = classes_of(labels)
    c = read_labels(clusters, "clusters", len(y.codes), minus_one_is_unknown=False)
    if not c.known.all():
        raise ValueError("clusters: got None or NaN, expected a cluster for each point")
    return y.codes[y.known], c.codes[y.known]
