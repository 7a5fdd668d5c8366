"""Supervised clustering (gap): clusters whose target is the class.

Nobody published it; this is the definition that the coordinate clusters × classes implies (I-Con: Alshammari et al.,
ICLR 2025, arXiv:2504.16929).

    L = mean_i KL(p_i‖q_i),  p uniform over {j≠i: y_j=y_i},  q_ij = Σ_c φ_ic φ_jc / N_c over all j, self included

φ = softmax(logits), N_c = Σ_k φ_kc. Anchors whose class has no other member are left out.
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._math import Array, Scalar, kl_divergences, softmax


def value(logits: Array, labels: Array) -> Scalar:
    phi = softmax(logits)
    phi = phi[:, phi.sum(axis=0).real > 0]  # an empty cluster contributes nothing
    sizes = phi.sum(axis=0)
    total: Scalar = 0.0
    n_anchors = 0
    for i in range(len(phi)):
        friends, shared = [], []
        for j in range(len(phi)):
            friends.append(float(j != i and labels[j] == labels[i]))
            shared.append((phi[i] * phi[j] / sizes).sum())
        if any(friends):
            total += kl_divergences(np.array(friends) / sum(friends), np.log(np.array(shared)))
            n_anchors += 1
    return total / n_anchors


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\frac{1}{n}\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad p \;\text{over the class},\; q "
    r"\;\text{clusters}"
)


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z: icon.method("supervised-clustering")(z, s.y),
        lambda s, z: value(z, s.y),
        form="KL",
    )
]
