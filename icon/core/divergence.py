"""Divergences D(p ‖ q) between the rows of p and q.

KL needs the scores on p's edges only and is computed as ``A - sum_j p s - H`` by the engine itself. The others need
every candidate: each is a differentiable function of tiles of p, q and log q, one number per row.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from icon import _checks as check
from icon._values import name_of, shown

#: ``(p [b, m], q [b, m], log_q [b, m]) -> [b]``; q = 0 and log_q = 0 outside the support. A fourth parameter named
#: ``log_p`` gets the logarithm of p, known beyond what p can hold.
Divergence = Callable[..., Tensor]
Tile = Float[Tensor, "b m"]


@dataclass(frozen=True)
class ReverseKL:
    """``sum_j q_j log(q_j / p_j)``; refused where q has mass and p has none."""

    def __call__(self, p: Tile, q: Tile, log_q: Tile, log_p: Tile | None = None) -> Float[Tensor, " b"]:
        log_p = p.log() if log_p is None else log_p
        if check.values_matter(q) and bool((torch.isinf(log_p) & (q > 0)).any()):
            raise ValueError("divergence: got reverse-kl with p = 0 where q > 0, expected p > 0 there (use debias)")
        return (q * (log_q - torch.where(q > 0, log_p, 0.0))).sum(dim=1)


@dataclass(frozen=True)
class JensenShannon:
    """``KL(p ‖ m)/2 + KL(q ‖ m)/2`` with ``m = (p + q)/2``; at most log 2."""

    def __call__(self, p: Tile, q: Tile, log_q: Tile) -> Float[Tensor, " b"]:
        log_middle = ((p + q) / 2).clamp_min(torch.finfo(q.dtype).tiny).log()
        log_p = p.clamp_min(torch.finfo(q.dtype).tiny).log()
        return (p * (log_p - log_middle) + q * (log_q - log_middle)).sum(dim=1) / 2


@dataclass(frozen=True)
class TotalVariation:
    """``sum_j |p_j - q_j| / 2``; at most 1."""

    def __call__(self, p: Tile, q: Tile, log_q: Tile) -> Float[Tensor, " b"]:
        return (p - q).abs().sum(dim=1) / 2


@dataclass(frozen=True)
class Hellinger:
    """The squared Hellinger distance ``sum_j (√p_j - √q_j)² / 2 = 1 - sum_j √(p_j q_j)``; at most 1."""

    def __call__(self, p: Tile, q: Tile, log_q: Tile) -> Float[Tensor, " b"]:
        return ((p + q) / 2 - p.sqrt() * (log_q / 2).exp()).sum(dim=1)


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

    def __call__(self, p: Tile, q: Tile, log_q: Tile) -> Float[Tensor, " b"]:
        a = self.alpha
        overlap = p**a * ((1 - a) * log_q).exp()
        return (a * p + (1 - a) * q - overlap).sum(dim=1) / (a * (1 - a))


#: By name, what makes a divergence, or the function itself; None is KL.
DIVERGENCES: dict[str, Callable[..., Any] | None] = {
    "kl": None,
    "reverse-kl": ReverseKL,
    "js": JensenShannon,
    "tv": TotalVariation,
    "hellinger": Hellinger,
    "alpha": Alpha,
}


def resolve(divergence: str | Divergence) -> Divergence | None:
    """The divergence of a name; None is KL.

    Args:
        divergence: one of `DIVERGENCES`, or a function ``(p, q, log_q) -> [b]``.

    Raises:
        ValueError: an unknown name.
        TypeError: neither a name nor a function, or a class.
    """
    if isinstance(divergence, type):
        raise TypeError(f"divergence: got the class {divergence.__name__}, expected an instance of it")
    if not isinstance(divergence, str):
        if not callable(divergence):
            raise TypeError(f"divergence: got {divergence!r}, expected a name or a function of (p, q, log_q)")
        return divergence
    known = DIVERGENCES[check.choice(divergence, "divergence", tuple(DIVERGENCES))]
    return known() if isinstance(known, type) else known


def called(divergence: Divergence | None) -> str:
    """The name of a divergence, or what it is where it has none."""
    return name_of(divergence, DIVERGENCES) or shown(divergence)


def takes_log_p(divergence: Any) -> bool:
    """Whether a divergence asks for the logarithm of p."""
    function = getattr(divergence, "forward", divergence)  # of a module
    own = function if hasattr(function, "__code__") else type(function).__call__  # of an object
    if hasattr(own, "__code__") and not hasattr(own, "__wrapped__"):  # which a compiler can follow
        return "log_p" in own.__code__.co_varnames[: own.__code__.co_argcount + own.__code__.co_kwonlyargcount]
    return "log_p" in inspect.signature(function).parameters
