"""Clusters in the user's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

import icon
from icon.estimators.clustering import Clustering
from icon.estimators.naming import names_of, order_of
from icon.labels import read_labels
from icon.metrics import clustering_accuracy

Some = tuple[np.ndarray, np.ndarray, np.ndarray]
COMMON = {"n_neighbors": 8, "max_iter": 60, "n_init": 2, "random_state": 0}


@pytest.fixture(scope="module")
def some() -> Some:
    """Points, the blob of each, and whether its label is known."""
    x, parts = make_blobs(150, centers=[[0, 0], [6, 0], [0, 6], [6, 6]], random_state=0)[:2]
    return x, parts, np.arange(150) % 5 == 0


def probabilities(labels: np.ndarray, clusters: int) -> np.ndarray:
    return (0.9 * np.eye(clusters)[labels] + 0.1 / clusters).astype(np.float32)


def test_without_classes_clusters_with_points_come_first() -> None:
    labels = np.array([4, 1, 1, 3])
    assert order_of(labels, probabilities(labels, 5)).tolist() == [1, 3, 4, 0, 2]


def test_most_known_points_are_right() -> None:
    """Class b has most points in the cluster of a, and is still better off with another one."""
    labels = np.array([2, 2, 2, 2, 2, 0, 0, 1])
    known = read_labels(["a", "a", "a", "b", "b", "b", None, None])
    assert order_of(labels, probabilities(labels, 4), known).tolist() == [2, 0, 1, 3]


def test_a_class_without_a_cluster_of_its_own_has_the_more_probable_one() -> None:
    labels = np.array([0, 0, 0, 1, 2])
    phi = probabilities(labels, 3)
    phi[2] = [0.6, 0.1, 0.3]
    assert order_of(labels, phi, read_labels([5, 5, 8, -1, -1])).tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([3, 7, -1], [3, 7, 8, 9]),
        ([-5, -3], [-5, -3, 0, 1]),
        (np.array([3, 7], dtype=np.uint8), [3, 7, 8, 9]),
        ([2.0, 1.0, np.nan], [1, 2, 3, 4]),
        ([True, False], [0, 1, 2, 3]),
        ([2**63 - 1, 0], [0, 2**63 - 1, 2**63, 2**63 + 1]),
        (["b", "a", None], ["a", "b", "cluster 1", "cluster 2"]),
        (["cluster 2", "cluster 1"], ["cluster 1", "cluster 2", "cluster 3", "cluster 4"]),
        (["a", 1], ["a", 1, "cluster 1", "cluster 2"]),
        ([(1, 2), (3, 4)], [(1, 2), (3, 4), "cluster 1", "cluster 2"]),
    ],
    ids=str,
)
def test_new_names_clash_with_none(labels: Any, expected: list[Any]) -> None:
    if isinstance(labels, list) and isinstance(labels[0], tuple):
        labels, given = np.empty(len(labels), dtype=object), labels
        labels[:] = given
    known = read_labels(labels)
    assert names_of(4, known).tolist() == expected
    assert names_of(len(known.names), known).tolist() == known.names.tolist()


@pytest.mark.parametrize(
    ("labels", "kind"), [([1, 2], "i"), ([1.0, None], "i"), (["a"], "U"), ([True], "b"), ([1, "a"], "O")]
)
def test_dtype(labels: list[Any], kind: str) -> None:
    known = read_labels(labels)
    assert names_of(len(known.names), known).dtype.kind == kind


class TestLabelsOfTheUser:
    """A few labels, and clusters in their words."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "names",
        [["d", "c", "b", "a"], [7, 3, 40, 5], [True, False], ["a", 3, True, 2.0]],
        ids=["text", "int", "bool", "mixed"],
    )
    def test_clusters_speak_the_labels_of_the_user(self, some: Some, names: list[Any], tmp_path: Path) -> None:
        x, parts, known = some
        parts = parts % len(names)
        truth = np.array([names[part] for part in parts], dtype=object)
        fitted = Clustering(len(names), "classes", **COMMON).fit(x, np.where(known, truth, None))
        assert set(fitted.classes_) == set(names)
        assert (fitted.labels_ == truth).mean() > 0.95
        assert fitted.labels_.dtype == fitted.classes_.dtype
        fitted.save(tmp_path / "file")
        for model in (fitted, icon.load(tmp_path / "file")):
            assert np.array_equal(model.classes_, fitted.classes_)
            assert model.classes_.dtype == fitted.classes_.dtype
            assert np.array_equal(model.labels_, fitted.labels_)
            assert np.array_equal(model.predict(x), fitted.labels_)
            assert np.array_equal(model.classes_[model.predict_proba(x).argmax(axis=1)], fitted.labels_)
            assert np.array_equal(model.classes_[model.probabilities_.argmax(axis=1)], fitted.labels_)
            assert np.array_equal(model.classes_[model.restarts_[model.losses_.argmin()]], fitted.labels_)
        with torch.no_grad():
            logits = fitted.mapper_(torch.tensor(x, dtype=torch.float32)).numpy()
        assert np.array_equal(fitted.classes_[logits[:, fitted.order_].argmax(axis=1)], fitted.labels_)
        assert 0 < fitted.score(x, np.where(known, truth, None)) <= np.log(4)
        assert icon.diagnose(fitted, labels=truth).accuracy > 0.95

    @pytest.mark.filterwarnings("ignore:restarts", "ignore:n_clusters")
    def test_a_file_tells_which_restart_was_kept(self, tmp_path: Path) -> None:
        """With b < 1 that need not be the one with the lowest loss, see `TestBalance`."""
        x = np.random.default_rng(2).normal(size=(120, 1))
        y = np.where(np.arange(120) % 3 == 0, np.array(["a", "b", "c"])[np.digitize(x[:, 0], [-0.4, 0.4])], None)
        fitted = Clustering(3, "classes", balance=0.1, n_init=3, init="random", max_iter=60, random_state=0).fit(x, y)
        assert fitted.loss_ > fitted.losses_.min()
        fitted.save(tmp_path / "file")
        assert np.array_equal(icon.load(tmp_path / "file").labels_, fitted.labels_)

    def test_more_clusters_than_classes(self, some: Some) -> None:
        x, parts, known = some
        y = np.where(known & (parts < 2), np.array(["left", "right"])[parts % 2], None)
        fitted = Clustering(4, "classes", **COMMON).fit(x, y)
        assert fitted.classes_.tolist() == ["left", "right", "cluster 1", "cluster 2"]
        assert (fitted.labels_[parts == 0] == "left").mean() > 0.9
        assert (fitted.labels_[parts == 1] == "right").mean() > 0.9
        assert clustering_accuracy(parts, fitted.labels_) > 0.9

    def test_without_classes_clusters_are_numbers(self, some: Some) -> None:
        fitted = Clustering(4, max_iter=10, n_init=1, random_state=0).fit(some[0])
        assert np.array_equal(fitted.classes_, np.arange(4))
        assert fitted.labels_.dtype == fitted.predict(some[0]).dtype == np.int64

    def test_a_file_of_an_older_version_has_no_classes(self, some: Some, tmp_path: Path) -> None:
        fitted = Clustering(4, max_iter=10, n_init=1, random_state=0).fit(some[0])
        del fitted.classes_
        fitted.save(tmp_path / "file")
        again = icon.load(tmp_path / "file")
        assert np.array_equal(again.classes_, np.arange(4))
        assert np.array_equal(again.predict(some[0]), fitted.labels_)

    @pytest.mark.parametrize(
        ("y", "line"),
        [
            (np.arange(150) % 5, "n_clusters: got 4, expected at least 5, the classes in y"),
            (np.full(150, -1), "y: got no label that is known"),
            (np.zeros(3), "y: got 3 entries, expected 150"),
        ],
    )
    def test_bad_labels(self, some: Some, y: np.ndarray, line: str) -> None:
        with pytest.raises(ValueError, match=rf"^{line}"):
            Clustering(4, "classes").fit(some[0], y)
