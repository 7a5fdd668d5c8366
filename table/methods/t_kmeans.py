"""t K-Means (gap): clusters whose target is a Student-t neighbourhood.

Nobody published it; this is the definition that the coordinate clusters × student-t implies (I-Con: Alshammari et al.,
ICLR 2025, arXiv:2504.16929).

    L = mean_i KL(p_i‖q_i),  p(j|i) ∝ (1 + ‖x_i−x_j‖²/ν)^(−(ν+1)/2),  q_ij = Σ_c φ_ic φ_jc / N_c

both over all j, self included; φ = softmax(logits), N_c = Σ_k φ_kc.
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._math import Array, Scalar, kl_divergences, softmax


def value(logits: Array, x: Array, dof: float) -> Scalar:
    x = np.asarray(x, dtype=np.float64)  # differences of unsigned pixels would wrap around
    phi = softmax(logits)
    phi = phi[:, phi.sum(axis=0).real > 0]  # an empty cluster contributes nothing
    sizes = phi.sum(axis=0)
    total: Scalar = 0.0
    for i in range(len(phi)):
        targets, shared = [], []
        for j in range(len(phi)):
            apart = x[i] - x[j]
            targets.append(-(dof + 1) / 2 * np.log(1 + apart @ apart / dof))
            shared.append((phi[i] * phi[j] / sizes).sum())
        total += kl_divergences(softmax(np.array(targets)), np.log(np.array(shared)))
    return total / len(phi)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\frac{1}{n}\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad p \;\text{Student-t},\; q "
    r"\;\text{clusters}"
)


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z: icon.method("t-kmeans", dof=2.0)(z, s.x),
        lambda s, z: value(z, s.x, 2.0),
        form="KL",
    )
]
