"""What scikit-learn documents of k-means, PCA, t-SNE and the scores of clusterings, and asks of an estimator."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import icon
from tests.cases import digits, gradients, normal
from tests.peers._peers import Functions, Package, each

X = digits(60)[0]


def our_inertia(x: Any, labels: Any) -> float:
    memberships = 100 * torch.eye(int(labels.max()) + 1, dtype=torch.float64)[labels]
    return icon.method("kmeans").published(memberships, x).item()


def our_variance(x: Any, k: int) -> float:
    centred = torch.from_numpy(x - x.mean(axis=0))
    return -icon.method("pca")(centred @ torch.linalg.svd(centred).Vh[:k].T).item() / 2


def our_tsne(p: Any, z: Any, dof: float) -> tuple[float, Any]:
    leaf = torch.tensor(z, requires_grad=True)
    value = icon.method("tsne", dof=dof).replace(p=icon.p.Precomputed())(leaf, p)
    return value.item(), gradients(value, [leaf])[0].numpy()


def theirs() -> Functions:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import squareform
    from sklearn import metrics
    from sklearn.manifold._t_sne import _kl_divergence

    def inertia(x: Any, labels: Any) -> float:
        means = np.stack([x[labels == c].mean(axis=0) for c in range(labels.max() + 1)])
        return KMeans(len(means), init=means, n_init=1).fit(x).inertia_

    def tsne(p: Any, z: Any, dof: float) -> tuple[float, Any]:
        value, gradient = _kl_divergence(z.ravel(), squareform(of_pairs(p), checks=False), dof, *z.shape)
        return value, gradient.reshape(z.shape)

    def accuracy(labels: Any, clusters: Any) -> float:
        counts = metrics.cluster.contingency_matrix(labels, clusters)
        return counts[linear_sum_assignment(counts, maximize=True)].sum() / len(labels)

    return {
        "inertia": inertia,
        "variance": lambda x, k: PCA(k).fit(x).explained_variance_.sum() * (len(x) - 1) / len(x),
        "tsne": tsne,
        "ari": metrics.adjusted_rand_score,
        "nmi": metrics.normalized_mutual_info_score,
        "accuracy": accuracy,
    }


OURS = {
    "inertia": our_inertia,
    "variance": our_variance,
    "tsne": our_tsne,
    "ari": icon.metrics.ari,
    "nmi": icon.metrics.nmi,
    "accuracy": icon.metrics.clustering_accuracy,
}
EACH = each(OURS, "sklearn", theirs)


def of_pairs(p: Any) -> Any:
    """t-SNE's joint distribution of conditional ones."""
    return (p + p.T) / (2 * len(p))


@EACH
@pytest.mark.parametrize("k", [1, 3, 10, 60])
def test_inertia(package: Package, k: int) -> None:
    """The sum of squares about the means: that of all points for one cluster, 0 for a cluster of each point."""
    labels = KMeans(k, n_init=1, random_state=0, tol=0).fit(X).labels_
    expected = sum(np.square(X[labels == c] - X[labels == c].mean(axis=0)).sum() for c in range(k))
    assert package["inertia"](X, labels) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@EACH
@pytest.mark.parametrize("k", [1, 2, 5])
def test_variance(package: Package, k: int) -> None:
    """The largest eigenvalues of the covariance."""
    expected = np.linalg.eigvalsh(np.cov(X.T, bias=True))[-k:].sum()
    assert package["variance"](X, k) == pytest.approx(expected, rel=1e-9)


@EACH
@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0])
@pytest.mark.parametrize("dof", [1.0, 2.0])
def test_tsne(package: Package, dof: float, scale: float) -> None:
    """KL of all pairs, and its gradient for one degree of freedom: scikit-learn's is another multiple for more."""
    n = 12
    p = normal(n, n).square().fill_diagonal_(0).numpy()
    p /= p.sum(axis=1, keepdims=True)
    z = scale * normal(n, 2).numpy()
    difference = z[:, None] - z
    near = 1 + np.square(difference).sum(axis=2) / dof
    kernel = near ** (-(dof + 1) / 2) * (1 - np.eye(n))
    joint, q = of_pairs(p), kernel / kernel.sum()
    others = ~np.eye(n, dtype=bool)
    value, gradient = package["tsne"](p, z, dof)
    assert value == pytest.approx((joint[others] * np.log(joint[others] / q[others])).sum(), rel=1e-9)
    if dof == 1 or package.is_icon:
        slopes = 2 * (dof + 1) / dof * ((joint - q) / near)[:, :, None] * difference
        np.testing.assert_allclose(gradient, slopes.sum(axis=1), atol=1e-9 * np.abs(slopes).sum(axis=1).max())


@EACH
@pytest.mark.parametrize(
    ("labels", "clusters", "ari", "nmi", "accuracy"),
    [
        ([0, 0, 1, 1], [1, 1, 0, 0], 1, 1, 1),  # the same, under other names
        ([0, 0, 1, 1], [7, 7, 3, 3], 1, 1, 1),
        ([0, 0, 1, 1], [0, 1, 0, 1], -0.5, 0, 0.5),  # independent
        ([0, 0, 1, 1], [0, 0, 1, 2], 4 / 7, 0.8, 0.75),
        ([0, 0, 1, 2], [0, 0, 1, 1], 4 / 7, 0.8, 0.75),
        ([0, 0, 0, 0], [0, 1, 2, 3], 0, 0, 0.25),  # one class, split up
        ([0, 1, 2, 3], [0, 0, 0, 0], 0, 0, 0.25),
        ([0, 1, 2], [2, 0, 1], 1, 1, 1),
        ([0, 0], [1, 1], 1, 1, 1),  # one class and one cluster
        ([0], [0], 1, 1, 1),
    ],
)
def test_scores_of_clusterings(
    package: Package, labels: list[int], clusters: list[int], ari: float, nmi: float, accuracy: float
) -> None:
    found = [package[name](np.array(labels), np.array(clusters)) for name in ("ari", "nmi", "accuracy")]
    assert found == pytest.approx([ari, nmi, accuracy], abs=1e-12)


CLUSTERINGS = [icon.Clustering(3, n_neighbors=5, max_iter=5, n_init=1, random_state=0), KMeans(3, random_state=0)]
MAPS = [icon.Embedding(2, hyper={"perplexity": 5}, max_iter=5, random_state=0), PCA(2, random_state=0)]
ESTIMATORS = pytest.mark.parametrize("estimator", [*CLUSTERINGS, *MAPS], ids=lambda e: type(e).__name__)


@ESTIMATORS
def test_a_clone_has_the_settings_and_nothing_else(estimator: BaseEstimator) -> None:
    fitted = clone(estimator).fit(X)
    assert fitted.get_params() == estimator.get_params()
    copy = clone(fitted)
    assert copy.get_params() == estimator.get_params()
    assert type(copy)(**copy.get_params()).get_params() == copy.get_params()
    assert not any(name.endswith("_") for name in vars(copy))
    # Of scikit-learn's before 1.8 it is the attribute that is missing, an error which NotFittedError is as well.
    with pytest.raises(AttributeError if isinstance(copy, PCA) else NotFittedError):
        (copy.predict if hasattr(copy, "predict") else copy.transform)(X)


@ESTIMATORS
def test_settings_are_set_by_name(estimator: BaseEstimator) -> None:
    copy = clone(estimator)
    assert copy.set_params(random_state=7) is copy
    assert copy.get_params()["random_state"] == 7
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        copy.set_params(nonsense=1)


@ESTIMATORS
def test_the_same_seed_in_a_pipeline_gives_the_same(estimator: BaseEstimator) -> None:
    """Also after a copy by pickle; fit returns the estimator, and settings are reached by the name of the step."""
    pipeline = make_pipeline(StandardScaler(), clone(estimator))
    step = type(estimator).__name__.lower()
    results = []
    for run in (pipeline, clone(pipeline), pickle.loads(pickle.dumps(pipeline))):
        run.set_params(**{f"{step}__random_state": 0})
        results.append(run.fit_predict(X) if hasattr(run[-1], "predict") else run.fit_transform(X))
        assert run[-1].n_features_in_ == X.shape[1]
    assert len(results[0]) == len(X)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
