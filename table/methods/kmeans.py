"""K-means: the inertia and Lloyd's algorithm.

MacQueen, "Some methods for classification and analysis of multivariate observations", 1967; Lloyd, "Least squares
quantization in PCM", IEEE Trans. Inf. Theory 1982, doi:10.1109/TIT.1982.1056489.

    inertia = Σ_i ‖x_i − μ_{c(i)}‖² = Σ_c (1/2N_c) Σ_{i,j ∈ c} ‖x_i − x_j‖²
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans, kmeans_plusplus

import icon
from table.checks import Limit, Minimiser, Number
from table.data import Sample, sample
from table.methods._checks import hard, minimise
from table.methods._math import Array, Scalar, squared_distances
from table.peers import Package, relative


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
    labels: Array = squared_distances(x, centers).argmin(axis=1)
    return labels


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


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\sum_i \lVert x_i - \mu_{c(i)}\rVert^2"


def kmeans_inertia(s: Sample, labels: Any) -> float:
    """σ² [Σ KL(q_i‖p_i) - Σ log Z_i + Σ N_c log N_c], which is the inertia of a hard clustering."""
    sigma = 15.0
    loss = icon.method("kmeans", sigma=sigma, reduction="sum")
    squares = (s.x * s.x).sum(axis=1)
    distances = squares[:, None] + squares - 2 * s.x @ s.x.T
    log_z = np.log(np.exp(-distances / (2 * sigma**2)).sum(axis=1)).sum()
    sizes = np.bincount(labels)
    return float(sigma**2 * (loss(hard(labels, 10), s.x).item() - log_z + (sizes * np.log(sizes)).sum()))


def _kmeans_identity(s: Sample) -> float:
    expected = inertia(s.x, s.y)
    return float(abs(kmeans_inertia(s, s.y) - expected) / expected)


def _other_clustering(s: Sample) -> Any:
    return np.random.default_rng(s.seed).permutation(s.y)


def _kmeans_forward(s: Sample, variance: float) -> float:
    """(σ²/ε) (L(A) - L(B)) of the forward KL with a leak 1 - ε, as a fraction of the inertia of B."""
    epsilon = 1e-6
    loss = icon.loss("clusters", "gaussian", sigma=sqrt(variance), leak=1 - epsilon, reduction="sum")
    a, b = (loss(hard(labels, 10), s.x).item() for labels in (s.y, _other_clustering(s)))
    scale: float = inertia(s.x, _other_clustering(s))
    return variance / epsilon * (a - b) / scale


def _kmeans_forward_reference(s: Sample) -> float:
    other = _other_clustering(s)
    return float((inertia(s.x, s.y) - inertia(s.x, other)) / inertia(s.x, other))


def _minimise_kmeans(s: Sample) -> tuple[float, str]:
    """Excess inertia of the minimiser of the K-means cell over Lloyd's algorithm, from the same k-means++ centres."""
    s = sample(s.seed, 600)
    x = torch.tensor(s.x)
    centres, _ = kmeans_plusplus(s.x, 10, random_state=s.seed)
    lloyd = KMeans(10, init=centres, n_init=1, tol=0).fit(s.x)
    # Memberships start soft: saturated ones have no gradient. σ = 6 leaves the entropy a few percent of the loss.
    logits = (-(torch.cdist(x, torch.tensor(centres)) ** 2) / (2 * 15.0**2)).requires_grad_()
    loss = icon.method("kmeans", sigma=6.0)
    rows = loss.p(s.x)
    minimise(logits, lambda z: loss(z, rows), steps=300, rate=0.3)
    labels = logits.argmax(dim=1).numpy()
    reached, expected = inertia(s.x, labels), inertia(s.x, lloyd.labels_)
    note = f"inertia {reached:.0f} against {expected:.0f} (Lloyd), 600 digits, 10 clusters"
    return float(reached / expected - 1), note


CHECKS = [
    Number("reverse KL, exact", _kmeans_identity, note="inertia of the digit classes, hard assignments, σ = 15"),
    Limit("forward KL, σ² → ∞", (3e4, 3e5, 3e6), _kmeans_forward, _kmeans_forward_reference, -1.0),
    Minimiser("inertia", _minimise_kmeans, 0.01, "excess over Lloyd's inertia from the same start"),
]


# -- the packages that implement it ------------------------------------------------------------------------------------


def _scikit_learn(s: Sample) -> float:
    from sklearn.cluster import KMeans

    fitted = KMeans(10, n_init=1, random_state=s.seed).fit(s.x)
    return relative(kmeans_inertia(s, fitted.labels_), fitted.inertia_)


PEERS = (Package("scikit-learn", "sklearn", _scikit_learn),)
