"""Weights of the points of a clustering."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

import icon
from icon.estimators.clustering import Clustering
from icon.estimators.embedding import Embedding
from icon.p.rows import Rows
from icon.training.sampler import PairSampler
from tests.combinations import few_are_fast

Data = tuple[np.ndarray, np.ndarray]


class TestSampleWeight:
    @pytest.mark.slow
    @pytest.mark.parametrize("batch_size", [None, 64])
    def test_equal_weights_change_nothing(self, blobs: Data, batch_size: int | None) -> None:
        x, _ = blobs
        model = Clustering(4, batch_size=batch_size, n_init=2, random_state=0)
        plain, weighted = clone(model).fit(x), clone(model).fit(x, sample_weight=np.full(len(x), 3.0))
        assert adjusted_rand_score(plain.labels_, weighted.labels_) > 0.95
        if batch_size is None:
            assert weighted.loss_ == pytest.approx(plain.loss_, rel=1e-4)

    def test_the_loss_is_that_of_weighted_points(self, blobs: Data) -> None:
        x, _ = blobs
        weight = np.random.default_rng(0).uniform(0.1, 3, len(x))
        model = Clustering(4, walks=1, debias=0, n_init=1, max_iter=50, random_state=0).fit(x, sample_weight=weight)
        phi = torch.tensor(model.predict_proba(x)).double()
        w = torch.tensor(weight)
        p = model_rows(x).to_dense() * w
        p = p / p.sum(dim=1, keepdim=True)  # a neighbour counts as often as it weighs
        q = (phi / (w[:, None] * phi).sum(dim=0)) @ (phi * w[:, None]).T
        kl = (torch.xlogy(p, p) - p * q.log()).sum(dim=1)
        assert model.loss_ == pytest.approx(float((w * kl).sum() / w.sum()), rel=1e-4)

    def test_anchors_are_drawn_by_their_weights(self, blobs: Data, monkeypatch: pytest.MonkeyPatch) -> None:
        drawn: list[torch.Tensor] = []
        original = PairSampler.sample

        def sample(self: PairSampler, size: int, negatives: int) -> Any:
            found = original(self, size, negatives)
            drawn.append(found[0])
            return found

        monkeypatch.setattr(PairSampler, "sample", sample)
        monkeypatch.setattr("icon.estimators.clustering.EXACT", 50)  # the loss over all points is a sample, too
        x, _ = blobs
        weight = np.where(np.arange(len(x)) < 60, 1.0, 1e-12)
        Clustering(4, batch_size=32, n_init=1, max_iter=3, random_state=0).fit(x, sample_weight=weight)
        assert drawn
        assert max(int(anchors.max()) for anchors in drawn) < 60

    @pytest.mark.parametrize("bad", [np.ones(3), -np.ones(150), np.zeros(150), np.full(150, np.nan), np.arange(150.0)])
    def test_bad_weights(self, blobs: Data, bad: np.ndarray) -> None:
        with pytest.raises(ValueError, match=r"^sample_weight: got"):
            Clustering(4).fit(blobs[0], sample_weight=bad)

    @pytest.mark.parametrize("hyper", [{"marginals": "uniform"}, {"exponent": 0.6}, {"weights": np.ones(150)}])
    def test_weights_that_the_row_has_or_cannot_have(self, blobs: Data, hyper: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=rf"^sample_weight: got weights with hyper={{'{next(iter(hyper))}': ...}}"):
            Clustering(4, hyper=hyper).fit(blobs[0], sample_weight=np.ones(150))


def model_rows(x: np.ndarray) -> Rows:
    """p of the default column, as `Clustering` makes it."""
    return icon.p.KNN(10).symmetrize("union")(x)


@pytest.mark.parametrize(
    ("model", "unit"),
    few_are_fast(
        [Clustering(4, n_init=1, max_iter=3, random_state=0), Embedding(max_iter=3, random_state=0)], [1e-300, 1e300]
    ),
)
def test_the_unit_of_the_weights_does_not_matter(model: Any, unit: float, blobs: Data) -> None:
    weights = np.linspace(0.5, 1, 150)
    found, expected = (clone(model).fit(blobs[0], sample_weight=s * weights) for s in (unit, 1.0))
    assert found.loss_ == pytest.approx(expected.loss_, rel=1e-4)
