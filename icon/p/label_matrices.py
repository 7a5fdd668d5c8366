"""Several labels per point: soft labels and label sets, as they are given, and p from what they share."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from icon import _checks as check
from icon import distances
from icon._lazy import sp
from icon._scales import in_a_unit, precise
from icon.p.masses import Dense, Jaccard, Masses, Overlap, Sparse
from icon.p.support import Support

#: ``[n, L]`` numbers >= 0: a tensor where it lies, or the sparse matrix that was given.
Labels: TypeAlias = "Tensor | sp.csr_array"
#: Pairs of points up to which the overlap of labels is kept as a matrix, by device.
CPU_PAIRS, PAIRS = 2**24, {"cuda": 2**27}


def is_label_matrix(target: Any) -> bool:
    """Whether a target has several labels per point; one label in a column is a mistake."""
    if isinstance(target, list) and target and isinstance(target[0], list):
        return len(target[0]) > 1
    return getattr(target, "ndim", 1) == 2 and target.shape[1] > 1


def label_matrix(target: Any, name: str, length: int | None) -> Labels:
    """Soft labels or label sets ``[n, L]`` >= 0: a tensor where it lies, or the sparse matrix that was given."""
    if not isinstance(target, Tensor) and sp.issparse(target):
        labels: Labels = distances.prepared(target, name, "sqeuclidean")
        wrong = bool((labels.data < 0).any())
    else:
        labels = check.matrix(target, name).detach()
        labels = labels.to(precise(labels))
        wrong = check.values_matter(labels) and bool((labels < 0).any())
    if length is not None:
        check.as_many(labels.shape[0], length, name, "row")
    if wrong:
        where = check.some(np.unique((_as_scipy(labels) < 0).nonzero()[0]).tolist())
        raise ValueError(f"{name}: got negative entries in rows {where}, expected finite numbers >= 0")
    return labels


def _as_scipy(labels: Labels) -> sp.csr_array:
    matrix = sp.csr_array(check.array(labels) if isinstance(labels, Tensor) else labels)
    matrix.eliminate_zeros()
    return matrix


def shared_labels(a: Labels, b: Labels, overlap: str, one_set: bool) -> Masses:
    """p in proportion to the labels that two points share.

    Of few points it is a matrix. Of many it is computed in blocks when it is used, on their device. Of sparse labels
    it is a sparse matrix. In one set no anchor is its own positive.

    Raises:
        ValueError: entries other than 0 and 1 with ``"jaccard"``.
        MemoryError: sparse labels whose overlap would not fit.
    """
    entries = [y if isinstance(y, Tensor) else torch.from_numpy(y.data) for y in (a, b)]
    known = all(map(check.values_matter, entries))
    if known and overlap == "product":
        a, b, _ = in_a_unit(a, b)
    elif known and not all(bool(((y == 0) | (y == 1)).all()) for y in entries):
        raise ValueError("labels: got entries other than 0 and 1, expected label sets with overlap='jaccard'")
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return Sparse.normalized(_sparse_overlap(_as_scipy(a), _as_scipy(b), overlap, one_set))
    n, m = len(a), len(b)
    kind = Jaccard if overlap == "jaccard" else Overlap
    support, ones = Support(n, m, one_set), b.new_ones(m)
    if n * m > PAIRS.get(a.device.type, CPU_PAIRS):
        return kind.of(a, b, support, ones)
    shared = kind(a, b, support, a.new_ones(n), ones).tile(0, n, a)
    sums = shared.sum(dim=1, keepdim=True)
    return Dense(shared / torch.where(sums > 0, sums, 1.0))


def _sparse_overlap(a: sp.csr_array, b: sp.csr_array, overlap: str, one_set: bool) -> sp.csr_array:
    """The overlap of labels of many points, most pairs of which share none."""
    common = float((np.diff(a.tocsc().indptr).astype(float) * np.diff(b.tocsc().indptr)).sum())
    pairs = int(min(common, float(a.shape[0] * b.shape[0])))
    check.refuse_if_too_large(36 * pairs, f"the overlap of {a.shape[0]} x {b.shape[0]} labels", "use minibatches")
    shared = sp.csr_array(a @ b.T)
    if overlap == "jaccard":
        sizes_a, sizes_b = (np.asarray(y.sum(axis=1)).ravel() for y in (a, b))
        row, col = shared.tocoo().coords
        shared.data /= sizes_a[row] + sizes_b[col] - shared.data
    if one_set:
        shared = sp.csr_array(shared - sp.diags_array(shared.diagonal()))
        shared.eliminate_zeros()
    return shared
