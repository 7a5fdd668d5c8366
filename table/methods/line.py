"""LINE with second-order proximity.

Tang, Qu, Wang, Zhang, Yan and Mei, "LINE: Large-scale Information Network Embedding", WWW 2015, arXiv:1503.03578.

    O₂ = −Σ_ij w_ij log p₂(j|i),   p₂(j|i) = exp(z_i·c_j) / Σ_k exp(z_i·c_k)

the sum of λ_i KL(w_i·/d_i ‖ p₂(·|i)) with λ_i = d_i, constants dropped; k over all nodes, i included. An undirected
edge counts in both directions. (The paper trains it by negative sampling.)
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cross_entropies, log_softmax, softmax


def value(z: Array, contexts: Array, adjacency: Array) -> Scalar:
    weights = np.asarray(adjacency, dtype=np.float64)
    return cross_entropies(weights, log_softmax(z @ contexts.T)).sum()


def gradient(z: Array, contexts: Array, adjacency: Array) -> tuple[Array, Array]:
    weights = np.asarray(adjacency, dtype=np.float64)
    slope = weights.sum(axis=1, keepdims=True) * softmax(z @ contexts.T) - weights
    return slope @ contexts, slope.T @ z


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\sum_{i,j} w_{ij} \log\frac{e^{z_i \cdot c_j}}{\sum_k e^{z_i \cdot c_k}}"


CHECKS = [
    Exact(
        ("z", "contexts"),
        lambda s, z, c: ce(icon.method("line"), (z, c), s.adjacency),
        lambda s, z, c: value(z, c, s.adjacency),
        lambda s, z, c: gradient(z, c, s.adjacency),
        scale=lambda s: 1 / s.adjacency.sum(),
        form="cross-entropy = reference / volume",
    )
]
