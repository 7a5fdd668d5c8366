"""t-SimCLR: NT-Xent with a Student-t kernel.

Hu et al., "Your Contrastive Learning Is Secretly Doing Stochastic Neighbor Embedding", ICLR 2023, arXiv:2205.14814.

    L = −mean_i log [ k(z_i, z_{i⁺}) / Σ_{l≠i} k(z_i, z_l) ],   k = (c² + ‖z_i−z_j‖²/ν)^(−(ν+1)/2)

The paper writes (1 + d²/(τν)) with a temperature τ: the same loss with c² = τ, since a constant factor of the kernel
cancels. Several positives are averaged; an anchor without one is left out.
"""

from __future__ import annotations

from table.references._math import (
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
