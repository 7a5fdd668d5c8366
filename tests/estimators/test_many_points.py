"""Maps of more points than are laid out, or held, at once: landmarks, and features that lie on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness

import icon

X, Y = (array[:700] for array in load_digits(return_X_y=True))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.memmap[Any, Any]:
    """The digits in a file that is not read into memory."""
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    return np.load(tmp_path / "x.npy", mmap_mode="r")  # type: ignore[no-any-return]


@pytest.mark.parametrize("column", ["gaussian", "knn", "classes", "data-label"])
def test_a_mapper_learns_from_disk_what_it_learns_in_memory(column: str, disk: np.memmap[Any, Any]) -> None:
    model = icon.Embedding(row="gaussian", column=column, mapper="mlp", batch_size=64, max_iter=20, random_state=0)
    expected = model.fit(X.astype(np.float32), Y).embedding_
    found = model.fit(disk, Y)
    np.testing.assert_allclose(found.embedding_, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.transform(disk), found.embedding_, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"^X: got 63 features, expected 64 as in fit"):
        found.transform(disk[:, :63])


def test_a_step_over_all_points_is_refused_on_disk(disk: np.memmap[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"^batch_size: got None for an array on disk, expected the number of points"):
        icon.Embedding(mapper="mlp").fit(disk)


def test_free_points_take_their_features_into_memory(disk: np.memmap[Any, Any]) -> None:
    model = icon.Embedding(max_iter=5, random_state=0)
    assert np.array_equal(model.fit(disk).embedding_, model.fit(X.astype(np.float32)).embedding_)
    assert type(model.mapper_.features) is torch.Tensor


@pytest.mark.slow
def test_landmarks_are_laid_out_and_the_others_placed(disk: np.memmap[Any, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("icon.estimators.placing.BLOCK", 100)
    model = icon.Embedding(landmarks=400, max_iter=250, random_state=0)
    z = model.fit_transform(X.astype(np.float32))
    assert z.shape == (700, 2)
    assert trustworthiness(X, z) > 0.95
    alone = icon.Embedding(max_iter=250, random_state=0).fit(X[model.landmarks_].astype(np.float32))
    np.testing.assert_allclose(z[model.landmarks_], alone.embedding_)
    assert model.loss_ == alone.loss_
    np.testing.assert_allclose(model.fit(disk).embedding_, z, rtol=1e-4, atol=1e-4)


def test_landmarks_keep_the_names_of_columns_and_need_no_more_than_there_are_points() -> None:
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    model = icon.Embedding(landmarks=300, max_iter=5, random_state=0, row="gaussian", column="classes").fit(frame, Y)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert model.embedding_.shape == (700, 2)
    assert not hasattr(model.set_params(landmarks=700).fit(frame, Y), "landmarks_")


@pytest.mark.parametrize(
    ("settings", "target", "message"),
    [
        ({"landmarks": 1}, None, r"^landmarks: got 1, expected an integer >= 2"),
        ({"landmarks": 5, "column": "graph"}, np.eye(700)[::-1], r"^landmarks: got a number with p of all points"),
    ],
)
def test_landmarks_that_cannot_be_are_refused(settings: dict[str, Any], target: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        icon.Embedding(**settings).fit(X, target)


@pytest.mark.parametrize("wrong", [np.arange(1400) % 3, np.zeros(20), {1: 2}], ids=type)
def test_labels_and_weights_of_other_points_are_refused_before_landmarks_are_taken(wrong: Any) -> None:
    model = icon.Embedding(landmarks=100, max_iter=2, random_state=0)
    with pytest.raises((ValueError, TypeError), match=r"^sample_weight: got .*, expected"):
        model.fit(X, sample_weight=wrong)
    assert model.fit(X, wrong).embedding_.shape == (700, 2)  # of labels that p is not made from
    with pytest.raises(ValueError, match=r"^y: got .*, expected"):
        model.set_params(row="gaussian", column="classes").fit(X, wrong)


@pytest.mark.parametrize("column", ["knn", "gaussian"])
def test_weights_decide_how_often_a_batch_has_a_point(column: str) -> None:
    seen: list[np.ndarray] = []
    weights = np.where(np.arange(700) < 100, 1.0, 1e-9)
    start = np.arange(1400, dtype=np.float32).reshape(700, 2)
    icon.Embedding(
        row="gaussian", column=column, init=start, batch_size=32, max_iter=1, random_state=0,
        callback=lambda step, loss, z: seen.append(z),
    ).fit(X, sample_weight=weights)  # fmt: skip
    anchors = seen[0][:32, 0] / 2
    assert (anchors < 100).all()
