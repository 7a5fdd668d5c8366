"""Clusters in the user's words: which of them is which known class, and what the others are called."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from icon.labels import Labels


def order_of(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], known: Labels | None = None
) -> NDArray[np.int64]:
    """The clusters ``[C]`` in order: one for each known class, others that have points, empty ones.

    The classes, at most C, get the clusters with which most of the known points are labelled right (a maximum weight
    matching); among equally good ones the more probable clusters of their points.
    """
    used, clusters = np.unique(labels), probabilities.shape[1]
    first = np.empty(0, dtype=np.int64)
    if known is not None:
        points, classes = np.flatnonzero(known.known), len(known.names)
        codes = known.codes[points]
        right = np.bincount(codes * clusters + labels[points], minlength=classes * clusters).reshape(classes, clusters)
        member = sp.csr_array((np.ones(len(points)), (codes, np.arange(len(points)))))
        probable = member @ probabilities[points] / (len(points) + 1)  # less than one point in all
        first = linear_sum_assignment(right + probable, maximize=True)[1]
    rest = np.setdiff1d(used, first)
    return np.concatenate([first, rest, np.setdiff1d(np.arange(clusters), np.append(first, rest))])


def names_of(clusters: int, known: Labels | None = None) -> NDArray[Any]:
    """The labels ``[C]`` of the clusters: the at most C known classes, then new ones; numbers from 0 without classes.

    New ones are the integers after the largest where the classes are integers or truth values, else ``"cluster 1"``,
    ``"cluster 2"`` and so on without those that are classes.
    """
    if known is None:
        return np.arange(clusters)
    names = known.names.tolist()
    more = clusters - len(names)
    if more and all(isinstance(each, (int, np.integer, np.bool_)) for each in names):
        after = max(0, int(max(names)) + 1)
        return array_of([*map(int, names), *range(after, after + more)])
    free = (name for i in count(1) if (name := f"cluster {i}") not in names)
    return array_of([*names, *islice(free, more)])


def array_of(names: Sequence[Any]) -> NDArray[Any]:
    """Labels as an array of integers, text or truth values where all are, else of objects as they are."""
    array = np.array(names) if len({*map(type, names)}) == 1 else np.empty(0, dtype=object)
    if array.ndim == 1 and array.dtype.kind in "biUS":
        return array
    array = np.empty(len(names), dtype=object)
    array[:] = names
    return array
