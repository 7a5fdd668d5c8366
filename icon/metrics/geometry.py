"""The shape of an embedding: alignment and uniformity on the sphere, effective rank."""

from __future__ import annotations

import math

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from icon import _checks as check
from icon._scales import unit_rows
from icon.metrics._inputs import double_matrix, two_views

TILE_ENTRIES = 2**22


def alignment(za: ArrayLike, zb: ArrayLike, power: float = 2.0) -> float:
    """How far positives are apart, ``mean_i ‖u_i - v_i‖^power`` of unit rows, in [0, 2^power]; lower is better.

    Args:
        za: ``[n, d]`` the first view; its rows are scaled to length one.
        zb: ``[n, d]`` the second view, aligned with it row by row.
        power: > 0.

    Raises:
        ValueError: shapes that differ, a row of zeros, NaN or infinity, a power <= 0.

    Source: Wang & Isola 2020, ICML (arXiv 2005.10242).
    """
    a, b = two_views(za, zb)
    exponent = check.positive(power, "power")
    return float((_unit(a, "za") - _unit(b, "zb")).norm(dim=1).pow(exponent).mean())


def uniformity(z: ArrayLike, t: float = 2.0) -> float:
    """How evenly unit rows cover the sphere, ``log mean_{i<j} exp(-t ‖u_i - u_j‖²)``, in [-4t, 0]; lower is better.

    Evaluated in blocks: memory O(n d), no n x n matrix.

    Args:
        z: ``[n, d]``, n >= 2; the rows are scaled to length one.
        t: > 0.

    Raises:
        ValueError: one point, a row of zeros, NaN or infinity, a t <= 0.

    Source: Wang & Isola 2020, ICML (arXiv 2005.10242).
    """
    units = _unit(double_matrix(z, "z"), "z")
    scale = check.positive(t, "t")
    n = len(units)
    if n < 2:
        raise ValueError("z: got 1 row, expected at least two points")
    step = max(1, TILE_ENTRIES // n)
    tiles = torch.stack([_log_potential(units, start, start + step, scale) for start in range(0, n - 1, step)])
    return min(float(tiles.logsumexp(dim=0)) - math.log(n * (n - 1) / 2), 0.0)  # above 0 by rounding only


def effective_rank(z: ArrayLike, center: bool = True) -> float:
    """``exp(H(p))`` of the normalised singular values ``p_k = s_k / Σ s``, in [1, min(n, d)].

    1 for a matrix of rank one, d where all d singular values are equal.

    Args:
        z: ``[n, d]``.
        center: subtract the mean row first, so that the spread of the points counts and not where they are. The paper
            takes the matrix as it is: False.

    Raises:
        ValueError: no singular value above zero (all rows equal, or all zero); NaN or infinity.
        TypeError: center is neither True nor False.

    Source: Roy & Vetterli 2007, The effective rank: a measure of effective dimensionality, EUSIPCO.
    """
    x = double_matrix(z, "z")
    if check.flag(center, "center"):
        x = x - x[0]  # equal rows become exactly zero
        x = x - x.mean(dim=0)
    largest = x.abs().max()
    if largest == 0:
        raise ValueError(f"z: got {'equal rows' if center else 'zeros'} only, expected a matrix with some spread")
    values = torch.linalg.svdvals(x / largest)
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp())


def _unit(x: Tensor, name: str) -> Tensor:
    zero = (x == 0).all(dim=1).nonzero().flatten().tolist()
    if zero:
        raise ValueError(f"{name}: got zeros only in rows {check.some(zero)}, expected rows with a direction")
    return unit_rows(x)


def _log_potential(units: Tensor, start: int, stop: int, t: float) -> Tensor:
    """``log Σ exp(-t ‖u_i - u_j‖²)`` over the pairs i < j with i in a block."""
    exponents = (units[start:stop] @ units[start:].T - 1).mul_(2 * t)
    own = exponents[:, : len(exponents)]
    own.masked_fill_(torch.ones_like(own, dtype=torch.bool).tril_(), -torch.inf)
    return exponents.flatten().logsumexp(dim=0)
