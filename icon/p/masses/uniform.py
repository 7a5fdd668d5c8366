"""p that is the same for every candidate of the support: what debiasing mixes in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icon.p.masses.base import Masses, entropy_of_equals
from icon.p.support import Support


@dataclass(frozen=True, eq=False)
class Uniform(Masses):
    """The mass of each anchor spread evenly over its support.

    Args:
        support: the candidates.
        mass: ``[n]`` what each row sums to.
    """

    support: Support
    mass: Tensor

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.support.n

    @property
    def m(self) -> int:  # type: ignore[override]
        return self.support.m

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

    def entropy(self, density: Float[Tensor, " n"] | None = None, size: int = 0) -> Float[Tensor, " n"]:
        return entropy_of_equals(self.support.size, self.density, density, size)

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        total = features.sum(dim=0)
        offset = self.support.offset
        if self.support.exclude_self and offset is not None:
            total = total - features[offset : offset + self.n]
        return total * self.density.to(features)[:, None]

    def averages_cheaply(self, width: int) -> bool:
        return True

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        spread = (factor * self.density[start : start + len(tile)].to(tile))[:, None]
        offset = self.support.offset
        tile.add_(spread)
        if self.support.exclude_self and offset is not None:
            tile.diagonal(offset + start).sub_(spread.squeeze(1))

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Uniform:
        return replace(self, mass=self.mass * factor)

    def part(self, start: int, stop: int) -> Uniform:
        return Uniform(self.support.part(start, stop), self.mass[start:stop])

    def columns(self, start: int, stop: int) -> Uniform:
        support = self.support.columns(start, stop)
        return Uniform(support, self.mass * (support.size / self.support.size))

    def transposed(self) -> Uniform:
        support = self.support
        if support.exclude_self and support.n != support.m:
            raise ValueError(
                f"transpose: got {support.n} of {support.m} points without self, expected all: candidates differ in "
                "how many anchors they have"
            )
        offset = support.offset if support.n == support.m else None
        flipped = Support(support.m, support.n, support.exclude_self, offset)
        return Uniform(flipped, torch.ones(support.m, dtype=self.mass.dtype, device=self.mass.device))

    def to(self, device: torch.device, dtype: torch.dtype) -> Uniform:
        mass = self.mass.to(device, dtype)
        return self if mass is self.mass else replace(self, mass=mass)

    def on(self, support: Support) -> Uniform:
        return replace(self, support=support)

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        offset = self.support.offset
        drawn = torch.randint(self.support.size, (len(anchors),))
        if self.support.exclude_self and offset is not None:
            drawn = drawn + (drawn >= anchors + offset)
        return drawn

    @property
    def n_edges(self) -> int:
        return int(torch.count_nonzero(self.mass)) * self.support.size
