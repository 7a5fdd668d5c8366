"""Distances of sparse rows, by scikit-learn's metrics or a function, or given: in blocks of rows, never all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from icon import _checks as check
from icon._lazy import sp
from icon._scales import in_a_unit

Metric: TypeAlias = str | Callable[[NDArray[Any], NDArray[Any]], float]
Rows: TypeAlias = Any  # a scipy CSR matrix or an array, [n, d]

#: What `icon.neighbors` and `icon.p` compute themselves, of dense features, and their other names.
OWN = ("sqeuclidean", "cosine", "dot")
_SAME = {"euclidean": "sqeuclidean", "l2": "sqeuclidean"}
_OF_SPARSE = ("cityblock", "l1", "manhattan")  # beside our own
_OF_SETS = ("dice", "jaccard", "rogerstanimoto", "russellrao", "sokalsneath", "yule")  # what is not 0 is in the set
_OTHERS = ("braycurtis", "canberra", "chebyshev", "correlation", "hamming", "haversine", "precomputed")
NAMES = (*OWN, *_SAME, *_OF_SPARSE, *_OTHERS, *_OF_SETS)
_ENTRIES = 2**22  # of a block of distances: 32 MiB


def metric_of(metric: Any, without: tuple[str, ...] = ()) -> Metric:
    """A metric by its plain name, or a function ``(a [d], b [d]) -> float`` as it is."""
    if callable(metric):
        return metric  # type: ignore[no-any-return]
    known = check.choice(metric, "metric", [name for name in NAMES if name not in without])
    return _SAME.get(known, known)


def needed(x: Any, metric: Metric) -> bool:
    """Whether distances are computed here, and not by torch from dense features."""
    return sp.issparse(x) or metric not in OWN


def prepared(x: Any, name: str, metric: Metric) -> Rows:
    """Validated features ``[n, d]``, or given distances ``[n, n]``, in double precision, sparse ones as CSR."""
    if not sp.issparse(x):
        x = check.array(check.matrix(x, name).cpu().double())
        if metric == "precomputed" and x.shape[0] != x.shape[1]:
            raise ValueError(f"{name}: got shape {x.shape} with metric='precomputed', expected distances (n, n)")
        if metric == "precomputed" and (x < 0).any():
            rows = np.unique((x < 0).nonzero()[0]).tolist()
            raise ValueError(f"{name}: got negative distances in rows {check.some(rows)}, expected distances >= 0")
        return x
    if callable(metric) or metric not in (*OWN, *_OF_SPARSE):
        expected = " or ".join(map(repr, (*OWN, *_OF_SPARSE)))
        raise TypeError(f"{name}: got a sparse matrix with metric={metric!r}, expected a dense one, or {expected}")
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got dtype {x.dtype}, expected real numbers")
    matrix = sp.csr_array(x, dtype=np.float64)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # what is given stays as it is
        matrix.sum_duplicates()
    if 0 in matrix.shape:
        raise ValueError(f"{name}: got shape {matrix.shape}, expected at least one row and one column")
    wrong = np.unique(sp.coo_array(matrix).coords[0][~np.isfinite(matrix.data)]).tolist()
    if wrong:
        raise ValueError(f"{name}: got NaN or infinity in rows {check.some(wrong)}, expected finite numbers")
    return matrix


def blocks(a: Rows, b: Rows, metric: Metric) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Distances ``[rows, m]`` of some rows of ``a [n, d]`` after another to all of ``b [m, d]``.

    The distance is ``1 - cos`` for the cosine and minus the product for ``"dot"``; ``"sqeuclidean"`` is not squared.
    Distances that are given, ``a [n, m]``, need no b.

    Raises:
        ValueError: the metric does not fit the features, or gives no number or a negative one.
    """
    unit = 1.0
    if metric == "correlation":
        a, b, metric = *_each(_about_their_mean, a, b), "cosine"
    if metric == "cosine":
        a, b = _each(_of_length_one, a, b)
    elif metric == "sqeuclidean":  # whose squares are then ordinary numbers, and hardly larger than the distances
        a, b, unit = in_a_unit(*_moved(a, b))
    elif metric in _OF_SETS:
        a, b = _each(lambda x: x != 0, a, b)
    step = max(1, _ENTRIES // b.shape[0])
    for start in range(0, a.shape[0], step):
        distances = unit * _between(a[start : start + step], b, metric)
        wrong = ~np.isfinite(distances)
        if metric != "dot":
            wrong |= distances < (-1e-9 if metric == "cosine" else 0)
        if wrong.any():
            at_fault = wrong.all(axis=1) if wrong.all(axis=1).any() else wrong.any(axis=1)  # of one, all others suffer
            rows = (start + np.flatnonzero(at_fault)).tolist()
            raise ValueError(
                f"metric: got {_shown(metric)}, which gives no finite distance >= 0 for rows {check.some(rows)} of the "
                "features, expected one that does"
            )
        yield start, distances


def nearest(
    a: Rows, b: Rows, k: int, metric: Metric, own: bool, rows: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The ``k`` nearest of ``b [m, d]`` for each row of a, ``[n, k]``, nearest first, and their distances.

    Equal distances go by index. With ``own``, row i of b is row i of a, which is none of its neighbours; ``rows`` are
    the only ones of a that are looked at.
    """
    indices, distances = [], []
    places = np.arange(a.shape[0]) if rows is None else rows
    for start, block in blocks(a if rows is None else a[rows], b, metric):
        if own:
            block[np.arange(len(block)), places[start : start + len(block)]] = np.inf
        last = np.partition(block, k - 1, axis=1)[:, k - 1 : k]
        below, equal = block < last, block == last
        chosen = below | (equal & (equal.cumsum(axis=1) <= k - below.sum(axis=1, keepdims=True)))
        index = chosen.nonzero()[1].reshape(-1, k)
        near = np.take_along_axis(block, index, axis=1)
        order = near.argsort(axis=1, kind="stable")
        indices.append(np.take_along_axis(index, order, axis=1))
        distances.append(np.take_along_axis(near, order, axis=1))
    return np.concatenate(indices), np.concatenate(distances)


def of_edges(a: Rows, b: Rows, index: NDArray[np.int64], metric: Metric) -> NDArray[np.float64]:
    """Distances ``[n, k]`` of each row of a to some rows ``index [n, k]`` of b; see `blocks`."""
    rows = (next(blocks(a[i : i + 1], b[index[i]], metric))[1] for i in range(a.shape[0]))
    return np.concatenate(list(rows))


def _each(change: Callable[[Rows], Rows], a: Rows, b: Rows) -> tuple[Rows, Rows]:
    """Both sets changed, once where they are one."""
    changed = change(a)
    return changed, changed if a is b else change(b)


def _moved(a: Rows, b: Rows) -> tuple[Rows, Rows]:
    """Sparse rows, moved towards zero along the columns in which all have an entry: distances stay as they are."""
    if not sp.issparse(b):
        return a, b
    both = (b,) if a is b else (a, b)
    full = np.all([np.bincount(x.indices, minlength=x.shape[1]) == x.shape[0] for x in both], axis=0)
    mean = np.where(full, np.asarray(b.mean(axis=0)).ravel(), 0.0)
    if (b.data == np.round(b.data)).all():
        mean = np.round(mean)  # of whole numbers ties stay exact
    moved = [sp.csr_array((x.data - mean[x.indices], x.indices, x.indptr), shape=x.shape) for x in both]
    return moved[0], moved[-1]


def _about_their_mean(x: Rows) -> Rows:
    """Rows less their means, in a unit of their own; a constant row, which is not correlated with any, is refused."""
    x = x / np.maximum(np.abs(x).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    constant = np.flatnonzero(np.ptp(x, axis=1) == 0).tolist()
    if constant:
        raise ValueError(
            f"features: got constant rows {check.some(constant)} with metric='correlation', expected rows that vary"
        )
    return x - x.mean(axis=1, keepdims=True)


def _of_length_one(x: Rows) -> Rows:
    from sklearn.preprocessing import normalize

    return normalize(normalize(x, "max"), "l2")  # in two steps: the squares of tiny or huge rows are no numbers


def _between(a: Rows, b: Rows, metric: Metric) -> NDArray[np.float64]:
    from sklearn.metrics import pairwise_distances

    if metric == "precomputed":
        return np.array(a)
    if metric in ("cosine", "dot"):
        both = a @ b.T
        product: NDArray[np.float64] = both.toarray() if sp.issparse(both) else both
        return 1 - product if metric == "cosine" else -product
    if callable(metric):
        return np.asarray(pairwise_distances(a, b, metric=partial(_one_number, metric)), dtype=np.float64)
    try:
        kind = "euclidean" if metric == "sqeuclidean" else metric
        return np.asarray(pairwise_distances(a, b, metric=kind), dtype=np.float64)
    except ValueError as error:
        raise ValueError(
            f"metric: got {metric!r}, expected one that fits the features ({check.reason(error)})"
        ) from None


def _one_number(metric: Callable[..., Any], a: NDArray[Any], b: NDArray[Any]) -> float:
    number = metric(a, b)
    if np.ndim(number) != 0:
        raise TypeError(
            f"metric: got {_shown(metric)}, which gives an array, expected a function that gives one number"
        )
    return float(number)


def _shown(metric: Metric) -> str:
    return repr(metric) if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
