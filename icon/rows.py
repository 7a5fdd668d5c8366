"""A supervisory distribution in memory: sparse edges, and one uniform mass per row.

``p(j|i) = v_ij + u_i / |S_i|`` on the support ``S_i``: the edges ``v`` are sparse, the uniform mass ``u`` (debiasing)
is a scalar per row, so no distribution is ever densified. `Support` says which candidates compete for an anchor; p
and q share it, so that their masks cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from icon import _checks as check


@dataclass(frozen=True)
class Support:
    """Who competes for each of ``n`` anchors among ``m`` candidates: all of them, or all but the anchor itself."""

    n: int
    m: int
    exclude_self: bool

    def __post_init__(self) -> None:
        if self.exclude_self and self.n != self.m:
            raise ValueError(f"support: got {self.n} anchors and {self.m} candidates, self-exclusion expects one set")
        if self.size < 1:
            raise ValueError(
                f"support: got {self.m} candidate(s), expected at least two points, each the other's candidate"
            )

    @property
    def size(self) -> int:
        """``|S_i|``, the same for every anchor."""
        return self.m - self.exclude_self

    def fill_self(self, tile: Tensor, start: int, value: float) -> None:
        """Write ``value`` where anchor ``start + r`` meets itself in a tile ``[b, m]``, if self is excluded."""
        if self.exclude_self:
            tile.diagonal(start).fill_(value)


class Block(NamedTuple):
    """The edges of a block of anchors: local row, candidate and mass of each edge, all ``[e]``."""

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
        row = torch.repeat_interleave(self.indptr[start : stop + 1].diff())
        return Block(row, self.indices[span], self.values[span])

    def scaled(self, factor: float | Tensor) -> Csr:
        """The edges times a number, or times one number per row ``[n]``."""
        if isinstance(factor, Tensor):
            factor = factor[torch.repeat_interleave(self.counts)]
        return replace(self, values=self.values * factor)

    def to(self, device: torch.device, dtype: torch.dtype) -> Csr:
        return Csr(self.indptr.to(device), self.indices.to(device), self.values.to(device, dtype), self.m)


@dataclass(frozen=True, eq=False)
class Groups:
    """Edges to every member of the anchor's group, each with mass one over their number.

    The member lists are shared by the anchors of a group, so that ten classes of ``n`` points take O(n) memory and
    not O(n²/10). ``group [n]`` is the anchor's group (-1: none); ``indptr [g+1]``, ``members [m']`` the candidates.
    """

    group: Tensor
    indptr: Tensor
    members: Tensor
    m: int
    skip_self: bool
    mass: float = 1.0
    dtype: torch.dtype = torch.float64

    @property
    def sizes(self) -> Tensor:
        """``[n]`` members of each anchor's group, itself included."""
        return torch.cat([self.indptr.diff(), self.indptr.new_zeros(1)])[self.group]  # the last entry serves group -1

    @property
    def counts(self) -> Tensor:
        return (self.sizes - int(self.skip_self)).clamp_min(0)

    @property
    def is_full(self) -> bool:
        return False

    def block(self, start: int, stop: int) -> Block:
        group = self.group[start:stop]
        sizes = self.sizes[start:stop]
        row = torch.repeat_interleave(sizes)
        offset = torch.arange(row.shape[0], device=row.device) - (sizes.cumsum(0) - sizes)[row]
        col = self.members[self.indptr[group][row] + offset]
        if self.skip_self:
            others = col != row + start
            row, col = row[others], col[others]
        return Block(row, col, (self.mass / self.counts[start:stop].to(self.dtype))[row])

    def without_edges(self) -> Csr:
        n, device = len(self.group), self.group.device
        indptr = torch.zeros(n + 1, dtype=torch.int64, device=device)
        return Csr(indptr, indptr[:0], torch.zeros(0, dtype=self.dtype, device=device), self.m)

    def scaled(self, factor: float) -> Groups:
        return replace(self, mass=self.mass * factor)

    def to(self, device: torch.device, dtype: torch.dtype) -> Groups:
        moved = {name: getattr(self, name).to(device) for name in ("group", "indptr", "members")}
        return replace(self, **moved, dtype=dtype)


@dataclass(frozen=True, eq=False)
class Rows:
    """A prepared supervisory distribution p, to be computed once and used at every step.

    Args:
        edges: the sparse part.
        support: the candidates of each anchor.
        uniform: ``[n]`` mass of each row that is spread evenly over its support (debiasing), in [0, 1].
        marginal: ``[n]`` weight ``P_i`` of each anchor where p comes from a joint or a graph (degree / volume).
        notes: what was done on the way and changes the numbers (pruning), in words.
    """

    edges: Csr | Groups
    support: Support
    uniform: Tensor | None = None
    marginal: Tensor | None = None
    notes: tuple[str, ...] = ()
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    # -- construction ---------------------------------------------------------------------------------------------

    @classmethod
    def from_scipy(cls, matrix: sp.spmatrix | sp.sparray, exclude_self: bool, **fields: Any) -> Rows:
        """Rows from a sparse matrix ``[n, m]`` of non-negative weights, each row scaled to sum to one."""
        weights = sp.csr_array(matrix).astype(np.float64)
        weights.sort_indices()
        sums = np.asarray(weights.sum(axis=1)).ravel()
        scale = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)
        values = weights.data * np.repeat(scale, np.diff(weights.indptr))
        edges = Csr(
            torch.from_numpy(weights.indptr.astype(np.int64)),
            torch.from_numpy(weights.indices.astype(np.int64)),
            torch.from_numpy(values),
            weights.shape[1],
        )
        n, m = weights.shape
        return cls(edges, Support(n, m, exclude_self), **fields)

    # -- what it says of itself -----------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        return self.support.n

    @property
    def m(self) -> int:
        return self.support.m

    @property
    def n_edges(self) -> int:
        """The number of edges that carry mass."""
        if isinstance(self.edges, Groups):
            return int(self.edges.counts.sum())
        return int(torch.count_nonzero(self.edges.values))

    @property
    def empty(self) -> Tensor:
        """``[n]`` bool: the anchors to which p gives no mass at all (nothing positive)."""
        empty: Tensor = self._once("empty", lambda: self._edge_mass() + self._uniform() <= 0)
        return empty

    @property
    def n_empty(self) -> int:
        return int(self._once("n_empty", self.empty.sum))

    @property
    def requires_grad(self) -> bool:
        return isinstance(self.edges, Csr) and self.edges.values.requires_grad

    @property
    def anchor_marginal(self) -> Tensor:
        """``[n]`` the weights ``P_i`` of the anchors, summing to one; uniform unless p has its own."""
        if self.marginal is not None:
            return self.marginal
        kept = (~self.empty).to(torch.float64)
        return kept / kept.sum().clamp_min(1)

    def blocks(self, size: int) -> Iterator[tuple[int, int, Block]]:
        for start in range(0, self.n, size):
            stop = min(start + size, self.n)
            yield start, stop, self.edges.block(start, stop)

    def uniform_density(self) -> Tensor | None:
        """``[n]`` the mass ``u_i / |S_i|`` that debiasing gives to every candidate, or None."""
        return None if self.uniform is None else self.uniform / self.support.size

    def entropy(self) -> Tensor:
        """``[n]`` entropies ``H_i = - sum_j p_ij log p_ij`` in nats, with ``0 log 0 = 0``; empty rows have 0."""
        if self.requires_grad:
            return self._entropy()
        entropy: Tensor = self._once("entropy", self._entropy)
        return entropy

    def to_dense(self) -> Tensor:
        """p as a matrix ``[n, m]``, for inspection and tests: the one place where p is dense."""
        dense = self._uniform().new_zeros(self.n, self.m)
        for start, stop, (row, col, value) in self.blocks(4096):
            dense[start:stop].index_put_((row, col), value.to(dense.dtype))
        density = self.uniform_density()
        if density is not None:
            dense = dense + density[:, None]
            self.support.fill_self(dense, 0, 0.0)
        return dense

    def to_scipy(self) -> sp.csr_array:
        """The edges as a sparse matrix ``[n, m]``, without the uniform mass."""
        edges = self.csr()
        arrays = (edges.values.detach(), edges.indices, edges.indptr)
        return sp.csr_array(tuple(a.cpu().numpy() for a in arrays), shape=(self.n, self.m))

    def csr(self) -> Csr:
        """The edges as plain compressed rows."""
        if isinstance(self.edges, Csr):
            return self.edges
        parts = [block for _, _, block in self.blocks(4096)]
        indptr = torch.cat([self.edges.counts.new_zeros(1), self.edges.counts.cumsum(0)])
        return Csr(indptr, torch.cat([b.col for b in parts]), torch.cat([b.value for b in parts]), self.m)

    # -- the same p elsewhere -------------------------------------------------------------------------------------

    def to(self, device: torch.device, dtype: torch.dtype) -> Rows:
        """p on a device and in a precision; the copy is kept, so that the second use costs nothing."""
        here = self._uniform()
        if here.device == device and here.dtype == dtype:
            return self
        key = ("to", device, dtype)
        if self.requires_grad:
            return self._moved(device, dtype)
        moved: Rows = self._once(key, lambda: self._moved(device, dtype))
        return moved

    def on(self, support: Support) -> Rows:
        """The same p on another support (for example with self as a candidate); the uniform mass spreads over it."""
        if support == self.support:
            return self
        if (support.n, support.m) != (self.n, self.m):
            raise ValueError(f"support: got {(support.n, support.m)}, expected {(self.n, self.m)} as in p")
        if support.exclude_self and self.has_self_mass():
            raise ValueError("p: got mass on the anchor itself, expected none where self is outside the support")
        moved: Rows = self._once(("on", support), lambda: replace(self, support=support, _cache={}))
        return moved

    def transpose(self) -> Rows:
        """The conditional of the other direction, ``p(i|j)``, from the same edges."""
        if self.uniform is not None:
            raise ValueError("transpose: got a debiased p, expected the plain one (debias last)")
        flipped: Rows = self._once("T", lambda: Rows.from_scipy(self.to_scipy().T, self.support.exclude_self))
        return flipped

    def has_self_mass(self) -> bool:
        if self.n != self.m:
            return False
        if isinstance(self.edges, Groups):
            return not self.edges.skip_self
        return bool(self._once("self", lambda: np.any(self.to_scipy().diagonal() > 0)))

    # -- operations: sparse algebra -------------------------------------------------------------------------------

    def debias(self, alpha: float) -> Rows:
        """``(1-α) p + α u`` with u uniform on the support; α = 0 returns p itself.

        Source: I-Con (arXiv 2504.16929), debiasing; with data-label pairs it is label smoothing.
        """
        alpha = check.fraction(alpha, "alpha")
        if alpha == 0:
            return self
        kept = (~self.empty).to(self._uniform().dtype)
        uniform = ((1 - alpha) * self._uniform() + alpha) * kept
        return replace(self, edges=self.edges.scaled(1 - alpha), uniform=uniform, _cache={})

    def walks(self, k: int, average: bool = True, prune: int | None = None) -> Rows:
        """The K-walk ``(P + P² + ... + P^k) / k``, or the last power alone with ``average=False``.

        A walk may come home: where it does, self carries mass and is a candidate of the result.

        Args:
            prune: keep this many largest entries of a row after each product and renormalise (noted in the result).
        """
        k = check.count(k, "walks")
        if k == 1:
            return self
        self._plain("walks")
        if self.n != self.m:
            raise ValueError(f"walks: got {self.n} anchors and {self.m} candidates, expected one set of points")
        step = self.to_scipy()
        power, total = step, step
        for _ in range(k - 1):
            power = power @ step
            if prune is not None:
                power = _largest(power, check.count(prune, "prune"))
            total = total + power
        result = total / k if average else power
        exclude = self.support.exclude_self and not (result.diagonal() > 0).any()
        note = () if prune is None else (f"walks pruned to the {prune} largest entries of each row and renormalised",)
        return Rows.from_scipy(result, exclude, marginal=self.marginal, notes=self.notes + note)

    def symmetrize(self, how: str = "average") -> Rows:
        """Symmetric weights, rows then normalised again; `marginal` keeps the row sums for joint normalisation.

        ``average``: ``(P + Pᵀ)/2``, P weighted by the anchors (t-SNE's joint p). ``union`` and ``intersection``: of the
        edges, the larger or the smaller of the two weights.
        """
        check.choice(how, "how", ("average", "union", "intersection"))
        if self.n != self.m:
            raise ValueError(f"symmetrize: got {self.n} anchors and {self.m} candidates, expected one set of points")
        if how != "average":
            self._plain("symmetrize")
        elif self.uniform is None and isinstance(self.edges, Csr) and self.edges.is_full:
            return self._symmetrized_full(self.edges)
        joint = sp.diags_array(self.anchor_marginal.cpu().numpy()) @ self.to_scipy()
        merged = {
            "average": lambda: (joint + joint.T) / 2,
            "union": lambda: joint.maximum(joint.T),
            "intersection": lambda: joint.minimum(joint.T),
        }[how]()
        edge_mass = np.asarray(merged.sum(axis=1)).ravel()
        if self.uniform is None:
            marginal = torch.from_numpy(edge_mass / max(edge_mass.sum(), np.finfo(float).tiny))
            return Rows.from_scipy(merged, self.support.exclude_self, marginal=marginal, notes=self.notes)
        # The uniform part of the joint must be one constant to stay a scalar per row.
        uniform = (self.anchor_marginal * self.uniform).cpu().numpy()
        if np.ptp(uniform) > 1e-12 * uniform.max():
            raise ValueError("symmetrize: got a debiased p with unequal rows, expected debias after symmetrize")
        mass = edge_mass + uniform
        rows = Rows.from_scipy(merged, self.support.exclude_self, marginal=torch.from_numpy(mass), notes=self.notes)
        share = torch.from_numpy(edge_mass / mass)
        return replace(rows, edges=rows.csr().scaled(share), uniform=1 - share, _cache={})

    @property
    def symmetrized(self) -> Rows:
        """`symmetrize` by average, kept for the next use."""
        if self.requires_grad:
            return self.symmetrize()
        rows: Rows = self._once("symmetrized", self.symmetrize)
        return rows

    def mix(self, other: Rows, weight: float) -> Rows:
        """``(1 - weight) p + weight p'`` on the union of the edges; both on the same support."""
        weight = check.fraction(weight, "weight")
        if (other.n, other.m) != (self.n, self.m):
            raise ValueError(f"mix: got p' of shape {(other.n, other.m)}, expected {(self.n, self.m)}")
        self._detached("mix")
        both_exclude = self.support.exclude_self and other.support.exclude_self
        kept = [sp.diags_array((~r.empty).double().cpu().numpy()) for r in (self, other)]
        shares = (1 - weight, weight)
        edges = shares[0] * (kept[0] @ self.to_scipy()) + shares[1] * (kept[1] @ other.to_scipy())
        uniform = shares[0] * self._uniform() + shares[1] * other._uniform()
        rows = Rows.from_scipy(edges, both_exclude, notes=self.notes + other.notes)
        if not bool((uniform > 0).any()):
            return rows
        return replace(rows, edges=rows.csr().scaled(1 - uniform), uniform=uniform, _cache={})

    # -- helpers ----------------------------------------------------------------------------------------------------

    def _once(self, key: Any, compute: Any) -> Any:
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]

    def _uniform(self) -> Tensor:
        if self.uniform is not None:
            return self.uniform
        if isinstance(self.edges, Groups):
            return torch.zeros(self.n, dtype=self.edges.dtype, device=self.edges.group.device)
        return self.edges.values.detach().new_zeros(self.n)

    def _edge_mass(self) -> Tensor:
        if isinstance(self.edges, Groups):
            return (self.edges.counts > 0).to(self.edges.dtype) * self.edges.mass
        return _row_sums(self.edges.values.detach(), self.edges.indptr)

    def _entropy(self) -> Tensor:
        density = self.uniform_density()
        if isinstance(self.edges, Groups):
            counts = self.edges.counts.to(self.edges.dtype)
            mass = self.edges.mass / counts.clamp_min(1)
            if density is None:
                return -counts * torch.xlogy(mass, mass)
            rest = (self.support.size - counts) * torch.xlogy(density, density)
            return -counts * torch.xlogy(mass + density, mass + density) - rest
        rows = torch.repeat_interleave(self.edges.counts)
        mass, counts = self.edges.values, self.edges.counts
        if density is None:
            return _row_sums(-torch.xlogy(mass, mass), self.edges.indptr)
        mass = mass + density[rows]
        if self.support.exclude_self and self.edges.is_full:  # the stored zero diagonal is no candidate
            mass, counts = mass.masked_fill(self.edges.indices == rows, 0), counts - 1
        rest = (self.support.size - counts) * torch.xlogy(density, density)
        return _row_sums(-torch.xlogy(mass, mass), self.edges.indptr) - rest

    def _symmetrized_full(self, edges: Csr) -> Rows:
        """`symmetrize` where every pair is an edge: dense algebra, gradients included."""
        joint = self.anchor_marginal.to(edges.values.dtype)[:, None] * edges.values.view(self.n, self.m)
        joint = (joint + joint.T) / 2
        marginal = joint.sum(dim=1)
        values = (joint / marginal.clamp_min(torch.finfo(joint.dtype).tiny)[:, None]).flatten()
        return replace(self, edges=replace(edges, values=values), marginal=marginal.detach(), _cache={})

    def _moved(self, device: torch.device, dtype: torch.dtype) -> Rows:
        uniform = None if self.uniform is None else self.uniform.to(device, dtype)
        marginal = None if self.marginal is None else self.marginal.to(device, dtype)
        return replace(self, edges=self.edges.to(device, dtype), uniform=uniform, marginal=marginal, _cache={})

    def _detached(self, operation: str) -> None:
        if self.requires_grad:
            raise ValueError(f"{operation}: got a p with gradient (detach=False), expected a detached one")

    def _plain(self, operation: str) -> None:
        self._detached(operation)
        if self.uniform is not None:
            raise ValueError(f"{operation}: got a debiased p, expected the plain one (debias last)")


def _row_sums(values: Tensor, indptr: Tensor) -> Tensor:
    rows = torch.repeat_interleave(indptr.diff())
    return values.new_zeros(indptr.shape[0] - 1).index_add(0, rows, values)


def _largest(matrix: sp.csr_array, k: int) -> sp.csr_array:
    """The k largest entries of each row (the first of equal ones), scaled back to the row's sum."""
    coo = matrix.tocoo()
    row, col = coo.coords
    order = np.lexsort((col, -coo.data, row))
    counts = np.bincount(row, minlength=matrix.shape[0])
    rank = np.arange(len(order)) - np.repeat(counts.cumsum() - counts, counts)
    keep = order[rank < k]
    kept = sp.csr_array((coo.data[keep], (row[keep], col[keep])), shape=matrix.shape)
    before, after = (np.asarray(m.sum(axis=1)).ravel() for m in (matrix, kept))
    return sp.csr_array(sp.diags_array(np.divide(before, after, out=np.zeros_like(after), where=after > 0)) @ kept)
