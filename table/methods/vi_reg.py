"""VI-Reg: the variance and invariance terms of VICReg, without hinge and covariance.

Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR
2022, arXiv:2105.04906.

    L = mean_i ‖z_i − z_{i⁺}‖² − mean_{ik} ‖z_i − z_k‖² = invariance − 2 tr(Cov z)

the second mean over all ordered pairs, i = k included. Several positives are averaged; an anchor without one is left
out of the first mean.
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce, wide
from table.methods._math import (
    Array,
    Scalar,
    anchor_mean,
    distance_gradient,
    off_diagonal,
    squared_distances,
    uniform_others,
)


def value(z: Array, ids: Array) -> Scalar:
    p, d2 = uniform_others(ids), squared_distances(z)
    return anchor_mean((p * d2).sum(axis=1), p) - d2.mean()


def gradient(z: Array, ids: Array) -> tuple[Array]:
    p = uniform_others(ids)
    return (distance_gradient(z, p / p.any(axis=1).sum() - 1 / len(z) ** 2),)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\frac{1}{n}\sum_i \lVert z_i - z_i^+\rVert^2 - \frac{1}{n^2}\sum_{i,k} \lVert z_i - z_k\rVert^2"


def program(za: Array, zb: Array, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> Scalar:
    """What the program returns of one process: the hinge of the standard deviations is halved for each view."""
    n, d = za.shape
    total = invariance * ((za - zb) * (za - zb)).mean()
    for z in (za, zb):
        centred = z - z.mean(axis=0)
        together = centred.T @ centred / (n - 1)
        missing = 1 - np.sqrt(np.diagonal(together) + 1e-4)
        total = total + variance * np.where(missing.real > 0, missing, 0).mean() / 2
        total = total + covariance * (together * together)[off_diagonal(d)].sum() / d
    return total


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z: icon.method("vi-reg")(z, s.ids),
        lambda s, z: value(z, s.ids),
        lambda s, z: gradient(z, s.ids),
        form="limit",
    ),
    wide("pairs", ("pairs",), lambda s: s.ids, lambda s: value(s.pairs, s.ids), exclude_self=False),
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: ce(icon.Loss(icon.p.Pairs(), icon.q.Gaussian("sqeuclidean", partition="constant")), (a, b)),
    lambda s, a, b: program(a, b, variance=0.0, covariance=0.0),
    scale=lambda s: s.za.shape[1] / 50,
    form="positive part = invariance term · d/50",
)
