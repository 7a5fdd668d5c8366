"""Maps of more points than are laid out together: some of them are, and the others are placed against these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from icon import _checks as check
from icon.estimators.base import BLOCK


def chosen_of(landmarks: Any, n: int, seed: int) -> NDArray[np.int64] | None:
    """The numbers of the points that are laid out together, in ascending order; None where all of n are."""
    count = check.count(landmarks, "landmarks", 2)
    return None if count >= n else np.sort(np.random.default_rng(seed).choice(n, count, replace=False))


def part_of(X: Any, rows: NDArray[np.int64]) -> Any:
    """Some rows of features, of labels or of weights, in memory; None of None."""
    if X is None:
        return None
    return np.array(X[rows]) if isinstance(X, np.memmap) else _safe_indexing(X, rows)


def spread(model: Any, X: Any, rows: NDArray[np.int64], n: int) -> NDArray[np.float32]:
    """``[n, d]`` the map of some rows of X, and about it the places of the others, which are read in blocks."""
    places = np.empty((n, model.embedding_.shape[1]), np.float32)
    places[rows] = model.embedding_
    others = np.setdiff1d(np.arange(n), rows, assume_unique=True)
    for start in range(0, len(others), BLOCK):
        block = others[start : start + BLOCK]
        places[block] = model.transform(part_of(X, block))
    return places
