"""What debiasing does to the optimum of the clusters row where p joins clusters that are separated up to wrong edges.

Clusters have shares s of the points. p is uniform within the cluster of a point (itself included), up to wrong edges,
and ``p_α = (1-α) p + α u``. A head of sharpness t gives ``φ = t e_c + (1-t) s``: t = 1 is a hard head, t = 0 a constant
one. Its q is ``t² (uniform within the cluster) + (1-t²) u``, which is p_α where ``t² = (1-α) λ``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from experiments.datasets import Array


def signal(wrong: float, clusters: int, walks: int = 1) -> float:
    """λ: what wrong edges leave of p beside the uniform distribution: p = λ (uniform within the cluster) + (1-λ) u.

    One step leaves ``1 - w C / (C-1)``, and the mean of 1 to K walks the mean of the powers of it.

    Args:
        wrong: w in [0, 1], share of p that goes to other clusters, to all their points alike.
        clusters: C >= 2, of equal sizes.
        walks: K >= 1.
    """
    step = 1 - wrong * clusters / (clusters - 1)
    return sum(step**k for k in range(1, walks + 1)) / walks


def head(shares: ArrayLike, sharpness: float) -> Array:
    """``[C, C]``: φ of a point of each cluster, ``t e_c + (1-t) s``."""
    s = np.asarray(shares, dtype=np.float64)
    return np.asarray(sharpness * np.eye(len(s)) + (1 - sharpness) * s)


def confidence(clusters: int, alpha: float, signal: float = 1.0) -> float:
    """The largest probability at the optimum, ``1/C + (1 - 1/C) √((1-α) λ)``, for equal clusters."""
    return 1 / clusters + (1 - 1 / clusters) * math.sqrt((1 - alpha) * signal)


def signal_of(confidence: float, clusters: int) -> float:
    """λ, from the confidence at α = 0."""
    return (max(confidence - 1 / clusters, 0.0) / (1 - 1 / clusters)) ** 2


def calibrated(accuracy: float, clusters: int, signal: float = 1.0) -> float:
    """α >= 0 at which the confidence is the accuracy, or comes nearest to it."""
    return max(0.0, 1 - signal_of(accuracy, clusters) / signal)


def ambiguous(clusters: int, signal: float = 1.0) -> float:
    """α above which there are optima whose most probable clusters do not tell all clusters apart, for equal ones.

    For λ = 1 it is ``C / (C + √(C-1))``: the lower triangular root of p_α gives a head with the loss zero, and from
    there on two of its clusters have the same most probable one. That no optimum does so earlier was found numerically
    for C = 2 to 5. With wrong edges it is the α of the same ``(1-α) λ``, and 0 where already α = 0 is beyond it.
    """
    root = math.sqrt(clusters - 1)
    return max(0.0, 1 - root / (clusters + root) / signal)


def collapse(shares: ArrayLike, sharpness: float) -> float:
    """α above which a head of this sharpness t costs more than one that puts all points into one cluster (λ = 1).

    ``A / (A - B + G)`` with ``f_a = log(1 + t² (1-s_a) / s_a)``, ``A = sum_a s_a f_a``, ``B = sum_a s_a² f_a`` and
    ``G = (1 - sum_a s_a²) log(1 / (1-t²))``. It goes to zero as t goes to one.
    """
    s, square = np.asarray(shares, dtype=np.float64), sharpness**2
    gain = np.log1p(square * (1 - s) / s)
    cost = -(1 - (s**2).sum()) * math.log1p(-square)
    return float(s @ gain / (s @ gain - s**2 @ gain + cost))


def swallowed(shares: ArrayLike) -> float:
    """α above which `head`, at its optimum, gives the smallest cluster to the largest: ``1 - (Δ / (1+Δ))²``, Δ the
    difference of their shares (λ = 1)."""
    difference = float(np.ptp(np.asarray(shares, dtype=np.float64)))
    return 1 - (difference / (1 + difference)) ** 2


def least_balance(shares: ArrayLike, alpha: float) -> float:
    """b above which separate clusters cost less than one for all: ``1 - I / H`` (λ = 1).

    I is the mutual information of the clusters of a pair of p_α, and H the entropy of the shares.
    """
    s = np.asarray(shares, dtype=np.float64)
    joint = (1 - alpha) * np.diag(s) + alpha * np.outer(s, s)
    return 1 + float((joint * np.log(joint / np.outer(s, s))).sum() / (s @ np.log(s)))
