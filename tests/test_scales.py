"""Units and offsets of the features do not matter, from 1e-300 to 1e300."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

import icon
from icon._scales import unit_of, unit_rows
from icon.cli import cluster_report
from icon.estimators.initialization import k_means
from icon.neighbors import nearest_neighbors
from icon.nn import Lookup, Principal, Rescale

X = torch.randn(30, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
#: p of features in some unit, and of features in that unit with a bandwidth in it.
KINDS: dict[str, Any] = {
    "perplexity": lambda s: icon.p.Gaussian(perplexity=8),
    "neighbours": lambda s: icon.p.Gaussian(perplexity=3, n_neighbors=9),
    "sigma": lambda s: icon.p.Gaussian(sigma=s),
    "student-t": lambda s: icon.p.StudentT(sigma=s),
    "knn": lambda s: icon.p.KNN(4),
    "cosine": lambda s: icon.p.Gaussian(metric="cosine", temperature=0.1),
    "knn by cosine": lambda s: icon.p.KNN(4, metric="cosine"),
}
scales = st.integers(-299, 299).map(lambda power: 10.0**power)


@pytest.mark.parametrize("kind", list(KINDS))
@settings(max_examples=12, deadline=None)
@given(scale=scales)
def test_p_does_not_depend_on_the_unit(kind: str, scale: float) -> None:
    expected = KINDS[kind](1.0)(X).to_dense()
    torch.testing.assert_close(KINDS[kind](scale)(scale * X).to_dense(), expected, atol=1e-12, rtol=1e-9)


@settings(max_examples=12, deadline=None)
@given(scale=scales, bandwidth=scales)
def test_no_bandwidth_makes_p_of_finite_features_nan(scale: float, bandwidth: float) -> None:
    for p in (icon.p.Gaussian(sigma=bandwidth), icon.p.StudentT(sigma=bandwidth)):
        rows = p(scale * X).to_dense()
        torch.testing.assert_close(rows.sum(dim=1), torch.ones(30, dtype=torch.float64))


def test_products_that_overflow_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^features: got numbers whose products are too large"):
        icon.p.Gaussian(metric="dot", temperature=1.0)(1e200 * X)


@settings(max_examples=12, deadline=None)
@given(scale=scales)
def test_neighbours_are_the_same_in_any_unit(scale: float) -> None:
    for metric in ("sqeuclidean", "cosine"):
        found = nearest_neighbors(scale * X, 5, metric=metric).indices
        assert np.array_equal(found, nearest_neighbors(X, 5, metric=metric).indices)


@settings(max_examples=12, deadline=None)
@given(scale=scales, offset=st.floats(-1e6, 1e6))
def test_mappers_see_the_same_features_in_any_unit_and_far_from_zero(scale: float, offset: float) -> None:
    moved = scale * (X + offset)
    torch.testing.assert_close(Rescale(moved)(moved), Rescale(X)(X), atol=1e-5, rtol=1e-5)
    a, b = Principal(moved, 2)(moved), Principal(X, 2)(X)
    torch.testing.assert_close(a @ a.mT, b @ b.mT, atol=1e-3, rtol=1e-3)  # the directions have no sign
    lookup = Lookup(30, 2, features=moved)
    torch.testing.assert_close(lookup(moved), lookup.weight)


def test_maps_of_features_with_a_huge_constant_start_somewhere() -> None:
    x = np.hstack([X.numpy(), np.full((30, 2), 1e300)])
    for scale in (1.0, 1e-150, 1e-300):
        found = icon.Embedding(column="knn", hyper={"n_neighbors": 4}, max_iter=5, random_state=0).fit(scale * x)
        assert np.isfinite(found.embedding_).all()
    assert np.isfinite(cluster_report.planar(x[:5], 0)[1]).all()


def test_maps_of_constant_features_start_at_random() -> None:
    """And no warning tells of a division by a variance of zero."""
    for value in (1.0, 0.1):  # the mean of which is rounded
        found = icon.Embedding(column="identity", max_iter=5, random_state=0).fit(np.full((30, 2), [value, 1e30]))
        assert np.isfinite(found.embedding_).all()


def test_units() -> None:
    assert unit_of(X) == 1
    assert unit_of(1e200 * X) in (2.0**k for k in range(600, 700))
    largest = torch.tensor([torch.finfo(torch.float32).max])
    assert 1 <= largest / unit_of(largest) < 2
    rows = torch.tensor([[3e-310, 4e-310], [3e300, 4e300], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(unit_rows(rows).norm(dim=1), torch.tensor([1.0, 1.0, 0.0]).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("power", [-0.9, -0.6, 0.6, 0.9])
def test_k_means_does_not_depend_on_the_unit(power: float, dtype: type[np.floating[Any]]) -> None:
    x = make_blobs(120, centers=3, n_features=2, cluster_std=0.3, random_state=0)[0].astype(dtype)
    moved = x * dtype(2.0) ** int(power * np.finfo(dtype).maxexp)
    assert np.array_equal(k_means(moved, 3, 0), k_means(x, 3, 0))


def test_k_means_of_many_points_in_blocks_keeps_their_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = make_blobs(120, centers=3, n_features=2, cluster_std=0.3, random_state=0)[:2]
    monkeypatch.setattr("icon.estimators.initialization.SUBSET", 50)
    assert adjusted_rand_score(y, k_means(x + 1e9, 3, 0)) == 1
    assert adjusted_rand_score(y, k_means(torch.from_numpy(1e200 * x), 3, 0)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "offset"), [(1.0, 1.7e9), (0.0025, 2460000.5), (1e-30, 0.0), (1e20, 0.0), (1e39, 0.0), (1e-150, 0.0)]
)
def test_estimators_do_not_depend_on_the_unit(scale: float, offset: float) -> None:
    x, y = make_blobs(120, centers=3, n_features=2, cluster_std=0.3, random_state=0)[:2]
    moved = scale * x + offset
    found = icon.Clustering(3, n_init=1, max_iter=60, random_state=0).fit(moved)
    assert adjusted_rand_score(y, found.labels_) == 1
    assert np.array_equal(found.predict(moved), found.labels_)
    map_ = icon.Embedding(hyper={"perplexity": 10}, max_iter=30, random_state=0).fit(moved)
    assert np.isfinite(map_.embedding_).all()
    np.testing.assert_allclose(map_.transform(moved), map_.embedding_, atol=1e-6)
    straight = icon.Embedding(hyper={"perplexity": 10}, mapper="mlp", max_iter=5, random_state=0).fit(moved)
    assert np.isfinite(straight.embedding_).all()
