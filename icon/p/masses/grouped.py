"""p that is uniform over the anchor's group: classes, instances, items of another modality."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from icon import _checks as check
from icon._cached import cached
from icon._scales import precise
from icon.p.masses.base import Edges, Masses, OnSupport, entropy_of_equals, per_row
from icon.p.masses.sparse import Sparse
from icon.p.support import Support

WHOLE = 2**20  # pairs up to which who shares a group with whom is kept as a matrix


@dataclass(frozen=True, eq=False)
class Grouped(OnSupport):
    """The candidates with the anchor's key share its mass evenly.

    The members are never listed for each anchor, so that ten classes of ``n`` points take O(n) memory, not O(n²/10).

    Args:
        keys: ``[n]`` integers, the group of each anchor.
        candidate_keys: ``[m]`` of each candidate.
        support: who may be a positive.
        mass: what the row of an anchor with a positive sums to: one number for all, or ``[n]``.
    """

    keys: Tensor
    candidate_keys: Tensor
    support: Support
    mass: float | Tensor = 1.0

    is_listed = True
    is_compact = True

    # -- who is in a group --------------------------------------------------------------------------------------------

    def positives(self, start: int, stop: int) -> Bool[Tensor, "b m"]:
        positive = self._block(start, stop)[0] > 0
        return positive & (self.mass[start:stop, None] > 0) if isinstance(self.mass, Tensor) else positive

    def presence(self) -> Real[Tensor, " n"]:
        few = self._few
        members = self.counts if few is None else few[1]
        return members * (self.mass > 0) if isinstance(self.mass, Tensor) else members

    @cached
    def _few(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """Of few pairs, 1 where two share a group ``[n, m]``, else 0; the positives of each anchor ``[n]``, and the
        same, but 1 where there is none."""
        if self.keys.shape[0] * self.candidate_keys.shape[0] > WHOLE:
            return None
        same = self._same(self.keys, 0).float()  # which counts so many exactly, whatever the default dtype is
        counts = same.sum(dim=1)
        return same, counts, counts.clamp_min(1)

    def _same(self, keys: Tensor, start: int) -> Tensor:
        """Who of the candidates is a positive of the anchors with some keys, the first of which is ``start``."""
        same = keys.unsqueeze(1) == self.candidate_keys
        if (own := self.support.own) is not None:  # `hide_`, less a call
            same.diagonal(own + start).fill_(False)
        return same

    @cached
    def counts(self) -> Real[Tensor, " n"]:
        """``[n]`` positives of each anchor."""
        return self._sizes[self._groups[0]] - int(self.support.exclude_self) if self._few is None else self._few[1]

    @cached
    def _groups(self) -> tuple[Tensor, Tensor]:
        """Groups numbered from 0, without a wait for the device: of the anchors ``[n]``, of the candidates ``[m]``."""
        own = self.support.own
        keys = self.candidate_keys if own is not None else torch.cat([self.candidate_keys, self.keys])
        ordered, order = keys.sort(stable=True)
        number = torch.zeros_like(keys)
        number[order[1:]] = (ordered[1:] != ordered[:-1]).cumsum(0)
        start = self.m if own is None else own
        return number[start : start + self.n], number[: self.m]

    @property
    def _most_groups(self) -> int:
        return self.m if self.support.exclude_self else self.n + self.m

    @cached
    def _sizes(self) -> Tensor:
        """Members of each group among the candidates, of as many groups as there can be."""
        group = self._groups[1]
        zeros = torch.zeros(self._most_groups, dtype=torch.int64, device=group.device)
        return zeros.index_add_(0, group, torch.ones_like(group))

    @cached
    def _members(self) -> tuple[Tensor, Tensor]:
        """``[m]`` the candidates in the order of their groups, and where those of each group begin."""
        return torch.argsort(self._groups[1], stable=True), self._sizes.cumsum(0) - self._sizes

    @cached
    def _places(self) -> Tensor:
        """``[m]`` where each candidate stands in that order."""
        return torch.argsort(self._members[0])

    # -- what a loss asks for -----------------------------------------------------------------------------------------

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        stop = start + tile.shape[0]
        few = self._few if stop - start == self.keys.shape[0] else None  # `_block`, less a call
        same, divisors = (few[0], few[2]) if few else self._block(start, stop)
        expected: Tensor = torch.linalg.vecdot(tile, same.to(tile.dtype)) / divisors
        mass = self.mass
        if isinstance(mass, Tensor):
            return expected * mass[start:stop].to(expected)
        return expected if mass == 1.0 else expected * mass

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        stop = start + tile.shape[0]
        tile.addcmul_(self._block(start, stop)[0].to(tile), (factor * self._each(start, stop, tile))[:, None])

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        return self._block(start, stop)[0].to(like) * self._each(start, stop, like)[:, None]

    def _block(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """``[b, m]`` the positives of some anchors, and ``[b]`` how many they are, 1 where there is none."""
        few = self._few if stop - start == self.keys.shape[0] else None
        if few is not None:
            return few[0], few[2]
        return self._same(self.keys[start:stop], start), self.counts[start:stop].clamp_min(1)

    def _each(self, start: int, stop: int, like: Tensor) -> Float[Tensor, " b"]:
        """``[b]`` the mass of one positive."""
        mass, divisors = per_row(self.mass, start, stop), self.counts[start:stop].clamp_min(1).to(like)
        return (mass.to(like) if isinstance(mass, Tensor) else mass) / divisors

    def sums(self) -> Float[Tensor, " n"]:
        positive = (self.counts > 0).to(precise(self.keys))
        return positive * self.mass

    def entropy(self, density: Float[Tensor, " n"] | None = None, size: int = 0) -> Float[Tensor, " n"]:
        few = self._few
        divisors = (self.counts.clamp_min(1) if few is None else few[2]).to(precise(self.keys))
        if density is None and not isinstance(self.mass, Tensor) and self.mass == 1.0:
            return divisors.log()
        return entropy_of_equals(self.counts.to(divisors), self.sums() / divisors, density, size)

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        """Sums over the groups: O((n + m) r), however many pairs there are."""
        mine, theirs = self._groups
        sums = features.new_zeros(self._most_groups, features.shape[1]).index_add(0, theirs, features)
        of_others = sums.index_select(0, mine) - self.support.excluded(features)
        return of_others * self._each(0, self.n, features)[:, None]

    def averages_cheaply(self, width: int) -> bool:
        return True

    @property
    def listed_pairs(self) -> int | None:
        return self.n_edges if check.values_matter(self.keys) else None

    @property
    def grouping(self) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]] | None:  # type: ignore[override]
        one_set = self.leaves_self_out and self.n == self.m
        return (self._groups[1], self._each(0, self.n, self.sums())) if one_set else None

    def edges(self, start: int, stop: int) -> Edges:
        order, begins = self._members
        mine = self._groups[0][start:stop]
        sizes = self._sizes[mine]
        row = torch.repeat_interleave(sizes)
        col = order[begins[mine][row] + torch.arange(len(row), device=row.device) - (sizes.cumsum(0) - sizes)[row]]
        if (own := self.support.own) is not None:
            others = col != row + start + own
            row, col = row[others], col[others]
        return Edges(row, col, self._each(start, stop, self.sums())[row])

    # -- the same masses otherwise ------------------------------------------------------------------------------------

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Grouped:
        return replace(self, mass=self.mass * factor)

    def part(self, start: int, stop: int) -> Grouped:
        keys, mass = self.keys[start:stop], per_row(self.mass, start, stop)
        return Grouped(keys, self.candidate_keys, self.support.part(start, stop), mass)

    def columns(self, start: int, stop: int) -> Grouped:
        if self.support.is_alone(start, stop):
            return Grouped(self.keys, self.candidate_keys[start:stop], Support(1, 1), 0.0 * self.sums())
        some = Grouped(self.keys, self.candidate_keys[start:stop], self.support.columns(start, stop))
        precision = precise(self.keys)
        return some.scaled(self.mass * some.counts.to(precision) / self.counts.clamp_min(1).to(precision))

    def transposed(self) -> Masses:
        if self.leaves_self_out and self.n != self.m:  # the anchors are some of the candidates
            return Sparse.of(self.to_scipy()).transposed()
        return Grouped(self.candidate_keys, self.keys, self.support.flipped())

    def symmetrized(self, marginal: Float[Tensor, " n"]) -> tuple[Grouped, Tensor] | None:
        """Members of a group are so to each other: nothing changes where all anchors with a positive weigh the same."""
        return (self, marginal) if self.leaves_self_out and self.n == self.m else None

    def to(self, device: torch.device, dtype: torch.dtype) -> Grouped:
        mass = self.mass.to(device, dtype) if isinstance(self.mass, Tensor) else self.mass
        if mass is self.mass and self.keys.device == device:
            return self
        return replace(self, keys=self.keys.to(device), candidate_keys=self.candidate_keys.to(device), mass=mass)

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """A member by its rank within the group, in which that of the anchor itself is passed over."""
        order, begins = self._members
        counts, begin = self.counts[anchors].long(), begins[self._groups[0][anchors]]
        rank = (torch.rand_like(counts, dtype=torch.float64) * counts).long().clamp_max((counts - 1).clamp_min(0))
        if (own := self.support.own) is not None:
            rank = rank + (rank >= self._places[anchors + own] - begin)
        stuck = counts == 0
        return torch.where(stuck, anchors, order[torch.where(stuck, 0, begin + rank)])

    @property
    def n_edges(self) -> int:
        has_mass = self.mass > 0 if isinstance(self.mass, Tensor) else float(self.mass > 0)
        return int((self.counts * has_mass).sum())
