"""How the edges of p are stored: as sparse rows, or as groups whose members are all each other's neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor


class Block(NamedTuple):
    """The edges of a block of anchors: local row, candidate and mass of each edge, all ``[e]``.

    Where every pair is an edge the values are a tile ``[b, m]`` in a row, and there are no rows to look up.
    """

    row: Tensor
    col: Tensor
    value: Tensor


@dataclass(frozen=True, eq=False)
class Csr:
    """Edges as compressed sparse rows: ``indptr [n+1]``, ``indices [e]`` (sorted, unique in a row), ``values [e]``."""

    indptr: Tensor
    indices: Tensor
    values: Tensor
    m: int
    #: ``[e]`` logarithms of the values, where they are known beyond what the values can hold (a narrow Gaussian).
    log_values: Tensor | None = None

    @property
    def n(self) -> int:
        return self.indptr.shape[0] - 1

    @property
    def counts(self) -> Tensor:
        return self.indptr.diff()

    @property
    def is_full(self) -> bool:
        """Whether every candidate is an edge of every anchor, so that a block is a plain tile."""
        return self.indices.shape[0] == self.n * self.m

    def span(self, start: int, stop: int) -> slice:
        return slice(int(self.indptr[start]), int(self.indptr[stop]))

    def block(self, start: int, stop: int) -> Block:
        span = self.span(start, stop)
        if self.is_full:
            return Block(self.indptr[:0], self.indices[span], self.values[span])
        row = torch.repeat_interleave(self.indptr[start : stop + 1].diff())
        return Block(row, self.indices[span], self.values[span])

    def scaled(self, factor: float | Tensor) -> Csr:
        """The edges times a number, or times one number per row ``[n]``."""
        if isinstance(factor, Tensor):
            factor = factor[torch.repeat_interleave(self.counts)]
        return replace(self, values=self.values * factor, log_values=None)

    def to(self, device: torch.device, dtype: torch.dtype) -> Csr:
        logs = None if self.log_values is None else self.log_values.to(device, dtype)
        return Csr(self.indptr.to(device), self.indices.to(device), self.values.to(device, dtype), self.m, logs)

    def without_edges(self) -> Csr:
        return Csr(torch.zeros_like(self.indptr), self.indices[:0], self.values.detach()[:0], self.m)

    @property
    def mass(self) -> Tensor:
        """``[n]`` the sum of each row."""
        return self.row_sums(self.values.detach())

    def row_sums(self, values: Tensor) -> Tensor:
        """``[n]`` sums of one number per edge."""
        return values.new_zeros(self.n).index_add(0, torch.repeat_interleave(self.counts), values)


@dataclass(frozen=True, eq=False)
class Groups:
    """Edges to every member of the anchor's group, which share the anchor's mass evenly.

    The member lists are shared by the anchors of a group, so that ten classes of ``n`` points take O(n) memory and
    not O(n²/10).

    Args:
        group: ``[n]`` the anchor's group (-1: none). candidate_group: ``[m]`` the candidate's.
        indptr, members: the candidates of each group, one group after the other.
        skip_self: within one set, the anchor is no neighbour of its own.
        mass: ``[n]`` what the edges of an anchor sum to, where it has any.
    """

    group: Tensor
    candidate_group: Tensor
    indptr: Tensor
    members: Tensor
    skip_self: bool
    mass_if_any: Tensor

    @classmethod
    def of(cls, group: Tensor, candidate_group: Tensor, skip_self: bool) -> Groups:
        """From the groups ``0, 1, ...`` of the anchors and of the candidates; each anchor's mass is one."""
        count = int(torch.cat([group, candidate_group]).max()) + 1
        sizes = torch.bincount(candidate_group + 1, minlength=count + 1)  # the first: candidates of no group
        members = torch.argsort(candidate_group, stable=True)[int(sizes[0]) :]
        indptr = sizes.cumsum(0) - sizes[0]
        return cls(group, candidate_group, indptr, members, skip_self, torch.ones_like(group, dtype=torch.float64))

    @property
    def m(self) -> int:
        return len(self.candidate_group)

    @property
    def sizes(self) -> Tensor:
        """``[n]`` members of each anchor's group, itself included."""
        return torch.cat([self.indptr.diff(), self.indptr.new_zeros(1)])[self.group]  # the last entry serves group -1

    @property
    def counts(self) -> Tensor:
        return (self.sizes - int(self.skip_self)).clamp_min(0)

    @property
    def mass(self) -> Tensor:
        """``[n]`` the sum of each row."""
        return self.mass_if_any * (self.counts > 0).to(self.mass_if_any.dtype)

    @property
    def each(self) -> Tensor:
        """``[n]`` the mass of one edge."""
        return self.mass_if_any / self.counts.clamp_min(1).to(self.mass_if_any.dtype)

    @property
    def is_full(self) -> bool:
        return False

    @property
    def has_self(self) -> bool:
        return not self.skip_self and bool(((self.group == self.candidate_group) & (self.group >= 0)).any())

    def block(self, start: int, stop: int) -> Block:
        sizes = self.sizes[start:stop]
        row = torch.repeat_interleave(sizes)
        offset = torch.arange(row.shape[0], device=row.device) - (sizes.cumsum(0) - sizes)[row]
        col = self.members[self.indptr[self.group[start:stop]][row] + offset]
        if self.skip_self:
            others = col != row + start
            row, col = row[others], col[others]
        return Block(row, col, self.each[start:stop][row])

    def without_edges(self) -> Csr:
        indptr = self.group.new_zeros(len(self.group) + 1)
        return Csr(indptr, indptr[:0], self.mass_if_any[:0], self.m)

    def scaled(self, factor: float | Tensor) -> Groups:
        """The edges times a number, or times one number per row ``[n]``."""
        return replace(self, mass_if_any=self.mass_if_any * factor)

    def transposed(self) -> Groups:
        return Groups.of(self.candidate_group, self.group, self.skip_self)

    def to(self, device: torch.device, dtype: torch.dtype) -> Groups:
        moved = {name: getattr(self, name).to(device) for name in ("group", "candidate_group", "indptr", "members")}
        return replace(self, **moved, mass_if_any=self.mass_if_any.to(device, dtype))
