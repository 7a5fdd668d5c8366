"""p from weights between points: a graph's adjacency, or rows that the user already has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from icon import _checks as check
from icon._lazy import Lazy
from icon.p.base import Distribution, Sets
from icon.p.masses import Dense
from icon.p.rows import Rows

if TYPE_CHECKING:
    import scipy.sparse as sp
else:
    sp = Lazy("scipy.sparse")

FAINT = 1e-14  # of the largest entry: less is what rounding leaves


@dataclass(frozen=True, repr=False)
class Graph(Distribution):
    """``p(j|i) = w_ij / d_i`` with the degree ``d_i = sum_j w_ij``; `Rows.marginal` is ``d_i / sum(d)``.

    The target is an adjacency ``[n, n]`` (or ``[n, m]`` between two sets): a dense array, a scipy.sparse matrix, a
    torch sparse tensor or a networkx graph, of weights >= 0. Self-loops count when ``exclude_self=False``; otherwise
    they are an error.
    """

    column: ClassVar[str] = "graph"
    made_from: ClassVar[str] = "graph"

    def rows(self, target: Any, sets: Sets) -> Rows:
        weights = _weights(target, "adjacency", sets)
        n, m = weights.shape
        support = self._support(n, m, sets)
        if support.exclude_self and (weights.diagonal() > 0).any():
            loops = np.flatnonzero(weights.diagonal() > 0).tolist()
            raise ValueError(
                f"adjacency: got self-loops on nodes {check.some(loops)}, expected none where self is outside the "
                "support (remove them, or pass exclude_self=False)"
            )
        degree = np.asarray(weights.sum(axis=1)).ravel()
        if not degree.any():
            raise ValueError("adjacency: got no edge, expected at least one")
        marginal = torch.from_numpy(degree / degree.sum())
        return Rows.from_scipy(weights, support.exclude_self, offset=support.offset, marginal=marginal)


@dataclass(frozen=True, repr=False)
class Precomputed(Distribution):
    """Rows of the user's own: each sums to one (``joint=False``), or all pairs together do (``joint=True``).

    Dense, scipy.sparse or torch sparse ``[n, m]``, entries >= 0. A row of zeros is an anchor without positives. By
    default self is outside the support exactly when the matrix is of one set and has no mass on its diagonal.

    Args:
        detach: False lets gradients reach a dense tensor of rows.
    """

    joint: bool = False
    detach: bool = True

    made_from: ClassVar[str] = "graph"

    def rows(self, target: Any, sets: Sets) -> Rows:
        dense = check.matrix(target, "p") if _is_dense(target) else None
        weights = _weights(target if dense is None else dense.detach(), "p", sets)
        square = weights.shape[0] == weights.shape[1] and not sets.paired
        self_mass = square and bool((weights.diagonal() > 0).any())
        exclude = self.exclude_self if self.exclude_self is not None else square and not self_mass
        if self_mass and self.exclude_self is None:
            _tell_of_a_faint_diagonal(weights)
        offset = 0 if square else None
        if exclude and self_mass:
            loops = np.flatnonzero(weights.diagonal() > 0).tolist()
            raise ValueError(
                f"p: got mass outside the support (on the anchor itself) in rows {check.some(loops)}, "
                "expected none with exclude_self=True"
            )
        sums = np.asarray(weights.sum(axis=1)).ravel()
        tolerance = max(1e-5, 4 * _resolution(target))  # rows that were normalised in low precision pass
        if self.joint:
            if abs(sums.sum() - 1) > tolerance:
                raise ValueError(
                    f"p: got a matrix that sums to {sums.sum():.6g}, expected 1 over all pairs (joint=True)"
                )
            marginal = torch.from_numpy(sums.astype(np.float64))
            return Rows.from_scipy(weights, exclude, offset=offset, marginal=marginal)
        wrong = np.flatnonzero((np.abs(sums - 1) > tolerance) & (sums != 0)).tolist()
        if wrong:
            raise ValueError(
                f"p: got rows {check.some(wrong)} with sums {check.some(sums[wrong].round(6))}, expected 1"
            )
        rows = Rows.from_scipy(weights, exclude, offset=offset)
        if dense is None or self.detach or not dense.requires_grad:
            return rows
        return Rows(Dense(dense), rows.support)


def _tell_of_a_faint_diagonal(weights: sp.csr_array) -> None:
    """Warn where rounding, and hardly the user, put mass on the anchors themselves."""
    largest = float(weights.diagonal().max())
    if largest < FAINT * float(weights.max()):
        check.warn(
            f"p: got a diagonal of at most {largest:.3g}, which makes each point a candidate of its own; pass "
            "exclude_self=False if it is meant, set the diagonal to 0 if it is not"
        )


def _is_dense(target: Any) -> bool:
    return not sp.issparse(target) and not (isinstance(target, Tensor) and target.layout != torch.strided)


def _resolution(target: Any) -> float:
    """Relative precision of the numbers in which a matrix was given."""
    if isinstance(target, Tensor):
        return torch.finfo(target.dtype).eps if target.is_floating_point() else 0.0
    dtype = np.dtype(getattr(target, "dtype", np.float64))
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def _weights(target: Any, name: str, sets: Sets) -> sp.csr_array:
    """Validated non-negative weights as canonical CSR ``[n, m]``: sorted, without duplicates or explicit zeros."""
    if target is None:
        raise TypeError(f"{name}: got None, expected a dense or sparse matrix of weights")
    if type(target).__module__.partition(".")[0] == "networkx":
        from networkx import to_scipy_sparse_array  # type: ignore[import-untyped]

        target = to_scipy_sparse_array(target)  # weights are the edges' "weight", 1 where there is none
    if isinstance(target, Tensor) and target.layout != torch.strided:
        coo = target.detach().to_sparse_coo()  # type: ignore[no-untyped-call]
        index, values = coo._indices().cpu().numpy(), coo._values().cpu().double().numpy()
        target = sp.coo_array((values, (index[0], index[1])), shape=tuple(coo.shape))
    if sp.issparse(target):
        weights = sp.coo_array(target)
        pairs = weights.coords[0].astype(np.int64) * weights.shape[1] + weights.coords[1]
        distinct, counts = np.unique(pairs, return_counts=True)
        if len(distinct) != len(pairs):
            twice = [divmod(int(p), weights.shape[1]) for p in distinct[counts > 1][:3]]
            raise ValueError(f"{name}: got duplicate edges, for example {twice}, expected each edge once")
    else:
        weights = sp.coo_array(check.matrix(target, name).detach().cpu().double().numpy())
    if weights.shape[0] == 0 or weights.shape[1] == 0:
        raise ValueError(f"{name}: got shape {weights.shape}, expected at least one row and one column")
    if weights.data.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got dtype {weights.data.dtype}, expected real numbers")
    expected = (sets.n or weights.shape[0], sets.m or weights.shape[1])
    if weights.shape != expected:
        raise ValueError(f"{name}: got shape {weights.shape}, expected {expected} for this input")
    for bad, kind in ((~np.isfinite(weights.data), "NaN or infinite"), (weights.data < 0, "negative")):
        if bad.any():
            rows = np.unique(weights.coords[0][bad]).tolist()
            raise ValueError(f"{name}: got {kind} weights in rows {check.some(rows)}, expected finite weights >= 0")
    weights = sp.csr_array(weights)
    weights.sort_indices()
    weights.eliminate_zeros()
    return weights
