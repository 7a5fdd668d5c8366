"""Spectral contrastive loss.

HaoChen, Wei, Gaidon and Ma, "Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss",
NeurIPS 2021, arXiv:2106.04156.

    L = −2 E[f(x)·f(x⁺)] + E[(f(x)·f(x'))²] = −(2/n) Σ_i a_i·b_i + (1/n²) Σ_ik (a_i·b_k)²

x and x' independent: the second mean runs over all pairs of the two views, i = k included.
"""

from __future__ import annotations

from typing import Any

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


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{2}{n}\sum_i u_i \cdot v_i + \frac{1}{n^2}\sum_{i,k} (u_i \cdot v_k)^2"


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
    )
]
