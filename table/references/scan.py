"""SCAN: consistent clusters among neighbours, kept in use by their entropy.

Van Gansbeke, Vandenhende, Georgoulis, Proesmans and Van Gool, "SCAN: Learning to Classify Images without Labels", ECCV
2020, arXiv:2005.12320.

    L = −mean_i (1/k) Σ_{j ∈ kNN_x(i)} log φ_i·φ_j − λ H(φ̄),   φ̄ = mean_i φ_i,   H(φ̄) = −Σ_c φ̄_c log φ̄_c

φ = softmax(logits). (The paper adds the neighbours up; its code samples one of them.)
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, cross_entropies, nearest_neighbors, softmax


def value(logits: Array, x: Array, n_neighbors: int, entropy_weight: float) -> Scalar:
    phi = softmax(logits)
    mean = phi.mean(axis=0)
    mean = mean[mean.real > 0]  # 0 log 0 = 0
    agreement = (phi[:, None, :] * phi[nearest_neighbors(x, n_neighbors)]).sum(axis=2)
    return -np.log(agreement).mean() - entropy_weight * cross_entropies(mean, np.log(mean))
