"""Partitions A_i of a row of scores: what the rows of the table differ in.

A partition is a function of one tile of scores ``[b, m]`` and of who competes there: it gives ``A [b]`` and its
derivative, as a tile ``W`` and a factor ``f [b, 1]`` with ``dA_i/ds_ij = f_i W_ij``. It may write over the tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from icon import _checks as check

#: Sums of exponentials of numbers up to this size neither overflow nor vanish in float32.
SAFE_EXPONENT = 40.0


class Competition(NamedTuple):
    """Who competes in the rows of a tile.

    Args:
        size: ``|S_i|``.
        hide: ``hide(tile, value)`` writes a value where candidates are outside the support.
        positives: gives the masses of p as a tile, for partitions that tell positives from negatives.
        bound: no score is larger in size; infinity where that is not known.
    """

    size: int
    hide: Callable[[Tensor, float], None]
    positives: Callable[[], Tensor]
    bound: float = math.inf


class Partition(Protocol):
    """``is_normalizer``: whether ``exp(s - A)`` is a distribution. If not, the loss is the cross-entropy form alone.

    ``needs_positives``: whether it tells positives from negatives, so that p must have negatives (no uniform mass).
    """

    is_normalizer: bool
    needs_positives: bool

    def __call__(self, tile: Tensor, row: Competition) -> tuple[Tensor, Tensor, Tensor]: ...


@dataclass(frozen=True)
class LogSumExp:
    """``A = log sum_k exp s_k``: the softmax."""

    is_normalizer = True
    needs_positives = False

    def __call__(self, tile: Tensor, row: Competition) -> tuple[Tensor, Tensor, Tensor]:
        row.hide(tile, -math.inf)
        if row.bound <= SAFE_EXPONENT:  # two passes over the tile less
            mass = tile.exp_()
            total = mass.sum(dim=1, keepdim=True)
            return total.log().squeeze(1), mass, 1 / total
        highest = tile.amax(dim=1, keepdim=True)
        mass = tile.sub_(highest).exp_()
        total = mass.sum(dim=1, keepdim=True)
        return (highest + total.log()).squeeze(1), mass, 1 / total


@dataclass(frozen=True)
class Mean:
    """``A = mean_k s_k``: the rescaled limit of a bandwidth σ → ∞, on scores of unit scale."""

    is_normalizer = False
    needs_positives = False

    def __call__(self, tile: Tensor, row: Competition) -> tuple[Tensor, Tensor, Tensor]:
        row.hide(tile, 0.0)
        value = tile.sum(dim=1) / row.size
        weight = tile.fill_(1 / row.size)
        row.hide(weight, 0.0)
        return value, weight, torch.ones_like(value)[:, None]


@dataclass(frozen=True)
class SecondOrder:
    """``A = mean_k s_k + Var_k(s_k) / 2T``: one more order of σ → ∞ (Barlow Twins, spectral contrastive)."""

    temperature: float = 1.0
    is_normalizer = False
    needs_positives = False

    def __call__(self, tile: Tensor, row: Competition) -> tuple[Tensor, Tensor, Tensor]:
        row.hide(tile, 0.0)
        mean = tile.sum(dim=1, keepdim=True) / row.size
        deviation = tile.sub_(mean)
        row.hide(deviation, 0.0)
        variance = deviation.square().sum(dim=1, keepdim=True) / row.size
        weight = deviation.mul_(1 / self.temperature).add_(1)
        row.hide(weight, 0.0)
        return (mean + variance / (2 * self.temperature)).squeeze(1), weight, torch.full_like(mean, 1 / row.size)


@dataclass(frozen=True)
class Max:
    """``A = max_k s_k``: the rescaled limit of a bandwidth σ → 0; ties share the derivative."""

    is_normalizer = False
    needs_positives = False

    def __call__(self, tile: Tensor, row: Competition) -> tuple[Tensor, Tensor, Tensor]:
        row.hide(tile, -math.inf)
        highest = tile.amax(dim=1, keepdim=True)
        weight = (tile == highest).to(tile.dtype)
        return highest.squeeze(1), weight, 1 / weight.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class Constant:
    """``A = 0``: no negatives; a density whose normaliser does not depend on the embedding (BYOL)."""

    is_normalizer = False
    needs_positives = False

    def __call__(self, tile: Tensor, row: Competition) -> tuple[Tensor, Tensor, Tensor]:
        return tile.new_zeros(len(tile)), tile.zero_(), tile.new_zeros(len(tile), 1)


@dataclass(frozen=True)
class AlreadyNormalized(Constant):
    """``A = 0`` because the score is a log-probability (clusters)."""

    is_normalizer = True


@dataclass(frozen=True)
class Decoupled:
    """``A = log sum over the negatives of exp s_k``: the positives are out of the partition (Yeh et al. 2022)."""

    is_normalizer = False
    needs_positives = True

    def __call__(self, tile: Tensor, row: Competition) -> tuple[Tensor, Tensor, Tensor]:
        row.hide(tile, -math.inf)
        tile.masked_fill_(~_negatives(tile, row.positives()), -math.inf)
        return LogSumExp()(tile, row._replace(bound=math.inf))


@dataclass(frozen=True)
class Debiased:
    """``A = log(e^{s+} + N g)`` with an estimate g of the mean over true negatives (Chuang et al. 2020).

    ``g = max((h - τ⁺ e^{s+}) / (1 - τ⁺), e^lowest)`` with h the mean of ``e^s`` over the N negatives, or their mean
    weighted by ``e^{βs}`` (hard negatives, Robinson et al. 2021). ``e^{s+}`` is the mean over the positives under p.
    The weights ``exp(s - A)`` do not sum to one unless τ⁺ = β = 0: no conditional distribution.

    Args:
        lowest: the lowest score that is possible, -1/τ for cosine similarity.
        tau_plus: τ⁺ in [0, 1), the probability that a negative is a positive.
        beta: β >= 0, how strongly hard negatives count.
    """

    lowest: float
    tau_plus: float = 0.0
    beta: float = 0.0
    is_normalizer = False
    needs_positives = True

    def __post_init__(self) -> None:
        if check.fraction(self.tau_plus, "tau_plus") == 1:
            raise ValueError("tau_plus: got 1, expected a number in [0, 1)")
        check.number(self.beta, "beta", least=0)

    def __call__(self, tile: Tensor, row: Competition) -> tuple[Tensor, Tensor, Tensor]:
        row.hide(tile, -math.inf)
        p = row.positives()
        negative = _negatives(tile, p)
        count = negative.sum(dim=1, keepdim=True).to(tile)
        share = torch.where(negative, self.beta * tile, -math.inf).softmax(dim=1)
        highest = tile.amax(dim=1, keepdim=True)
        mass = tile.sub_(highest).exp_()
        kept, hard = ((weight * mass).sum(dim=1, keepdim=True) for weight in (p, share))
        estimate = (hard - self.tau_plus * kept) / (1 - self.tau_plus)
        floor = (self.lowest - highest).exp()
        total = kept + count * torch.maximum(estimate, floor)
        free = (estimate > floor) * count / (1 - self.tau_plus)  # the clamp has no derivative
        weight = (share * ((1 + self.beta) * mass - self.beta * hard)).mul_(free)
        weight.addcmul_(p, mass.mul_(1 - self.tau_plus * free))
        return (highest + total.log()).squeeze(1), weight, 1 / total


def _negatives(tile: Tensor, p: Tensor) -> Tensor:
    """Where the candidates are that compete (a finite score) and are no positives; every row must have one."""
    negative = (p == 0) & (tile > -math.inf)
    without = int((~negative.any(dim=1)).sum())
    if without:
        raise ValueError(f"target: got {without} anchors whose candidates are all positives, expected some negatives")
    return negative


PARTITIONS: dict[str, type[LogSumExp | Mean | SecondOrder | Max | Constant | Decoupled | Debiased]] = {
    "logsumexp": LogSumExp,
    "mean": Mean,
    "second-order": SecondOrder,
    "max": Max,
    "constant": Constant,
    "decoupled": Decoupled,
    "debiased": Debiased,
}
