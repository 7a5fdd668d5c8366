"""The number of clusters that is suggested, and the words about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import icon
from icon.estimators import suggest_n_clusters


def apart(groups: int, n: int = 400) -> np.ndarray:
    return 15 * np.eye(8)[np.arange(n) % groups] + np.random.default_rng(groups).normal(size=(n, 8))


@pytest.mark.parametrize("groups", [2, 3, 5, 8])
def test_groups_that_are_apart_are_counted(groups: int) -> None:
    found = suggest_n_clusters(apart(groups), 16)
    assert found.n_clusters == groups
    assert found.gaps[groups - 1] == found.gaps.max()
    assert len(found.eigenvalues) == 16
    assert found.eigenvalues[0] == pytest.approx(1)
    assert (found.gaps >= 0).all()
    assert "there may be none" not in found.note
    assert "maximum" not in found.note


def test_it_is_what_the_estimator_finds() -> None:
    x = np.random.default_rng(0).normal(size=(300, 3))
    fitted = icon.Clustering("auto", max_iter=1, n_init=1, random_state=7).fit(x)
    assert suggest_n_clusters(x, random_state=7).n_clusters == fitted.n_clusters_


def test_sparse_features_and_several_spaces() -> None:
    x = apart(3)
    assert suggest_n_clusters(sp.csr_array(x)).n_clusters == suggest_n_clusters([x, x[:, :4]]).n_clusters == 3


def test_a_maximum_that_is_too_small_is_told() -> None:
    found = suggest_n_clusters(apart(8), 5)
    assert found.n_clusters == 5
    assert found.note.endswith("at the maximum: try a larger max_clusters")


def test_few_points_by_default() -> None:
    found = suggest_n_clusters(apart(2, 24), n_neighbors=4)
    assert found.n_clusters == 2
    assert len(found.eigenvalues) <= 24


def test_one_blob_is_told() -> None:
    x = np.random.default_rng(0).normal(size=(500, 8))
    assert "hardly more than without clusters: there may be none" in suggest_n_clusters(x).note


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_clusters": 21}, "max_clusters: got 21, expected at most 20"),
        ({"max_clusters": 1}, "max_clusters: got 1,"),
        ({"max_clusters": 5, "n_neighbors": 20}, "n_neighbors: got 20, expected at most 19, the other points"),
        ({"max_clusters": 5, "metric": "manhattan"}, "metric: got 'manhattan' with n_clusters='auto', expected one of"),
        ({"max_clusters": 5, "walks": 0}, "walks: got 0"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        suggest_n_clusters(np.random.default_rng(0).normal(size=(20, 2)), **arguments)


def test_arguments_of_a_training_that_is_none() -> None:
    with pytest.warns(DeprecationWarning, match="max_iter: plays no part in suggest_n_clusters"):
        suggest_n_clusters(apart(3), max_iter=60)


@pytest.mark.parametrize(
    "setting", [torch.autocast("cpu", torch.bfloat16), torch.device("meta")], ids=["autocast", "meta"]
)
def test_settings_of_the_caller_do_not_matter(setting: Any) -> None:
    with setting:
        assert suggest_n_clusters(apart(3)).n_clusters == 3
