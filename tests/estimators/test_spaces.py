"""One clustering of several feature spaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.metrics import adjusted_rand_score
from torch import nn

import icon
from icon.estimators.clustering import Clustering
from icon.estimators.spaces import side_by_side
from tests.combinations import few_are_fast

Two = tuple[np.ndarray, np.ndarray, np.ndarray]
COMMON = {"n_neighbors": 40, "walks": 1, "mapper": "linear", "max_iter": 40, "n_init": 1, "random_state": 0}
SHORT = COMMON | {"init": "random", "max_iter": 5}


@pytest.fixture(scope="module")
def two() -> Two:
    """Two spaces, wide and narrow, each of which tells two halves of four clusters apart, and the clusters."""
    y = np.arange(200) % 4
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(200, 12)) + 6 * (y // 2)[:, None]
    narrow = rng.normal(size=(200, 4)) + 6 * (y % 2)[:, None]
    return wide, 1000 * narrow + 5000, y


def test_what_is_in_both_is_found_from_both_and_not_from_one(two: Two) -> None:
    wide, narrow, y = two
    fitted = Clustering(4, **COMMON).fit([wide, narrow])
    assert adjusted_rand_score(y, fitted.labels_) > 0.95
    assert np.array_equal(fitted.predict((wide, narrow)), fitted.labels_)
    assert fitted.predict_proba([wide[:5], narrow[:5]]) == pytest.approx(fitted.probabilities_[:5], abs=1e-5)
    assert fitted.n_features_in_ == 16
    assert fitted.score([wide, narrow]) > 0.25
    for one in (wide, narrow):
        assert adjusted_rand_score(y, Clustering(4, **COMMON).fit_predict(one)) < 0.6


def test_p_is_the_mean_of_those_of_the_spaces(two: Two) -> None:
    spaces = [*two[:2], two[0][:, :3] ** 2]
    fitted = Clustering(4, **COMMON | {"walks": 2, "debias": 0.3}).fit(spaces)
    a, b, c = (icon.p.KNN(40).symmetrize("union").walks(2)(x).to_dense() for x in spaces)
    p = 0.7 * (a + b + c) / 3 + 0.3 / 200
    phi = torch.from_numpy(fitted.predict_proba(spaces)).double()
    q = (phi / phi.sum(dim=0)) @ phi.T
    kl = (torch.xlogy(p, p) - p * q.log()).sum(dim=1).mean().item()
    assert fitted.loss_ == pytest.approx(kl, rel=1e-4)


@pytest.mark.parametrize("mapper", [pytest.param("mlp", marks=pytest.mark.slow), "linear", "lookup"])
def test_one_space_is_features(mapper: str, two: Two) -> None:
    x = two[0]
    listed, plain = (Clustering(4, **COMMON | {"mapper": mapper}).fit(given) for given in ([x], x))
    assert np.array_equal(listed.probabilities_, plain.probabilities_)
    assert np.array_equal(listed.predict_proba([x]), plain.predict_proba(x))
    assert np.array_equal(listed.predict_proba(x), plain.predict_proba((x,)))
    assert listed.score([x]) == plain.score(x)
    assert listed.n_features_in_ == 12
    assert not hasattr(listed, "space_widths_")


def test_rows_in_a_list_are_no_spaces(two: Two) -> None:
    x = two[1][:40]
    common = SHORT | {"n_neighbors": 5}
    expected = Clustering(2, **common).fit(x).probabilities_
    for given in (x.tolist(), list(x), tuple(map(tuple, x)), [torch.from_numpy(row) for row in x]):
        assert np.array_equal(Clustering(2, **common).fit(given).probabilities_, expected)


def test_a_later_fit_on_one_space_forgets_the_others(two: Two) -> None:
    wide, narrow, _ = two
    model = Clustering(4, **SHORT).fit([wide, narrow]).fit(wide)
    assert np.array_equal(model.predict(wide), model.labels_)
    assert model.n_features_in_ == 12


@pytest.mark.parametrize(
    ("kind", "mapper"),
    few_are_fast([np.asarray, torch.tensor, sp.csr_array, pd.DataFrame], ["mlp", "linear", "lookup"]),
    ids=lambda value: getattr(value, "__name__", value),
)
def test_kinds_of_spaces_and_files(kind: Any, mapper: str, two: Two, tmp_path: Path) -> None:
    wide, narrow, y = two
    second = kind(narrow - 5000) if kind is not pd.DataFrame else pd.DataFrame(narrow, columns=list("abcd"))
    fitted = Clustering(4, **COMMON | {"mapper": mapper}).fit([wide, second])
    assert mapper != "linear" or adjusted_rand_score(y, fitted.labels_) > 0.9
    fitted.save(tmp_path / "file")
    again = icon.load(tmp_path / "file")
    assert np.array_equal(again.predict_proba([wide, second]), fitted.predict_proba([wide, second]))
    assert np.array_equal(fitted.predict([wide, second]), fitted.labels_)


@pytest.mark.parametrize(("in_fit", "later"), [(np.asarray, sp.csr_array), (sp.csr_array, np.asarray)])
def test_new_points_are_seen_as_those_of_the_fit_dense_or_sparse(in_fit: Any, later: Any, two: Two) -> None:
    wide, narrow, _ = two
    fitted = Clustering(4, **COMMON | {"max_iter": 5}).fit([wide, in_fit(narrow)])
    expected = fitted.predict_proba([wide, in_fit(narrow)])
    np.testing.assert_allclose(fitted.predict_proba([wide, later(narrow)]), expected, atol=1e-5)


def test_a_dataset_is_a_space(two: Two) -> None:
    wide, narrow, y = two
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(narrow))
    assert adjusted_rand_score(y, Clustering(4, **COMMON).fit_predict([dataset, wide])) > 0.9


def test_heads_see_spaces_of_equal_weight(two: Two) -> None:
    """Whatever their units, and however wide they are."""

    class Fitted:
        space_widths_ = np.array([12, 4])

    seen = side_by_side(Fitted(), two[:2], reset=True)
    for part in (seen[:, :12], seen[:, 12:]):
        assert part.mean(axis=0) == pytest.approx(0, abs=1e-6)
        assert np.square(part).sum(axis=1).mean() == pytest.approx(8, rel=1e-5)


def test_names_of_the_features_are_those_of_the_fit(two: Two) -> None:
    wide, narrow, _ = two
    table = pd.DataFrame(narrow, columns=list("abcd"))
    model = Clustering(4, **SHORT).fit([wide, table])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict([wide, table[list("bacd")]])


@pytest.mark.parametrize(
    "column",
    [*(pytest.param(column, marks=pytest.mark.slow) for column in ("gaussian", "pairs")), "student-t", "classes"],
)
def test_other_columns(column: str, two: Two) -> None:
    wide, narrow, y = two
    settings = COMMON | {"max_iter": 100, "hyper": {"perplexity": 30} if column == "gaussian" else None}
    fitted = Clustering(4, column, **settings).fit([wide, narrow], y)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9


def test_unknown_labels_follow_their_neighbours_in_both(two: Two) -> None:
    wide, narrow, y = two
    names = np.array(["a", "b", "c", "d"], dtype=object)[y]
    known = np.where(np.arange(200) % 25 < 4, names, None)
    fitted = Clustering(4, "classes", **COMMON).fit([wide, narrow], known)
    assert (fitted.labels_ == names).mean() > 0.95


@pytest.mark.parametrize("batch_size", [pytest.param(None, marks=pytest.mark.slow), 64])
def test_weights_and_batches(batch_size: int | None, two: Two) -> None:
    wide, narrow, y = two
    fitted = Clustering(4, batch_size=batch_size, **COMMON).fit([wide, narrow], sample_weight=np.linspace(1, 2, 200))
    assert adjusted_rand_score(y, fitted.labels_) > 0.9


def test_a_module_sees_them_side_by_side(two: Two) -> None:
    wide, narrow, y = two
    fitted = Clustering(4, **COMMON | {"mapper": nn.Linear(16, 4), "init": "k-means"}).fit([wide, narrow])
    assert adjusted_rand_score(y, fitted.labels_) > 0.9


def test_distances_in_two_spaces(two: Two) -> None:
    wide, narrow, y = two
    distances = [np.linalg.norm(x[:, None] - x, axis=2) for x in (wide, narrow)]
    fitted = Clustering(4, hyper={"metric": "precomputed"}, **COMMON).fit(distances)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9
    assert fitted.score(distances) > 0.25
    with pytest.raises(ValueError, match=r"^X: got shape \(5, 200\) with metric='precomputed'"):
        fitted.score([each[:5] for each in distances])


A, B = np.eye(20, 3), np.eye(20, 4)


@pytest.mark.parametrize(
    ("spaces", "error", "line"),
    [
        ([A, B[:9]], ValueError, "X: got spaces of 20, 9 points, expected the same points in each"),
        ([A, B[0]], ValueError, r"X\[1\]: Expected 2D array, got 1D array instead"),
        ([A, "text"], ValueError, r"X\[1\]: could not convert"),
        ([A, None], ValueError, r"X\[1\]: got None, expected features"),
        ([A, B[:, :0]], ValueError, r"X\[1\]: Found array with 0 feature"),
        ([np.where(A > 0, np.nan, 1), B], ValueError, r"X\[0\]: got NaN or infinity in rows 0, 1, 2"),
        ([A[:1], B[:1]], ValueError, r"X\[0\]: Found array with 1 sample"),
    ],
)
def test_bad_spaces(spaces: Any, error: type[Exception], line: str) -> None:
    with pytest.raises(error, match=rf"^{line}") as told:
        Clustering(2).fit(spaces)
    assert len(str(told.value).splitlines()) == 1


def test_other_spaces_than_in_the_fit(two: Two) -> None:
    wide, narrow, _ = two
    model = Clustering(4, **SHORT).fit([wide, narrow])
    for given, line in (
        (wide, "X: got 1 feature space, expected 2 as in fit"),
        ([wide], "X: got 1 feature space, expected 2 as in fit"),
        ([wide] * 3, "X: got 3 feature spaces, expected 2 as in fit"),
        ([narrow, wide], "X: got spaces of 4, 12 features, expected 12, 4 as in fit"),
    ):
        for use in (model.predict, model.score):
            with pytest.raises(ValueError, match=rf"^{line}"):
                use(given)
    with pytest.raises(ValueError, match=r"^X: got 2 feature spaces, expected 1 as in fit"):
        Clustering(4, **SHORT).fit(wide).predict([wide, narrow])


def test_spaces_on_disk_are_refused(two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    np.save(tmp_path / "x.npy", two[0])
    disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.raises(TypeError, match=r"^X\[1\]: got a large array on disk, expected several spaces in memory"):
        Clustering(4).fit([two[1], disk])
