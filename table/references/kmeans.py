"""K-means: the inertia and Lloyd's algorithm.

MacQueen, "Some methods for classification and analysis of multivariate observations", 1967; Lloyd, "Least squares
quantization in PCM", IEEE Trans. Inf. Theory 1982, doi:10.1109/TIT.1982.1056489.

    inertia = Σ_i ‖x_i − μ_{c(i)}‖² = Σ_c (1/2N_c) Σ_{i,j ∈ c} ‖x_i − x_j‖²
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, squared_distances


def inertia(x: Array, labels: Array) -> Scalar:
    """Within-cluster sum of squares of a hard clustering, each cluster about its own mean."""
    total = 0.0
    for c in np.unique(labels):
        members = x[labels == c]
        centred = members - members.mean(axis=0)
        total += (centred * centred).sum()
    return total


def centroids(x: Array, labels: Array, n_clusters: int) -> Array:
    """Cluster means ``[C, d]``; NaN for an empty cluster."""
    means = np.full((n_clusters, x.shape[1]), np.nan)
    for c in np.unique(labels):
        means[c] = x[labels == c].mean(axis=0)
    return means


def assign(x: Array, centers: Array) -> Array:
    """Label of the nearest centre ``[n]``; ties go to the smallest label."""
    return squared_distances(x, centers).argmin(axis=1)


def lloyd(x: Array, centers: Array, max_iterations: int) -> tuple[Array, Array]:
    """Labels and centres reached from the given centres; an empty cluster keeps its centre."""
    labels = assign(x, centers)
    for _ in range(max_iterations):
        means = centroids(x, labels, len(centers))
        centers = np.where(np.isnan(means), centers, means)
        previous, labels = labels, assign(x, centers)
        if (labels == previous).all():
            break
    return labels, centers
