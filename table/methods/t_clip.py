"""t-CLIP (gap): CLIP with a Student-t kernel on the embeddings as they are (not normalised).

Nobody published it; this is the definition that the coordinate student-t × cross-modal implies (I-Con: Alshammari et
al., ICLR 2025, arXiv:2504.16929).

    L = ½ Σ_{both directions} mean_i KL(1[j=i] ‖ q_i),  q(j|i) ∝ (1 + ‖a_i−b_j‖²/ν)^(−(ν+1)/2)
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._math import Array, Scalar, log_softmax


def value(za: Array, zb: Array, dof: float) -> Scalar:
    n = len(za)
    total = 0.0
    for anchors, candidates in ((za, zb), (zb, za)):
        for i in range(n):
            scores = []
            for j in range(n):
                step = anchors[i] - candidates[j]
                scores.append(-(dof + 1) / 2 * np.log(1 + step @ step / dof))
            total -= log_softmax(np.array(scores))[i]  # one-hot p: its entropy is zero
    return total / (2 * n)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \log\frac{(1+d_{ii}^2/\nu)^{-(\nu+1)/2}}{\sum_k "
    r"(1+d_{ik}^2/\nu)^{-(\nu+1)/2}}\;\text{both ways}"
)


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b: icon.method("t-clip", dof=2.0)((a, b)),
        lambda s, a, b: value(a, b, 2.0),
        form="KL",
    )
]
