"""InfoNCE with aligned queries and keys.

van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018, arXiv:1807.03748;
Bachman, Hjelm and Buchwalter, "Learning Representations by Maximizing Mutual Information Across Views", NeurIPS 2019,
arXiv:1906.00910.

    L = −(1/n) Σ_i log [ e^{cos(u_i, v_i)/τ} / Σ_k e^{cos(u_i, v_k)/τ} ],   k over all keys, the positive included
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, cosine_gradient, cosines, log_softmax, softmax


def value(queries: Array, keys: Array, temperature: float) -> Scalar:
    return -np.diag(log_softmax(cosines(queries, keys) / temperature)).mean()


def gradient(queries: Array, keys: Array, temperature: float) -> tuple[Array, Array]:
    n = len(queries)
    q = softmax(cosines(queries, keys) / temperature)
    return cosine_gradient(queries, keys, (q - np.eye(n)) / (n * temperature))
