"""Scores of clusterings and embeddings. Labels are used here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from icon import _checks as check


def clustering_accuracy(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Share of points that are right under the best one-to-one matching of clusters and classes (Hungarian), in [0, 1].

    Source: Kuhn 1955, Naval Research Logistics 2.
    """
    y, c = _same_length(labels, clusters)
    counts = np.zeros((c.max() + 1, y.max() + 1), dtype=np.int64)
    np.add.at(counts, (c, y), 1)
    matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / len(y))


def nmi(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Normalised mutual information (arithmetic mean of the entropies), in [0, 1]."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(*_same_length(labels, clusters)))


def ari(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Adjusted Rand index: 1 for the same partition, 0 in expectation for a random one."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(*_same_length(labels, clusters)))


@dataclass(frozen=True)
class Probe:
    """A score of an embedding with the protocol that gave it."""

    score: float
    protocol: str

    def __float__(self) -> float:
        return self.score


def knn_probe(z: ArrayLike, labels: ArrayLike, k: int = 10, folds: int = 5, seed: int = 0) -> Probe:
    """Accuracy of k-nearest-neighbour classification (Euclidean) of ``z [n, d]``, cross-validated."""
    from sklearn.neighbors import KNeighborsClassifier

    return _probe(KNeighborsClassifier(check.count(k, "k")), f"{k}-NN, Euclidean", z, labels, folds, seed)


def linear_probe(z: ArrayLike, labels: ArrayLike, folds: int = 5, seed: int = 0) -> Probe:
    """Accuracy of logistic regression on standardised ``z [n, d]``, cross-validated."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return _probe(model, "logistic regression (C = 1) on standardised features", z, labels, folds, seed)


def trustworthiness(x: ArrayLike, z: ArrayLike, k: int = 10) -> float:
    """How far the neighbours in ``z [n, d']`` were neighbours in ``x [n, d]`` (Venna & Kaski 2001), in [0, 1]."""
    from sklearn.manifold import trustworthiness as score

    return float(score(np.asarray(x), np.asarray(z), n_neighbors=check.count(k, "k")))


def neighborhood_preservation(x: ArrayLike, z: ArrayLike, k: int = 10) -> float:
    """Mean share of the k nearest in ``x [n, d]`` that are among the k nearest in ``z [n, d']``, in [0, 1]."""
    from icon.p import KNN

    first, second = (KNN(k)(np.asarray(a)).to_scipy() for a in (x, z))
    return float(first.multiply(second).sum() * k / first.shape[0])


def _probe(model: Any, name: str, z: ArrayLike, labels: ArrayLike, folds: int, seed: int) -> Probe:
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    features, y = check.matrix(z, "z").numpy(), check.integers(labels, "labels").numpy()
    if len(features) != len(y):
        raise ValueError(f"labels: got {len(y)}, expected {len(features)} (one per row of z)")
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    scores = cross_val_score(model, features, y, cv=split)
    protocol = f"{name}; {folds}-fold cross-validation, stratified and shuffled with seed {seed}; mean accuracy"
    return Probe(float(scores.mean()), protocol)


def _same_length(labels: ArrayLike, clusters: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y = check.integers(labels, "labels").numpy()
    c = check.integers(clusters, "clusters", len(y)).numpy()
    return y, c
