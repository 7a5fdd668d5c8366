"""A supervisory distribution in memory: sparse edges, and one uniform mass per row.

``p(j|i) = v_ij + u_i / |S_i|`` on the support ``S_i``: the edges ``v`` are sparse, the uniform mass ``u`` (debiasing)
is a scalar per row, so no distribution is ever densified. `Support` says which candidates compete for an anchor; p
and q share it, so that their masks cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from icon import _checks as check
from icon.edges import Block, Csr, Groups


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
        empty: Tensor = self._once("empty", lambda: self.edges.mass + self._uniform() <= 0)
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
        if isinstance(self.edges, Csr) and self.edges.is_full:
            dense = self.edges.values.view(self.n, self.m).clone()
        else:
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
        """The conditional of the other direction, ``p(i|j)``, from the same edges; a debiased p stays as debiased."""
        flipped: Rows = self._once("transpose", self._transposed)
        return flipped

    def has_self_mass(self) -> bool:
        """Whether some anchor is its own neighbour."""
        if self.n != self.m:
            return False
        if isinstance(self.edges, Groups):
            return self.edges.has_self
        return bool(self._once("self", lambda: np.any(self.to_scipy().diagonal() > 0)))

    # -- operations: sparse algebra -------------------------------------------------------------------------------

    def debias(self, alpha: float) -> Rows:
        """``(1-α) p + α u`` with u uniform on the support; α = 0 returns p itself.

        Source: I-Con (arXiv 2504.16929), debiasing; with data-label pairs it is label smoothing.
        """
        alpha = check.fraction(alpha, "alpha")
        if alpha == 0:
            return self
        uniform = ((1 - alpha) * self._uniform() + alpha) * (~self.empty)
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
        notes = list(self.notes)
        if prune is not None:
            notes.append(f"walks pruned to the {prune} largest entries of each row and renormalised")
        if (np.diff(step.indptr)[np.unique(step.indices)] == 0).any():
            notes.append("walks that ended in a node without edges were left out and their rows renormalised")
        return Rows.from_scipy(result, exclude, marginal=self.marginal, notes=tuple(notes))

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
        elif (
            isinstance(self.edges, Groups) and self.edges.skip_self and not (self.uniform is not None and self.n_empty)
        ):
            return replace(self, marginal=self.anchor_marginal, _cache={})  # members of a group are so to each other
        elif self.uniform is None and isinstance(self.edges, Csr) and self.edges.is_full:
            return self._symmetrized_full(self.edges)
        self._detached("symmetrize")
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
        return rows._with_uniform(torch.from_numpy(uniform / mass))

    @property
    def symmetrized(self) -> Rows:
        """`symmetrize` by average, kept for the next use."""
        if self.requires_grad:
            return self.symmetrize()
        rows: Rows = self._once("symmetrized", self.symmetrize)
        return rows

    def mix(self, other: Rows, weight: float) -> Rows:
        """``(1 - weight) p + weight p'`` on the union of the edges; where one has no positive, the other alone."""
        weight = check.fraction(weight, "weight")
        if (other.n, other.m) != (self.n, self.m):
            raise ValueError(f"mix: got p' of shape {(other.n, other.m)}, expected {(self.n, self.m)}")
        if (self.uniform is not None or other.uniform is not None) and self.support != other.support:
            raise ValueError("mix: got a debiased p and another support, expected the same support of both")
        self._detached("mix")
        mine, theirs = (1 - weight) * (~self.empty).double(), weight * (~other.empty).double()
        whole = (mine + theirs).clamp_min(torch.finfo(torch.float64).tiny)
        mine, theirs = mine / whole, theirs / whole
        uniform = mine * self._uniform() + theirs * other._uniform()
        parts = ((mine, self), (theirs, other))
        first, second = (sp.diags_array(share.cpu().numpy()) @ rows.to_scipy() for share, rows in parts)
        both_exclude = self.support.exclude_self and other.support.exclude_self
        marginal = None
        if self.marginal is not None or other.marginal is not None:
            marginal = (1 - weight) * self.anchor_marginal + weight * other.anchor_marginal
        mixed = Rows.from_scipy(first + second, both_exclude, marginal=marginal, notes=self.notes + other.notes)
        return mixed._with_uniform(uniform)

    # -- helpers ----------------------------------------------------------------------------------------------------

    def _once(self, key: Any, compute: Any) -> Any:
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]

    def _uniform(self) -> Tensor:
        return self.uniform if self.uniform is not None else torch.zeros_like(self.edges.mass)

    def _with_uniform(self, uniform: Tensor) -> Rows:
        """The edges scaled to leave room for a uniform mass ``[n]``."""
        if not bool((uniform > 0).any()):
            return self
        return replace(self, edges=self.edges.scaled(1 - uniform), uniform=uniform, _cache={})

    def _transposed(self) -> Rows:
        if isinstance(self.edges, Groups):
            support = Support(self.m, self.n, self.support.exclude_self)
            flipped = Rows(self.edges.transposed(), support, notes=self.notes)
        else:
            flipped = Rows.from_scipy(self.to_scipy().T, self.support.exclude_self, notes=self.notes)
        if self.uniform is None:
            return flipped
        alphas = self.uniform[~self.empty].unique()  # type: ignore[no-untyped-call]
        if len(alphas) != 1:
            raise ValueError("transpose: got a p with unequal uniform masses, expected one for all anchors")
        return flipped.debias(float(alphas))

    def _entropy(self) -> Tensor:
        density, edges = self.uniform_density(), self.edges
        if isinstance(edges, Groups):
            counts, mass = edges.counts.to(edges.each.dtype), edges.each * (edges.counts > 0)
            if density is None:
                return -counts * torch.xlogy(mass, mass)
            edge_part = counts * torch.xlogy(mass + density, mass + density)
            return -edge_part - (self.support.size - counts) * torch.xlogy(density, density)
        if density is None:
            return -edges.row_sums(_x_log_x(edges.values))
        rows, counts = torch.repeat_interleave(edges.counts), edges.counts
        mass = edges.values + density[rows]
        if self.support.exclude_self and edges.is_full:  # the stored zero diagonal is no candidate
            mass, counts = mass.masked_fill(edges.indices == rows, 0), counts - 1
        return -edges.row_sums(_x_log_x(mass)) - (self.support.size - counts) * torch.xlogy(density, density)

    def _symmetrized_full(self, edges: Csr) -> Rows:
        """`symmetrize` where every pair is an edge: dense algebra, gradients included."""
        joint = self.anchor_marginal.to(edges.values.dtype)[:, None] * edges.values.view(self.n, self.m)
        joint = (joint + joint.T) / 2
        marginal = joint.sum(dim=1)
        values = (joint / marginal.clamp_min(torch.finfo(joint.dtype).tiny)[:, None]).flatten()
        return replace(self, edges=replace(edges, values=values, log_values=None), marginal=marginal, _cache={})

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


def _x_log_x(x: Tensor) -> Tensor:
    """``x log x`` with value and gradient 0 at 0, where xlogy's gradient would be NaN."""
    return x * torch.where(x > 0, x, 1.0).log()


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
