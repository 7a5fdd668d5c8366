"""What an embedding still tells: probes of labels, and the neighbours it kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from icon import _checks as check
from icon._scales import centred_in_unit, unit_of
from icon.labels import classes_of
from icon.metrics._inputs import double_matrix
from icon.neighbors import nearest_neighbors
from icon.neighbors.blocks import parts
from icon.neighbors.exact import distances_to

ROUNDING = 1e-12  # by which equal distances may differ
TILE_ENTRIES = 2**22  # of a block of distances: 32 MiB, and as much for their order and ranks


@dataclass(frozen=True)
class Probe:
    """A score of an embedding with the protocol that gave it.

    Args:
        score: in [0, 1].
        protocol: in words.
    """

    score: float
    protocol: str

    def __float__(self) -> float:
        return self.score


def knn_probe(z: ArrayLike, labels: ArrayLike, k: int = 10, folds: int = 5, seed: int = 0) -> Probe:
    """Accuracy of k-nearest-neighbour classification (Euclidean) of ``z [n, d]``, cross-validated.

    >>> import icon
    >>> probe = icon.metrics.knn_probe([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]], [0, 0, 0, 1, 1, 1], k=1, folds=3)
    >>> probe.score
    1.0

    Args:
        z: ``[n, d]`` the embedding.
        labels: ``[n]`` names of any kind; None, NaN and -1 are unknown, and these points are left out.
        k: number of neighbours, at most the known points outside a fold.
        folds: number of folds, at least 2 and at most the known points of the smallest class.
        seed: of the folds.

    Raises:
        ValueError: one class alone, or k or folds too large.
    """
    from sklearn.neighbors import KNeighborsClassifier

    known = int(classes_of(labels, n=len(double_matrix(z, "z"))).known.sum())
    seen = known - math.ceil(known / check.count(folds, "folds", 2))
    if check.count(k, "k") > seen:
        raise ValueError(f"k: got {k}, expected at most {seen}, the known points outside a fold")
    return _probe(KNeighborsClassifier(k), f"{k}-NN, Euclidean", z, labels, folds, seed)


def linear_probe(z: ArrayLike, labels: ArrayLike, folds: int = 5, seed: int = 0) -> Probe:
    """Accuracy of logistic regression on standardised ``z [n, d]``, cross-validated.

    Args:
        z: ``[n, d]`` the embedding.
        labels: as in `knn_probe`.
        folds: as in `knn_probe`.
        seed: of the folds.

    Raises:
        ValueError: one class alone, or folds too large.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return _probe(model, "logistic regression (C = 1) on standardised features", z, labels, folds, seed)


def trustworthiness(x: ArrayLike, z: ArrayLike, k: int = 10) -> float:
    """How far the neighbours in ``z [n, d']`` were neighbours in ``x [n, d]`` (Venna & Kaski 2001), in [0, 1].

    Evaluated in blocks: memory O(n (d + d')), no n x n matrix. It is that of scikit-learn but for the order of equal
    distances.

    Args:
        x: ``[n, d]`` the features.
        z: ``[n, d']`` the map, row by row.
        k: number of neighbours, less than half of the points.

    Raises:
        ValueError: another number of rows, or k too large.
    """
    from sklearn.metrics import pairwise_distances
    from sklearn.neighbors import NearestNeighbors

    first, second = (centred_in_unit(points)[0].numpy() for points in _both(x, z))
    n, k = len(first), check.count(k, "k")
    if not k < n / 2:
        raise ValueError(f"k: got {k}, expected less than half of the {n} points")
    near = NearestNeighbors(n_neighbors=k).fit(second).kneighbors(return_distance=False)
    too_far = 0
    for part in parts(n, max(1, TILE_ENTRIES // n)):
        own = np.arange(n)[part]
        distances = pairwise_distances(first[part], first)
        distances[own - part.start, own] = np.inf
        order = distances.argsort(axis=1)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(1, n + 1)[None], axis=1)
        too_far += int((np.take_along_axis(ranks, near[part], axis=1) - k).clip(min=0).sum())
    return 1 - too_far * 2 / (n * k * (2 * n - 3 * k - 1))


def neighborhood_preservation(x: ArrayLike, z: ArrayLike, k: int = 10) -> float:
    """Mean share of the k nearest in ``z [n, d']`` that are among the k nearest in ``x [n, d]``, in [0, 1].

    Of points that are as near in x as the k-th one, as with duplicates, each is one of them.

    Args:
        x: ``[n, d]`` the features.
        z: ``[n, d']`` the map, row by row.
        k: number of neighbours, less than the number of points.

    Raises:
        ValueError: another number of rows, or k too large.
    """
    both, k = _both(x, z), check.count(k, "k")
    if k >= (n := len(both[0])):
        raise ValueError(f"k: got {k}, expected less than the number of points, {n}")
    features = (both[0] / unit_of(both[0])).numpy()
    near, kept = (distances_to(features, np.arange(n), nearest_neighbors(points, k).indices) for points in both)
    return float((kept <= near.max(axis=1, keepdims=True) * (1 + ROUNDING)).mean())


def _both(x: ArrayLike, z: ArrayLike) -> tuple[Tensor, Tensor]:
    first, second = double_matrix(x, "x"), double_matrix(z, "z")
    check.as_many(len(second), len(first), "z", "row", "row of x")
    return first, second


def _probe(model: Any, name: str, z: ArrayLike, labels: ArrayLike, folds: int, seed: int) -> Probe:
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.utils import check_random_state

    features = centred_in_unit(double_matrix(z, "z"))[0].numpy()  # as the units do not matter
    given = classes_of(labels, n=len(features))  # points of an unknown label are left out
    features, y = features[given.known], given.codes[given.known]
    sizes = np.bincount(y)
    smallest = int(sizes[sizes > 0].min())
    if len(sizes) < 2:
        raise ValueError("labels: got one class, expected at least two")
    if check.count(folds, "folds", 2) > smallest:
        raise ValueError(f"folds: got {folds}, expected at most {smallest}, the known points of the smallest class")
    try:
        check_random_state(seed)
    except ValueError:
        raise ValueError(f"seed: got {seed!r}, expected None or an integer from 0 to 2^32 - 1") from None
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    scores = cross_val_score(model, features, y, cv=split)
    protocol = f"{name}; {folds}-fold cross-validation, stratified and shuffled with seed {seed}; mean accuracy"
    return Probe(float(scores.mean()), protocol)
