"""Clusters of unequal sizes and of other shapes than balls, and what `balance` makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import xlogy
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

import icon
from icon.estimators.clustering import Clustering

Data = tuple[np.ndarray, np.ndarray]


def lines() -> Data:
    """Two long lines beside each other."""
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 300)
    return np.c_[rng.uniform(0, 12, 600), y + 0.05 * rng.normal(size=600)], y


def stretched() -> Data:
    """Three blobs drawn out in one direction, which touch."""
    x, y = make_blobs(1000, random_state=170)[:2]
    return x @ [[0.6, -0.6], [-0.4, 0.8]], y


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:restarts")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "data",
    [
        make_moons(1000, noise=0.05, random_state=0),
        make_circles(1000, noise=0.04, factor=0.4, random_state=0),
        lines(),
        stretched(),
    ],
    ids=["moons", "circles", "lines", "stretched"],
)
def test_shapes_that_are_no_balls_are_found_by_default(data: Data, seed: int) -> None:
    x, y = data
    assert adjusted_rand_score(y, Clustering(len(np.unique(y)), random_state=seed).fit_predict(x)) > 0.95


class TestBalance:
    @pytest.mark.slow
    @pytest.mark.parametrize("sizes", [(980, 20), (900, 60, 40)])
    def test_separated_clusters_of_unequal_sizes_are_found_by_default(self, sizes: tuple[int, ...]) -> None:
        x, y = unequal(sizes)
        model = Clustering(len(sizes), random_state=0).fit(x)
        assert adjusted_rand_score(y, model.labels_) > 0.99
        assert model.balance_ < 1

    @pytest.mark.slow
    def test_and_among_more_points_where_a_restart_cuts_the_large_one(self) -> None:
        rng, y = np.random.default_rng(0), np.repeat([0, 1], [1960, 40])
        x = 10 * np.eye(2, 8)[y] + rng.normal(size=(2000, 8))
        model = Clustering(2, n_init=2, random_state=0).fit(x)
        kept, other = (adjusted_rand_score(y, labels) for labels in model.restarts_)
        assert kept > 0.99 > other
        assert model.losses_[0] < model.losses_[1]

    @pytest.mark.filterwarnings("ignore:restarts")
    def test_a_restart_whose_clusters_died_is_not_kept(self) -> None:
        x = np.random.default_rng(2).normal(size=(120, 1))
        model = Clustering(3, balance=0.2, n_init=2, max_iter=60, random_state=0).fit(x)
        assert [len(np.unique(labels)) for labels in model.restarts_] == [3, 1]
        assert model.losses_[1] < model.losses_[0] == model.loss_
        assert model.n_empty_ == 0

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:restarts")
    @pytest.mark.parametrize("draw", ["uniform", "normal", "exponential"])
    def test_points_along_a_line_keep_all_clusters(self, draw: str) -> None:
        for seed in range(3):
            x = getattr(np.random.default_rng(seed), draw)(size=(300, 1))
            assert Clustering(3, random_state=seed).fit(x).n_empty_ == 0

    def test_equal_clusters_keep_the_mutual_information(self) -> None:
        x, y = unequal((100, 100, 100))
        model = Clustering(3, n_init=1, random_state=0).fit(x)
        assert adjusted_rand_score(y, model.labels_) > 0.95
        assert model.balance_ == 1

    @pytest.mark.slow
    def test_one_cuts_the_large_cluster(self) -> None:
        x, y = unequal((980, 20))
        assert adjusted_rand_score(y, Clustering(2, balance=1, n_init=1, random_state=0).fit(x).labels_) < 0.1

    def test_is_added_to_the_loss(self) -> None:
        x, _ = unequal((60, 40))
        model = Clustering(2, balance=0.3, walks=1, debias=0, n_init=1, init="k-means", max_iter=20, random_state=0)
        model.fit(x)
        phi = model.probabilities_.astype(np.float64)
        share = phi.mean(axis=0)
        p = icon.p.KNN(10).symmetrize("union")(x)
        plain = float(icon.Loss(p=icon.p.KNN(10), q=icon.q.Clusters())(torch.from_numpy(np.log(phi)), p))
        assert model.loss_ == pytest.approx(plain - 0.7 * xlogy(share, share).sum(), abs=1e-4)
        assert model.balance_ == 0.3

    @pytest.mark.parametrize(("given", "error"), [("even", ValueError), (1.5, ValueError), (None, TypeError)])
    def test_bad_values_are_refused(self, blobs: Data, given: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match=r"^balance: got"):
            Clustering(4, balance=given).fit(blobs[0])

    def test_is_no_hyper_parameter_of_the_row_and_no_weights(self, blobs: Data) -> None:
        with pytest.raises(ValueError, match=r"balance"):
            Clustering(4, hyper={"balance": 0.5}).fit(blobs[0])
        with pytest.raises(ValueError, match=r"^sample_weight: got weights with balance=0.5"):
            Clustering(4, balance=0.5).fit(blobs[0], sample_weight=np.ones(150))


def unequal(sizes: tuple[int, ...]) -> Data:
    """Gaussian clusters in the plane, six or more deviations apart."""
    rng = np.random.default_rng(0)
    centers = 6.0 * np.array([(0, 0), (1, 0), (0, 1)])
    x = np.concatenate([rng.normal(c, 1, (n, 2)) for c, n in zip(centers, sizes, strict=False)])
    return x, np.repeat(np.arange(len(sizes)), sizes)
