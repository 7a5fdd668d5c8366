"""LINE with second-order proximity.

Tang, Qu, Wang, Zhang, Yan and Mei, "LINE: Large-scale Information Network Embedding", WWW 2015, arXiv:1503.03578.

    O₂ = −Σ_ij w_ij log p₂(j|i),   p₂(j|i) = exp(z_i·c_j) / Σ_k exp(z_i·c_k)

the sum of λ_i KL(w_i·/d_i ‖ p₂(·|i)) with λ_i = d_i, constants dropped; k over all nodes, i included. An undirected
edge counts in both directions. (The paper trains it by negative sampling.)
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, cross_entropies, log_softmax, softmax


def value(z: Array, contexts: Array, adjacency: Array) -> Scalar:
    weights = np.asarray(adjacency, dtype=np.float64)
    return cross_entropies(weights, log_softmax(z @ contexts.T)).sum()


def gradient(z: Array, contexts: Array, adjacency: Array) -> tuple[Array, Array]:
    weights = np.asarray(adjacency, dtype=np.float64)
    slope = weights.sum(axis=1, keepdims=True) * softmax(z @ contexts.T) - weights
    return slope @ contexts, slope.T @ z
