"""p from weights between points: a graph's adjacency, or rows that the user already has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from icon import _checks as check
from icon._lazy import sp
from icon.p import adjacency
from icon.p.base import Distribution, Sets
from icon.p.masses import Dense
from icon.p.rows import Rows

FAINT = 1e-14  # of the largest entry: less is what rounding leaves


@dataclass(frozen=True, repr=False)
class Graph(Distribution):
    """``p(j|i) = w_ij / d_i`` with the degree ``d_i = sum_j w_ij``; `Rows.marginal` is ``d_i / sum(d)``.

    >>> import icon
    >>> icon.p.Graph()([[0, 1, 0], [1, 0, 3], [0, 3, 0]]).to_dense()
    tensor([[0.0000, 1.0000, 0.0000],
            [0.2500, 0.0000, 0.7500],
            [0.0000, 1.0000, 0.0000]], dtype=torch.float64)

    The target has weights >= 0 in any of these forms:

    - It is an adjacency ``[n, n]``, or ``[n, m]`` between two sets: an array, a tensor, a data frame or lists, or a
      sparse matrix of scipy or torch in any format.
    - It is a graph of networkx (its nodes in their order) or igraph. An edge weighs what its attribute ``"weight"``
      says, or 1; an undirected edge counts both ways; parallel edges add up.
    - It is an edge list: integers ``[2, E]``, a pair ``(edge_index, weights [E])``, or an object with an ``edge_index``
      and maybe an ``edge_weight`` and ``num_nodes``, as in PyTorch Geometric. Each column is an edge from i to j and
      not back. There are as many nodes as points, or, where these are not known, as the edges name. An array of the
      shape ``[n, m]`` of p, and any ``[2, 2]``, is an adjacency.

    Self-loops count when ``exclude_self=False``; otherwise they are an error.

    Args:
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
    """

    column: ClassVar[str] = "graph"
    made_from: ClassVar[str] = "graph"

    def rows(self, target: Any, sets: Sets) -> Rows:
        weights = adjacency.weights(target, "adjacency", sets)
        n, m = weights.shape
        support = self._support(n, m, sets.paired)
        if support.exclude_self and (loops := np.flatnonzero(weights.diagonal()).tolist()):
            raise ValueError(
                f"adjacency: got self-loops on nodes {check.some(loops)}, expected none where self is outside the "
                "support (remove them, or pass exclude_self=False)"
            )
        with np.errstate(over="ignore"):
            if not np.isfinite(weights.sum()):  # of finite weights: only their proportions matter
                weights = weights / weights.max()
        degree = np.asarray(weights.sum(axis=1)).ravel()
        if not degree.any():
            raise ValueError("adjacency: got no edge, expected at least one")
        marginal = torch.from_numpy(degree / degree.sum())
        return Rows.from_scipy(weights, support.exclude_self, offset=support.offset, marginal=marginal)


@dataclass(frozen=True, repr=False)
class Precomputed(Distribution):
    """Rows of the user's own: each sums to one (``joint=False``), or all pairs together do (``joint=True``).

    The target has entries >= 0 and any form that `Graph` takes; only that integers ``[2, E]`` without weights are two
    rows and no edge list. A row of zeros is an anchor without positives. By default self is outside the support exactly
    when the matrix is of one set and has no mass on its diagonal.

    Args:
        joint: whether the entries of all pairs sum to one, and not those of each row.
        detach: False lets gradients reach a dense tensor of rows.
        exclude_self: whether the anchor is outside its own support. None: as is said above.
    """

    joint: bool = False
    detach: bool = True

    made_from: ClassVar[str] = "graph"

    def rows(self, target: Any, sets: Sets) -> Rows:
        dense = check.matrix(target, "p") if adjacency.is_matrix(target) else None
        given = target if dense is None else sp.coo_array(check.array(dense.cpu().double()))
        weights = adjacency.weights(given, "p", sets)
        square = weights.shape[0] == weights.shape[1] and not sets.paired
        own = np.flatnonzero(weights.diagonal()).tolist() if square else []
        exclude = self.exclude_self if self.exclude_self is not None else square and not own
        if own and self.exclude_self is None and (most := weights.diagonal().max()) < FAINT * weights.max():
            check.warn(  # rounding, and hardly the user, put it there
                f"p: got a diagonal of at most {most:.3g}, which makes each point a candidate of its own; pass "
                "exclude_self=False if it is meant, set the diagonal to 0 if it is not"
            )
        offset = 0 if square else None
        if exclude and own:
            raise ValueError(
                f"p: got mass outside the support (on the anchor itself) in rows {check.some(own)}, "
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


def _resolution(target: Any) -> float:
    """Relative precision of the numbers in which a matrix was given."""
    if isinstance(target, Tensor):
        return torch.finfo(target.dtype).eps if target.is_floating_point() else 0.0
    dtype = np.dtype(getattr(target, "dtype", np.float64))
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
