"""The search for nearest neighbours: exact or approximate, as asked or by the number of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from icon import _checks as check
from icon import distances
from icon._scales import power_of_two
from icon._threads import paying
from icon.neighbors import blocks
from icon.neighbors.approximate import approximate_library, by_faiss, by_nn_descent, reader
from icon.neighbors.blocks import Array, centre_and_scale, parts
from icon.neighbors.exact import distances_to, exact_neighbors, exact_rows

EXACT_UP_TO = 50_000  # points that the automatic choice searches exactly
SEARCHES = ("auto", "exact", "approximate")
METRICS = ("sqeuclidean", "cosine")
_PROBE = 1000  # points on which recall is measured
_SMALL = 2.0**-10  # features up to here are searched in a unit of their own


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
        k: from 1 to n - 1.
        search: ``"exact"`` costs O(n² d) time and O(n k) memory; see `exact_neighbors`. ``"approximate"`` takes faiss
            where it is installed (an inverted file of half-precision vectors: 2 n d bytes; it probes more lists until
            recall is 0.95), else pynndescent (which needs all features in float32). ``"auto"`` is exact up to 50,000
            points.
        metric: ``"sqeuclidean"``, ``"cosine"``, or another one by its name in scikit-learn, a function of two rows, or
            ``"precomputed"``, where x is ``[n, n]`` distances; the last two are always searched exactly.
        seed: of the approximate search and of the points on which its recall is measured.

    Raises:
        ValueError: k not below n, NaN or infinity in x.
        ImportError: no library for an approximate search.

    Source: Jégou, Douze & Schmid 2011 (inverted files; faiss: arXiv 2401.08281); Dong, Moses & Li 2011 (NN-descent).
    """
    check.choice(search, "search", SEARCHES)
    k = check.count(k, "n_neighbors")
    metric = distances.metric_of(metric, without=("dot",))
    if callable(metric) or distances.needed(x, metric):
        return _by_distances(distances.prepared(x, "features", metric), k, search, metric, seed)
    features = _features(x)
    n = _points(features, k)
    where: Any = x if isinstance(x, (Tensor, np.memmap)) else features
    if isinstance(where, Tensor) and not where.is_floating_point():
        where = where.double()  # torch compares no unsigned integers but bytes
    if search == "exact" or (search == "auto" and n <= EXACT_UP_TO):
        with paying(lambda: min(n, blocks.QUERIES) * min(n, blocks.CANDIDATES) * features.shape[1]):
            own = torch.arange(n, device="cpu")
            return Neighbors(check.array(exact_neighbors(where, where, k, metric, own)[0]))
    with paying(lambda: int(4 * n**0.5) * n * features.shape[1]):  # each point is compared with so many lists
        return _approximate(where, features, k, metric, seed)


def _approximate(where: Any, features: Array, k: int, metric: str, seed: int) -> Neighbors:
    """The neighbours of an approximate search, and its recall."""
    n = len(features)
    centre, scale = centre_and_scale(features, torch.device("cpu"))
    unit = power_of_two(float(scale) / 2)
    if metric != "cosine" and not 2.0**-50 <= unit <= 2.0**100:  # such numbers are taken into memory, to be divided
        where = features = np.divide(features, unit, dtype=np.float64)
        centre, unit = centre / unit, 1.0
    least = 1e-12 * (1.0 if metric == "cosine" else unit**2)  # of distances
    read = reader(centre.numpy(), metric)
    library = approximate_library()
    sample = _sample(n, seed)
    truth = exact_rows(where, sample, k, metric)
    nearby = distances_to(features, sample, truth, metric).max(axis=1)

    def recall(indices: NDArray[np.int64]) -> float:
        reached = distances_to(features, sample, indices, metric)
        return float((reached <= nearby[:, None] * (1 + 1e-6) + least).mean())

    if library == "faiss":
        neighbors = by_faiss(features, read, k, metric, seed, recall, sample)
    else:
        wide = np.empty(features.shape, dtype=np.float32)
        for part in parts(n, blocks.CANDIDATES):
            wide[part] = read(features[part])
        neighbors = by_nn_descent(wide, k, metric, seed)
    short = np.flatnonzero((neighbors < 0).any(axis=1))
    for part in parts(len(short), blocks.QUERIES):
        neighbors[short[part]] = exact_rows(features, short[part], k, metric)
    return Neighbors(neighbors, recall(neighbors[sample]))


def _by_distances(x: Any, k: int, search: str, metric: distances.Metric, seed: int) -> Neighbors:
    """The neighbours of sparse features, or by a metric that is not our own."""
    n, given = _points(x, k), callable(metric) or metric == "precomputed"
    if given and search == "approximate":
        raise ValueError(f"search: got 'approximate' with metric={metric!r}, expected 'exact' or 'auto'")
    if search == "exact" or given or (search == "auto" and n <= EXACT_UP_TO):
        return Neighbors(distances.nearest(x, x, k, metric, own=True)[0])
    largest = float(abs(x).max())
    if metric != "haversine" and 0 < largest < _SMALL:  # which the search would take for equal
        x = x / power_of_two(largest)
    neighbors, sample = by_nn_descent(x, k, str(metric), seed), _sample(n, seed)
    short = np.flatnonzero((neighbors < 0).any(axis=1))
    if len(short):
        neighbors[short] = distances.nearest(x, x, k, metric, own=True, rows=short)[0]
    furthest = distances.nearest(x, x, k, metric, own=True, rows=sample)[1][:, -1:] * (1 + 1e-6) + 1e-12
    reached = distances.of_edges(x[sample], x, neighbors[sample], metric)
    return Neighbors(neighbors, float((reached <= furthest).mean()))


def _points(x: Any, k: int) -> int:
    """How many there are; more than k."""
    n = int(x.shape[0])
    if k >= n:
        raise ValueError(f"n_neighbors: got {k}, expected less than the number of points, {n}")
    return n


def _sample(n: int, seed: int) -> NDArray[np.int64]:
    """The points on which recall is measured."""
    return np.sort(np.random.default_rng(seed).choice(n, min(_PROBE, n), replace=False))


def _features(x: ArrayLike | Tensor) -> Array:
    """The features as an array, untouched where they already are one."""
    if isinstance(x, Tensor):
        x = check.with_numbers(x, "features")
        x = check.array(x.float() if x.dtype == torch.bfloat16 else x)
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"features: got dtype {array.dtype}, expected real numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"features: got shape {array.shape}, expected (n, d) with at least one row and one column")
    return array
