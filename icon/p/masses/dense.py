"""p with a mass for every pair: an exact kernel of few points, soft labels, rows of the user's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from icon.p.masses.base import Valued, drawn_of

D = TypeVar("D", bound="Dense")


@dataclass(frozen=True, eq=False)
class Dense(Valued):
    """Masses as a matrix.

    Args:
        values: ``[n, m]``; gradients flow through them where they have one.
    """

    values: Tensor

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.values.shape[0]

    @property
    def m(self) -> int:  # type: ignore[override]
        return self.values.shape[1]

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        return self.values[start:stop].to(like)

    def positives(self, start: int, stop: int) -> Bool[Tensor, "b m"]:
        return self.values[start:stop] > 0

    def sums(self) -> Float[Tensor, " n"]:
        return self.values.detach().sum(dim=1)

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Dense:
        return Dense(self.values * (factor[:, None] if isinstance(factor, Tensor) else factor))

    def _of_each(self: D, change: Callable[[Tensor], Tensor]) -> D:
        return type(self)(*(change(getattr(self, each.name)) for each in fields(self)))

    def part(self: D, start: int, stop: int) -> D:
        return self._of_each(lambda x: x[start:stop])

    def columns(self: D, start: int, stop: int) -> D:
        return self._of_each(lambda x: x[:, start:stop])

    def transposed(self) -> Dense:
        flipped = self.values.T
        return Dense(flipped / flipped.sum(dim=1, keepdim=True).clamp_min(torch.finfo(flipped.dtype).tiny))

    def symmetrized(self, marginal: Float[Tensor, " n"]) -> tuple[Dense, Tensor]:
        joint = marginal.to(self.values.dtype)[:, None] * self.values
        joint = (joint + joint.T) / 2
        sums = joint.sum(dim=1)
        return Dense(joint / sums.clamp_min(torch.finfo(joint.dtype).tiny)[:, None]), sums

    def to(self: D, device: torch.device, dtype: torch.dtype) -> D:
        unchanged = (self.values.device, self.values.dtype) == (device, dtype)
        return self if unchanged else self._of_each(lambda x: x.to(device, dtype))

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        return drawn_of(self.values.detach()[anchors].double(), anchors)


@dataclass(frozen=True, eq=False)
class DenseFromLogs(Dense):
    """Masses whose logarithms are known beyond what the masses can hold: the far candidates of a narrow kernel.

    Args:
        logs: ``[n, m]`` logarithms of the masses.
    """

    logs: Tensor

    def log_tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        return self.logs[start:stop].to(like)

    def scaled(self, factor: float | Float[Tensor, " n"]) -> DenseFromLogs:
        by = factor.detach()[:, None] if isinstance(factor, Tensor) else torch.tensor(factor)
        return DenseFromLogs(super().scaled(factor).values, self.logs + by.to(self.logs).log())

    def symmetrized(self, marginal: Float[Tensor, " n"]) -> tuple[DenseFromLogs, Tensor]:
        masses, sums = super().symmetrized(marginal)
        joint = self.logs + marginal.detach().to(self.logs)[:, None].log()
        both = torch.logaddexp(joint, joint.T) - math.log(2)
        of_rows = sums.detach().clamp_min(torch.finfo(sums.dtype).tiny).log()
        return DenseFromLogs(masses.values, both - of_rows[:, None]), sums
