"""The metric of the neighbours, chosen where Euclidean ones are hubs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import icon
from icon.estimators.neighborhood import metric_of, mutual
from icon.metrics import clustering_accuracy

SHORT = {"n_init": 1, "max_iter": 40, "random_state": 0}


def words(n: int = 300, topics: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Marks of words ``[n, 600]`` in texts of 3 to 60 words, most of them of the text's topic, and the topics."""
    random = np.random.default_rng(seed)
    topic, lengths = np.arange(n) % topics, random.integers(3, 60, size=n)
    x = np.zeros((n, 600), dtype=np.float32)
    for row, (own, length) in enumerate(zip(topic, lengths, strict=True)):
        of_topic = random.random(length) < 0.8
        x[row, np.where(of_topic, own * 200 + random.integers(200, size=length), random.integers(600, size=length))] = 1
    return x, topic


def blobs(n: int = 300) -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.normal(size=(n, 8)) + 6 * (np.arange(n) % 3)[:, None]).astype(np.float32)


def test_hubs_among_words_and_none_among_blobs() -> None:
    assert metric_of(words()[0], 10) == "cosine"
    assert metric_of(sp.csr_array(words()[0]), 10) == "cosine"
    assert metric_of(blobs(), 10) == "sqeuclidean"
    # Noise of many dimensions has hubs by every metric.
    assert metric_of(np.random.default_rng(0).normal(size=(500, 400)).astype(np.float32), 10) == "sqeuclidean"


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
def test_mutual_neighbours_are_counted(metric: str) -> None:
    x = blobs(40)
    y = x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "cosine" else x
    order = np.argsort(((y[:, None] - y[None]) ** 2).sum(axis=2) + 1e9 * np.eye(40), axis=1)[:, :5]
    near = [set(row) for row in order]
    expected = np.mean([i in near[j] for i in range(40) for j in near[i]])
    assert mutual(x, 5, metric) == pytest.approx(expected)


@pytest.mark.parametrize("n", [10, 2, 3])
def test_few_points_and_equal_points(n: int) -> None:
    assert metric_of(np.zeros((n, 4), dtype=np.float32), 10) == "sqeuclidean"


@pytest.mark.slow
def test_clusters_of_words() -> None:
    x, y = words(240)
    chosen = icon.Clustering(3, **SHORT).fit(x)
    given = icon.Clustering(3, metric="cosine", **SHORT).fit(x)
    assert chosen.metric_ == given.metric_ == "cosine"
    assert np.array_equal(chosen.labels_, given.labels_)
    assert clustering_accuracy(y, chosen.labels_) > 0.9
    assert icon.Clustering(3, metric="sqeuclidean", **SHORT).fit(x).metric_ == "sqeuclidean"


def test_texts_without_a_word() -> None:
    x, _ = words(120)
    x[[5, 7]] = 0
    assert icon.Clustering(3, **SHORT).fit(x).metric_ == "cosine"


def test_each_space_has_its_own(tmp_path: Path) -> None:
    x, _ = words(120)
    fitted = icon.Clustering(3, **SHORT).fit([x, blobs(120)])
    assert list(fitted.metric_) == ["cosine", "sqeuclidean"]
    fitted.save(tmp_path / "fitted.icon")
    assert list(icon.load(tmp_path / "fitted.icon").metric_) == ["cosine", "sqeuclidean"]


def test_among_the_hyper_parameters_as_well() -> None:
    x = blobs(60)
    first, second = (
        icon.Clustering(3, metric="cityblock", **SHORT),
        icon.Clustering(3, hyper={"metric": "cityblock"}, **SHORT),
    )
    assert np.array_equal(first.fit(x).labels_, second.fit(x).labels_)
    with pytest.raises(ValueError, match=r"^hyper: got 'metric', expected the argument metric= of the estimator$"):
        icon.Clustering(3, metric="cosine", hyper={"metric": "cosine"}).fit(x)


def test_columns_without_features_take_none() -> None:
    graph = sp.csr_array(np.ones((60, 60)) - np.eye(60))
    with pytest.raises(ValueError, match=r"^metric: got 'cosine' with column='graph', expected 'auto'$"):
        icon.Clustering(3, "graph", metric="cosine").fit(blobs(60), graph)
    with pytest.raises(ValueError, match=r"^metric: got 'cosin' \(did you mean 'cosine'"):
        icon.Clustering(3, metric="cosin").fit(blobs(60))
