"""Approximate nearest neighbours by a library: an inverted file (faiss) or NN-descent (pynndescent)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from icon._scales import unit_rows
from icon.neighbors import blocks
from icon.neighbors.blocks import Array, parts

ENOUGH = 0.95  # the recall that ends the search for more
TAUGHT = 2**16  # points at most by which lists are formed
REGION = 2**17  # points that are searched in the order of their lists: what lies on disk is read a region at a time
_NAMES_THERE = {"sqeuclidean": "euclidean", "cityblock": "manhattan", "l1": "manhattan"}  # of NN-descent

Transform = Callable[[Array], NDArray[np.float32]]


def approximate_library() -> str:
    """Which library searches approximately here: ``"faiss"`` or ``"pynndescent"``."""
    for name in ("faiss", "pynndescent"):
        if find_spec(name) is not None:
            return name
    raise ImportError("search: got 'approximate', expected faiss or pynndescent: pip install 'icon-loss[neighbors]'")


def reader(mean: Array, metric: str) -> Transform:
    """How a block of rows becomes float32: centred for distances (rounding stays small), normalised for cosine."""
    if metric == "cosine":
        return lambda rows: unit_rows(torch.from_numpy(np.array(rows, np.float64, order="C"))).float().numpy()
    return lambda rows: (np.asarray(rows, dtype=np.float64) - mean).astype(np.float32, order="C")


def by_faiss(
    features: Array,
    read: Transform,
    k: int,
    metric: str,
    seed: int,
    recall: Callable[[NDArray[np.int64]], float],
    sample: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Search an inverted file; lists are probed, twice as many each time, until the recall on the sample is enough.

    -1 stands where the lists that were probed held too few.
    """
    import faiss as library

    faiss: Any = library  # its stubs know less than it does

    n, d = features.shape
    lists = max(1, min(int(4 * n**0.5), n // 40))
    measure = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
    index = faiss.index_factory(d, f"IVF{lists},SQfp16", measure)
    index.cp.seed, index.cp.niter, index.cp.min_points_per_centroid = seed + 1, 10, 1  # the last one: no warning
    shown = np.sort(np.random.default_rng(seed).choice(n, min(n, 40 * lists, TAUGHT), replace=False))
    first = read(features[shown])
    scale = np.float32(1 / max(float(np.abs(first).max()), 1e-30))  # half precision ends at 65504
    index.train(first * scale)

    def codes(part: slice) -> NDArray[np.float32]:
        clipped: NDArray[np.float32] = np.clip(read(features[part]) * scale, -6e4, 6e4)
        return clipped

    # Each list gets its room at once: one that grows as it is filled takes up to twice as much.
    owner = np.concatenate([index.quantizer.assign(codes(part), 1)[:, 0] for part in parts(n, blocks.CANDIDATES)])
    for number, size in enumerate(np.bincount(owner, minlength=lists)):
        index.invlists.resize(number, int(size))
        index.invlists.resize(number, 0)
    for part in parts(n, blocks.CANDIDATES):
        block, own = codes(part), np.ascontiguousarray(owner[part])
        index.add_core(len(block), faiss.swig_ptr(block), None, faiss.swig_ptr(own))

    def search(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return _without_self(index.search(read(features[rows]) * scale, k + 1)[1], rows)

    index.nprobe = min(4, lists)
    while index.nprobe < lists:
        tried = search(sample)
        if (tried >= 0).all() and recall(tried) >= ENOUGH:
            break
        index.nprobe = min(2 * index.nprobe, lists)
    neighbors = np.empty((n, k), dtype=np.int64)  # parts and their whole would be twice as much
    for region in parts(n, REGION):
        # Points of one list probe the same lists, which then are in the processor's cache: it takes 0.6 of the time.
        rows = region.start + owner[region].argsort(kind="stable")
        for part in parts(len(rows), blocks.CANDIDATES):
            neighbors[rows[part]] = search(rows[part])
    return neighbors


def by_nn_descent(x: Any, k: int, metric: str, seed: int) -> NDArray[np.int64]:
    """Search by NN-descent; -1 where it found too few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynndescent import NNDescent

        distance = _NAMES_THERE.get(metric, metric)
        index = NNDescent(x, metric=distance, n_neighbors=max(k + 1, 15), random_state=seed)
        neighbors = np.asarray(index.neighbor_graph[0], dtype=np.int64)
    return _without_self(neighbors, np.arange(len(neighbors)))[:, :k]


def _without_self(found: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop each point from its own ``k + 1`` neighbours; where duplicates pushed it out, drop the last."""
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False
    kept: NDArray[np.int64] = found[others].reshape(len(found), -1)
    return kept
