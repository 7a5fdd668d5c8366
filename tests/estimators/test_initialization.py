"""The starts of a clustering: their kinds, which one is kept, and what is said of them."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

import icon
from icon.estimators.clustering import Clustering
from icon.estimators.initialization import k_means

Data = tuple[np.ndarray, np.ndarray]


def test_the_start_of_the_lowest_loss_is_kept(blobs: Data) -> None:
    x, _ = blobs
    fitted = Clustering(4, n_init=4, max_iter=15, init="random", random_state=1).fit(x)
    assert fitted.losses_.shape == (4,)
    assert len(set(fitted.losses_)) == 4
    assert fitted.loss_ == fitted.losses_.min()


@pytest.mark.slow
def test_starts_are_kept_and_cycle_through_their_kinds(blobs: Data) -> None:
    x, y = blobs
    fitted = Clustering(4, n_init=4, max_iter=30, debias=0.2, random_state=0).fit(x)
    assert fitted.restarts_.shape == (4, 150)
    assert np.array_equal(fitted.restarts_[fitted.losses_.argmin()], fitted.labels_)
    k_means = Clustering(4, n_init=1, init="k-means", max_iter=1, random_state=0).fit(x)
    assert adjusted_rand_score(y, k_means.labels_) > 0.9  # after one step it is still where it began


@pytest.mark.parametrize("mapper", ["mlp", "linear", "lookup"])
def test_a_start_is_imitated(mapper: str, blobs: Data) -> None:
    x, y = blobs
    fitted = Clustering(4, mapper=mapper, n_init=1, init="k-means", max_iter=1, random_state=0).fit(x)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("mapper", ["mlp", "linear", "lookup", torch.nn.Linear(5, 4)], ids=str)
@pytest.mark.parametrize("batch_size", [None, 64])
def test_a_start_by_over_clustering(mapper: str | torch.nn.Module, batch_size: int | None, blobs: Data) -> None:
    """Two clusters would do for each blob; merged, they are the blobs."""
    x, y = blobs
    common = {"mapper": mapper, "batch_size": batch_size, "debias": 0.2, "max_iter": 100, "random_state": 0}
    fitted = Clustering(4, n_init=2, **common).fit(x)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9


@pytest.mark.slow
def test_over_clustering_starts_lower_than_random_ones(digits: Data) -> None:
    common = {"walks": 3, "debias": 0.3, "n_init": 2, "random_state": 0}
    over, random = (Clustering(10, init=init, **common).fit(digits[0]) for init in ("over-clustering", "random"))
    assert over.losses_.max() < random.losses_.min()


@pytest.mark.slow
@pytest.mark.parametrize("init", ["merged-k-means", "over-clustering", "k-means", "random"])
def test_each_kind_of_start(blobs: Data, init: str) -> None:
    x, y = blobs
    model = Clustering(4, init=init, n_init=2, random_state=0).fit(x)
    assert icon.metrics.clustering_accuracy(y, model.labels_) > (0.7 if init == "random" else 0.95)


@pytest.mark.slow
def test_a_start_is_made_of_features_where_p_is() -> None:
    """Features that say nothing of a graph do not make its first clusters."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 40)
    graph = sp.csr_array((y[:, None] == y).astype(float) - np.eye(120))
    x = np.eye(120)[rng.permutation(120)]
    found = {
        init: Clustering(3, "graph", init=init, n_init=1, random_state=0).fit(x, graph)
        for init in ("auto", "over-clustering")
    }
    assert np.array_equal(found["auto"].labels_, found["over-clustering"].labels_)


def test_starts_that_disagree_are_told() -> None:
    x = np.random.default_rng(0).normal(size=(300, 10))
    with pytest.warns(ConvergenceWarning, match=r"^restarts: agree little \(mean adjusted Rand index 0\.\d+\)"):
        Clustering(8, init="random", max_iter=5, random_state=0).fit(x)


def test_points_that_differ_by_rounding_alone_are_no_reason_for_a_warning() -> None:
    x = np.repeat([[0.0], [1e20]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 1)) * 1e4
    assert len(np.unique(k_means(x, 6, seed=0))) >= 2


def test_k_means_does_not_stop_at_the_first_points() -> None:
    """The first 150 and more are equal: they alone would be one cluster."""
    assert np.bincount(k_means(np.repeat(np.eye(3), 200, axis=0), 3, seed=0)).tolist() == [200, 200, 200]


def test_k_means_knows_that_minus_zero_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more clusters than distinct points, rounding may tell equal points apart."""
    monkeypatch.setattr("sklearn.cluster.KMeans", made := Mock(wraps=KMeans))
    assert k_means(np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.0]]), 2, seed=0).tolist() == [0, 0, 0]
    assert made.call_args.args == (1,)
