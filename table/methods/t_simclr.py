"""t-SimCLR: NT-Xent with a Student-t kernel.

Hu et al., "Your Contrastive Learning Is Secretly Doing Stochastic Neighbor Embedding", ICLR 2023, arXiv:2205.14814.

    L = −mean_i log [ k(z_i, z_{i⁺}) / Σ_{l≠i} k(z_i, z_l) ],   k = (c² + ‖z_i−z_j‖²/ν)^(−(ν+1)/2)

The paper writes (1 + d²/(τν)) with a temperature τ: the same loss with c² = τ, since a constant factor of the kernel
cancels. Several positives are averaged; an anchor without one is left out.
"""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import (
    Array,
    Scalar,
    anchor_mean,
    cross_entropies,
    distance_gradient,
    log_softmax,
    log_student,
    off_diagonal,
    softmax,
    squared_distances,
    uniform_others,
)


def value(z: Array, ids: Array, dof: float, scale: float) -> Scalar:
    p = uniform_others(ids)
    log_q = log_softmax(log_student(squared_distances(z), dof, scale), off_diagonal(len(z)))
    return anchor_mean(cross_entropies(p, log_q), p)


def gradient(z: Array, ids: Array, dof: float, scale: float) -> tuple[Array]:
    p, d2 = uniform_others(ids), squared_distances(z)
    anchors = p.any(axis=1, keepdims=True)
    excess = anchors * (p - softmax(log_student(d2, dof, scale), off_diagonal(len(z))))
    return (distance_gradient(z, excess * (dof + 1) / (2 * dof) / (scale**2 + d2 / dof) / anchors.sum()),)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \log\frac{(c^2+d_{i+}^2/\nu)^{-(\nu+1)/2}}{\sum_{k \ne i} "
    r"(c^2+d_{ik}^2/\nu)^{-(\nu+1)/2}}"
)


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z: ce(icon.method("t-simclr", dof=5.0, scale=0.7), z, s.ids),
        lambda s, z: value(z, s.ids, 5.0, 0.7),
        lambda s, z: gradient(z, s.ids, 5.0, 0.7),
        form="cross-entropy",
    )
]
