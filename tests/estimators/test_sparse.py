"""Estimators on sparse features, on distances that are given, and by other metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.model_selection import GridSearchCV

import icon


@pytest.fixture(scope="module")
def documents() -> tuple[sp.csr_array, np.ndarray]:
    """Counts of words, of three topics."""
    rng = np.random.default_rng(0)
    topics, y = rng.dirichlet(np.full(500, 0.05), size=3), np.arange(90) % 3
    return sp.csr_array(np.array([rng.multinomial(40, topics[topic]) for topic in y])), y


@pytest.mark.parametrize("kind", [sp.coo_matrix, sp.bsr_array], ids=lambda kind: kind.__name__)
def test_landmarks_of_any_sparse_form(kind: Any, documents: tuple[sp.csr_array, np.ndarray]) -> None:
    x, model = documents[0], icon.Embedding(landmarks=40, perplexity=5, max_iter=5, random_state=0)
    assert np.array_equal(model.fit_transform(kind(x)), model.fit_transform(x))


@pytest.mark.parametrize(
    "settings",
    [
        {}, pytest.param({"mapper": "linear"}, marks=pytest.mark.slow), {"mapper": "lookup"},
        pytest.param({"hyper": {"metric": "cosine"}}, marks=pytest.mark.slow),
        pytest.param({"column": "gaussian", "hyper": {"perplexity": 10}}, marks=pytest.mark.slow),
        {"mapper": "lookup", "hyper": {"metric": "cityblock"}},
        pytest.param({"hyper": {"metric": "cityblock"}}, marks=pytest.mark.slow),
    ],
    ids=str,
)  # fmt: skip
def test_clustering_of_sparse_features(settings: dict[str, Any], documents: tuple[sp.csr_array, np.ndarray]) -> None:
    x, y = documents
    fitted = icon.Clustering(3, n_init=1, max_iter=60, random_state=0, **settings).fit(x)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9
    assert np.array_equal(fitted.predict(x), fitted.labels_)
    assert np.array_equal(fitted.predict(x.toarray()), fitted.labels_)
    assert fitted.score(x) > 0.8


@pytest.mark.parametrize("mapper", ["lookup", "mlp"])
def test_a_map_of_sparse_features(mapper: str, documents: tuple[sp.csr_array, np.ndarray], tmp_path: Path) -> None:
    x, y = documents
    settings: dict[str, Any] = {"mapper": mapper, "max_iter": 120, "random_state": 0, "hyper": {"perplexity": 10}}
    fitted = icon.Embedding(**settings).fit(x)
    assert float(icon.metrics.knn_probe(fitted.embedding_, y)) > 0.9
    icon.save(fitted, tmp_path / "map")
    assert np.array_equal(icon.load(tmp_path / "map").transform(x), fitted.transform(x))


def test_points_on_disk_are_mapped_as_the_sparse_ones_of_the_fit(
    documents: tuple[sp.csr_array, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, _ = documents
    fitted = icon.Embedding(mapper="mlp", perplexity=10, max_iter=5, random_state=0).fit(x)
    np.save(tmp_path / "x.npy", x.toarray().astype(np.float32))
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.allclose(fitted.transform(disk), fitted.transform(x), atol=1e-5)


def test_dense_after_sparse_forgets_the_directions(documents: tuple[sp.csr_array, np.ndarray]) -> None:
    x, _ = documents
    model = icon.Clustering(3, n_init=1, max_iter=5, random_state=0).fit(x)
    assert model.basis_.shape == (500, 90)
    model.fit(x.toarray())
    assert not hasattr(model, "basis_")
    assert np.array_equal(model.predict(x), model.labels_)


def test_distances_that_are_given(documents: tuple[sp.csr_array, np.ndarray]) -> None:
    x, y = documents
    d = pairwise_distances(x.toarray(), metric="braycurtis")
    fitted = icon.Clustering(3, n_init=1, max_iter=60, random_state=0, hyper={"metric": "precomputed"}).fit(d)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9
    assert fitted.score(d) > 0.8
    with pytest.raises(ValueError, match=r"^features: got shape \(90, 500\) with metric='precomputed', expected dist"):
        fitted.fit(x.toarray())
    again = icon.Embedding(max_iter=120, random_state=0, hyper={"metric": "precomputed", "perplexity": 10}).fit(d)
    assert float(icon.metrics.knn_probe(again.embedding_, y)) > 0.9


@pytest.mark.slow
def test_a_search_for_parameters(documents: tuple[sp.csr_array, np.ndarray]) -> None:
    x, _ = documents
    model = icon.Clustering(3, n_init=1, max_iter=60, random_state=0)
    found = GridSearchCV(model, {"debias": [0.1, 0.95]}, cv=2).fit(x)
    assert found.best_params_ == {"debias": 0.1}


def test_what_is_wrong_with_sparse_features(documents: tuple[sp.csr_array, np.ndarray]) -> None:
    x, _ = documents
    broken = x.astype(float)
    broken.data[0] = np.nan
    for model in (icon.Clustering(3), icon.Embedding()):
        with pytest.raises(ValueError, match=r"^X: got NaN or infinity in rows 0, expected finite"):
            model.fit(broken)
    with pytest.raises(TypeError, match=r"^features: got a sparse matrix with metric='jaccard', expected a dense one"):
        icon.Clustering(3, hyper={"metric": "jaccard"}).fit(x)
