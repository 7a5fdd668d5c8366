"""What an embedding still tells: probes of labels, and the neighbours it kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from icon import _checks as check
from icon.labels import classes_of
from icon.metrics._inputs import double_matrix
from icon.p import KNN


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

    return float(
        score(*(double_matrix(a, n).numpy() for a, n in ((x, "x"), (z, "z"))), n_neighbors=check.count(k, "k"))
    )


def neighborhood_preservation(x: ArrayLike, z: ArrayLike, k: int = 10) -> float:
    """Mean share of the k nearest in ``x [n, d]`` that are among the k nearest in ``z [n, d']``, in [0, 1]."""
    first, second = (KNN(k)(double_matrix(a, name)).to_scipy() for a, name in ((x, "x"), (z, "z")))
    return float(first.multiply(second).sum() * k / first.shape[0])


def _probe(model: Any, name: str, z: ArrayLike, labels: ArrayLike, folds: int, seed: int) -> Probe:
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    features = double_matrix(z, "z").numpy()
    given = classes_of(labels, n=len(features))  # points of an unknown label are left out
    features, y = features[given.known], given.codes[given.known]
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    scores = cross_val_score(model, features, y, cv=split)
    protocol = f"{name}; {folds}-fold cross-validation, stratified and shuffled with seed {seed}; mean accuracy"
    return Probe(float(scores.mean()), protocol)
