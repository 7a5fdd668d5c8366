"""SCAN: consistent clusters among neighbours, kept in use by their entropy.

Van Gansbeke, Vandenhende, Georgoulis, Proesmans and Van Gool, "SCAN: Learning to Classify Images without Labels", ECCV
2020, arXiv:2005.12320.

    L = −mean_i (1/k) Σ_{j ∈ kNN_x(i)} log φ_i·φ_j − λ H(φ̄),   φ̄ = mean_i φ_i,   H(φ̄) = −Σ_c φ̄_c log φ̄_c

φ = softmax(logits). (The paper adds the neighbours up; its code samples one of them.)
"""

from __future__ import annotations

from math import log

import numpy as np

import icon
from table.checks import Exact
from table.methods._math import Array, Scalar, cross_entropies, nearest_neighbors, softmax


def value(logits: Array, x: Array, n_neighbors: int, entropy_weight: float) -> Scalar:
    phi = softmax(logits)
    mean = phi.mean(axis=0)
    mean = mean[mean.real > 0]  # 0 log 0 = 0
    agreement = (phi[:, None, :] * phi[nearest_neighbors(x, n_neighbors)]).sum(axis=2)
    return -np.log(agreement).mean() - entropy_weight * cross_entropies(mean, np.log(mean))


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{nk}\sum_i \sum_{j \in \mathrm{kNN}(i)} \log\left(\phi_i \cdot \phi_j\right) - \lambda "
    r"H\left(\frac{1}{n}\sum_i \phi_i\right)"
)


def program(logits: Array, x: Array, n_neighbors: int = 20, entropy_weight: float = 5.0) -> Scalar:
    """What the program returns on average over the neighbour that it draws: one of k, or the point itself."""
    phi = softmax(logits)
    drawn = np.column_stack([np.arange(len(x)), nearest_neighbors(x, n_neighbors)])
    agreement = np.einsum("ic,ijc->ij", phi, phi[drawn])
    mean = phi.mean(axis=0)
    mean = np.where(mean.real > 1e-8, mean, 1e-8)
    return -np.log(agreement).mean() + entropy_weight * (mean * np.log(mean)).sum()


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z: icon.method("scan", n_neighbors=10, entropy_weight=5.0)(z, s.x),
        lambda s, z: value(z, s.x, 10, 5.0),
        offset=lambda s: -log(10),
        form="loss = reference - log C",
    )
]

PROGRAM = Exact(
    ("logits",),
    lambda s, z: icon.method("scan", settings="authors").published((z, z), (s.x, s.x)),
    lambda s, z: program(z, s.x),
    form="the average over the neighbours that are drawn",
)
