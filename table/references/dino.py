"""DINO: self-distillation with centring and sharpening.

Caron, Touvron, Misra, Jégou, Mairal, Bojanowski and Joulin, "Emerging Properties in Self-Supervised Vision
Transformers", ICCV 2021, arXiv:2104.14294.

    L = −(1/n) Σ_i Σ_k P_t(i, k) log P_s(i, k),   P_t = softmax((g_t − c)/τ_t),   P_s = softmax(z·w/τ_s)
    c ← m c + (1 − m) mean_i g_t(i)

The teacher's codes are constants: no gradient reaches them. (The centre is subtracted, as in the paper's algorithm;
its loss adds up ordered pairs of different views.)
"""

from __future__ import annotations

from table.references._math import Array, Scalar, cross_entropies, log_softmax, softmax


def teacher_codes(logits: Array, center: Array, temperature: float) -> Array:
    return softmax((logits - center) / temperature)


def moved_center(center: Array, logits: Array, momentum: float) -> Array:
    return momentum * center + (1 - momentum) * logits.mean(axis=0)


def value(z: Array, prototypes: Array, codes: Array, temperature: float) -> Scalar:
    return cross_entropies(codes, log_softmax(z @ prototypes.T / temperature)).mean()


def gradient(z: Array, prototypes: Array, codes: Array, temperature: float) -> tuple[Array, Array]:
    slope = (softmax(z @ prototypes.T / temperature) - codes) / (len(z) * temperature)
    return slope @ prototypes, slope.T @ z
