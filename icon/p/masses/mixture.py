"""p that is a sum of others: a debiased p above all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from icon import _checks as check
from icon.p.masses.base import Masses
from icon.p.masses.uniform import Uniform
from icon.p.support import Support


@dataclass(frozen=True, eq=False)
class Mixture(Masses):
    """``p + u``: masses of some structure, and uniform mass beside them; the weights are already in both.

    Args:
        own: the masses that are not uniform.
        spread: the uniform mass.
    """

    own: Masses
    spread: Uniform

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.own.n

    @property
    def m(self) -> int:  # type: ignore[override]
        return self.own.m

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        if self.is_filled and len(tile) == self.n:
            return self.expectation_of_all(tile)
        return self.own.expectation(tile, start) + self.spread.expectation(tile, start)

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        return self.own.tile(start, stop, like) + self.spread.tile(start, stop, like)

    def positives(self, start: int, stop: int) -> Bool[Tensor, "b m"]:
        return self.own.positives(start, stop)

    def sums(self) -> Float[Tensor, " n"]:
        return self.own.sums() + self.spread.sums()

    def presence(self) -> Real[Tensor, " n"]:
        return self.own.presence() + self.spread.mass

    def entropy(self, density: Float[Tensor, " n"] | None = None, size: int = 0) -> Float[Tensor, " n"]:
        own = self.spread.density
        return self.own.entropy(own if density is None else own + density, self.spread.support.size)

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        return self.own.average(features) + self.spread.average(features)

    def averages_cheaply(self, width: int) -> bool:
        return self.own.averages_cheaply(width)

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        self.own.add_to(tile, start, factor)
        self.spread.add_to(tile, start, factor)

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Mixture:
        return Mixture(self.own.scaled(factor), self.spread.scaled(factor))

    def exaggerated(self, factor: float) -> Mixture:
        return Mixture(self.own.exaggerated(factor), self.spread)

    def part(self, start: int, stop: int) -> Mixture:
        return Mixture(self.own.part(start, stop), self.spread.part(start, stop))

    def columns(self, start: int, stop: int) -> Mixture:
        return Mixture(self.own.columns(start, stop), self.spread.columns(start, stop))

    def transposed(self) -> Mixture:
        share = torch.unique(self.spread.mass[self.spread.mass > 0])
        if len(share) != 1:
            raise ValueError("transpose: got a p with unequal uniform masses, expected one for all anchors")
        flipped, alpha = self.own.transposed(), share[0]
        positive = (flipped.sums() > 0).to(alpha)
        return Mixture(flipped.scaled(float(1 - alpha)), self.spread.transposed().scaled(alpha * positive))

    def symmetrized(self, marginal: Float[Tensor, " n"]) -> tuple[Mixture, Tensor] | None:
        """That of its own masses, where they stay as they are and every anchor has as much uniform mass; unequal masses
        are refused by `Symmetrize`, a check of values."""
        symmetric = self.own.symmetrized(marginal)
        if symmetric is None or symmetric[0] is not self.own:
            return None
        mass = self.spread.mass
        return None if check.values_matter(mass) and not bool((mass == mass[0]).all()) else (self, marginal)

    def to(self, device: torch.device, dtype: torch.dtype) -> Mixture:
        own, spread = self.own.to(device, dtype), self.spread.to(device, dtype)
        return self if own is self.own and spread is self.spread else Mixture(own, spread)

    def on(self, support: Support) -> Mixture:
        return Mixture(self.own.on(support), self.spread.on(support))

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        share = (self.spread.mass / self.sums())[anchors]
        spread = torch.rand(len(anchors), dtype=share.dtype) < share
        return torch.where(spread, self.spread.draw(anchors), self.own.draw(anchors))

    @property
    def is_filled(self) -> bool:
        return self.own.is_filled

    @property
    def n_edges(self) -> int:
        return self.own.n_edges

    @property
    def own_part(self) -> Masses:
        return self.own

    @property
    def uniform_mass(self) -> Float[Tensor, " n"]:
        return self.spread.mass

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]
        return self.own.requires_grad

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        return self.own.leaves

    def with_leaves(self, leaves: tuple[Tensor, ...]) -> Mixture:
        return Mixture(self.own.with_leaves(leaves), self.spread)
