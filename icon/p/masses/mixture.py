"""p that is a sum of others, a debiased p among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from icon import _checks as check
from icon._cached import cached
from icon._lazy import sp
from icon.p.masses.base import Masses, drawn_of
from icon.p.masses.sparse import Sparse
from icon.p.masses.uniform import Uniform
from icon.p.support import Support

M = TypeVar("M", bound="Mixture")


@dataclass(frozen=True, eq=False)
class Mixture(Masses):
    """``sum_k w_k p_k`` of masses of any structure; the weights are already in the parts.

    Args:
        parts: of one shape; at least two.
    """

    parts: tuple[Masses, ...]

    is_compact = True

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.parts[0].n

    @property
    def m(self) -> int:  # type: ignore[override]
        return self.parts[0].m

    def _sum(self, of: Callable[[Masses], Tensor]) -> Tensor:
        return reduce(torch.add, map(of, self.parts))

    def _of_each(self: M, changed: Callable[[Masses], Masses]) -> M:
        return replace(self, parts=tuple(map(changed, self.parts)))

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        return self._sum(lambda part: part.expectation(tile, start))

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        return self._sum(lambda part: part.tile(start, stop, like))

    def sums(self) -> Float[Tensor, " n"]:
        return self._sum(lambda part: part.sums())

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        return self._sum(lambda part: part.average(features))

    def averages_cheaply(self, width: int) -> bool:
        return all(part.averages_cheaply(width) for part in self.parts)

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        for part in self.parts:
            part.add_to(tile, start, factor)

    def scaled(self: M, factor: float | Float[Tensor, " n"]) -> M:
        return self._of_each(lambda part: part.scaled(factor))

    def part(self: M, start: int, stop: int) -> M:
        return self._of_each(lambda part: part.part(start, stop))

    def columns(self: M, start: int, stop: int) -> M:
        return self._of_each(lambda part: part.columns(start, stop))

    def transposed(self) -> Masses:
        return Sparse.of(self.to_scipy()).transposed()

    def to(self: M, device: torch.device, dtype: torch.dtype) -> M:
        moved = self._of_each(lambda part: part.to(device, dtype))
        return self if all(a is b for a, b in zip(moved.parts, self.parts, strict=True)) else moved

    def on(self: M, support: Support) -> M:
        return self._of_each(lambda part: part.on(support))

    def to_scipy(self) -> sp.csr_array:
        return reduce(lambda a, b: sp.csr_array(a + b), (part.to_scipy() for part in self.parts))

    @cached
    def _shares(self) -> Tensor:
        """``[n, parts]`` the mass of each part in each row."""
        return torch.stack([part.sums().detach() for part in self.parts], dim=1)

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """From one of the parts, each in proportion to its mass in the row."""
        chosen, drawn = drawn_of(self._shares[anchors], torch.full_like(anchors, -1)), anchors.clone()
        for k, part in enumerate(self.parts):
            mine = (chosen == k).nonzero().flatten()
            drawn[mine] = part.draw(anchors[mine])
        return drawn

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]
        return any(part.requires_grad for part in self.parts)

    @property
    def leaves(self) -> tuple[Tensor, ...]:  # type: ignore[override]
        return tuple(chain.from_iterable(part.leaves for part in self.parts))

    def with_leaves(self: M, leaves: tuple[Tensor, ...]) -> M:
        rest = iter(leaves)
        return self._of_each(lambda part: part.with_leaves(tuple(next(rest) for _ in part.leaves)))


@dataclass(frozen=True, eq=False)
class Debiased(Mixture):
    """Masses of some structure, and uniform mass beside them.

    Args:
        parts: the masses that are not uniform, and the uniform ones.
    """

    parts: tuple[Masses, Uniform]

    @property
    def own_part(self) -> Masses:
        return self.parts[0]

    @property
    def uniform_mass(self) -> Float[Tensor, " n"]:  # type: ignore[override]
        return self.parts[1].mass

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        if self.is_filled and len(tile) == self.n:
            return self.expectation_of_all(tile)
        own, spread = self.parts
        return own.expectation(tile, start) + spread.expectation(tile, start)

    def positives(self, start: int, stop: int) -> Bool[Tensor, "b m"]:
        return self.own_part.positives(start, stop)

    def entropy(self, density: Float[Tensor, " n"] | None = None, size: int = 0) -> Float[Tensor, " n"]:
        own, spread = self.parts
        return own.entropy(spread.density if density is None else spread.density + density, spread.support.size)

    def exaggerated(self, factor: float) -> Debiased:
        own, spread = self.parts
        return Debiased((own.exaggerated(factor), spread))

    def transposed(self) -> Debiased:
        own, spread = self.parts
        share = torch.unique(spread.mass[spread.mass > 0])
        if len(share) != 1:
            raise ValueError("transpose: got a p with unequal uniform masses, expected one for all anchors")
        flipped, alpha = own.transposed(), share[0]
        positive = (flipped.sums() > 0).to(alpha)
        return Debiased((flipped.scaled(float(1 - alpha)), spread.transposed().scaled(alpha * positive)))

    def symmetrized(self, marginal: Float[Tensor, " n"]) -> tuple[Debiased, Tensor] | None:
        """That of its own masses, where they stay as they are and every anchor has as much uniform mass; unequal masses
        are refused by `Symmetrize`, a check of values."""
        symmetric = self.own_part.symmetrized(marginal)
        if symmetric is None or symmetric[0] is not self.own_part:
            return None
        mass = self.uniform_mass
        return None if check.values_matter(mass) and not bool((mass == mass[0]).all()) else (self, marginal)

    @property
    def is_filled(self) -> bool:  # type: ignore[override]
        return self.own_part.is_filled

    @property
    def n_edges(self) -> int:
        return self.own_part.n_edges
