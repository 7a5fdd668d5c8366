"""p of a map as it is given, and p whose anchors have weights."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from icon import _checks as check
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


def with_weights(rows: Rows, weights: Tensor) -> Rows:
    """p that is joint with the weights ``[n]`` of its anchors times those of the caller."""
    marginal = weights * rows.marginal.cpu()
    if not bool(marginal.sum() > 0):
        raise ValueError("sample_weight: got 0 for every point with a positive, expected some > 0")
    return Rows.of(rows.masses, rows.support, (marginal / marginal.sum()).to(rows.marginal), rows.notes)
