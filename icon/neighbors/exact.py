"""Exact nearest neighbours, in blocks: float32 chooses a few candidates more than asked, and float64 orders them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from icon import _checks as check
from icon._precision import full_precision
from icon._scales import unit_of, unit_rows
from icon.neighbors import blocks
from icon.neighbors.blocks import Array, centre_and_scale, parts, rows_of

_SPARE = 8  # candidates kept beyond k, so that float32 may misplace the last ones


def exact_neighbors(
    queries: Tensor | Array, candidates: Tensor | Array, k: int, metric: str = "sqeuclidean", own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The ``k`` nearest candidates ``[n, k]`` of each query and their distances, nearest first, on their device.

    Queries ``[n, d]`` and candidates ``[m, d]`` may lie on disk; ``own [n]`` are the candidates that are the queries
    themselves, which are none of their neighbours. Distances are squared, and where their squares would not be ordinary
    numbers, in a unit of their own; for ``"cosine"`` they are ``1 - cos``, for ``"dot"`` minus the product.

    Scores in float32 choose a few candidates more than k; distances in float64 order them, equal ones by index. Where
    float32 cannot tell whether the choice was right, as with many duplicates, the row is searched in float64.

    Raises:
        ValueError: a k that is no number of candidates, queries and candidates of different widths, or another metric.
    """
    check.choice(metric, "metric", ("sqeuclidean", "cosine", "dot"))
    if check.count(k, "k") > len(candidates):
        raise ValueError(f"k: got {k}, expected at most {len(candidates)}, the number of candidates")
    if np.shape(queries)[1:] != np.shape(candidates)[1:]:
        shapes = f"{tuple(np.shape(queries))} and {tuple(np.shape(candidates))}"
        raise ValueError(f"queries: got shapes {shapes} of queries and candidates, expected equal widths")
    device = candidates.device if isinstance(candidates, Tensor) else torch.device("cpu")
    centre, scale = centre_and_scale(candidates, device)
    same = queries is candidates
    unit = unit_of(scale / 2, (scale if same else centre_and_scale(queries, device)[1]) / 2)
    if metric != "cosine" and unit != 1:  # such numbers are taken into memory, to be divided
        candidates = rows_of(candidates, slice(None), device) / unit
        queries = candidates if same else rows_of(queries, slice(None), device) / unit
        centre, scale = centre_and_scale(candidates, device)
    m, nearest, euclidean = len(candidates), [], metric == "sqeuclidean"
    keep = min(k + _SPARE, m)

    def prepared(rows: Tensor) -> Tensor:
        """In float32, without under- or overflow."""
        return (unit_rows(rows) if metric == "cosine" else (rows - centre if euclidean else rows) / scale).float()

    for part in parts(len(queries), blocks.QUERIES):
        rows = rows_of(queries, part, device)
        a, itself = prepared(rows), None if own is None else own[part].to(device)
        left = torch.cat([2 * a, torch.ones_like(a[:, :1])], dim=1) if euclidean else a
        best = torch.full((len(a), 0), 0.0, device=device)
        where = torch.empty((len(a), 0), dtype=torch.int64, device=device)
        longest = a.new_zeros(())
        for block in parts(m, blocks.CANDIDATES):
            b = prepared(rows_of(candidates, block, device))
            squares = (b * b).sum(dim=1, keepdim=True)
            longest = torch.maximum(longest, squares.max())
            right = torch.cat([b, -squares], dim=1) if euclidean else b  # the query's own square orders nothing
            near, index = _highest(left, right, keep, None if itself is None else itself - block.start)
            best, where = torch.cat([best, near], dim=1), torch.cat([where, index + block.start], dim=1)
            best, chosen = best.topk(min(keep, best.shape[1]), dim=1)
            where = where.gather(1, chosen)
        index, distance = _ordered(rows, candidates, where, k, metric, itself)
        if keep < m:
            # A candidate that was not kept scored no better than the last one kept, give or take the rounding.
            # Rounding grows with the terms of a product, up to those that are summed in one go.
            squares, error = (a * a).sum(dim=1), max(1e-6, 2**-26 * min(a.shape[1] + 1, 512))
            last = (squares if euclidean else float(metric == "cosine")) - best[:, -1] - error * (squares + longest)
            limit = last.to(rows.dtype) * (scale**2 if metric != "cosine" else 1.0)
            doubtful = (distance[:, -1] >= limit).nonzero().flatten()
            for few in torch.split(doubtful, max(1, blocks.GATHERED // (m * rows.shape[1]))):
                all_of_them = torch.arange(m, device=device).expand(len(few), m)
                mine = None if itself is None else itself[few]
                index[few], distance[few] = _ordered(rows[few], candidates, all_of_them, k, metric, mine)
        nearest.append((index, distance))
    indices, distances = zip(*nearest, strict=True)
    return torch.cat(indices), torch.cat(distances)


def exact_rows(features: Tensor | Array, rows: NDArray[np.int64], k: int, metric: str) -> NDArray[np.int64]:
    """``[b, k]`` nearest others of some rows."""
    indices, _ = exact_neighbors(features[rows], features, k, metric, own=torch.from_numpy(rows))
    return indices.cpu().numpy()


def distances_to(
    features: Array, rows: NDArray[np.int64], others: NDArray[np.int64], metric: str = "sqeuclidean"
) -> NDArray[np.float64]:
    """``[b, c]`` distances in float64 between a few rows and some others of each, in the order of the others."""
    some = rows_of(features, torch.from_numpy(rows), torch.device("cpu"))
    return _distances(some, features, torch.from_numpy(others), metric).numpy()


def _highest(left: Tensor, right: Tensor, keep: int, own: Tensor | None) -> tuple[Tensor, Tensor]:
    """The highest products of each row ``[b]`` with others ``[c]``, and with which, not with its ``own [b]``."""
    found = []
    for part in parts(len(left), blocks.TILE if left.is_cpu else len(left)):
        with full_precision(left):
            scores = left[part] @ right.T
        if own is not None:
            inside = ((own[part] >= 0) & (own[part] < len(right))).nonzero().flatten()
            scores[inside, own[part][inside]] = -torch.inf
        found.append(scores.topk(min(keep, len(right)), dim=1))
    highest, columns = zip(*found, strict=True)
    return torch.cat(highest), torch.cat(columns)


def _ordered(
    rows: Tensor, candidates: Tensor | Array, where: Tensor, k: int, metric: str, own: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The k nearest of some candidates ``[b, c]`` of each row by distance in double precision, then by index."""
    distance = _distances(rows, candidates, where, metric)
    if own is not None:
        distance.masked_fill_(where == own[:, None], torch.inf)
    where, order = where.sort(dim=1)
    distance, nearest = distance.gather(1, order).sort(dim=1, stable=True)
    return where.gather(1, nearest)[:, :k], distance[:, :k]


def _distances(rows: Tensor, candidates: Tensor | Array, where: Tensor, metric: str) -> Tensor:
    """Distances ``[b, c]`` of rows ``[b, d]`` and some candidates ``where [b, c]`` of each."""
    distance = torch.empty(where.shape, dtype=rows.dtype, device=rows.device)
    entries = blocks.GATHERED if rows.is_cpu else 4 * blocks.GATHERED
    for part in parts(len(where), max(1, entries // (where.shape[1] * rows.shape[1]))):
        a, b = rows[part].unsqueeze(1), rows_of(candidates, where[part], rows.device)
        if metric == "cosine":
            distance[part] = 1 - (unit_rows(a) * unit_rows(b)).sum(dim=2)
        else:
            distance[part] = (b.sub_(a).square_() if metric == "sqeuclidean" else b.mul_(a).neg_()).sum(dim=2)
    return distance
