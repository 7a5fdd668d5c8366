"""The one search for nearest neighbours: exact in blocks, or approximate with the recall that was measured.

Nothing here holds a matrix of all pairs, and features that lie on disk (a `numpy.memmap`) are read block by block. The
k-NN and Gaussian columns, the clustering and the placement of new points all search here.
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
from icon import distances
from icon._scales import unit_of, unit_rows
from icon._threads import paying

EXACT_UP_TO = 50_000  # points that the automatic choice searches exactly
SEARCHES = ("auto", "exact", "approximate")
METRICS = ("sqeuclidean", "cosine")
_QUERIES, _CANDIDATES = 2048, 8192  # a tile of scores: 64 MiB
_GATHERED = 2**20  # entries of gathered neighbours in float64: 8 MiB
KEPT = 2**26  # entries of features that are kept in single precision during a search
_SPARE = 8  # candidates kept beyond k, so that float32 may misplace the last ones
_PROBE, _ENOUGH = 1000, 0.95  # points on which recall is measured, and the recall that ends the search for more

_NAMES_THERE = {"sqeuclidean": "euclidean", "cityblock": "manhattan", "l1": "manhattan"}  # of NN-descent

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
    x: Any, k: int, search: str = "auto", metric: distances.Metric = "sqeuclidean", seed: int = 0
) -> Neighbors:
    """The ``k`` nearest others of each row of ``x [n, d]``.

    Args:
        x: features in memory, dense or sparse (scipy), or a memmap; half precision is read as float32 a block at a
            time.
        search: ``"exact"`` costs O(n² d) time and O(n k) memory; see `exact_neighbors`. ``"approximate"`` takes faiss
            where it is installed (an inverted file of half-precision vectors: 2 n d bytes; it probes more lists until
            recall is 0.95), else pynndescent (which needs all features in float32). ``"auto"`` is exact up to 50,000
            points.
        metric: ``"sqeuclidean"``, ``"cosine"``, or another one by its name in scikit-learn, a function of two rows, or
            ``"precomputed"``, where x is ``[n, n]`` distances; the last two are always searched exactly.
        seed: of the approximate search and of the points on which its recall is measured.

    Raises:
        ValueError: k not below n, NaN or infinity in x. ImportError: no library for an approximate search.

    Source: Jégou, Douze & Schmid 2011 (inverted files; faiss: arXiv 2401.08281); Dong, Moses & Li 2011 (NN-descent).
    """
    check.choice(search, "search", SEARCHES)
    metric = distances.metric_of(metric, without=("dot",))
    if callable(metric) or distances.needed(x, metric):
        return _by_distances(distances.prepared(x, "features", metric), k, search, metric, seed)
    features = _features(x)
    n = _points(features, k)
    where: Any = x if isinstance(x, (Tensor, np.memmap)) else features
    if isinstance(where, Tensor) and not where.is_floating_point():
        where = where.double()  # torch compares no unsigned integers but bytes
    if search == "exact" or (search == "auto" and n <= EXACT_UP_TO):
        with paying(lambda: min(n, _QUERIES) * min(n, _CANDIDATES) * features.shape[1]):
            return Neighbors(exact_neighbors(where, where, k, metric, own=torch.arange(n))[0].cpu().numpy())
    read = _reader(features, metric)
    library = approximate_library()
    sample = _sample(n, seed)
    truth = _exact_rows(where, sample, k, metric)
    nearby = _distances(features, sample, truth, metric).max(axis=1)

    def recall(found: NDArray[np.int64]) -> float:
        reached = _distances(features, sample, found, metric)
        return float((reached <= nearby[:, None] * (1 + 1e-6) + 1e-12).mean())

    if library == "faiss":
        found = _faiss(features, read, k, metric, seed, recall, sample)
    else:
        wide = np.empty(features.shape, dtype=np.float32)
        for part in _parts(n, _CANDIDATES):
            wide[part] = read(features[part])
        found = _nn_descent(wide, k, metric, seed)
        short = np.flatnonzero((found < 0).any(axis=1))
        for part in _parts(len(short), _QUERIES):
            found[short[part]] = _exact_rows(features, short[part], k, metric)
    return Neighbors(found, recall(found[sample]))


def _by_distances(x: Any, k: int, search: str, metric: distances.Metric, seed: int) -> Neighbors:
    """The neighbours of sparse features, or by a metric that is not our own."""
    n, given = _points(x, k), callable(metric) or metric == "precomputed"
    if given and search == "approximate":
        raise ValueError(f"search: got 'approximate' with metric={metric!r}, expected 'exact' or 'auto'")
    if search == "exact" or given or (search == "auto" and n <= EXACT_UP_TO):
        return Neighbors(distances.nearest(x, x, k, metric, own=True)[0])
    found, sample = _nn_descent(x, k, str(metric), seed), _sample(n, seed)
    short = np.flatnonzero((found < 0).any(axis=1))
    if len(short):
        found[short] = distances.nearest(x, x, k, metric, own=True, rows=short)[0]
    furthest = distances.nearest(x, x, k, metric, own=True, rows=sample)[1][:, -1:] * (1 + 1e-6) + 1e-12
    reached = [
        np.take_along_axis(block, found[sample[start : start + len(block)]], axis=1)
        for start, block in distances.blocks(x[sample], x, metric)
    ]
    return Neighbors(found, float((np.concatenate(reached) <= furthest).mean()))


def _points(x: Any, k: int) -> int:
    """How many there are; more than k."""
    n = int(x.shape[0])
    if check.count(k, "n_neighbors") >= n:
        raise ValueError(f"n_neighbors: got {k}, expected less than the number of points, {n}")
    return n


def _sample(n: int, seed: int) -> NDArray[np.int64]:
    """The points on which recall is measured."""
    return np.sort(np.random.default_rng(seed).choice(n, min(_PROBE, n), replace=False))


def exact_neighbors(
    queries: Tensor | Array, candidates: Tensor | Array, k: int, metric: str = "sqeuclidean", own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The ``k`` nearest candidates ``[n, k]`` of each query and their distances, nearest first, on their device.

    Distances are squared; where their squares would not be ordinary numbers, they are in a unit of their own.

    Scores in float32 choose a few candidates more than k; distances in float64 order them, equal ones by index. Where
    float32 cannot tell whether the choice was right, as with many duplicates, the row is searched in float64.

    Args:
        queries: ``[n, d]`` tensor or array, which may lie on disk.
        candidates: ``[m, d]`` likewise.
        k: at most the number of candidates, the own one left out.
        metric: ``"sqeuclidean"``, ``"cosine"`` (the distance is ``1 - cos``) or ``"dot"`` (minus the product).
        own: ``[n]`` the candidate that is the query itself, which is none of its neighbours; None where there is none.

    Raises:
        ValueError: NaN or infinity.
    """
    device = candidates.device if isinstance(candidates, Tensor) else torch.device("cpu")
    if metric != "cosine" and isinstance(queries, Tensor) and isinstance(candidates, Tensor):
        unit, same = unit_of(queries, candidates), queries is candidates
        if unit != 1:
            candidates = candidates.double() / unit
            queries = candidates if same else queries.double() / unit
    centre, scale = _centre_and_scale(candidates, device)
    scales = [] if isinstance(candidates, Tensor) else [scale]
    if not isinstance(queries, Tensor) and queries is not candidates:
        scales.append(_centre_and_scale(queries, device)[1])
    if metric != "cosine" and any(unit_of(each) != 1 for each in scales):
        # Such numbers are taken into memory, where all of them are divided by one unit.
        whole = _rows(candidates, slice(None), device)
        queries = whole if queries is candidates else _rows(queries, slice(None), device)
        return exact_neighbors(queries, whole, k, metric, own)
    m, found, euclidean = len(candidates), [], metric == "sqeuclidean"
    keep = min(k + _SPARE, m)

    def prepared(rows: Tensor) -> Tensor:
        """In float32, without under- or overflow."""
        return (unit_rows(rows) if metric == "cosine" else (rows - centre if euclidean else rows) / scale).float()

    blocks = list(_parts(m, _CANDIDATES))
    read_again = isinstance(candidates, np.memmap) or m * candidates.shape[1] > KEPT
    kept = None if read_again else [prepared(_rows(candidates, block, device)) for block in blocks]
    for part in _parts(len(queries), _QUERIES):
        rows = _rows(queries, part, device)
        a, itself = prepared(rows), None if own is None else own[part].to(device)
        best = torch.full((len(a), 0), 0.0, device=device)
        where = torch.empty((len(a), 0), dtype=torch.int64, device=device)
        longest = a.new_zeros(())
        for number, block in enumerate(blocks):
            b = prepared(_rows(candidates, block, device)) if kept is None else kept[number]
            scores, squares = a @ b.T, (b * b).sum(dim=1)
            longest = torch.maximum(longest, squares.max())
            if euclidean:
                scores = scores.mul_(2).sub_(squares)  # the query's own square orders nothing
            if itself is not None:
                inside = ((itself >= block.start) & (itself < block.stop)).nonzero().flatten()
                scores[inside, itself[inside] - block.start] = -torch.inf
            near, index = scores.topk(min(keep, scores.shape[1]), dim=1)
            best, where = torch.cat([best, near], dim=1), torch.cat([where, index + block.start], dim=1)
            best, chosen = best.topk(min(keep, best.shape[1]), dim=1)
            where = where.gather(1, chosen)
        index, distance = _ordered(rows, candidates, where, k, metric, itself)
        if keep < m:
            # A candidate that was not kept scored no better than the last one kept, give or take the rounding.
            squares = (a * a).sum(dim=1)
            last = (squares if euclidean else float(metric == "cosine")) - best[:, -1] - 1e-6 * (squares + longest)
            limit = last.to(rows.dtype) * (scale**2 if metric != "cosine" else 1.0)
            doubtful = (distance[:, -1] >= limit).nonzero().flatten()
            for few in torch.split(doubtful, max(1, _GATHERED // (m * rows.shape[1]))):
                all_of_them = torch.arange(m, device=device).expand(len(few), m)
                mine = None if itself is None else itself[few]
                index[few], distance[few] = _ordered(rows[few], candidates, all_of_them, k, metric, mine)
        found.append((index, distance))
    indices, distances = zip(*found, strict=True)
    return torch.cat(indices), torch.cat(distances)


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
    array = check.with_numbers(x, "features").detach().cpu() if isinstance(x, Tensor) else x
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
    mean = _centre_and_scale(features, torch.device("cpu"))[0].numpy()

    def centred(rows: Array) -> NDArray[np.float32]:
        moved: NDArray[np.float32] = (np.asarray(rows, dtype=np.float64) - mean).astype(np.float32)
        return moved

    def normalised(rows: Array) -> NDArray[np.float32]:
        unit: NDArray[np.float32] = unit_rows(torch.from_numpy(np.array(rows, dtype=np.float64))).float().numpy()
        return unit

    return normalised if metric == "cosine" else centred


def _parts(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


# -- searching --------------------------------------------------------------------------------------------------------


def _exact_rows(features: Tensor | Array, rows: NDArray[np.int64], k: int, metric: str) -> NDArray[np.int64]:
    """``[b, k]`` nearest others of some rows."""
    found, _ = exact_neighbors(features[rows], features, k, metric, own=torch.from_numpy(rows))
    return found.cpu().numpy()


def _ordered(
    rows: Tensor, candidates: Tensor | Array, where: Tensor, k: int, metric: str, own: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The k nearest of some candidates ``[b, c]`` of each row by distance in double precision, then by index."""
    distance = torch.empty(where.shape, dtype=rows.dtype, device=rows.device)
    for part in _parts(len(where), max(1, _GATHERED // (where.shape[1] * rows.shape[1]))):
        a, b = rows[part].unsqueeze(1), _rows(candidates, where[part], rows.device)
        distance[part] = _measured(a, b, metric)
    if own is not None:
        distance.masked_fill_(where == own[:, None], torch.inf)
    where, order = where.sort(dim=1)
    distance, nearest = distance.gather(1, order).sort(dim=1, stable=True)
    return where.gather(1, nearest)[:, :k], distance[:, :k]


def _measured(a: Tensor, b: Tensor, metric: str) -> Tensor:
    """Distances ``[b, c]`` of rows ``[b, 1, d]`` and others ``[b, c, d]``."""
    if metric == "sqeuclidean":
        return (a - b).square().sum(dim=2)
    return 1 - (unit_rows(a) * unit_rows(b)).sum(dim=2) if metric == "cosine" else -(a * b).sum(dim=2)


def _rows(x: Tensor | Array, at: slice | Tensor, device: torch.device) -> Tensor:
    """Some rows in double precision, in single where the device has no other."""
    wide = torch.float32 if device.type == "mps" else torch.float64
    if isinstance(x, Tensor):
        found: Tensor = x.detach()[at].to(device, wide)
        return found
    block = x[at if isinstance(at, slice) else at.cpu().numpy()]
    return torch.from_numpy(np.array(block, dtype=np.float64)).to(device, wide)


def _centre_and_scale(x: Tensor | Array, device: torch.device) -> tuple[Tensor, Tensor]:
    """The mean of the rows ``[d]``, which keeps rounding small, and the size of the largest entry.

    Raises:
        ValueError: NaN or infinity.
    """
    total, largest = [], []
    for part in _parts(len(x), _CANDIDATES):
        rows = _rows(x, part, device)
        total.append(rows.sum(dim=0))
        largest.append(rows.abs().amax())
        if not bool(torch.isfinite(total[-1]).all()):
            bad = (~torch.isfinite(rows)).any(dim=1).nonzero().flatten() + part.start
            raise ValueError(
                f"features: got NaN or infinity in rows {check.some(bad.tolist())}, expected finite numbers"
            )
    scale = torch.stack(largest).amax()
    return torch.stack(total).sum(dim=0) / len(x), torch.where(scale > 0, 2 * scale, 1.0)


def _distances(features: Array, rows: NDArray[np.int64], others: NDArray[np.int64], metric: str) -> NDArray[np.float64]:
    """``[b, c]`` distances in float64 between rows and some others of each, in the order of the others."""
    index, cpu = torch.from_numpy(others), torch.device("cpu")
    found = np.empty(others.shape)
    for part in _parts(len(rows), max(1, _GATHERED // (others.shape[1] * features.shape[1]))):
        a, b = _rows(features, torch.from_numpy(rows[part]), cpu).unsqueeze(1), _rows(features, index[part], cpu)
        found[part] = _measured(a, b, metric)
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
    found = np.empty((n, k), dtype=np.int64)  # parts and their whole would be twice as much
    for part in _parts(n, _CANDIDATES):
        found[part] = search(np.arange(part.start, part.stop))
    short = np.flatnonzero((found < 0).any(axis=1))  # the lists probed held too few
    for part in _parts(len(short), _QUERIES):
        found[short[part]] = _exact_rows(features, short[part], k, metric)
    return found


def _nn_descent(x: Any, k: int, metric: str, seed: int) -> NDArray[np.int64]:
    """Search by NN-descent; -1 where it found too few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynndescent import NNDescent

        distance = _NAMES_THERE.get(metric, metric)
        index = NNDescent(x, metric=distance, n_neighbors=max(k + 1, 15), random_state=seed)
        found = np.asarray(index.neighbor_graph[0], dtype=np.int64)
    return _without_self(found, np.arange(len(found)))[:, :k]
