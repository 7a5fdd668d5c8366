"""Spectral contrastive loss.

HaoChen, Wei, Gaidon and Ma, "Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss",
NeurIPS 2021, arXiv:2106.04156.

    L = −2 E[f(x)·f(x⁺)] + E[(f(x)·f(x'))²] = −(2/n) Σ_i a_i·b_i + (1/n²) Σ_ik (a_i·b_k)²

x and x' independent: the second mean runs over all pairs of the two views, i = k included.
"""

from __future__ import annotations

from table.references._math import Array, Scalar


def value(za: Array, zb: Array) -> Scalar:
    scores = za @ zb.T
    return -2 * (za * zb).sum() / len(za) + (scores * scores).mean()


def gradient(za: Array, zb: Array) -> tuple[Array, Array]:
    n = len(za)
    scores = za @ zb.T
    return 2 * (scores @ zb / n - zb) / n, 2 * (scores.T @ za / n - za) / n
