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

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

import icon
from table.checks import Exact, Minimiser, Number
from table.data import Sample
from table.methods._math import Array, Scalar, complex_step


def standardized(z: Array) -> Array:
    centred = z - z.mean(axis=0)
    scaled: Array = centred / np.sqrt((centred * centred).mean(axis=0))
    return scaled


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
    across = slope - slope.mean(axis=0) - direction * (slope * direction).mean(axis=0)
    through: Array = across / z.std(axis=0)
    return through


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2;\quad \text{second order:}\; "
    r"-\operatorname{tr} C + \frac{1}{2\tau} \operatorname{tr}(\Sigma_A \Sigma_B)"
)


def _barlow_minimum(s: Sample) -> tuple[float, str]:
    """How far the two minimisers, of the loss here and of the paper's, are from C = I; both over free features."""
    start = np.concatenate([s.za, s.zb])
    loss = icon.method("barlow-twins", temperature=2.0)

    def mine(flat: Any) -> tuple[float, Any]:
        z = torch.tensor(flat.reshape(start.shape), requires_grad=True)
        value = loss((z[: s.n], z[s.n :]))
        (gradient,) = torch.autograd.grad(value, z)
        return value.item(), gradient.numpy().ravel()

    def theirs(flat: Any) -> tuple[float, Any]:
        za, zb = np.split(flat.reshape(start.shape), 2)
        return float(value(za, zb, 5e-3)), np.concatenate(gradient(za, zb, 5e-3)).ravel()

    distances = []
    for objective in (mine, theirs):
        options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-12}
        optimum = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        za, zb = np.split(optimum.x.reshape(start.shape), 2)
        distances.append(np.abs(cross_correlation(za, zb) - np.eye(za.shape[1])).max())
    note = f"largest entry of C - I: {distances[0]:.1e} here (τ = 2), {distances[1]:.1e} of the paper's loss"
    return float(max(distances)), note


def program(za: Array, zb: Array, redundancy: float = 0.0051, epsilon: float = 1e-5) -> Scalar:
    """What the program returns of one process: cross-correlations, with an epsilon in the variances."""
    centred = [z - z.mean(axis=0) for z in (za, zb)]
    a, b = (z / np.sqrt((z * z).mean(axis=0) + epsilon) for z in centred)
    c = np.einsum("nk,nl->kl", a, b) / len(a)
    own = np.diagonal(c)
    return ((own - 1) * (own - 1)).sum() + redundancy * ((c * c).sum() - (own * own).sum())


def _reference_and_program(s: Sample) -> float:
    """The largest relative error of value and derivative: the loss of the paper, whose value no part of icon has."""
    views, rng = (s.za, s.zb), np.random.default_rng(s.seed)
    theirs, error = program(*views, epsilon=0.0), 0.0
    for _ in range(8):
        directions = [rng.normal(size=z.shape) for z in views]
        slope = complex_step(lambda a, b: program(a, b, epsilon=0.0), views, directions)
        closed = sum((g * d).sum() for g, d in zip(gradient(*views, 0.0051), directions, strict=True))
        error = max(error, abs(closed - slope) / abs(slope))
    return float(max(error, abs(value(*views, 0.0051) - theirs) / theirs))


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b, t=t: icon.method("barlow-twins", temperature=t)((a, b)),
        lambda s, a, b, t=t: second_order(a, b, t),
        lambda s, a, b, t=t: second_order_gradient(a, b, t),
        form=f"second-order form with auto-correlations, τ = {t:g}",
    )
    for t in (1.0, 2.0)
] + [Minimiser("shared minimum C = I", _barlow_minimum, 1e-3, "largest entry of C - I")]

PROGRAM = Number(
    "reference and program",
    _reference_and_program,
    note="value and derivatives, the program without the epsilon in its variances; icon has the second order instead",
)
