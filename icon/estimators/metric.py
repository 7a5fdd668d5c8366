"""The metric by which nearest neighbours are searched, where none is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from icon.nn import MAX_FEATURES, Principal
from icon.p.spatial import knn_rows

SAMPLE = 2000  # points that are looked at
FEW, MORE = 0.25, 2.0  # share of neighbours that are mutual below which hubs are seen; how many times it must grow


def metric_of(x: Any, k: int) -> str:
    """``"sqeuclidean"``, or ``"cosine"`` where Euclidean neighbours are hubs.

    Where features are counts or marks of many words, points of small norm are near to all others: a few hubs are the
    neighbours of most points, and hardly any two points are neighbours of each other. So the metric is the cosine
    where less than a quarter of Euclidean neighbours are mutual, and at least twice as many are by the cosine.

    Args:
        x: features ``[n, f]``, also sparse or on disk, of which at most `SAMPLE` rows are looked at.
        k: number of neighbours.

    Source: Radovanović, Nanopoulos & Ivanović 2010, Hubs in Space, JMLR 11.
    """
    n = x.shape[0]
    if n > SAMPLE:
        x = x[np.sort(np.random.default_rng(0).choice(n, SAMPLE, replace=False))]
    k = max(1, min(k, x.shape[0] - 1))
    euclidean = mutual(narrowed(x), k, "sqeuclidean")
    return "cosine" if euclidean < FEW and mutual(x, k, "cosine") >= MORE * euclidean else "sqeuclidean"


def mutual(x: Any, k: int, metric: str) -> float:
    """The share of the k nearest neighbours, of every point, that have the point among theirs."""
    near = knn_rows(x, k, "exact", metric)[0].to_scipy() > 0
    return float(near.multiply(near.T).sum() / near.sum())


def narrowed(x: Any) -> Any:
    """Of many features in memory the leading principal directions: Euclidean neighbours there are faster, as good."""
    return Principal(x, MAX_FEATURES)(x) if isinstance(x, Tensor) and x.shape[1] > MAX_FEATURES else x
