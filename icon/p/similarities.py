"""Similarities between points, of which p is made: of tiles of all pairs, or of each anchor and its nearest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from icon import distances
from icon._scales import in_a_unit, unit_of, unit_rows
from icon.neighbors import EXACT_UP_TO, exact_neighbors, nearest_neighbors
from icon.neighbors.blocks import centre_and_scale

_TILE = 2**18  # entries of a tile of distances: 2 MiB, so that the search for a perplexity stays in the cache
_GATHERED = 2**22  # entries of features gathered at a time
_CANCELLED = 1e-6  # a squared distance, as a share of the squared lengths, of which products leave few digits


def _scaled(xa: Tensor, xb: Tensor, metric: str) -> tuple[Tensor, Tensor, float]:
    """Both in a unit in which squared distances are ordinary numbers, and the unit; unit rows for the cosine."""
    if metric == "cosine":
        return unit_rows(xa), unit_rows(xb), 1.0
    return (xa, xb, 1.0) if metric == "dot" else in_a_unit(xa, xb)


def _similarities(values: NDArray[np.float64], metric: distances.Metric) -> tuple[Tensor, float]:
    """Similarities from distances: minus the square of those in a unit that is given as well, cosine or product."""
    distance = torch.from_numpy(values)
    if metric in ("cosine", "dot"):
        return (1.0 if metric == "cosine" else 0.0) - distance, 1.0
    unit = float(distance.max()) or 1.0
    return -(distance / unit).square(), unit


def nearest_by_distances(xa: Any, xb: Any, k: int, metric: distances.Metric, own: bool) -> tuple[Tensor, Tensor, float]:
    """``[n, k]`` in ascending order, their similarities and the unit of these."""
    if own and xa is xb and xa.shape[0] > EXACT_UP_TO:
        index = nearest_neighbors(xa, k, metric=metric).indices
        values = distances.of_edges(xa, xb, index, metric)
    else:
        index, values = distances.nearest(xa, xb, k, metric, own)
    order = index.argsort(axis=1)
    scores, unit = _similarities(np.take_along_axis(values, order, axis=1), metric)
    return torch.from_numpy(np.take_along_axis(index, order, axis=1)), scores, unit


def neighbors_of(
    xa: Any, xb: Any, k: int, metric: distances.Metric, own: bool, search: str = "auto"
) -> tuple[Tensor, float | None]:
    """``[n, k]`` nearest candidates, in ascending order of their numbers, and the recall of the search.

    With ``own``, candidate i is none of the neighbours of anchor i.
    """
    if own and xa is xb and metric != "dot":
        neighbors = nearest_neighbors(xa, k, search, metric)
        neighbors.indices.sort(axis=1)
        index = torch.from_numpy(neighbors.indices)
        return index.to(xa.device) if isinstance(xa, Tensor) else index, neighbors.recall
    if isinstance(xa, Tensor):
        itself = torch.arange(len(xa), device=xa.device) if own else None
        return exact_neighbors(xa, xb, k, str(metric), itself)[0].sort(dim=1).values, None
    return nearest_by_distances(xa, xb, k, metric, own)[0], None


def notes_of(recall: float | None) -> tuple[str, ...]:
    """The recall of a search, where it was not exact, in words."""
    return () if recall is None else (f"approximate neighbours with a recall of {recall:.3f}",)


def edge_scores(xa: Any, xb: Any, index: Tensor, metric: str) -> tuple[Tensor, float]:
    """``[n, k]`` similarities of each anchor and its candidates ``index [n, k]``, and the unit of the distances.

    Features are two tensors, or one set on disk, of which a block is read at a time.
    """
    if not isinstance(xa, Tensor):
        return _edge_scores_on_disk(xa, index, metric)
    xa, xb, unit = _scaled(xa, xb, metric)
    step = max(1, _GATHERED // (index.shape[1] * xa.shape[1]))
    scores = xa.new_empty(index.shape)
    for start in range(0, len(xa), step):
        some = slice(start, start + step)
        rows, others = xa[some].unsqueeze(1), xb[index[some]]
        scores[some] = (-(rows - others).square() if metric == "sqeuclidean" else rows * others).sum(dim=2)
    return scores, unit


def _edge_scores_on_disk(x: NDArray[Any], index: Tensor, metric: str) -> tuple[Tensor, float]:
    scores, step = torch.empty_like(index, dtype=torch.float64), max(1, _GATHERED // (index.shape[1] * x.shape[1]))
    largest = centre_and_scale(x, torch.device("cpu"))[1] / 2
    unit = unit_of(largest) if metric == "sqeuclidean" else 1.0
    for start in range(0, len(index), step):
        near = index[start : start + step].numpy()
        known, place = np.unique(near, return_inverse=True)  # each row is read once, in the order of the file
        rows, others = (
            torch.from_numpy(np.array(x[k], np.float64)) / unit for k in (slice(start, start + len(near)), known)
        )
        scores[start : start + step] = edge_scores(rows, others, torch.from_numpy(place.reshape(near.shape)), metric)[0]
    return scores, unit


def score_tiles(xa: Any, xb: Any, metric: distances.Metric) -> Iterator[tuple[int, Tensor, float]]:
    """Blocks of similarities ``[b, m]``: minus squared distance, dot product or cosine; and the unit of distances."""
    if not isinstance(xa, Tensor):
        for start, values in distances.blocks(xa, xb, metric):
            yield start, *_similarities(values, metric)
        return
    assert isinstance(metric, str)
    xa, xb, unit = _scaled(xa, xb, metric)
    euclidean = metric == "sqeuclidean"
    a, b = (x - _centre(xb) for x in (xa, xb)) if euclidean else (xa, xb)
    squares = (b * b).sum(dim=1)
    block = max(1, _TILE // len(b))
    for start in range(0, len(a), block):
        part = slice(start, start + block)
        scores = a[part] @ b.T
        if euclidean:
            lengths = (a[part] * a[part]).sum(dim=1)[:, None] + squares
            scores = _where_few_digits_are_left(2 * scores - lengths, lengths, xa[part], xb)
        yield start, scores, unit


def _where_few_digits_are_left(scores: Tensor, lengths: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``[r, m]`` minus squared distances, by differences where they are a small share of the squared lengths."""
    row, col = (scores.detach() > -_CANCELLED * lengths.detach()).nonzero(as_tuple=True)
    step = max(1, _GATHERED // a.shape[1])
    pairs = zip(torch.split(row, step), torch.split(col, step), strict=True)
    return scores.index_put((row, col), torch.cat([-(a[i] - b[j]).square().sum(dim=1) for i, j in pairs]))


def _centre(x: Tensor) -> Tensor:
    """The mean, to keep rounding small; of integer features an integer, so that distances and ties stay exact."""
    centre = x.detach().mean(dim=0)
    return centre.round() if bool((x == x.round()).all()) else centre
