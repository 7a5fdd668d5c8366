"""Labels are names, wherever they are given."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

import icon
from icon.labels import classes_of, keys, read_labels


@pytest.mark.parametrize(
    ("labels", "codes", "names"),
    [
        (["dog", "cat", None, "dog"], [1, 0, -1, 1], ["cat", "dog"]),
        (["NA", "None", "null"], [0, 1, 2], ["NA", "None", "null"]),
        (np.array([2**53, 2**53 + 1, -1]), [0, 1, -1], [2**53, 2**53 + 1]),
        (np.array([2**63 + 1, 5], dtype=np.uint64), [1, 0], [5, 2**63 + 1]),
        ([True, False, True], [1, 0, 1], [False, True]),
        ([1.0, np.nan, -1.0, 3.0], [0, -1, -1, 1], [1, 3]),
        (pd.Series([1, None, 2], dtype="Int64"), [0, -1, 1], [1, 2]),
        (pd.Series([2**53 + 1, None], dtype="Int64"), [0, -1], [2**53 + 1]),
        (pd.Categorical(["b", "a", None]), [1, 0, -1], ["a", "b"]),
        (pa.array([2**53 + 1, 2**53, None]), [1, 0, -1], [2**53, 2**53 + 1]),
        (pa.chunked_array([["b"], ["a", None]]), [1, 0, -1], ["a", "b"]),
        (torch.tensor([3, -1, 3]), [0, -1, 0], [3]),
        (np.array(["x", "y", "x"]), [0, 1, 0], ["x", "y"]),
        (np.array([[4], [2]]), [1, 0], [2, 4]),
        (np.array([4, 2, -1], dtype=">i4"), [1, 0, -1], [2, 4]),
        ([-7, 7, -7], [0, 1, 0], [-7, 7]),
        (["a", 1, None], [0, 1, -1], ["a", 1]),
    ],
)
def test_kinds_of_names(labels: Any, codes: list[int], names: list[Any]) -> None:
    found = read_labels(labels)
    assert found.codes.tolist() == codes
    assert found.names.tolist() == names


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([0.5, 1], ValueError, r"labels: got 0\.5, expected whole numbers"),
        ([np.inf, 1], ValueError, "labels: got inf, expected whole numbers"),
        (None, TypeError, "labels: got None"),
        (torch.ones(2, device="meta"), TypeError, "labels: got a tensor on the meta device"),
        (torch.eye(2).to_sparse(), TypeError, "labels: got a sparse tensor, expected a dense one"),
        ([[1, 2], [3, 4]], ValueError, r"labels: got shape \(2, 2\)"),
        ([], ValueError, "labels: got an empty vector"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), TypeError, "labels: got dtype datetime64"),
        ([None, np.nan], ValueError, "labels: got no label that is known"),
    ],
)
def test_what_is_no_label_is_refused(labels: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{message}"):
        classes_of(labels)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers(-3, 2**70)), min_size=1, max_size=20))
def test_two_labels_are_one_class_exactly_where_they_are_equal(labels: list[Any]) -> None:
    found = read_labels(np.array([*labels, None], dtype=object)[:-1])
    unknown = [label is None or label == -1 for label in labels]
    assert (found.codes == -1).tolist() == unknown
    for i, a in enumerate(labels):
        for j, b in enumerate(labels):
            if not (unknown[i] or unknown[j]):
                assert (found.codes[i] == found.codes[j]) == (a == b)


@pytest.mark.filterwarnings("error")
def test_labels_in_half_precision_are_read_without_a_warning() -> None:
    assert read_labels(np.array([2.0, 0.0, 2.0], dtype=np.float16)).names.tolist() == [0, 2]


def test_keys_make_of_each_unknown_label_a_class_of_its_own() -> None:
    assert keys(read_labels(["a", None, "b", -1, "a"])).tolist() == [0, 2, 1, 3, 0]


NAMES = np.array(["ape", "bee", "cat"], dtype=object)


class TestEverywhere:
    """The metrics, the diagnosis and the estimators read labels alike."""

    y = np.arange(60) % 3
    x = 10 * np.eye(3)[y] + np.random.default_rng(0).normal(size=(60, 3))

    @pytest.mark.parametrize("as_names", [lambda y: NAMES[y], lambda y: y + 2**53, lambda y: (-7 * y).tolist()])
    def test_scores_do_not_depend_on_the_names(self, as_names: Any) -> None:
        clusters = np.where(np.arange(60) < 6, 0, self.y)
        for score in (icon.metrics.clustering_accuracy, icon.metrics.nmi, icon.metrics.ari):
            expected = pytest.approx(score(self.y, clusters))
            assert score(as_names(self.y), clusters) == expected
            assert score(self.y, as_names(clusters)) == expected
        assert icon.metrics.knn_probe(self.x, as_names(self.y)).score == icon.metrics.knn_probe(self.x, self.y).score

    def test_unknown_labels_are_left_out_of_scores_and_noise_is_a_cluster(self) -> None:
        labels = NAMES[self.y].copy()
        labels[:9] = None
        assert icon.metrics.clustering_accuracy(labels, self.y) == 1
        noise = np.where(np.arange(60) < 6, -1, self.y)
        assert icon.metrics.ari(self.y, noise) == pytest.approx(adjusted_rand_score(self.y, noise))
        assert icon.metrics.clustering_accuracy(self.y, noise) == pytest.approx(54 / 60)
        with pytest.raises(ValueError, match=r"^clusters: got None or NaN"):
            icon.metrics.ari(self.y, np.where(np.arange(60) == 1, np.nan, self.y))

    def test_large_numbers_take_no_memory(self) -> None:
        assert icon.metrics.clustering_accuracy([0, 7, 10**12, 10**12], [3, 10**12, 5, 5]) == 1
        names = np.arange(100_000)
        assert icon.metrics.clustering_accuracy(names, names[::-1]) == 1

    def test_the_matching_is_the_best_one(self) -> None:
        for seed in range(20):
            rng = np.random.default_rng(seed)
            y, c = rng.integers(0, 4, 25), rng.integers(0, 12, 25) if seed % 2 else rng.integers(0, 30, 25)
            counts = pd.crosstab(y, c).to_numpy()
            best = counts[linear_sum_assignment(counts, maximize=True)].sum()
            assert icon.metrics.clustering_accuracy(y, c) == best / 25

    def test_estimators_take_names_of_which_some_are_unknown(self) -> None:
        labels = NAMES[self.y].copy()
        labels[::10] = None
        clusters = icon.Clustering(3, "classes", n_neighbors=5, n_init=1, random_state=0).fit(self.x, labels)
        assert adjusted_rand_score(self.y, clusters.labels_) == 1
        for column in ("classes", "data-label"):
            model = icon.Embedding(row="gaussian", column=column, mapper="linear", max_iter=20, random_state=0)
            with pytest.warns(UserWarning, match="6 of 60 anchors") if column == "classes" else nullcontext():
                model.fit(self.x, labels)
            assert model.classes_.tolist() == NAMES.tolist()

    def test_a_diagnosis_takes_names(self) -> None:
        phi = np.eye(3)[self.y]
        assert icon.diagnose(phi, labels=NAMES[self.y]).accuracy == 1


@pytest.mark.parametrize(
    "labels",
    [
        [2**60, 2**60 + 1, float("nan"), 2**60], [2**60, 2**60 + 1, 2**64 - 1], [-5, 2**63 + 1, 2**63 + 2],
        [np.int64(2**60), np.int64(2**60 + 1), np.uint64(7)], [2**60, 2**60 + 1, None],
    ],
    ids=str,
)  # fmt: skip
def test_large_integers_in_a_list_stay_apart(labels: list[object]) -> None:
    """Also beside NaN, and beside what only another dtype holds."""
    known = [label for label in labels if not pd.isna(label)]
    assert len(read_labels(labels).names) == len(set(known))
    assert (read_labels(labels).codes == -1).sum() == len(labels) - len(known)


def test_masked_labels_are_unknown() -> None:
    assert read_labels(np.ma.array([3, 4, 4, 3], mask=[1, 0, 0, 1])).codes.tolist() == [-1, 0, 0, -1]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([0.5, None], "labels: got 0.5, expected whole numbers"),
        ([np.inf, None], "labels: got inf, expected whole numbers"),
        ([[1], [1, 2]], "labels: got lists of different lengths"),
    ],
)
def test_what_is_no_label_in_a_list(labels: list[object], told: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{told}"):
        read_labels(labels)
