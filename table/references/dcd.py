"""DCD: clustering by a data–cluster–data random walk.

Yang and Oja, "Clustering by Low-Rank Doubly Stochastic Matrix Decomposition", ICML 2012, arXiv:1206.4676; longer: Yang,
Corander and Oja, JMLR 17, 2016.

    J = −Σ_ij A_ij log Σ_k W_ik W_jk / Σ_v W_vk − (α−1) Σ_ik log W_ik

A_ij = 1 when j is among the k nearest of i (directed, no self), W = softmax(logits) row by row, α the exponent of the
Dirichlet prior. A sum over pairs, not a mean.
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, cluster_affinities, log_softmax, nearest_neighbors


def value(logits: Array, x: Array, n_neighbors: int, dirichlet: float) -> Scalar:
    log_w = log_softmax(logits)
    neighbors = nearest_neighbors(x, n_neighbors)
    reached = np.take_along_axis(cluster_affinities(np.exp(log_w)), neighbors, axis=1)
    return -np.log(reached).sum() - (dirichlet - 1) * log_w.sum()
