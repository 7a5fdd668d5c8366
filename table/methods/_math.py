"""Helpers shared by the references: distances, softmax, supervisory distributions, derivatives.

Differentiable arrays may be complex with a tiny imaginary part (the complex step: Squire and Trapp, "Using Complex
Variables to Estimate Derivatives of Real Functions", SIAM Review 1998, doi:10.1137/S003614459631241X). Hence squares
are ``z * z`` (never ``abs`` or ``conj``), and every comparison looks at ``.real`` only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Scalar = Any  # a float; complex under the complex step


# Distances and similarities


def squared_distances(a: Array, b: Array | None = None) -> Array:
    """‖a_i − b_j‖² by direct differences ``[n, m]``: exact on integer data, ties included."""
    b = a if b is None else b
    total = np.zeros((len(a), len(b)), dtype=np.result_type(a, b, np.float64))
    for left, right in zip(a.T, b.T, strict=True):  # one coordinate at a time: memory n·m, not n·m·d
        difference = left[:, None] * 1.0 - right[None, :]
        total += difference * difference
    return total


def unit(z: Array) -> Array:
    """Rows scaled to unit length."""
    scaled: Array = z / np.sqrt((z * z).sum(axis=-1, keepdims=True))
    return scaled


def cosines(a: Array, b: Array | None = None) -> Array:
    """cos(a_i, b_j) ``[n, m]``."""
    return unit(a) @ unit(a if b is None else b).T


def log_student(d2: Array, dof: float, scale: float = 1.0) -> Array:
    """Log of the Student-t kernel (scale² + d²/ν)^(−(ν+1)/2)."""
    return -(dof + 1) / 2 * np.log(scale**2 + d2 / dof)


# Distributions over the last axis


def log_softmax(scores: Array, support: Array | None = None) -> Array:
    """Scores minus their log-sum-exp over the support; −∞ outside it."""
    support = np.ones(scores.shape, dtype=bool) if support is None else support
    top = np.where(support, scores.real, -np.inf).max(axis=-1, keepdims=True)
    shifted = np.where(support, scores - top, 0.0)
    log_sum = np.log(np.where(support, np.exp(shifted), 0.0).sum(axis=-1, keepdims=True))
    return np.where(support, shifted - log_sum, -np.inf)


def softmax(scores: Array, support: Array | None = None) -> Array:
    """Exponentials of the scores, normalised over the support; 0 outside it."""
    return np.exp(log_softmax(scores, support))


def cross_entropies(p: Array, log_q: Array) -> Any:
    """−Σ_j p_j log q_j, with 0 log 0 = 0: one number per row, a scalar for a single row."""
    return -(p * np.where(p > 0, log_q, 0.0)).sum(axis=-1)


def kl_divergences(p: Array, log_q: Array) -> Any:
    """Σ_j p_j (log p_j − log q_j), with 0 log 0 = 0: one number per row, a scalar for a single row."""
    log_p = np.log(np.where(p > 0, p, 1.0))
    return (p * np.where(p > 0, log_p - log_q, 0.0)).sum(axis=-1)


def label_losses(scores: Array, y: Array, support: Array | None = None) -> Array:
    """−log softmax_c(scores_i)[y_i]: one number per row."""
    return -log_softmax(scores, support)[np.arange(len(y)), y]


def label_slopes(scores: Array, y: Array, support: Array | None = None) -> Array:
    """Derivative of each row's ``label_losses`` with respect to its scores: softmax − 1[c = y_i]."""
    slopes = softmax(scores, support)
    slopes[np.arange(len(y)), y] -= 1
    return slopes


def anchor_mean(values: Array, p: Array) -> Scalar:
    """Mean over the anchors that have a positive (a non-empty row of p)."""
    return values[p.any(axis=-1)].mean()


def off_diagonal(n: int) -> Array:
    """Boolean ``[n, n]``: everyone but oneself."""
    return ~np.eye(n, dtype=bool)


# Supervisory distributions (real arrays)


def conditional_gaussian(x: Array, perplexity: float) -> Array:
    """p(j|i) ∝ exp(−β_i ‖x_i − x_j‖²), self excluded, with exp(entropy in nats) = perplexity in every row.

    The entropy falls monotonically in log β, which is bisected until the bracket is as narrow as float64 allows.
    """
    return gaussian_of_distances(squared_distances(x), perplexity)


def gaussian_of_distances(squares: Array, perplexity: float) -> Array:
    """The same of squared distances ``[n, n]``, whose diagonal does not matter."""
    n = len(squares)
    if not 1 <= perplexity <= n - 1:
        raise ValueError(f"perplexity={perplexity}: expected a number in [1, n - 1] = [1, {n - 1}]")
    others = off_diagonal(n)
    d2 = squares[others].reshape(n, n - 1)
    d2 -= d2.min(axis=1, keepdims=True)
    mean = d2.mean(axis=1, keepdims=True)
    d2 /= np.where(mean > 0, mean, 1.0)  # the bracket for log β is now the same for any unit of x
    low, high = np.full((n, 1), -60.0), np.full((n, 1), 60.0)
    for _ in range(64):
        middle = (low + high) / 2
        scores = -np.exp(middle) * d2
        log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        entropy = -(np.exp(log_p) * log_p).sum(axis=1, keepdims=True)
        too_flat = entropy > np.log(perplexity)
        low, high = np.where(too_flat, middle, low), np.where(too_flat, high, middle)
    p = np.zeros((n, n))
    p[others] = softmax(-np.exp((low + high) / 2) * d2).ravel()
    return p


def nearest_neighbors(x: Array, n_neighbors: int) -> Array:
    """Indices of the k nearest others ``[n, k]``; ties go to the smallest index."""
    if not 1 <= n_neighbors < len(x):
        raise ValueError(f"n_neighbors={n_neighbors}: expected an integer in [1, n - 1] = [1, {len(x) - 1}]")
    d2 = squared_distances(x)
    np.fill_diagonal(d2, np.inf)
    return np.argsort(d2, axis=1, kind="stable")[:, :n_neighbors]


def uniform_neighbors(x: Array, n_neighbors: int) -> Array:
    """p(j|i) = 1/k over the k nearest others ``[n, n]``."""
    p = np.zeros((len(x), len(x)))
    np.put_along_axis(p, nearest_neighbors(x, n_neighbors), 1 / n_neighbors, axis=1)
    return p


def uniform_others(ids: Array) -> Array:
    """p(j|i) uniform over the other members of i's group ``[n, n]``; a row of zeros where there are none."""
    together = np.equal.outer(ids, ids) & off_diagonal(len(ids))
    rows: Array = together / np.maximum(together.sum(axis=1, keepdims=True), 1)
    return rows


def walk_average(adjacency: Array, walks: int) -> Array:
    """(P + P² + ... + P^K)/K of the random walk P = D⁻¹A of an undirected graph; an isolated node keeps a zero row."""
    weights = np.asarray(adjacency, dtype=np.float64)
    degrees = weights.sum(axis=1, keepdims=True)
    step = weights / np.where(degrees > 0, degrees, 1.0)
    power, total = step, step.copy()
    for _ in range(walks - 1):
        power = power @ step
        total += power
    return total / walks


def walk_support(p: Array) -> Array:
    """Boolean ``[n, n]``: all others, and oneself too as soon as some walk returns to its start."""
    return np.ones(p.shape, dtype=bool) if np.diag(p).any() else off_diagonal(len(p))


# The contrastive form: p with the softmax of cosines


def contrastive(z: Array, p: Array, temperature: float) -> Scalar:
    """Mean over the anchors with a positive of −Σ_j p_ij log softmax_j(cos(z_i, z_j)/τ) over all others."""
    return anchor_mean(cross_entropies(p, log_softmax(cosines(z) / temperature, off_diagonal(len(z)))), p)


def contrastive_gradient(z: Array, p: Array, temperature: float, support: Array | None = None) -> tuple[Array]:
    """Its gradient, or that of the same with the softmax over another support."""
    q = softmax(cosines(z) / temperature, off_diagonal(len(z)) if support is None else support)
    anchors = p.any(axis=1, keepdims=True)
    as_anchor, as_candidate = cosine_gradient(z, z, anchors * (q - p) / (anchors.sum() * temperature))
    return (as_anchor + as_candidate,)


# Soft clusters


def cluster_affinities(phi: Array) -> Array:
    """q_ij = Σ_c φ_ic φ_jc / N_c, N_c = Σ_k φ_kc; an empty cluster contributes nothing."""
    sizes = phi.sum(axis=0)
    used = sizes.real > 0
    affinities: Array = (phi[:, used] / sizes[used]) @ phi[:, used].T
    return affinities


# Derivatives


def complex_step(f: Callable[..., Scalar], arrays: Sequence[Array], directions: Sequence[Array]) -> float:
    """Directional derivative of ``f(*arrays)`` along the directions, exact to rounding."""
    step = 1e-30
    moved = [array + 1j * step * direction for array, direction in zip(arrays, directions, strict=True)]
    return complex(f(*moved)).imag / step


def pull(z: Array, weights: Array) -> Array:
    """Σ_j w_ij (z_i − z_j) ``[n, d]``, the form of every neighbour-embedding gradient."""
    return np.stack([(weights * (column[:, None] - column[None, :])).sum(axis=1) for column in z.T], axis=1)


def distance_gradient(z: Array, slope: Array) -> Array:
    """Gradient in z of a loss whose derivative with respect to ‖z_i − z_j‖² is ``slope`` ``[n, n]``."""
    return pull(z, 2 * (slope + slope.T))


def cosine_gradient(a: Array, b: Array, slope: Array) -> tuple[Array, Array]:
    """Gradients in a and b of a loss whose derivative with respect to cos(a_i, b_j) is ``slope`` ``[n, m]``."""

    def through_unit(z: Array, g: Array) -> Array:
        direction = unit(z)
        across = g - direction * (direction * g).sum(axis=-1, keepdims=True)
        through: Array = across / np.sqrt((z * z).sum(-1, keepdims=True))
        return through

    return through_unit(a, slope @ unit(b)), through_unit(b, slope.T @ unit(a))
