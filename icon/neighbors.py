"""Nearest neighbours of many points: exact in blocks, or approximate with the recall that was measured.

Nothing here holds a matrix of all pairs, and features that lie on disk (a `numpy.memmap`) are read block by block.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from icon import _checks as check
from icon.p.masses import Listed
from icon.p.rows import Rows
from icon.p.support import Support

EXACT_UP_TO = 50_000  # points that the automatic choice searches exactly
SEARCHES = ("auto", "exact", "approximate")
METRICS = ("sqeuclidean", "cosine")
_QUERIES, _CANDIDATES = 2048, 8192  # a tile of scores: 64 MiB
_GATHERED = 2**20  # entries of gathered neighbours in float64: 8 MiB
_SPARE = 8  # candidates kept beyond k, so that float32 may misplace the last ones
_PROBE, _ENOUGH = 1000, 0.95  # points on which recall is measured, and the recall that ends the search for more

Array = NDArray[Any]
Transform = Callable[[Array], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The nearest others of each point.

    Args:
        indices: ``[n, k]`` int64, nearest first; a point is never its own neighbour.
        recall: the share of the k nearest that an approximate search found, against exact search on 1000 random
            points; a neighbour exactly as near as the k-th counts. None where the search was exact.
    """

    indices: NDArray[np.int64]
    recall: float | None = None


def nearest_neighbors(
    x: ArrayLike | Tensor, k: int, search: str = "auto", metric: str = "sqeuclidean", seed: int = 0
) -> Neighbors:
    """The ``k`` nearest others of each row of ``x [n, d]``.

    Args:
        x: features in memory, or a memmap; half precision is read as float32 a block at a time.
        search: ``"exact"`` costs O(n² d) time and O(n k) memory: float32 scores choose a few candidates more than k,
            whose order is then settled in float64. ``"approximate"`` takes faiss where it is installed (an inverted
            file of half-precision vectors: 2 n d bytes; it probes more lists until recall is 0.95), else pynndescent
            (which needs all features in float32). ``"auto"`` is exact up to 50,000 points.
        metric: ``"sqeuclidean"`` or ``"cosine"``.
        seed: of the approximate search and of the points on which its recall is measured.

    Raises:
        ValueError: k not below n, NaN or infinity in x. ImportError: no library for an approximate search.

    Source: Jégou, Douze & Schmid 2011 (inverted files; faiss: arXiv 2401.08281); Dong, Moses & Li 2011 (NN-descent).
    """
    check.choice(search, "search", SEARCHES)
    check.choice(metric, "metric", METRICS)
    features = _features(x)
    n = len(features)
    if check.count(k, "n_neighbors") >= n:
        raise ValueError(f"n_neighbors: got {k}, expected less than the number of points, {n}")
    read = _reader(features, metric)
    if search == "exact" or (search == "auto" and n <= EXACT_UP_TO):
        found = np.concatenate([_exact(features, read, part, k, metric) for part in _parts(n, _QUERIES)])
        return Neighbors(found)
    library = approximate_library()
    sample = np.sort(np.random.default_rng(seed).choice(n, min(_PROBE, n), replace=False))
    truth = np.concatenate([_exact(features, read, sample[part], k, metric) for part in _parts(len(sample), _QUERIES)])
    nearby = _distances(features, sample, truth, metric).max(axis=1)

    def recall(found: NDArray[np.int64]) -> float:
        distances = _distances(features, sample, found, metric)
        return float((distances <= nearby[:, None] * (1 + 1e-6) + 1e-12).mean())

    if library == "faiss":
        found = _faiss(features, read, k, metric, seed, recall, sample)
    else:
        found = _nn_descent(features, read, k, metric, seed)
    return Neighbors(found, recall(found[sample]))


def knn_rows(
    x: ArrayLike | Tensor, k: int, search: str = "auto", metric: str = "sqeuclidean", seed: int = 0
) -> tuple[Rows, float | None]:
    """p of `icon.p.KNN` on one set of points, ``p(j|i) = 1/k``, and the recall of the search (None if exact).

    An exact search gives the rows of ``icon.p.KNN(k)(x)``; among equally distant points the choice may differ.
    """
    found = nearest_neighbors(x, k, search, metric, seed)
    n = len(found.indices)
    indices = torch.from_numpy(np.sort(found.indices, axis=1))
    return Rows(Listed(indices, n), Support(n, n, exclude_self=True)), found.recall


def approximate_library() -> str:
    """Which library searches approximately here: ``"faiss"`` or ``"pynndescent"``.

    Raises:
        ImportError: neither is installed.
    """
    for name in ("faiss", "pynndescent"):
        if find_spec(name) is not None:
            return name
    raise ImportError("an approximate search needs faiss or pynndescent: pip install 'icon-loss[neighbors]'")


# -- reading ----------------------------------------------------------------------------------------------------------


def _features(x: ArrayLike | Tensor) -> Array:
    """The features as an array, untouched where they already are one."""
    array = x.detach().cpu() if isinstance(x, Tensor) else x
    if isinstance(array, Tensor):
        array = array.float().numpy() if array.dtype == torch.bfloat16 else array.numpy()
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"features: got dtype {array.dtype}, expected real numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"features: got shape {array.shape}, expected (n, d) with at least one row and one column")
    return array


def _reader(features: Array, metric: str) -> Transform:
    """How a block of rows becomes float32: centred for distances (rounding stays small), normalised for cosine."""
    total = np.zeros(features.shape[1])
    for part in _parts(len(features), _CANDIDATES):
        sums = np.asarray(features[part], dtype=np.float64).sum(axis=0)
        if not np.isfinite(sums).all():
            bad = np.flatnonzero(~np.isfinite(features[part]).all(axis=1)) + part.start
            raise ValueError(
                f"features: got NaN or infinity in rows {check.some(bad.tolist())}, expected finite numbers"
            )
        total += sums
    mean = total / len(features)

    def centred(rows: Array) -> NDArray[np.float32]:
        moved: NDArray[np.float32] = (np.asarray(rows, dtype=np.float64) - mean).astype(np.float32)
        return moved

    def normalised(rows: Array) -> NDArray[np.float32]:
        wide = np.asarray(rows, dtype=np.float64)
        unit: NDArray[np.float32] = _unit(wide).astype(np.float32)
        return unit

    return normalised if metric == "cosine" else centred


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return unit


def _parts(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


# -- searching --------------------------------------------------------------------------------------------------------


def _exact(features: Array, read: Transform, queries: slice | NDArray[np.int64], k: int, metric: str) -> Any:
    """``[b, k]`` nearest others of some rows, by distance and then by index."""
    own = np.arange(queries.start, queries.stop) if isinstance(queries, slice) else queries
    a = torch.from_numpy(read(features[queries]))
    keep = min(k + _SPARE, len(features) - 1)
    best = torch.full((len(own), 0), 0.0)
    where = torch.empty((len(own), 0), dtype=torch.int64)
    for part in _parts(len(features), _CANDIDATES):
        b = torch.from_numpy(read(features[part]))
        scores = a @ b.T
        if metric == "sqeuclidean":
            scores = scores.mul_(2).sub_((b * b).sum(dim=1))  # the anchor's own square orders nothing
        inside = np.flatnonzero((own >= part.start) & (own < part.stop))
        scores[inside, own[inside] - part.start] = -torch.inf
        near, index = scores.topk(min(keep, scores.shape[1]), dim=1)
        best, where = torch.cat([best, near], dim=1), torch.cat([where, index + part.start], dim=1)
        best, chosen = best.topk(min(keep, best.shape[1]), dim=1)
        where = where.gather(1, chosen)
    found = where.numpy()
    distances = _distances(features, own, found, metric)
    distances[found == own[:, None]] = np.inf
    order = np.lexsort((found, distances), axis=1)[:, :k]
    return np.take_along_axis(found, order, axis=1)


def _distances(features: Array, rows: NDArray[np.int64], others: NDArray[np.int64], metric: str) -> NDArray[np.float64]:
    """``[b, c]`` distances in float64 between rows and some others of each."""
    found = np.empty(others.shape)
    step = max(1, _GATHERED // (others.shape[1] * features.shape[1]))
    for part in _parts(len(rows), step):
        a = np.asarray(features[rows[part]], dtype=np.float64)[:, None]
        b = np.asarray(features[others[part]], dtype=np.float64)
        if metric == "cosine":
            found[part] = 1 - (_unit(a) * _unit(b)).sum(axis=2)
        else:
            found[part] = ((a - b) ** 2).sum(axis=2)
    return found


def _without_self(found: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop each point from its own ``k + 1`` neighbours; where duplicates pushed it out, drop the last."""
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False
    kept: NDArray[np.int64] = found[others].reshape(len(found), -1)
    return kept


def _faiss(
    features: Array,
    read: Transform,
    k: int,
    metric: str,
    seed: int,
    recall: Callable[[NDArray[np.int64]], float],
    sample: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Search an inverted file; lists are probed, twice as many each time, until the recall on the sample is enough."""
    import faiss as library

    faiss: Any = library  # its stubs know less than it does

    n, d = features.shape
    lists = max(1, min(int(4 * n**0.5), n // 40))
    measure = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
    index = faiss.index_factory(d, f"IVF{lists},SQfp16", measure)
    index.cp.seed, index.cp.niter, index.cp.min_points_per_centroid = seed + 1, 10, 1  # the last one: no warning
    shown = np.sort(np.random.default_rng(seed).choice(n, min(n, 40 * lists, 2**17), replace=False))
    first = read(features[shown])
    scale = np.float32(1 / max(float(np.abs(first).max()), 1e-30))  # half precision ends at 65504
    index.train(first * scale)

    def codes(part: slice) -> NDArray[np.float32]:
        clipped: NDArray[np.float32] = np.clip(read(features[part]) * scale, -6e4, 6e4)
        return clipped

    # Each list gets its room at once: one that grows as it is filled takes up to twice as much.
    owner = np.concatenate([index.quantizer.assign(codes(part), 1)[:, 0] for part in _parts(n, _CANDIDATES)])
    for number, size in enumerate(np.bincount(owner, minlength=lists)):
        index.invlists.resize(number, int(size))
        index.invlists.resize(number, 0)
    for part in _parts(n, _CANDIDATES):
        block, own = codes(part), np.ascontiguousarray(owner[part])
        index.add_core(len(block), faiss.swig_ptr(block), None, faiss.swig_ptr(own))

    def search(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return _without_self(index.search(read(features[rows]) * scale, k + 1)[1], rows)

    index.nprobe = min(4, lists)
    while index.nprobe < lists:
        tried = search(sample)
        if (tried >= 0).all() and recall(tried) >= _ENOUGH:
            break
        index.nprobe = min(2 * index.nprobe, lists)
    found = np.concatenate([search(np.arange(part.start, part.stop)) for part in _parts(n, _CANDIDATES)])
    short = np.flatnonzero((found < 0).any(axis=1))  # the lists probed held too few
    for part in _parts(len(short), _QUERIES):
        found[short[part]] = _exact(features, read, short[part], k, metric)
    return found


def _nn_descent(features: Array, read: Transform, k: int, metric: str, seed: int) -> NDArray[np.int64]:
    """Search by NN-descent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynndescent import NNDescent

        wide = np.empty(features.shape, dtype=np.float32)
        for part in _parts(len(features), _CANDIDATES):
            wide[part] = read(features[part])
        distance = "cosine" if metric == "cosine" else "euclidean"
        index = NNDescent(wide, metric=distance, n_neighbors=max(k + 1, 15), random_state=seed)
        found = np.asarray(index.neighbor_graph[0], dtype=np.int64)
    found = _without_self(found, np.arange(len(found)))[:, :k]
    short = np.flatnonzero((found < 0).any(axis=1))
    for part in _parts(len(short), _QUERIES):
        found[short[part]] = _exact(features, read, short[part], k, metric)
    return found
