"""Spectral contrastive loss.

HaoChen, Wei, Gaidon and Ma, "Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss",
NeurIPS 2021, arXiv:2106.04156.

    L = −2 E[f(x)·f(x⁺)] + E[(f(x)·f(x'))²] = −(2/n) Σ_i a_i·b_i + (1/n²) Σ_ik (a_i·b_k)²

x and x' independent: the second mean runs over all pairs of the two views, i = k included. Without these it is
divided by n(n − 1), the unbiased estimate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import icon
from table.checks import Exact
from table.methods._math import Array, Scalar


def value(za: Array, zb: Array) -> Scalar:
    scores = za @ zb.T
    return -2 * (za * zb).sum() / len(za) + (scores * scores).mean()


def gradient(za: Array, zb: Array) -> tuple[Array, Array]:
    n = len(za)
    scores = za @ zb.T
    return 2 * (scores @ zb / n - zb) / n, 2 * (scores.T @ za / n - za) / n


def unbiased(za: Array, zb: Array) -> Scalar:
    n = len(za)
    scores = za @ zb.T
    squares = scores * scores
    return -2 * np.trace(scores) / n + (squares.sum() - np.trace(squares)) / (n * (n - 1))


def unbiased_gradient(za: Array, zb: Array) -> tuple[Array, Array]:
    n = len(za)
    others = (za @ zb.T) * (1 - np.eye(n)) / (n - 1)
    return 2 * (others @ zb - zb) / n, 2 * (others.T @ za - za) / n


# -- how the loss is checked against it --------------------------------------------------------------------------------


def program(za: Array, zb: Array) -> Scalar:
    """What the program returns with μ = 1 of features inside the unit ball, where it does not shorten them."""
    n = len(za)
    paired = (za * zb).sum(axis=1).mean()
    apart = [za[i] @ np.delete(zb, i, axis=0).T for i in range(n)]
    return -2 * paired + sum((row * row).sum() for row in apart) / (n * (n - 1))


FORMULA = r"-\frac{2}{n}\sum_i u_i \cdot v_i + \frac{1}{n^2}\sum_{i,k} (u_i \cdot v_k)^2"


SPREAD = 10.0  # the sample's features, divided by it, lie inside the unit ball


def _centre(z: Any) -> Any:
    return z - z.mean(axis=0)


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b: icon.method("spectral-contrastive")((a, b)),
        lambda s, a, b: value(_centre(a), _centre(b)),
        lambda s, a, b: tuple(map(_centre, gradient(_centre(a), _centre(b)))),
        scale=lambda s: 0.5,
        form="limit = reference / 2 on centred features",
    ),
    Exact(
        ("za", "zb"),
        lambda s, a, b: icon.method("spectral-contrastive", unbiased=True)((a, b)),
        lambda s, a, b: unbiased(a, b),
        lambda s, a, b: unbiased_gradient(a, b),
        scale=lambda s: 0.5,
        form="unbiased: limit = reference / 2",
    ),
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: icon.method("spectral-contrastive", settings="authors").published((a / SPREAD, b / SPREAD)),
    lambda s, a, b: program(a / SPREAD, b / SPREAD),
)
