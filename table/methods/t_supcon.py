"""t-SupCon (gap): supervised contrastive learning with a Student-t kernel.

Nobody published it; this is the definition that the coordinate student-t × classes implies (I-Con: Alshammari et al.,
ICLR 2025, arXiv:2504.16929).

    L = mean_i KL(p_i‖q_i),  p uniform over {j≠i: y_j=y_i},  q(j|i) ∝ (1 + ‖z_i−z_j‖²/ν)^(−(ν+1)/2),  j ≠ i

The true KL, not the cross-entropy. Anchors whose class has no other member are left out.
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._math import Array, Scalar, kl_divergences, log_softmax


def value(z: Array, labels: Array, dof: float) -> Scalar:
    total: Scalar = 0.0
    n_anchors = 0
    for i in range(len(z)):
        friends, scores = [], []
        for j in range(len(z)):
            if j == i:
                continue
            step = z[i] - z[j]
            friends.append(float(labels[j] == labels[i]))
            scores.append(-(dof + 1) / 2 * np.log(1 + step @ step / dof))
        if any(friends):
            total += kl_divergences(np.array(friends) / sum(friends), log_softmax(np.array(scores)))
            n_anchors += 1
    return total / n_anchors


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\frac{1}{n}\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad p \;\text{over the class},\; q "
    r"\;\text{Student-t}"
)


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: icon.method("t-supcon", dof=2.0)(z, s.y),
        lambda s, z: value(z, s.y, 2.0),
        form="KL",
    )
]
