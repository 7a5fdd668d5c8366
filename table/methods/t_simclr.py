"""t-SimCLR: NT-Xent with a Student-t kernel and one normaliser over all pairs, as in t-SNE.

Hu et al., "Your Contrastive Learning Is Secretly Doing Stochastic Neighbor Embedding", ICLR 2023, arXiv:2205.14814.

    L = −mean_i log k(z_i, z_{i⁺}) + log Σ_{j≠l} k(z_j, z_l),   k = (c² + ‖z_i−z_j‖²/ν)^(−(ν+1)/2)

The paper writes (1 + d²/(τν)) with a temperature τ: the same loss with c² = τ, since a constant factor of the kernel
cancels. The form with a normaliser for each anchor, which another program of the authors has, is
``normalization="row"``. Several positives are averaged; an anchor without one is left out.
"""

from __future__ import annotations

import numpy as np
import torch

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
    p, kernel = uniform_others(ids), log_student(squared_distances(z), dof, scale)
    others = off_diagonal(len(z))
    return anchor_mean(cross_entropies(p, np.where(others, kernel, 0.0)), p) + np.log(np.exp(kernel[others]).sum())


def gradient(z: Array, ids: Array, dof: float, scale: float) -> tuple[Array]:
    p, d2 = uniform_others(ids), squared_distances(z)
    kernel = np.exp(log_student(d2, dof, scale)) * off_diagonal(len(z))
    anchors = p.any(axis=1).sum()
    return (distance_gradient(z, (p / anchors - kernel / kernel.sum()) * slope(d2, dof, scale)),)


def slope(d2: Array, dof: float, scale: float) -> Array:
    """Minus the derivative of the log kernel by d²."""
    return (dof + 1) / (2 * dof) / (scale**2 + d2 / dof)


def row_value(z: Array, ids: Array, dof: float, scale: float) -> Scalar:
    p = uniform_others(ids)
    log_q = log_softmax(log_student(squared_distances(z), dof, scale), off_diagonal(len(z)))
    return anchor_mean(cross_entropies(p, log_q), p)


def row_gradient(z: Array, ids: Array, dof: float, scale: float) -> tuple[Array]:
    p, d2 = uniform_others(ids), squared_distances(z)
    anchors = p.any(axis=1, keepdims=True)
    excess = anchors * (p - softmax(log_student(d2, dof, scale), off_diagonal(len(z))))
    return (distance_gradient(z, excess * slope(d2, dof, scale) / anchors.sum()),)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \log\frac{(c^2+d_{i+}^2/\nu)^{-(\nu+1)/2}}{\sum_{j \ne k} "
    r"(c^2+d_{jk}^2/\nu)^{-(\nu+1)/2}}"
)


def program(first: Array, second: Array, dof: float, temperature: float) -> Scalar:
    """What the program returns of two views ``[n, d]``, without its guard against log 0."""
    both = np.concatenate([first, second])
    n = len(first)
    log_k = -(dof + 1) / 2 * np.log(1 + squared_distances(both) / (temperature * dof))
    of_pairs = np.concatenate([np.diagonal(log_k, n), np.diagonal(log_k, -n)])
    masses = np.exp(log_k)
    return -of_pairs.mean() + np.log(masses.sum() - np.trace(masses))


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z: ce(icon.method("t-simclr", dof=5.0, scale=0.7), z, s.ids),
        lambda s, z: value(z, s.ids, 5.0, 0.7),
        lambda s, z: gradient(z, s.ids, 5.0, 0.7),
        form="cross-entropy, one normaliser",
    ),
    Exact(
        ("pairs",),
        lambda s, z: ce(icon.method("t-simclr", dof=5.0, scale=0.7, normalization="row"), z, s.ids),
        lambda s, z: row_value(z, s.ids, 5.0, 0.7),
        lambda s, z: row_gradient(z, s.ids, 5.0, 0.7),
        form="cross-entropy, a normaliser for each anchor",
    ),
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: icon.method("t-simclr", settings="authors").published(torch.cat([a, b]), s.two_views),
    lambda s, a, b: program(a, b, 5.0, 8.0),
)
