"""p of a map as it is given, and p and the loss of points that have weights."""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp
from torch import Tensor

from icon import _checks as check
from icon.core.loss import Loss
from icon.p import adjacency
from icon.p.base import Sets
from icon.p.graph import Precomputed
from icon.p.rows import Rows


def rows_from(affinity: Any, n: int) -> Rows:
    """Rows of p as they are; of a matrix those that it has, or the joint ones if all of it sums to one."""
    if isinstance(affinity, Rows):
        rows = affinity
    else:
        given = affinity
        if adjacency.is_matrix(affinity):
            given = check.matrix(affinity, "affinity")
        elif not isinstance(affinity, Tensor):
            given = adjacency.weights(affinity, "affinity", Sets(n, n))
        rows = Precomputed(joint=bool(abs(float(given.sum()) - 1) < 1e-3))(given)
    if rows.n != n:
        raise ValueError(f"affinity: got shape {(rows.n, rows.m)}, expected {(n, n)} (one row per row of X)")
    return rows


def weighted(loss: Loss, weights: Tensor) -> Loss:
    """The loss with weights ``[n]`` of the points, as anchors and in the sizes of the clusters."""
    given = loss.q.hyper_parameters()
    for name in ("weights", "marginals", "exponent"):
        if name in given:
            raise ValueError(f"sample_weight: got weights with hyper={{{name!r}: ...}}, expected only one of them")
    q = type(loss.q)(**{**given, "weights": weights})
    return loss.replace(q=q, anchor_weights=weights)


def of_weighted(rows: Rows, weights: Tensor) -> Rows:
    """p of points that weigh ``[n]``: a neighbour counts as often as it weighs, and so does an anchor."""
    edges = rows.to_scipy() @ sp.diags_array(weights.numpy())
    marginal = weights / weights.sum()
    support = rows.support
    return Rows.from_scipy(edges, support.exclude_self, offset=support.offset, marginal=marginal, notes=rows.notes)


def with_weights(rows: Rows, weights: Tensor) -> Rows:
    """p that is joint with the weights ``[n]`` of its anchors times those of the caller."""
    marginal = weights * rows.marginal.cpu()
    if not bool(marginal.sum() > 0):
        raise ValueError("sample_weight: got 0 for every point with a positive, expected some > 0")
    return Rows.of(rows.masses, rows.support, (marginal / marginal.sum()).to(rows.marginal), rows.notes)
