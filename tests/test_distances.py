"""p and neighbours of sparse features, and by other metrics: as from the matrix of all distances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import haversine_distances

import icon
from icon import distances
from icon.neighbors import nearest_neighbors

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.6, size=(40, 12)).astype(float)
WORDS = COUNTS * RNG.uniform(0.5, 2, size=12)
OTHERS = [
    "braycurtis", "canberra", "chebyshev", "cityblock", "correlation", "dice", "hamming", "jaccard", "manhattan", "l1",
    "rogerstanimoto", "russellrao", "sokalsneath", "yule",
]  # fmt: skip


def expected_distances(x: np.ndarray, metric: str) -> np.ndarray:
    name = {"manhattan": "cityblock", "l1": "cityblock"}.get(metric, metric)
    return cdist(x != 0, x != 0, name) if name in distances._OF_SETS else cdist(x, x, name)


def p_of(d: np.ndarray, sigma: float) -> np.ndarray:
    logits = -(d**2) / (2 * sigma**2)
    np.fill_diagonal(logits, -np.inf)
    mass = np.exp(logits - logits.max(axis=1, keepdims=True))
    return mass / mass.sum(axis=1, keepdims=True)


def nearest_by(d: np.ndarray, k: int) -> np.ndarray:
    """The k nearest others as a set of columns, equal distances by index."""
    d = d.copy()
    np.fill_diagonal(d, np.inf)
    return np.sort(d.argsort(axis=1, kind="stable")[:, :k], axis=1)


@pytest.mark.parametrize("metric", OTHERS)
def test_other_metrics(metric: str) -> None:
    x = WORDS if metric != "correlation" else WORDS + RNG.normal(size=WORDS.shape)
    d = expected_distances(x, metric)
    rows = icon.p.Gaussian(sigma=0.7, metric=metric)(x)
    assert np.allclose(rows.to_dense().numpy(), p_of(d, 0.7), atol=1e-12)
    edges = icon.p.KNN(5, metric=metric)(x).to_dense().numpy()
    assert np.array_equal(edges.nonzero()[1].reshape(-1, 5), nearest_by(d, 5))


def test_places_on_the_globe() -> None:
    x = RNG.uniform(-1, 1, size=(30, 2)) * [np.pi / 2, np.pi]
    found = icon.p.KNN(4, metric="haversine")(x).to_dense().numpy().nonzero()[1].reshape(-1, 4)
    assert np.array_equal(found, nearest_by(haversine_distances(x), 4))


@pytest.mark.parametrize("n_neighbors", [None, 7])
@pytest.mark.parametrize(
    "p",
    [
        icon.p.Gaussian(perplexity=5), icon.p.Gaussian(sigma=2.0), icon.p.Gaussian(temperature=0.3, metric="cosine"),
        icon.p.Gaussian(temperature=3.0, metric="dot"), icon.p.StudentT(dof=2),
        icon.p.Gaussian(metric="cityblock", sigma=3),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_sparse_features_give_what_dense_ones_give(p: Any, n_neighbors: int | None, form: Any) -> None:
    p = type(p)(**{**p.hyper_parameters(), "n_neighbors": n_neighbors})
    assert np.allclose(p(form(WORDS)).to_dense(), p(WORDS).to_dense(), rtol=1e-9, atol=1e-12)


def test_two_sets() -> None:
    a, b = WORDS[:15], WORDS[15:]
    for p in (icon.p.KNN(4), icon.p.Gaussian(sigma=2), icon.p.KNN(4, metric="cosine")):
        assert np.allclose(p((sp.csr_array(a), sp.csr_array(b))).to_dense(), p((a, b)).to_dense(), atol=1e-12)
    d = cdist(a, b, "cityblock")
    found = icon.p.KNN(4, metric="cityblock")((a, b)).to_dense().numpy().nonzero()[1].reshape(-1, 4)
    assert np.array_equal(found, np.sort(d.argsort(axis=1, kind="stable")[:, :4], axis=1))


def test_distances_that_are_given_and_a_function() -> None:
    d = cdist(WORDS, WORDS, "cityblock")
    for p in (icon.p.KNN(5), icon.p.Gaussian(perplexity=4), icon.p.StudentT(dof=3)):
        own = {**p.hyper_parameters(), "metric": "cityblock"}
        expected = type(p)(**own)(WORDS).to_dense()
        assert np.allclose(type(p)(**{**own, "metric": "precomputed"})(d).to_dense(), expected, atol=1e-12)
        city = type(p)(**{**own, "metric": lambda a, b: np.abs(a - b).sum()})
        assert np.allclose(city(WORDS).to_dense(), expected, atol=1e-12)
        euclidean = type(p)(**{**own, "metric": "euclidean"})
        assert torch.equal(euclidean(WORDS).to_dense(), p(WORDS).to_dense())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(4, 30), st.integers(1, 200), st.integers(1, 3))
def test_neighbours_of_sparse_counts(seed: int, n: int, d: int, k: int) -> None:
    """Of whole numbers every tie is exact, and goes by the index in both."""
    x = np.random.default_rng(seed).poisson(0.3, size=(n, d))
    sparse, dense = (nearest_neighbors(form, k).indices for form in (sp.csr_array(x), x))
    assert np.array_equal(sparse, dense)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([1e-280, 1e-30, 1.0, 1e20, 1e150]),
    st.sampled_from(["sqeuclidean", "cosine"]),
)
def test_units_do_not_matter(seed: int, unit: float, metric: str) -> None:
    x = sp.random_array((25, 50), density=0.2, random_state=np.random.default_rng(seed)).tocsr()
    for p in (icon.p.KNN(4, metric=metric), icon.p.Gaussian(perplexity=4, metric=metric)):
        assert np.allclose(p(x * unit).to_dense(), p(x).to_dense(), atol=1e-6)


@pytest.mark.slow  # NN-descent is compiled for each of them
@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "cityblock", "jaccard"])
def test_many_points_are_searched_approximately(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pynndescent")
    x = np.random.default_rng(0).poisson(1.0, size=(400, 30)).astype(float)
    given = x if metric == "jaccard" else sp.csr_array(x)
    found = nearest_neighbors(given, 5, "approximate", metric)
    assert found.recall is not None
    assert found.recall > 0.8
    assert (found.indices != np.arange(400)[:, None]).all()
    exact = icon.p.Gaussian(perplexity=3, n_neighbors=10, metric=metric)(given).to_dense()
    monkeypatch.setattr("icon.p.similarities.EXACT_UP_TO", 100)
    near = icon.p.Gaussian(perplexity=3, n_neighbors=10, metric=metric)(given).to_dense()
    assert ((near > 0) & (exact > 0)).sum() > 0.8 * (exact > 0).sum()


NAN = sp.csr_array(np.where(np.arange(480).reshape(40, 12) == 30, np.nan, COUNTS))


S = sp.csr_array(COUNTS)
REFUSED: list[tuple[Any, Any, type[Exception], str]] = [
    (lambda: icon.p.KNN(3, metric="cityblok"), None, ValueError, r"metric: got 'cityblok' \(did you mean 'cityblock'"),
    (
        lambda: icon.p.KNN(3, metric="jaccard"),
        S,
        TypeError,
        r"features: got a sparse matrix with metric='jaccard', exp",
    ),
    (lambda: icon.p.KNN(3), NAN, ValueError, r"features: got NaN or infinity in rows 2, expected finite"),
    (lambda: icon.p.KNN(3), S.astype(complex), TypeError, r"features: got dtype complex128"),
    (lambda: icon.p.KNN(50), S, ValueError, r"n_neighbors: got 50, expected less than the number of points, 40"),
    (lambda: icon.p.KNN(3, metric="haversine"), COUNTS, ValueError, r"metric: got 'haversine', expected one that fits"),
    (lambda: icon.p.KNN(3, metric="precomputed"), COUNTS, ValueError, r"features: got shape \(40, 12\) with metric="),
    (
        lambda: icon.p.KNN(3, metric="precomputed"),
        -np.eye(5),
        ValueError,
        r"features: got negative distances in rows 0",
    ),
    (
        lambda: icon.p.KNN(3, metric=lambda a, b: np.nan),
        COUNTS,
        ValueError,
        r"metric: got <lambda>, which gives no fin",
    ),
    (lambda: icon.p.KNN(3, metric="correlation"), np.ones((8, 3)), ValueError, r"features: got constant rows 0, 1"),
    (lambda: icon.p.Gaussian(center=True, metric="cosine"), S, TypeError, r"center: got True with sparse features"),
    (lambda: icon.p.Gaussian(center=True, metric="l1"), COUNTS, ValueError, r"center: got True with metric='l1', exp"),
    (
        lambda: icon.p.Gaussian(temperature=1.0, metric="l1"),
        COUNTS,
        ValueError,
        r"temperature: got 1.0 with metric='l1",
    ),
    (lambda: icon.p.StudentT(metric="cosine"), COUNTS, ValueError, r"metric: got 'cosine'"),
    (
        lambda: icon.p.KNN(3, "precomputed", "approximate"),
        np.ones((8, 8)),
        ValueError,
        r"search: got 'approximate' with",
    ),
]


@pytest.mark.parametrize(("p", "x", "kind", "told"), REFUSED, ids=[told for *_, told in REFUSED])
def test_bad_input(p: Any, x: Any, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=f"^{told}"):
        p()(x)


def test_entries_that_stand_twice_add_up() -> None:
    x = sp.csr_array((np.ones(6), np.array([0, 0, 1, 1, 2, 0]), np.array([0, 2, 3, 6])), shape=(3, 3))
    stored = x.data.copy()
    assert np.allclose(icon.p.Gaussian(sigma=1)(x).to_dense(), icon.p.Gaussian(sigma=1)(x.toarray()).to_dense())
    assert np.array_equal(x.data, stored)
    assert x.nnz == 6


def test_an_offset_of_sparse_features_does_not_matter() -> None:
    """Far from zero, products of the rows would have no digit left of what they differ in."""
    rng = np.random.default_rng(0)
    x = np.hstack([2.46e6 + rng.random((60, 1)), (rng.random((60, 5)) < 0.3) * 1e-3])
    assert np.array_equal(icon.p.KNN(5)(sp.csr_array(x)).to_dense(), icon.p.KNN(5)(x).to_dense())
    p = icon.p.Gaussian(perplexity=5)
    assert np.allclose(p(sp.csr_array(x)).to_dense(), p(x).to_dense(), atol=1e-10)


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e200])
def test_correlation_has_no_unit(unit: float) -> None:
    x, p = np.random.default_rng(0).normal(size=(30, 5)), icon.p.Gaussian(sigma=0.5, metric="correlation")
    assert np.allclose(p(x * unit).to_dense(), p(x).to_dense(), atol=1e-12)


def test_what_a_function_gives_and_that_it_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^metric: got <lambda>, which gives an array, expected a function"):
        icon.p.KNN(3, metric=lambda a, b: a)(COUNTS)
    loss = icon.Loss(icon.p.KNN(3, metric=cdist), icon.q.StudentT())
    with pytest.raises(
        TypeError, match=r"^loss: got cdist, which no file can hold, expected plain values, a part of icon, or"
    ):
        loss.save(tmp_path / "loss")
    assert not list(tmp_path.iterdir())
