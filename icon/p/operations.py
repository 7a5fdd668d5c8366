"""Operations on any p: walks, debiasing, symmetrising, mixing. Each is a record that holds its algebra.

The same records serve a recipe (`Distribution` keeps them), prepared `Rows` (applied at once) and the sampler of pairs
(which draws walks instead of computing them, and refuses what the rows refuse).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from icon import _checks as check
from icon._lazy import sp
from icon._scales import precise
from icon.p.masses import Debiased, Masses, Mixture, Sparse, Uniform
from icon.p.support import Support

if TYPE_CHECKING:
    from icon.p.rows import Rows

C = TypeVar("C", bound="Composable")
Prepare = Callable[[Any], "Rows"]
#: A step from rows to rows. The function that it is given makes the rows of a second p from the same target.
Operation = Callable[["Rows", Prepare], "Rows"]
HOW = ("average", "union", "intersection")
_BLOCK = 2**22  # entries of sparse matrices that are merged at a time
_MERGED = 2**24  # pairs with mass up to which groups are listed, to be mixed as one sparse matrix


class Composable(ABC):
    """What operations compose on, left to right: ``icon.p.KNN(10).walks(2).debias(0.6)`` reads as it runs."""

    def walks(self: C, k: int, average: bool = True, prune: int | None = None) -> C:
        """The K-walk ``(P + P² + ... + P^k) / k``, or the last power alone with ``average=False``.

        A walk may come home: where it does, self carries mass and is a candidate of the result.

        Args:
            k: number of steps, at least one; one step is p itself.
            average: over the lengths 1 to k.
            prune: keep this many largest entries of a row after each product and renormalise (noted in the result).
        """
        steps = check.count(k, "walks")
        kept = None if prune is None else check.count(prune, "prune")
        return self if steps == 1 else self._then(Walks(steps, average, kept))

    def debias(self: C, alpha: float) -> C:
        """``(1-α) p + α u`` with u uniform on the support; α = 0 changes nothing.

        Source: I-Con (arXiv 2504.16929), debiasing; with data-label pairs it is label smoothing.
        """
        return self if check.fraction(alpha, "alpha") == 0 else self._then(Debias(float(alpha)))

    def symmetrize(self: C, how: str = "average") -> C:
        """Symmetric weights, rows then normalised again; the row sums become the anchors' weights.

        Args:
            how: ``"average"``: ``(P + Pᵀ)/2``, P weighted by the anchors (t-SNE's joint p). ``"union"`` and
                ``"intersection"``: of the edges, the larger or the smaller of the two weights.
        """
        return self._then(Symmetrize(check.choice(how, "how", HOW)))

    def mix(self: C, other: Any, weight: float) -> C:
        """``(1 - weight) p + weight p'``; both from the same target unless ``other`` is prepared.

        Args:
            other: another distribution, or prepared rows.
            weight: of the other, in [0, 1]. Where one of the two has no positive, the other stands alone.
        """
        if not isinstance(other, Composable):
            raise TypeError(f"other: got {type(other).__name__}, expected a distribution or prepared rows")
        return self._then(Mix(other, check.fraction(weight, "weight")))

    @abstractmethod
    def _then(self: C, operation: Operation) -> C: ...


@dataclass(frozen=True)
class Walks:
    """See `Composable.walks`."""

    k: int
    average: bool = True
    prune: int | None = None

    def __call__(self, rows: Rows, prepare: Prepare) -> Rows:
        self.check(rows)
        step = rows.to_scipy()
        power, total = step, step
        for _ in range(self.k - 1):
            power = power @ step
            if self.prune is not None:
                power = _largest(power, self.prune)
            total = total + power
        result = total / self.k if self.average else power
        exclude = rows.support.exclude_self and not (result.diagonal() > 0).any()
        notes = list(rows.notes)
        if self.prune is not None:
            notes.append(f"walks pruned to the {self.prune} largest entries of each row and renormalised")
        if (np.diff(step.indptr)[np.unique(step.indices)] == 0).any():
            notes.append("walks that ended in a node without edges were left out and their rows renormalised")
        marginal = None
        if rows.is_joint:  # an anchor whose walks all end early has no positive left
            marginal = rows.marginal * torch.from_numpy(np.diff(result.indptr) > 0).to(rows.marginal)
            marginal = marginal / marginal.sum().clamp_min(torch.finfo(marginal.dtype).tiny)
        return rows.from_scipy(result, exclude, offset=rows.support.offset, marginal=marginal, notes=tuple(notes))

    @staticmethod
    def check(rows: Rows) -> None:
        """Refuse what cannot be walked on, for a whole batch and a sampled one alike.

        Raises:
            ValueError: a debiased p, one with gradient, or one between two sets.
        """
        _refuse_gradient(rows, "walks")
        _refuse_debiased(rows, "walks")
        refuse_two_sets(rows, "walks")

    def __str__(self) -> str:
        extra = ("" if self.average else ", average=False") + ("" if self.prune is None else f", prune={self.prune}")
        return f"walks({self.k}{extra})"


@dataclass(frozen=True)
class Debias:
    """See `Composable.debias`."""

    alpha: float

    def __call__(self, rows: Rows, prepare: Prepare) -> Rows:
        masses, before = rows.masses, rows.masses.uniform_mass
        uniform = (~rows.empty).to(precise(rows.empty)) * self.onto(0.0 if before is None else before)
        kept = 1 - self.alpha or torch.zeros_like(uniform)  # masses without a positive have a number for each row
        return replace(rows, masses=Debiased((masses.own_part.scaled(kept), Uniform(rows.support, uniform))))

    def onto(self, mass: Any) -> Any:
        """The uniform mass of a row afterwards, of one that had so much before."""
        return self.alpha + (1 - self.alpha) * mass

    def __str__(self) -> str:
        return f"debias({self.alpha:g})"


@dataclass(frozen=True)
class Symmetrize:
    """See `Composable.symmetrize`."""

    how: str = "average"

    def __call__(self, rows: Rows, prepare: Prepare) -> Rows:
        refuse_two_sets(rows, "symmetrize")
        symmetric = rows.masses.symmetrized(rows.marginal) if self.how == "average" else None
        if symmetric is not None:
            return rows.of(symmetric[0], rows.support, symmetric[1], rows.notes)
        _refuse_gradient(rows, "symmetrize")
        if self.how != "average":
            _refuse_debiased(rows, "symmetrize")
        merged = _with_transpose(rows, self.how)
        mass, uniform = np.asarray(merged.sum(axis=1)).ravel(), rows.masses.uniform_mass
        # The uniform part of the joint must be one constant to stay a number per row.
        spread = np.zeros_like(mass) if uniform is None else check.array(rows.marginal * uniform)
        if np.ptp(spread) > 1e-12 * spread.max():
            raise ValueError("symmetrize: got a debiased p with unequal rows, expected debias after symmetrize")
        mass = mass + spread
        marginal = torch.from_numpy(mass / max(mass.sum(), np.finfo(float).tiny))
        exclude, offset = rows.support.exclude_self, rows.support.offset
        edges = rows.from_scipy(merged, exclude, offset=offset, marginal=marginal, notes=rows.notes)
        if uniform is None:
            return edges
        share = np.divide(spread, mass, out=np.zeros_like(mass), where=mass > 0)  # none where nobody has a positive
        return _beside(edges, torch.from_numpy(share))

    def __str__(self) -> str:
        return f"symmetrize({self.how!r})"


@dataclass(frozen=True)
class Mix:
    """See `Composable.mix`."""

    other: Any
    weight: float

    def __call__(self, rows: Rows, prepare: Prepare) -> Rows:
        other = prepare(self.other)
        if (other.n, other.m) != (rows.n, rows.m):
            raise ValueError(f"mix: got p' of shape {(other.n, other.m)}, expected {(rows.n, rows.m)}")
        _refuse_gradient(rows, "mix")
        _refuse_gradient(other, "mix")
        mine, theirs = (1 - self.weight) * (~rows.empty).double(), self.weight * (~other.empty).double()
        whole = (mine + theirs).clamp_min(torch.finfo(torch.float64).tiny)
        mine, theirs = mine / whole, theirs / whole
        both = ((mine, rows.masses), (theirs, other.masses))
        spread = [share * masses.uniform_mass for share, masses in both if masses.uniform_mass is not None]
        if spread and rows.support != other.support:
            raise ValueError("mix: got a debiased p and a different support, expected the same support for both")
        marginal = None
        if rows.is_joint or other.is_joint:
            marginal = (1 - self.weight) * rows.marginal + self.weight * other.marginal
        exclude, notes = rows.support.exclude_self and other.support.exclude_self, rows.notes + other.notes
        parts = Mixture(tuple(p.own_part.scaled(share.to(p.own_part.sums())) for share, p in both))
        support = Support(rows.n, rows.m, exclude, rows.support.offset)
        if any(map(_grows, parts.parts)):
            sums = parts.sums()
            masses: Masses = parts.scaled(torch.where(sums > 0, sums, 1.0).reciprocal())
        else:
            masses = Sparse.normalized(parts.to_scipy())
        mixed = rows.of(masses, support, marginal, notes)
        return _beside(mixed, torch.stack(spread).sum(dim=0)) if spread else mixed

    def __str__(self) -> str:
        return f"mix({self.other!r}, {self.weight:g})"


def _grows(masses: Masses) -> bool:
    """Whether a list of the pairs with mass would be much longer than what is kept."""
    return masses.is_compact and (masses.n_edges if masses.is_listed else masses.n * masses.m) > _MERGED


def _beside(rows: Rows, uniform: torch.Tensor) -> Rows:
    """Rows of edges alone, scaled to leave room for a uniform mass ``[n]``, also where they have no edge."""
    return replace(rows, masses=Debiased((rows.masses.scaled(1 - uniform), Uniform(rows.support, uniform))))


def _with_transpose(rows: Rows, how: str) -> sp.csr_array:
    """The mean, the larger or the smaller of ``P_ij`` and ``P_ji``, with P weighted by the anchors; some rows at a
    time, since a sum of sparse matrices takes several copies of them."""
    joint = rows.to_scipy()
    joint.data *= np.repeat(check.array(rows.marginal), np.diff(joint.indptr))
    flipped, n = sp.csr_array(joint.T), rows.n
    merge: Callable[[Any, Any], Any] = {
        "average": lambda a, b: (a + b) / 2,
        "union": lambda a, b: a.maximum(b),
        "intersection": lambda a, b: a.minimum(b),
    }[how]
    step = max(1, _BLOCK * n // max(1, joint.nnz))
    parts = [merge(joint[start : start + step], flipped[start : start + step]) for start in range(0, n, step)]
    del joint, flipped  # all of them and the whole would be too much
    return parts[0] if len(parts) == 1 else sp.csr_array(sp.vstack(parts, format="csr"))


def _refuse_gradient(rows: Rows, operation: str) -> None:
    if rows.masses.requires_grad:
        raise ValueError(f"{operation}: got a p with gradient (detach=False), expected a detached one")


def _refuse_debiased(rows: Rows, operation: str) -> None:
    if rows.masses.uniform_mass is not None:
        raise ValueError(f"{operation}: got a debiased p, expected the plain one (debias last)")


def refuse_two_sets(rows: Rows, operation: str, are_two: bool = False) -> None:
    """Refuse two sets of points, of other sizes or as their target tells, to walk on or to be symmetrised."""
    if are_two or rows.n != rows.m:
        raise ValueError(f"{operation}: got {rows.n} anchors and {rows.m} candidates, expected one set of points")


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
