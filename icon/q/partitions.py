"""Partitions A_i of a row of scores: what the rows of the table differ in.

A partition is a differentiable function from a tile of scores ``[b, m]`` and who competes there to ``A [b]``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from icon import _checks as check
from icon.p.support import Support


class Competition(NamedTuple):
    """Who competes in the rows of a tile.

    Args:
        support: the candidates.
        start: the anchor of the tile's first row.
        masses: gives p as a tile ``[b, m]``, for partitions that tell positives from negatives.
    """

    support: Support
    start: int
    masses: Callable[[], Tensor]

    @property
    def size(self) -> int:
        """``|S_i|``, the number of candidates of a row."""
        return self.support.size

    def hide(self, tile: Shaped[Tensor, "b m"], value: float) -> Shaped[Tensor, "b m"]:
        """A tile ``[b, m]`` with a value where candidates are outside the support."""
        return self.support.hide(tile, self.start, value)


@runtime_checkable
class Partition(Protocol):
    """``is_normalizer``: whether ``exp(s - A)`` is a distribution. If not, the loss is the cross-entropy form alone."""

    @property
    def is_normalizer(self) -> bool: ...

    def __call__(self, scores: Float[Tensor, "b m"], row: Competition) -> Float[Tensor, " b"]: ...


@dataclass(frozen=True)
class Plain:
    """A function of scores and who competes, as a partition that is not a normaliser: the cross-entropy form alone."""

    function: Callable[[Tensor, Competition], Tensor]
    is_normalizer: ClassVar[bool] = False

    def __call__(self, scores: Float[Tensor, "b m"], row: Competition) -> Any:  # what it gives is checked later
        return self.function(scores, row)


def as_partition(given: Partition | Callable[[Tensor, Competition], Tensor]) -> Partition:
    """A partition, or a plain function as one; another thing is refused."""
    if isinstance(given, Partition) and not isinstance(given, type):
        return given
    if not callable(given) or isinstance(given, type):
        raise TypeError(f"partition: got {given!r}, expected a function (scores [b, m], row) -> [b], or a partition")
    return Plain(given)


def tells_positives(partition: Partition) -> bool:
    """Whether a partition looks at p, and not at the scores alone."""
    looks: list[int] = []

    def masses() -> Tensor:
        looks.append(1)
        return torch.eye(2, 3)

    partition(torch.zeros(2, 3), Competition(Support(2, 3), 0, masses))
    return bool(looks)


class Mergeable(ABC):
    """A partition of candidates that need not all be there at once: each tile of them is summed up in a few numbers."""

    is_normalizer: ClassVar[bool] = False

    @abstractmethod
    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        """What of a tile of scores ``[b, m]`` the partition depends on: some numbers for each anchor."""

    @abstractmethod
    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        """``A [b]`` from the summaries of ``t`` tiles, each number of which is stacked ``[t, b]``."""

    def __call__(self, scores: Float[Tensor, "b m"], row: Competition) -> Float[Tensor, " b"]:
        return self.merged(*(number.unsqueeze(0) for number in self.summary(scores, row)))


@dataclass(frozen=True)
class LogSumExp(Mergeable):
    """``A = log sum_k exp s_k``: the softmax."""

    is_normalizer: ClassVar[bool] = True

    def __call__(self, scores: Float[Tensor, "b m"], row: Competition) -> Float[Tensor, " b"]:
        return row.hide(scores, -math.inf).logsumexp(dim=1)

    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        return (self(scores, row),)

    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        return numbers[0].logsumexp(dim=0)


@dataclass(frozen=True)
class Mean(Mergeable):
    """``A = mean_k s_k``: the rescaled limit of a bandwidth σ → ∞, on scores of unit scale."""

    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        return row.hide(scores, 0.0).sum(dim=1), scores.new_full((len(scores),), row.size)

    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        sums, counts = numbers
        return sums.sum(dim=0) / counts.sum(dim=0)


@dataclass(frozen=True)
class SecondOrder(Mergeable):
    """``A = mean_k s_k + Var_k(s_k) / 2T``: one more order of σ → ∞ (Barlow Twins, spectral contrastive).

    Args:
        temperature: T > 0.
    """

    temperature: float = 1.0

    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        mean = row.hide(scores, 0.0).sum(dim=1, keepdim=True) / row.size
        squares = row.hide(scores - mean, 0.0).square().sum(dim=1)
        return mean.squeeze(1), squares, scores.new_full((len(scores),), row.size)

    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        means, squares, counts = numbers
        size = counts.sum(dim=0)
        mean = (counts * means).sum(dim=0) / size
        variance = (squares + counts * (means - mean).square()).sum(dim=0) / size
        return mean + variance / (2 * self.temperature)


@dataclass(frozen=True)
class SecondMoment(Mergeable):
    """``A = mean_k s_k² / 2T`` over the negatives: the second order without its mean, unbiased (HaoChen et al. 2021).

    With two independent views of each of n points the n (n - 1) negatives estimate ``E (f·f')²`` without bias.

    Args:
        temperature: T > 0.
    """

    temperature: float = 1.0

    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        negative = row.hide(row.masses() == 0, False)
        return scores.square().masked_fill(~negative, 0.0).sum(dim=1), negative.sum(dim=1).to(scores)

    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        squares, counts = numbers
        return squares.sum(dim=0) / (2 * self.temperature * _some(counts.sum(dim=0)))


@dataclass(frozen=True)
class Max(Mergeable):
    """``A = max_k s_k``: the rescaled limit of a bandwidth σ → 0; ties share the derivative."""

    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        return (row.hide(scores, -math.inf).amax(dim=1),)

    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        return numbers[0].amax(dim=0)


@dataclass(frozen=True)
class Constant(Mergeable):
    """``A = 0``: no negatives; a density whose normaliser does not depend on the embedding (BYOL)."""

    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        return (scores.new_zeros(len(scores)),)

    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        return numbers[0][0]


@dataclass(frozen=True)
class AlreadyNormalized(Constant):
    """``A = 0`` because the score is a log-probability (clusters)."""

    is_normalizer: ClassVar[bool] = True


@dataclass(frozen=True)
class Decoupled(Mergeable):
    """``A = log sum over the negatives of exp s_k``: the positives are out of the partition (Yeh et al. 2022)."""

    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        negative = row.hide(row.masses() == 0, False)
        return scores.masked_fill(~negative, -math.inf).logsumexp(dim=1), negative.sum(dim=1).to(scores)

    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        logs, counts = numbers
        _some(counts.sum(dim=0))
        return logs.logsumexp(dim=0)


@dataclass(frozen=True)
class Debiased(Mergeable):
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

    def __post_init__(self) -> None:
        if check.fraction(self.tau_plus, "tau_plus") == 1:
            raise ValueError("tau_plus: got 1, expected a number in [0, 1)")
        check.number(self.beta, "beta", least=0)

    def summary(self, scores: Float[Tensor, "b m"], row: Competition) -> tuple[Float[Tensor, " b"], ...]:
        p = row.masses().to(scores)
        negative = row.hide(p == 0, False)
        # Masked last, so that a tile without any has no gradient, and with a finite number, for second derivatives.
        none = torch.finfo(scores.dtype).min / 2
        logs = (
            (scores + p.log()).masked_fill(p == 0, none),
            (self.beta * scores).masked_fill(~negative, none),
            ((1 + self.beta) * scores).masked_fill(~negative, none),
        )
        return *(each.logsumexp(dim=1) for each in logs), negative.sum(dim=1).to(scores)

    def merged(self, *numbers: Float[Tensor, "t b"]) -> Float[Tensor, " b"]:
        *logs, counts = numbers
        count = _some(counts.sum(dim=0))
        log_kept, weight, weighted = (each.logsumexp(dim=0) for each in logs)
        log_hard = weighted - weight
        highest = torch.maximum(log_kept, log_hard).detach()
        kept, hard = (log_kept - highest).exp(), (log_hard - highest).exp()
        estimate, floor = (hard - self.tau_plus * kept) / (1 - self.tau_plus), (self.lowest - highest).exp()
        return highest + (kept + count * torch.where(estimate > floor, estimate, floor)).log()


def _some(negatives: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """How many negatives each row has, which must have some."""
    if check.values_matter(negatives):
        without = int((negatives == 0).sum())
        if without:
            raise ValueError(
                f"target: got {check.counted(without, 'anchor')} whose candidates are all positives, "
                "expected some negatives"
            )
    return negatives


PARTITIONS: dict[str, type[LogSumExp | Mean | SecondOrder | SecondMoment | Max | Constant | Decoupled | Debiased]] = {
    "logsumexp": LogSumExp,
    "mean": Mean,
    "second-order": SecondOrder,
    "second-moment": SecondMoment,
    "max": Max,
    "constant": Constant,
    "decoupled": Decoupled,
    "debiased": Debiased,
}
