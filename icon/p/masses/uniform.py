"""p that is the same for every candidate of the support: what debiasing mixes in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icon.p.masses.base import OnSupport
from icon.p.support import Support


@dataclass(frozen=True, eq=False)
class Uniform(OnSupport):
    """The mass of each anchor spread evenly over its support.

    Args:
        support: the candidates.
        mass: ``[n]`` what each row sums to.
    """

    support: Support
    mass: Tensor

    @property
    def density(self) -> Float[Tensor, " n"]:
        """``[n]`` the mass of one candidate."""
        return self.mass / self.support.size

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        return self.support.hide(tile, start, 0.0).sum(dim=1) * self.density[start : start + len(tile)].to(tile)

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        spread = self.density[start:stop, None].to(like).repeat(1, self.m)
        return self.support.hide_(spread, start, 0.0)

    def sums(self) -> Float[Tensor, " n"]:
        return self.mass

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        return (features.sum(dim=0) - self.support.excluded(features)) * self.density.to(features)[:, None]

    def averages_cheaply(self, width: int) -> bool:
        return True

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        spread = (factor * self.density[start : start + len(tile)].to(tile))[:, None]
        tile.add_(spread)
        if (own := self.support.own) is not None:
            tile.diagonal(own + start).sub_(spread.squeeze(1))

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Uniform:
        return replace(self, mass=self.mass * factor)

    def part(self, start: int, stop: int) -> Uniform:
        return Uniform(self.support.part(start, stop), self.mass[start:stop])

    def columns(self, start: int, stop: int) -> Uniform:
        support = self.support.columns(start, stop)
        return Uniform(support, self.mass * (support.size / self.support.size))

    def transposed(self) -> Uniform:
        ones = torch.ones(self.m, dtype=self.mass.dtype, device=self.mass.device)
        return Uniform(self.support.flipped(), ones)

    def to(self, device: torch.device, dtype: torch.dtype) -> Uniform:
        mass = self.mass.to(device, dtype)
        return self if mass is self.mass else replace(self, mass=mass)

    def on(self, support: Support) -> Uniform:
        return replace(self, support=support)

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        drawn, own = torch.randint_like(anchors, self.support.size), self.support.own
        return drawn if own is None else drawn + (drawn >= anchors + own)
