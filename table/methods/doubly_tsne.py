"""Doubly t-SNE (gap): Student-t kernels on both sides.

Nobody published it; this is the definition that the coordinate student-t × student-t implies (I-Con: Alshammari et al.,
ICLR 2025, arXiv:2504.16929).

    L = (1/n) Σ_i KL(p_i‖q_i),  p(j|i) ∝ (1 + ‖x_i−x_j‖²/ν)^(−(ν+1)/2),  q(j|i) ∝ (1 + ‖z_i−z_j‖²/ν)^(−(ν+1)/2),  j ≠ i
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._math import Array, Scalar, kl_divergences, log_softmax, softmax


def value(z: Array, x: Array, dof: float) -> Scalar:
    x = np.asarray(x, dtype=np.float64)  # differences of unsigned pixels would wrap around
    exponent = -(dof + 1) / 2
    total: Scalar = 0.0
    for i in range(len(z)):
        targets, scores = [], []
        for j in range(len(z)):
            if j == i:
                continue
            apart, step = x[i] - x[j], z[i] - z[j]
            targets.append(exponent * np.log(1 + apart @ apart / dof))
            scores.append(exponent * np.log(1 + step @ step / dof))
        total += kl_divergences(softmax(np.array(targets)), log_softmax(np.array(scores)))
    return total / len(z)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\frac{1}{n}\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad p, q \;\text{Student-t}"


CHECKS = [
    Exact(
        ("map2",),
        lambda s, z: icon.method("doubly-tsne", dof=2.0)(z, s.x),
        lambda s, z: value(z, s.x, 2.0),
        form="KL",
    )
]
