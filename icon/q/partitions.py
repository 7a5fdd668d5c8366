"""Partitions A_i of a row of scores: what the rows of the table differ in.

A partition is a function of one tile of scores ``[b, m]``: it gives ``A [b]`` and its derivative, as a tile ``W`` and
a factor ``f [b, 1]`` with ``dA_i/ds_ij = f_i W_ij``. It may write over the tile. ``size`` is ``|S_i|``,
``hide(tile, value)`` writes a value where candidates are outside the support, and no score is larger in size than
``bound`` (infinity where that is not known).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Hide = Callable[[Tensor, float], None]

#: Sums of exponentials of numbers up to this size neither overflow nor vanish in float32.
SAFE_EXPONENT = 40.0


class Partition(Protocol):
    """``is_normalizer``: whether ``exp(s - A)`` is a distribution; otherwise A is a rescaled limit of one that is."""

    is_normalizer: bool

    def __call__(
        self, tile: Tensor, size: int, hide: Hide, bound: float = math.inf
    ) -> tuple[Tensor, Tensor, Tensor]: ...


@dataclass(frozen=True)
class LogSumExp:
    """``A = log sum_k exp s_k``: the softmax."""

    is_normalizer = True

    def __call__(self, tile: Tensor, size: int, hide: Hide, bound: float = math.inf) -> tuple[Tensor, Tensor, Tensor]:
        hide(tile, -math.inf)
        if bound <= SAFE_EXPONENT:  # two passes over the tile less
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

    def __call__(self, tile: Tensor, size: int, hide: Hide, bound: float = math.inf) -> tuple[Tensor, Tensor, Tensor]:
        hide(tile, 0.0)
        value = tile.sum(dim=1) / size
        weight = tile.fill_(1 / size)
        hide(weight, 0.0)
        return value, weight, torch.ones_like(value)[:, None]


@dataclass(frozen=True)
class SecondOrder:
    """``A = mean_k s_k + Var_k(s_k) / 2T``: one more order of σ → ∞ (Barlow Twins, spectral contrastive)."""

    temperature: float = 1.0
    is_normalizer = False

    def __call__(self, tile: Tensor, size: int, hide: Hide, bound: float = math.inf) -> tuple[Tensor, Tensor, Tensor]:
        hide(tile, 0.0)
        mean = tile.sum(dim=1, keepdim=True) / size
        deviation = tile.sub_(mean)
        hide(deviation, 0.0)
        variance = deviation.square().sum(dim=1, keepdim=True) / size
        weight = deviation.mul_(1 / self.temperature).add_(1)
        hide(weight, 0.0)
        return (mean + variance / (2 * self.temperature)).squeeze(1), weight, torch.full_like(mean, 1 / size)


@dataclass(frozen=True)
class Max:
    """``A = max_k s_k``: the rescaled limit of a bandwidth σ → 0; ties share the derivative."""

    is_normalizer = False

    def __call__(self, tile: Tensor, size: int, hide: Hide, bound: float = math.inf) -> tuple[Tensor, Tensor, Tensor]:
        hide(tile, -math.inf)
        highest = tile.amax(dim=1, keepdim=True)
        weight = (tile == highest).to(tile.dtype)
        return highest.squeeze(1), weight, 1 / weight.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class Constant:
    """``A = 0``: no negatives; a density whose normaliser does not depend on the embedding (BYOL)."""

    is_normalizer = False

    def __call__(self, tile: Tensor, size: int, hide: Hide, bound: float = math.inf) -> tuple[Tensor, Tensor, Tensor]:
        return tile.new_zeros(len(tile)), tile.zero_(), tile.new_zeros(len(tile), 1)


@dataclass(frozen=True)
class AlreadyNormalized(Constant):
    """``A = 0`` because the score is a log-probability (clusters)."""

    is_normalizer = True


PARTITIONS: dict[str, type[LogSumExp | Mean | SecondOrder | Max | Constant]] = {
    "logsumexp": LogSumExp,
    "mean": Mean,
    "second-order": SecondOrder,
    "max": Max,
    "constant": Constant,
}
