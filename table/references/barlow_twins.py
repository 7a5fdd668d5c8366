"""Barlow Twins, and its second-order neighbour with auto-correlations.

Zbontar, Jing, Misra, LeCun and Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021,
arXiv:2103.03230.

    value        = Σ_i (1 − C_ii)² + λ Σ_{i≠j} C_ij²,   C = (1/n) Σ_b ẑᵃ_b ẑᵇ_bᵀ
    second_order = −(1/n) Σ_b ẑᵃ_b·ẑᵇ_b + tr(Σ_A Σ_B)/2τ,   Σ_A = (1/n) Σ_b ẑᵃ_b ẑᵃ_bᵀ, Σ_B likewise

ẑ: each feature of a view centred and scaled to unit variance (1/n) over the batch. The second form takes the redundancy
from the auto-correlation matrices: its trace is mean_i Var_k(ẑᵃ_i·ẑᵇ_k), the second order of InfoNCE's log-partition.
When the two views agree, both forms are least at C = I.
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar


def standardized(z: Array) -> Array:
    centred = z - z.mean(axis=0)
    return centred / np.sqrt((centred * centred).mean(axis=0))


def cross_correlation(za: Array, zb: Array) -> Array:
    return standardized(za).T @ standardized(zb) / len(za)


def value(za: Array, zb: Array, redundancy: float) -> Scalar:
    missing = np.eye(za.shape[1]) - cross_correlation(za, zb)
    return (_weights(za, redundancy) * missing * missing).sum()


def gradient(za: Array, zb: Array, redundancy: float) -> tuple[Array, Array]:
    a, b = standardized(za), standardized(zb)
    slope = -2 * _weights(za, redundancy) * (np.eye(za.shape[1]) - a.T @ b / len(a)) / len(a)
    return _through_standardized(za, b @ slope.T), _through_standardized(zb, a @ slope)


def second_order(za: Array, zb: Array, temperature: float) -> Scalar:
    a, b = standardized(za), standardized(zb)
    n = len(a)
    return -(a * b).sum() / n + np.trace((a.T @ a / n) @ (b.T @ b / n)) / (2 * temperature)


def second_order_gradient(za: Array, zb: Array, temperature: float) -> tuple[Array, Array]:
    a, b = standardized(za), standardized(zb)
    n = len(a)
    from_a = (a @ (b.T @ b / n) / temperature - b) / n
    from_b = (b @ (a.T @ a / n) / temperature - a) / n
    return _through_standardized(za, from_a), _through_standardized(zb, from_b)


def _weights(z: Array, redundancy: float) -> Array:
    identity = np.eye(z.shape[1])
    return identity + redundancy * (1 - identity)


def _through_standardized(z: Array, slope: Array) -> Array:
    """Gradient in z of a loss whose derivative with respect to ``standardized(z)`` is ``slope``."""
    direction = standardized(z)
    return (slope - slope.mean(axis=0) - direction * (slope * direction).mean(axis=0)) / z.std(axis=0)
