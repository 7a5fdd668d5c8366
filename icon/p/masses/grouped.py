"""p that is uniform over the anchor's group: classes, instances, items of another modality."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from icon import _checks as check
from icon._cached import cached
from icon.p.masses.base import Edges, Grouping, Masses, per_row, precise
from icon.p.masses.sparse import Sparse
from icon.p.support import place

WHOLE = 2**20  # pairs up to which who shares a group with whom is kept as a matrix


@dataclass(frozen=True, eq=False)
class Grouped(Masses):
    """The candidates with the anchor's key share its mass evenly.

    The members are never listed for each anchor, so that ten classes of ``n`` points take O(n) memory, not O(n²/10).

    Args:
        keys: ``[n]`` integers, the group of each anchor.
        candidate_keys: ``[m]`` of each candidate.
        mass: what the row of an anchor with a positive sums to: one number for all, or ``[n]``.
        own: anchor i is candidate ``own + i`` and no positive of its own; None where it may be.
    """

    keys: Tensor
    candidate_keys: Tensor
    mass: float | Tensor = 1.0
    own: int | None = None

    is_listed = True

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.keys.shape[0]

    @property
    def m(self) -> int:  # type: ignore[override]
        return self.candidate_keys.shape[0]

    @property
    def leaves_self_out(self) -> bool:  # type: ignore[override]
        return self.own is not None

    # -- who is in a group --------------------------------------------------------------------------------------------

    def positives(self, start: int, stop: int) -> Bool[Tensor, "b m"]:
        few = self._few if stop - start == len(self.keys) else None
        return self._same(start, stop) if few is None else few[0] > 0

    def presence(self) -> Real[Tensor, " n"]:
        few = self._few
        return self.counts if few is None else few[1]

    @cached
    def _few(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """Of few pairs, 1 where two share a group ``[n, m]``, else 0; the positives of each anchor ``[n]``, and the
        same, but 1 where there is none."""
        keys, candidates = self.keys, self.candidate_keys
        if keys.shape[0] * candidates.shape[0] > WHOLE:
            return None
        same = (keys.unsqueeze(1) == candidates).to(torch.get_default_dtype())
        if self.own is not None:
            same.diagonal(self.own).fill_(0)
        counts = same.sum(dim=1)
        return same, counts, counts.clamp_min(1)

    def _same(self, start: int, stop: int) -> Tensor:
        same = self.keys[start:stop].unsqueeze(1) == self.candidate_keys
        if self.own is not None:
            same.diagonal(self.own + start).fill_(False)
        return same

    @cached
    def counts(self) -> Real[Tensor, " n"]:
        """``[n]`` positives of each anchor."""
        if self._few is not None:
            return self._few[1]
        return self._sizes[self._groups[0]] - int(self.own is not None)

    @cached
    def _groups(self) -> tuple[Tensor, Tensor]:
        """Groups numbered from 0: of the anchors ``[n]``, of the candidates ``[m]``; without a wait for the device."""
        keys = self.candidate_keys if self.own is not None else torch.cat([self.candidate_keys, self.keys])
        ordered, order = keys.sort(stable=True)
        number = torch.zeros_like(keys)
        number[order[1:]] = (ordered[1:] != ordered[:-1]).cumsum(0)
        if self.own is not None:
            return number[self.own : self.own + self.n], number
        return number[self.m :], number[: self.m]

    @cached
    def _sizes(self) -> Tensor:
        """Members of each group among the candidates; as many entries as there can be groups."""
        most = self.m if self.own is not None else self.m + self.n
        group = self._groups[1]
        return torch.zeros(most, dtype=torch.int64, device=group.device).index_add_(0, group, torch.ones_like(group))

    # -- what a loss asks for -----------------------------------------------------------------------------------------

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        stop = start + tile.shape[0]
        few = self._few if stop - start == self.keys.shape[0] else None
        same, divisors = (few[0], few[2]) if few else (self._same(start, stop), self.counts[start:stop].clamp_min(1))
        found: Tensor = torch.linalg.vecdot(tile, same.to(tile.dtype)) / divisors
        mass = self.mass
        if isinstance(mass, Tensor):
            return found * mass[start:stop].to(found)
        return found if mass == 1.0 else found * mass

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        stop = start + tile.shape[0]
        few = self._few if stop - start == self.keys.shape[0] else None
        same, divisors = (few[0], few[2]) if few else (self._same(start, stop), self.counts[start:stop].clamp_min(1))
        each = factor / divisors
        mass = self.mass
        if isinstance(mass, Tensor) or mass != 1.0:
            each = each * (mass[start:stop].to(each) if isinstance(mass, Tensor) else mass)
        tile.addcmul_(same.to(tile.dtype), each.to(tile.dtype)[:, None])

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        mass = per_row(self.mass, start, stop)
        return self._shares(start, stop, like.dtype) * (mass.to(like)[:, None] if isinstance(mass, Tensor) else mass)

    def _shares(self, start: int, stop: int, dtype: torch.dtype) -> Tensor:
        """Rows that sum to one; where there are few pairs they are kept for the next use."""
        kept: dict[torch.dtype, Tensor] = self.__dict__.setdefault("_kept", {})
        few = self._few if stop - start == len(self.keys) else None
        if few is None:
            return self._same(start, stop).to(dtype) / self.counts[start:stop, None].to(dtype).clamp_min(1)
        if dtype not in kept:
            kept[dtype] = few[0].to(dtype) / few[2].to(dtype)[:, None]
        return kept[dtype]

    def sums(self) -> Float[Tensor, " n"]:
        positive = (self.counts > 0).to(precise(self.keys.device))
        return positive * self.mass

    def entropy(self, density: Float[Tensor, " n"] | None = None, size: int = 0) -> Float[Tensor, " n"]:
        few = self._few
        divisors = (self.counts.clamp_min(1) if few is None else few[2]).to(precise(self.keys.device))
        if density is None and not isinstance(self.mass, Tensor) and self.mass == 1.0:
            return divisors.log()
        counts, each = self.counts.to(divisors), self.sums() / divisors
        if density is None:
            return -counts * torch.xlogy(each, each)
        each = each + density
        return -counts * torch.xlogy(each, each) - (size - counts) * torch.xlogy(density, density)

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        """Sums over the groups: O((n + m) r), however many pairs there are."""
        mine, theirs = self._groups
        sums = features.new_zeros(len(self._sizes), features.shape[1]).index_add(0, theirs, features)
        found = sums.index_select(0, mine)
        if self.own is not None:
            found = found - features[self.own : self.own + self.n]
        return found * self._each(features)[:, None]

    def averages_cheaply(self, width: int) -> bool:
        return True

    @property
    def listed_pairs(self) -> int | None:
        return self.n_edges if check.values_matter(self.keys) else None

    @property
    def grouping(self) -> Grouping | None:
        if self.own != 0 or self.n != self.m:
            return None
        return Grouping(self._groups[1], self._each(self.sums()))

    def edges(self, start: int, stop: int) -> Edges:
        mine, theirs = self._groups
        order, sizes = torch.argsort(theirs, stable=True), self._sizes[mine[start:stop]]
        first = (self._sizes.cumsum(0) - self._sizes)[mine[start:stop]]
        row = torch.repeat_interleave(sizes)
        col = order[first[row] + torch.arange(len(row), device=row.device) - (sizes.cumsum(0) - sizes)[row]]
        if self.own is not None:
            others = col != row + start + self.own
            row, col = row[others], col[others]
        each = self.sums()[start:stop] / self.counts[start:stop].clamp_min(1)
        return Edges(row, col, each[row])

    # -- the same masses otherwise ------------------------------------------------------------------------------------

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Grouped:
        return replace(self, mass=self.mass * factor)

    def part(self, start: int, stop: int) -> Grouped:
        own = None if self.own is None else self.own + start
        found = Grouped(self.keys[start:stop], self.candidate_keys, per_row(self.mass, start, stop), own)
        few = self.__dict__.get("_few")
        if few is not None:  # known already: not to be found again
            object.__setattr__(found, "_few", tuple(x[start:stop] for x in few))
        return found

    def columns(self, start: int, stop: int) -> Grouped:
        found = Grouped(self.keys, self.candidate_keys[start:stop], own=place(self.n, self.own, start, stop))
        precision = precise(self.keys.device)
        return found.scaled(self.mass * found.counts.to(precision) / self.counts.clamp_min(1).to(precision))

    def transposed(self) -> Masses:
        if self.own is not None and (self.own, self.n) != (0, self.m):  # a part: its anchors are some candidates
            row, col, mass = self.edges(0, self.n)
            indptr = torch.cat([row.new_zeros(1), torch.bincount(row, minlength=self.n).cumsum(0)]).cpu()
            return Sparse(indptr, col, mass, self.m).transposed()
        return Grouped(self.candidate_keys, self.keys, own=0 if self.n == self.m and self.own == 0 else None)

    def symmetrized(self, marginal: Float[Tensor, " n"]) -> tuple[Grouped, Tensor] | None:
        """Members of a group are so to each other: nothing changes where all anchors with a positive weigh the same."""
        return (self, marginal) if self.own == 0 and self.n == self.m else None

    def to(self, device: torch.device, dtype: torch.dtype) -> Grouped:
        mass = self.mass.to(device, dtype) if isinstance(self.mass, Tensor) else self.mass
        if mass is self.mass and self.keys.device == device:
            return self
        return Grouped(self.keys.to(device), self.candidate_keys.to(device), mass, self.own)

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """A member by its rank within the group, the anchor's own rank skipped."""
        mine, theirs = self._groups
        order = torch.argsort(theirs, stable=True)
        first = (self._sizes.cumsum(0) - self._sizes)[mine[anchors]]
        counts = self.counts[anchors].long()
        rank = (torch.rand(len(anchors), dtype=torch.float64) * counts).long().clamp_max((counts - 1).clamp_min(0))
        if self.own is not None:
            place = torch.empty_like(order)
            place[order] = torch.arange(len(order))
            rank = rank + (rank >= place[anchors + self.own] - first)
        stuck = counts == 0
        return torch.where(stuck, anchors, order[torch.where(stuck, 0, first + rank)])

    @property
    def n_edges(self) -> int:
        return int(self.counts.sum())

    def _each(self, like: Tensor) -> Tensor:
        """``[n]`` the mass of one positive."""
        mass = self.mass.to(like) if isinstance(self.mass, Tensor) else self.mass
        each: Tensor = mass / self.counts.clamp_min(1).to(like.dtype)
        return each
