"""The whole framework again, as plainly as possible: full ``n x m`` float64 matrices and autograd; nothing of icon.

Supervisory rows are NumPy matrices written from their definitions; learned rows are scores, a mask and a partition.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

# -- p: matrices from their definitions -------------------------------------------------------------------------------


def distances(xa: np.ndarray, xb: np.ndarray | None = None) -> np.ndarray:
    """Squared Euclidean distances, by differences."""
    xb = xa if xb is None else xb
    return ((xa[:, None, :] - xb[None, :, :]) ** 2).sum(-1)


def softmax_rows(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    scores = np.where(mask, scores, -np.inf)
    mass = np.exp(scores - scores.max(axis=1, keepdims=True))
    return mass / mass.sum(axis=1, keepdims=True)


def entropies(p: np.ndarray) -> np.ndarray:
    return -np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(axis=1)


def others(n: int) -> np.ndarray:
    """The mask of every candidate but the anchor itself."""
    return ~np.eye(n, dtype=bool)


def everyone(n: int, m: int | None = None) -> np.ndarray:
    return np.ones((n, n if m is None else m), dtype=bool)


def p_gaussian(x: np.ndarray, perplexity: float, mask: np.ndarray) -> np.ndarray:
    """Bandwidth of each row by a root finder on the logarithm of the precision."""
    d = distances(x)
    rows = []
    for i in range(len(x)):

        def excess(log_precision: float, i: int = i) -> float:
            return entropies(softmax_rows(-np.exp(log_precision) * d[i : i + 1], mask[i : i + 1]))[0] - np.log(
                perplexity
            )

        rows.append(softmax_rows(-np.exp(brentq(excess, -30, 30, xtol=1e-14)) * d[i : i + 1], mask[i : i + 1])[0])
    return np.stack(rows)


def p_student_t(x: np.ndarray, dof: float, mask: np.ndarray) -> np.ndarray:
    kernel = (1 + distances(x) / dof) ** (-(dof + 1) / 2) * mask
    return kernel / kernel.sum(axis=1, keepdims=True)


def p_knn(x: np.ndarray, k: int) -> np.ndarray:
    """Ties go to the smaller index."""
    p = np.zeros((len(x), len(x)))
    d = distances(x)
    for i in range(len(x)):
        order = [j for j in np.argsort(d[i], kind="stable") if j != i]
        p[i, order[:k]] = 1 / k
    return p


def p_graph(adjacency: np.ndarray) -> np.ndarray:
    degree = adjacency.sum(axis=1, keepdims=True)
    return np.divide(adjacency, degree, out=np.zeros_like(adjacency, dtype=float), where=degree > 0)


def p_members(ka: np.ndarray, kb: np.ndarray | None = None) -> np.ndarray:
    """Uniform over equal keys; within one set without the anchor itself."""
    same = (ka[:, None] == (ka if kb is None else kb)[None, :]).astype(float)
    if kb is None:
        np.fill_diagonal(same, 0)
    return p_graph(same)


def debiased(p: np.ndarray, alpha: float, mask: np.ndarray) -> np.ndarray:
    kept = (p.sum(axis=1, keepdims=True) > 0).astype(float)
    return (1 - alpha) * p + alpha * kept * mask / mask.sum(axis=1, keepdims=True)


def joint(p: np.ndarray) -> np.ndarray:
    """t-SNE's symmetrised distribution over all pairs."""
    return (p + p.T) / (2 * p.sum())


# -- q: scores --------------------------------------------------------------------------------------------------------


def squares(a: Tensor, c: Tensor) -> Tensor:
    return (a[:, None, :] - c[None, :, :]).square().sum(-1)


def gaussian_scores(a: Tensor, c: Tensor, metric: str = "sqeuclidean", scale: Any = 1.0) -> Tensor:
    """``scale`` is σ or τ, a number or one per candidate."""
    if metric == "sqeuclidean":
        return -squares(a, c) / (2 * scale**2)
    if metric == "cosine":
        a, c = (x / x.norm(dim=1, keepdim=True) for x in (a, c))
    return a @ c.T / scale


def unit_gaussian_scores(a: Tensor, c: Tensor, metric: str = "sqeuclidean") -> Tensor:
    """Scores ℓ of the rescaled limits: ``-‖a - c‖²``, the cosine, the dot product."""
    return -squares(a, c) if metric == "sqeuclidean" else gaussian_scores(a, c, metric)


def student_t_scores(a: Tensor, c: Tensor, dof: float, scale: Any = 1.0, exponent: float | None = None) -> Tensor:
    exponent = (dof + 1) / 2 if exponent is None else exponent
    return -exponent * torch.log(scale**2 + squares(a, c) / dof)


def cluster_log_q(a: Tensor, c: Tensor, leak: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """``log (λ u_j + (1-λ) Σ_k φ_ik φ_jk d_j / Σ_l φ_lk d_l)`` from logits."""
    phi_a, phi_c = a.softmax(dim=1), c.softmax(dim=1)
    d = torch.ones(len(c), dtype=c.dtype) if weights is None else weights
    q = (phi_a / (phi_c * d[:, None]).sum(dim=0)) @ phi_c.T * d
    return (leak * d / d.sum() + (1 - leak) * q).log()


# -- the loss ---------------------------------------------------------------------------------------------------------

NORMALIZERS = ("logsumexp", "none")


def partition(scores: Tensor, mask: Tensor, kind: str, temperature: float = 1.0) -> Tensor:
    size = mask.sum(dim=1)
    mean = (scores * mask).sum(dim=1) / size
    if kind == "logsumexp":
        return scores.masked_fill(~mask, -torch.inf).logsumexp(dim=1)
    if kind == "max":
        return scores.masked_fill(~mask, -torch.inf).amax(dim=1)
    if kind == "mean":
        return mean
    if kind == "second-order":
        variance = ((scores - mean[:, None]).square() * mask).sum(dim=1) / size
        return mean + variance / (2 * temperature)
    return torch.zeros_like(mean)


def entropy(p: Tensor) -> Tensor:
    return -(p * p.masked_fill(p <= 0, 1.0).log()).sum(dim=1)


def row_kl(scores: Tensor, p: Tensor, mask: Tensor, kind: str = "logsumexp", **options: float) -> Tensor:
    """``[n]``: KL_i, or the rescaled limit of CE_i where the partition is one; empty rows are 0."""
    p = torch.as_tensor(p, dtype=scores.dtype)
    mask = torch.as_tensor(mask)
    cross_entropy = partition(scores, mask, kind, **options) - (p * scores.masked_fill(~mask, 0)).sum(dim=1)
    value = cross_entropy - entropy(p) if kind in NORMALIZERS else cross_entropy
    return value * (p.detach().sum(dim=1) > 0)


def with_margin(scores: Tensor, p: np.ndarray, margin: float) -> Tensor:
    return scores + margin * torch.as_tensor(p <= 0, dtype=scores.dtype)


def row_q(scores: Tensor, mask: Tensor, kind: str = "logsumexp") -> Tensor:
    scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=1) if kind == "logsumexp" else scores.exp()


def joint_q(scores: Tensor, mask: Tensor, kind: str = "logsumexp") -> Tensor:
    """One softmax over all pairs; rows that are already normalised count 1/n each."""
    hidden = scores.masked_fill(~mask, -torch.inf)
    return hidden.exp() / len(scores) if kind == "none" else hidden.flatten().softmax(dim=0).view_as(scores)


def divergence(name: str, p: Tensor, q: Tensor) -> Tensor:
    """``[n]``: the sum over each row of f(p, q), from the textbook definitions."""
    safe_p, safe_q = p.masked_fill(p <= 0, 1.0), q.masked_fill(q <= 0, 1.0)
    middle = ((p + q) / 2).masked_fill(p + q <= 0, 1.0)
    terms = {
        "kl": lambda: torch.where(p > 0, p * (safe_p.log() - safe_q.log()), 0.0),
        "reverse-kl": lambda: torch.where(q > 0, q * (safe_q.log() - safe_p.log()), 0.0),
        "js": lambda: (
            (
                torch.where(p > 0, p * (safe_p / middle).log(), 0.0)
                + torch.where(q > 0, q * (safe_q / middle).log(), 0.0)
            )
            / 2
        ),
        "tv": lambda: (p - q).abs() / 2,
        "hellinger": lambda: (torch.where(p > 0, p.sqrt(), 0.0) - torch.where(q > 0, safe_q.sqrt(), 0.0)).square() / 2,
        "alpha": lambda: 2 * (p + q) - 4 * torch.where((p > 0) & (q > 0), (safe_p * safe_q).sqrt(), 0.0),
    }
    return terms[name]().sum(dim=1)
