"""The protocol of a held-out half: split, features in the units of the training half, k-NN accuracy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Halves(NamedTuple):
    """Indices of the points that train, and of those that are held out."""

    train: Array
    held: Array


def halves(y: Array, seed: int) -> Halves:
    """A stratified split: the labels shape the halves and score them, nothing else.

    Raises:
        ValueError: a class with fewer than two members.
    """
    from sklearn.model_selection import train_test_split

    classes, members = np.unique(y, return_counts=True)
    if members.min() < 2:
        raise ValueError(f"labels: got class {classes[members.argmin()]} with one member, expected at least two")
    train, held = train_test_split(np.arange(len(y)), test_size=0.5, stratify=y, random_state=seed)
    return Halves(np.sort(train), np.sort(held))


def standardised(x: Array, train: Array) -> Array:
    """``[n, d]`` with the mean and the standard deviation of the training half taken out, feature by feature."""
    mean, std = x[train].mean(axis=0), x[train].std(axis=0)
    return np.asarray((x - mean) / np.where(std > 0, std, 1), dtype=np.float32)


def knn_accuracy(z: Array, y: Array, split: Halves, k: int) -> float:
    """Accuracy on the held-out half of k nearest neighbours (Euclidean) in the training half."""
    from sklearn.neighbors import KNeighborsClassifier

    if k > len(split.train):
        raise ValueError(f"k: got {k}, expected at most {len(split.train)} (the points that train)")
    model = KNeighborsClassifier(k).fit(z[split.train], y[split.train])
    return float(model.score(z[split.held], y[split.held]))
