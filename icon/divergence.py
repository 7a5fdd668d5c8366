"""Divergences D(p ‖ q) between the rows of p and q.

KL needs the scores on p's edges only and is computed as ``A - sum_j p s - H`` by the engine itself. The others need
every candidate: each is a function of a tile of p, q and log q that returns the terms of the sum and their
derivative by log q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from icon import _checks as check


class Divergence(Protocol):
    """``(p, q, log_p, log_q) -> (terms, d terms / d log_q)``, all ``[b, m]``; log_q is 0 where q is 0."""

    def __call__(self, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class ReverseKL:
    """``sum_j q_j log(q_j / p_j)``; infinite where q has mass and p has none."""

    def __call__(self, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        if bool((torch.isinf(log_p) & (q > 0)).any()):
            raise ValueError("divergence: got reverse-kl with p = 0 where q > 0, expected p > 0 there (use debias)")
        ratio = torch.where(q > 0, log_q - log_p, 0.0)
        return q * ratio, q * (ratio + 1)


@dataclass(frozen=True)
class JensenShannon:
    """``KL(p ‖ m)/2 + KL(q ‖ m)/2`` with ``m = (p + q)/2``; at most log 2."""

    def __call__(self, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        middle = (p + q) / 2
        slope = torch.xlogy(q, torch.where(q > 0, q / middle, 1.0)) / 2
        return torch.xlogy(p, torch.where(p > 0, p / middle, 1.0)) / 2 + slope, slope


@dataclass(frozen=True)
class TotalVariation:
    """``sum_j |p_j - q_j| / 2``; at most 1."""

    def __call__(self, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        return (p - q).abs() / 2, (q - p).sign() * q / 2


@dataclass(frozen=True)
class Hellinger:
    """The squared Hellinger distance ``sum_j (√p_j - √q_j)² / 2 = 1 - sum_j √(p_j q_j)``; at most 1."""

    def __call__(self, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        overlap = (p * q).sqrt()
        return (p + q) / 2 - overlap, (q - overlap) / 2


@dataclass(frozen=True)
class Alpha:
    """``(1 - sum_j p_j^α q_j^(1-α)) / (α (1-α))`` (Amari): KL as α → 1, reverse KL as α → 0, 4x Hellinger at 1/2.

    Args:
        alpha: in (0, 1).
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < check.fraction(self.alpha, "alpha") < 1:
            raise ValueError(f"alpha: got {self.alpha}, expected a number inside (0, 1); use 'kl' or 'reverse-kl'")

    def __call__(self, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        a = self.alpha
        overlap = p**a * q ** (1 - a)
        return (a * p + (1 - a) * q - overlap) / (a * (1 - a)), (q - overlap) / a


DIVERGENCES: dict[str, type[ReverseKL | JensenShannon | TotalVariation | Hellinger | Alpha] | None] = {
    "kl": None,
    "reverse-kl": ReverseKL,
    "js": JensenShannon,
    "tv": TotalVariation,
    "hellinger": Hellinger,
    "alpha": Alpha,
}


def resolve(divergence: str | Divergence) -> Divergence | None:
    """The divergence of a name; None is KL."""
    if not isinstance(divergence, str):
        if not callable(divergence):
            raise TypeError(f"divergence: got {divergence!r}, expected a name or a function of (p, q, log_p, log_q)")
        return divergence
    kind = DIVERGENCES[check.choice(divergence, "divergence", tuple(DIVERGENCES))]
    return None if kind is None else kind()
