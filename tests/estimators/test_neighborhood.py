"""p of a clustering: what is drawn from several spaces is what is computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from icon.estimators.neighborhood import Neighborhood, mean_of, rows_of

N = 24


@pytest.mark.parametrize("symmetrize", ["union", "intersection", None])
@pytest.mark.parametrize("spaces", [1, 2, 3])
def test_pairs_follow_the_composed_p(spaces: int, symmetrize: str | None) -> None:
    rng = np.random.default_rng(0)
    x = [torch.from_numpy(rng.normal(size=(N, 3))) for _ in range(spaces)]
    near = Neighborhood("knn", n_neighbors=2, walks=3, symmetrize=symmetrize)
    bases, recall = rows_of([near.at(each) for each in x], x, None)
    assert len(bases) == spaces
    assert recall is None
    torch.manual_seed(0)
    anchors, partners, _ = near.pairs(bases, 0.2, weighted=True).draw(100_000)
    expected = near.composed(bases, 0.0).to_dense()
    found = torch.zeros(N, N, dtype=torch.float64)
    found.index_put_((anchors, partners), torch.ones(len(anchors), dtype=torch.float64), accumulate=True)
    present = expected.sum(dim=1) > 0
    assert torch.equal(present, found.sum(dim=1) > 0)
    draws, expected = found[present].sum(dim=1, keepdim=True), expected[present]
    error = (expected * (1 - expected) / draws).sqrt()  # of a frequency; some anchors are drawn rarely
    assert ((found[present] / draws - expected).abs() <= 5 * error).all()


def test_the_mean_gives_each_p_the_same_share() -> None:
    rng = np.random.default_rng(1)
    near = Neighborhood("gaussian", hyper={"perplexity": 4})
    bases, _ = rows_of([near] * 3, [torch.from_numpy(rng.normal(size=(N, 2))) for _ in range(3)], None)
    mean = torch.stack([rows.to_dense() for rows in bases]).mean(dim=0)
    assert torch.allclose(mean_of(bases).to_dense(), mean, atol=1e-12)
    assert mean_of(bases[:1]) is bases[0]


def test_neighbours_of_wide_features_are_near_in_principal_directions() -> None:
    """Directions without variance do not matter, and a cosine needs the origin where it is."""
    rng = np.random.default_rng(0)
    narrow, turn = rng.normal(size=(60, 20)), np.linalg.qr(rng.normal(size=(200, 20)))[0]
    wide = torch.from_numpy(narrow @ turn.T + 5).float()
    near = Neighborhood("knn", n_neighbors=4)
    found = rows_of([near.at(wide)], [wide], None)[0][0].to_scipy()
    expected = rows_of([near.at(wide)], [torch.from_numpy(narrow).float()], None)[0][0].to_scipy()
    assert abs(found - expected).max() < 1e-6
    cosine = Neighborhood("knn", n_neighbors=4, metric="cosine")
    whole = icon.p.KNN(4, metric="cosine").symmetrize("union")(wide).to_scipy()
    assert abs(rows_of([cosine], [wide], None)[0][0].to_scipy() - whole).max() < 1e-6


@pytest.mark.parametrize("neighbors", ["auto", "exact"])
def test_hyper_parameters_of_neighbours_hold_however_they_are_found(neighbors: str) -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(N, 3)))
    near = Neighborhood("knn", neighbors=neighbors, metric="sqeuclidean", hyper={"exclude_self": False})
    (rows,), _ = rows_of([near], [x], None)
    assert not rows.support.exclude_self
