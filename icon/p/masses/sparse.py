"""p with few candidates an anchor: compressed sparse rows, or as many listed candidates for every anchor."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from icon import _checks as check
from icon._cached import cached
from icon._lazy import sp
from icon._scales import precise
from icon.p.masses.base import Edges, Masses, Valued, entropy_of_equals, per_row, x_log_x

_BLOCK = 2**22  # edges whose entropies are computed at a time
#: Of few pairs, a matrix of all of them is read faster than edges where more than this share of them are edges.
_WHOLE, _FILLED = 2**22, 1 / 16


class OfEdges(Masses):
    """Masses of which `edges` lists all pairs."""

    is_listed = True

    @property
    @abstractmethod
    def listed_pairs(self) -> int: ...

    def averages_cheaply(self, width: int) -> bool:
        return self.listed_pairs * width <= self.n * self.m

    def columns(self, start: int, stop: int) -> Sparse:
        row, col, mass = self.edges(0, self.n)
        kept = (col >= start) & (col < stop)
        return Sparse(_begins(row[kept], self.n), col[kept] - start, mass[kept], stop - start)

    def transposed(self) -> Sparse:
        row, col, mass = self.edges(0, self.n)
        order = torch.argsort(col, stable=True)  # within a row the anchors are in order already
        flipped = Sparse(_begins(col, self.m), row[order], mass[order], self.n)
        return flipped.scaled(1 / flipped.sums().clamp_min(torch.finfo(mass.dtype).tiny))


def _begins(rows: Tensor, n: int) -> Tensor:
    """``[n + 1]`` where the edges of each anchor begin."""
    counts = torch.bincount(rows, minlength=n)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).cpu()


@dataclass(frozen=True, eq=False)
class Sparse(Valued, OfEdges):
    """Masses as compressed sparse rows.

    Args:
        indptr: ``[n + 1]`` where the edges of each anchor begin, on the CPU, so that no block waits for a device.
        indices: ``[e]`` candidates, sorted within a row; one that is listed twice counts twice.
        values: ``[e]`` masses; gradients flow through them where they have one.
        m: number of candidates.
    """

    indptr: Tensor
    indices: Tensor
    values: Tensor
    m: int

    @staticmethod
    def of(matrix: sp.csr_array) -> Sparse:
        """The entries of a matrix ``[n, m]``, with sorted indices."""
        indptr, indices = (torch.from_numpy(x.astype(np.int64)) for x in (matrix.indptr, matrix.indices))
        return Sparse(indptr, indices, torch.from_numpy(matrix.data), matrix.shape[1])

    @staticmethod
    def normalized(matrix: sp.spmatrix | sp.sparray) -> Sparse:
        """The entries of a matrix ``[n, m]`` of weights >= 0, each row scaled to sum to one."""
        weights = sp.csr_array(matrix).astype(np.float64, copy=False)
        if not weights.has_sorted_indices:
            weights = weights.sorted_indices()
        sums = np.asarray(weights.sum(axis=1)).ravel()
        values = np.repeat(np.where(sums > 0, sums, 1.0), np.diff(weights.indptr))
        np.divide(weights.data, values, out=values)  # the inverse of a sum of the smallest numbers would be infinite
        return Sparse.of(sp.csr_array((values, weights.indices, weights.indptr), shape=weights.shape))

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.indptr.shape[0] - 1

    @cached
    def rows(self) -> Tensor:
        """``[e]`` the anchor of each edge."""
        return torch.repeat_interleave(self.indptr.diff()).to(self.indices.device)

    @property
    def listed_pairs(self) -> int:
        return len(self.indices)

    def span(self, start: int, stop: int) -> slice:
        if (start, stop) == (0, self.n):
            return slice(0, len(self.indices))
        return slice(int(self.indptr[start]), int(self.indptr[stop]))

    def edges(self, start: int, stop: int) -> Edges:
        span = self.span(start, stop)
        return Edges(self.rows[span] - start, self.indices[span], self.values[span])

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        if self.is_filled and len(tile) == self.n:
            return self.expectation_of_all(tile)
        row, col, mass = self.edges(start, start + len(tile))
        return tile.new_zeros(len(tile)).index_add(0, row, mass.to(tile) * tile[row, col])

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        row, col, mass = self.edges(start, stop)
        return like.new_zeros(stop - start, self.m).index_put((row, col), mass.to(like), accumulate=True)

    @property
    def is_filled(self) -> bool:  # type: ignore[override]
        pairs = self.n * self.m
        filled = pairs <= _WHOLE and len(self.indices) > _FILLED * pairs
        return filled and not self.requires_grad and not check.is_traced()

    def to_scipy(self) -> sp.csr_array:
        short = np.int32 if max(self.m, len(self.indices)) < 2**31 else np.int64
        indptr, indices = (check.array(x).astype(short) for x in (self.indptr, self.indices))
        return sp.csr_array((check.array(self.values).copy(), indices, indptr), shape=(self.n, self.m))

    def positives(self, start: int, stop: int) -> Bool[Tensor, "b m"]:
        row, col, mass = self.edges(start, stop)
        positive = torch.zeros(stop - start, self.m, dtype=torch.bool, device=col.device)
        return positive.index_put_((row, col), mass > 0)

    def sums(self) -> Float[Tensor, " n"]:
        return self._sums

    @cached
    def _sums(self) -> Tensor:
        return self.row_sums(self.values.detach())

    def row_sums(self, numbers: Tensor) -> Tensor:
        """``[n]`` sums of one number per edge."""
        if numbers.requires_grad or not numbers.is_cpu:
            return numbers.new_zeros(self.n).index_add(0, self.rows, numbers)
        return torch.segment_reduce(numbers, "sum", offsets=self.indptr, initial=0)  # no number for the row of an edge

    def entropy(self, density: Float[Tensor, " n"] | None = None, size: int = 0) -> Float[Tensor, " n"]:
        if density is None:
            step = max(1, _BLOCK * self.n // max(1, len(self.values)))
            parts = (self.part(start, min(start + step, self.n)) for start in range(0, self.n, step))
            return torch.cat([-part.row_sums(x_log_x(part.values)) for part in parts])
        each, others = x_log_x(self.values + density[self.rows]), size - self.indptr.diff().to(self.indices.device)
        return -self.row_sums(each) - others * torch.xlogy(density, density)

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        row, col, mass = self.edges(0, self.n)
        weighted = mass.to(features)[:, None] * features.index_select(0, col)
        return features.new_zeros(self.n, features.shape[1]).index_add(0, row, weighted)

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        row, col, mass = self.edges(start, start + len(tile))
        tile.view(-1).index_add_(0, row * self.m + col, mass.to(tile) * factor[row])

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Sparse:
        return replace(self, values=self.values * (factor[self.rows] if isinstance(factor, Tensor) else factor))

    def part(self, start: int, stop: int) -> Sparse:
        span = self.span(start, stop)
        return Sparse(self.indptr[start : stop + 1] - span.start, self.indices[span], self.values[span], self.m)

    def to(self, device: torch.device, dtype: torch.dtype) -> Sparse:
        if (self.values.device, self.values.dtype) == (device, dtype):
            return self
        return replace(self, indices=self.indices.to(device), values=self.values.to(device, dtype))

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """By the inverse of the summed masses; an anchor without edges stays where it is."""
        first, last = self.indptr[anchors], self.indptr[anchors + 1]
        if self._is_even:  # no search among the sums is needed
            return self.indices[first + (torch.rand_like(first, dtype=torch.float64) * (last - first)).long()]
        low, high = self._below[first], self._below[last]
        at = low + torch.rand_like(low) * (high - low)
        place = torch.searchsorted(self._below, at, right=True) - 1
        stuck = first == last
        place = torch.where(stuck, 0, place.clamp(min=first, max=torch.maximum(first, last - 1)))
        return torch.where(stuck, anchors, self.indices[place])

    @cached
    def _is_even(self) -> bool:
        """Whether every row has edges, all of one mass, as neighbours have that count alike."""
        if self.requires_grad or not bool((self.indptr.diff() > 0).all()):
            return False
        least, most = (torch.segment_reduce(self.values, how, offsets=self.indptr) for how in ("min", "max"))
        return bool((least == most).all()) and bool((least > 0).all())

    @cached
    def _below(self) -> Tensor:
        return torch.cat([self.values.new_zeros(1), self.values.detach().cumsum(0)]).double()


@dataclass(frozen=True, eq=False)
class Listed(OfEdges):
    """As many listed candidates for every anchor, which share its mass evenly: labels, aligned pairs, k neighbours.

    Args:
        indices: ``[n, k]`` candidates, sorted and unique within a row.
        m: number of candidates.
        mass: what a row sums to: one number > 0 for all, or ``[n]``, of which some may be 0.
    """

    indices: Tensor
    m: int
    mass: float | Tensor = 1.0

    @property
    def may_be_empty(self) -> bool:  # type: ignore[override]
        return isinstance(self.mass, Tensor)

    @property
    def hard_targets(self) -> Int[Tensor, " n"] | None:  # type: ignore[override]
        one = self.indices.shape[1] == 1 and not isinstance(self.mass, Tensor) and self.mass == 1.0
        return self.indices.squeeze(1) if one else None

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.indices.shape[0]

    @property
    def k(self) -> int:
        return self.indices.shape[1]

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        stop = start + tile.shape[0]
        indices = self.indices if stop - start == self.indices.shape[0] else self.indices[start:stop]
        expected = tile.gather(1, indices)
        expected = expected.squeeze(1) if expected.shape[1] == 1 else expected.mean(dim=1)
        mass = self.mass
        if isinstance(mass, Tensor):
            return expected * mass[start:stop].to(expected)
        return expected if mass == 1.0 else expected * mass

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        each = self._shared(self.k)[start:stop, None].to(like).expand(-1, self.k)
        return like.new_zeros(stop - start, self.m).scatter(1, self.indices[start:stop], each)

    def positives(self, start: int, stop: int) -> Bool[Tensor, "b m"]:
        positive = torch.zeros(stop - start, self.m, dtype=torch.bool, device=self.indices.device)
        positive.scatter_(1, self.indices[start:stop], True)
        return positive & (self.mass[start:stop, None] > 0) if isinstance(self.mass, Tensor) else positive

    def sums(self) -> Float[Tensor, " n"]:
        return self._shared(1)

    def entropy(self, density: Float[Tensor, " n"] | None = None, size: int = 0) -> Float[Tensor, " n"]:
        if density is None and not isinstance(self.mass, Tensor) and self.mass == 1.0:
            return torch.full_like(self._shared(1), math.log(self.k))
        return entropy_of_equals(self.k, self._shared(self.k), density, size)

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        sums = features.index_select(0, self.indices.flatten()).view(self.n, self.k, -1).sum(dim=1)
        return sums * self._shared(self.k).to(sums)[:, None]

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        some, mass = slice(start, start + len(tile)), self.mass
        each = (mass[some].to(tile) if isinstance(mass, Tensor) else mass) / self.k
        tile.scatter_add_(1, self.indices[some], (factor * each)[:, None].expand(-1, self.k))

    def edges(self, start: int, stop: int) -> Edges:
        row = torch.arange(stop - start, device=self.indices.device).repeat_interleave(self.k)
        each = self._shared(self.k)[start:stop].repeat_interleave(self.k)
        return Edges(row, self.indices[start:stop].flatten(), each)

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Masses:
        return replace(self, mass=self.mass * factor)

    def part(self, start: int, stop: int) -> Listed:
        return Listed(self.indices[start:stop], self.m, per_row(self.mass, start, stop))

    def to(self, device: torch.device, dtype: torch.dtype) -> Listed:
        mass = self.mass.to(device, dtype) if isinstance(self.mass, Tensor) else self.mass
        if mass is self.mass and self.indices.device == device:
            return self
        return Listed(self.indices.to(device), self.m, mass)

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        return self.indices[anchors, torch.randint_like(anchors, self.k)]

    @property
    def listed_pairs(self) -> int:
        return self.n * self.k

    @property
    def n_edges(self) -> int:
        return int(torch.count_nonzero(self.sums())) * self.k

    def _shared(self, k: int) -> Float[Tensor, " n"]:
        """The mass of each row, divided by a number."""
        if isinstance(self.mass, Tensor):
            return self.mass / k
        device = self.indices.device
        return torch.full((self.n,), self.mass / k, dtype=precise(device), device=device)
