"""The number of clusters: counted where they are apart, few where there are none, and refused where it cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

import icon
from icon.estimators import counting
from icon.estimators.counting import count_clusters, walked

Array = NDArray[np.float64]


def blobs(sizes: list[int], dims: int, apart: float = 12.0, seed: int = 0) -> Array:
    """Gaussians about the corners of a simplex, or of a grid in two dimensions."""
    corners = apart * np.eye(len(sizes), dims) if dims > 2 else apart * np.array([divmod(i, 3) for i in range(9)])
    rng = np.random.default_rng(seed)
    return np.asarray(np.repeat(corners[: len(sizes)], sizes, axis=0) + rng.normal(size=(sum(sizes), dims)))


THREE = blobs([60, 60, 60], 4)


# -- the rule ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[100] * 2, [100] * 3, [80] * 5, [60] * 8])
@pytest.mark.parametrize("dims", [2, 8])
def test_clusters_that_are_apart_are_counted(sizes: list[int], dims: int) -> None:
    assert count_clusters(blobs(sizes, dims)).n_clusters == len(sizes)


@pytest.mark.parametrize("sizes", [[980, 20], [900, 60, 40], [300, 60, 40, 25]])
def test_clusters_of_unequal_sizes_are_counted(sizes: list[int]) -> None:
    assert count_clusters(blobs(sizes, 8)).n_clusters == len(sizes)


def test_modularity_alone_splits_what_has_few_dimensions() -> None:
    """And points without clusters tell that the parts are none."""
    found = count_clusters(blobs([300] * 3, 2))
    assert found.modular > 3
    assert found.distinct == found.n_clusters == 3


def test_points_on_a_line_are_not_split_beyond_the_highest_modularity() -> None:
    """Rings: the Gaussian fills the space around them, so that arcs, too, keep more within than its parts."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 600)
    planes = rng.normal(size=(3, 2, 20))
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = np.concatenate([part @ plane for part, plane in zip(np.split(circle, 3), planes, strict=True)])
    found = count_clusters(rings)
    assert found.modular < found.distinct
    assert found.n_clusters == found.modular


def test_one_blob_is_hardly_more_than_without_clusters() -> None:
    one, three = count_clusters(blobs([500], 8)), count_clusters(THREE)
    assert abs(one.stays - one.without) < 0.02
    assert three.stays - three.without > 0.1


@pytest.mark.parametrize(("n", "expected"), [(2, 2), (7, 2), (39, 2)])
def test_few_points_have_two(n: int, expected: int) -> None:
    x = np.random.default_rng(0).normal(size=(n, 3))
    assert count_clusters(x, n_neighbors=min(10, n - 1)).n_clusters == expected


def test_few_distinct_points_are_clusters() -> None:
    assert [count_clusters(np.repeat(np.eye(k), 40, axis=0)).n_clusters for k in (2, 3, 8)] == [2, 3, 8]


def test_equal_points_are_one() -> None:
    assert count_clusters(np.ones((50, 3))).n_clusters == 1


def test_the_most_clusters() -> None:
    x = blobs([60] * 8, 8)
    assert count_clusters(x, most=5).n_clusters == 5
    assert count_clusters(x, n_neighbors=40).n_clusters <= 480 // 80


def test_scale_and_place_do_not_matter() -> None:
    for x in (1e150 * THREE, 1e-150 * THREE, THREE + 1e4):
        assert count_clusters(x).n_clusters == 3


def test_cosine_sees_directions() -> None:
    """Two rays: by their lengths they are spread, by their directions they are two."""
    rng = np.random.default_rng(0)
    rays = np.repeat(np.eye(2, 5), 100, axis=0) + 0.02 * rng.normal(size=(200, 5))
    x = rays * rng.uniform(1, 100, size=(200, 1))
    for unit in (1.0, 1e-30, 1e-200, 1e200):
        assert count_clusters(unit * x, metric="cosine").n_clusters == 2


def test_of_many_points_some_are_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(counting, "SUBSET", 90)
    seen: list[int] = []
    searched = counting.knn_rows
    monkeypatch.setattr(counting, "knn_rows", lambda x, *rest: seen.append(len(x)) or searched(x, *rest))
    np.save(tmp_path / "x.npy", THREE)
    for x in (THREE, torch.from_numpy(THREE), np.load(tmp_path / "x.npy", mmap_mode="r")):
        assert count_clusters(x, n_neighbors=8).n_clusters == 3
    assert set(seen) == {90}


def test_walks_from_parts() -> None:
    """On a path of three points the first walk always leaves the part of the ends, and the second one comes back."""
    graph = sp.csr_array(np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]))
    ends = np.array([0, 1, 0])
    one = [[0, 1 / 2], [1 / 2, 0]]
    assert walked(graph, ends, 1) == pytest.approx(np.array(one))
    two = np.array([[2 / 3, 0], [0, 1 / 3]])
    assert walked(graph, ends, 2) == pytest.approx((np.array(one) + two) / 2)
    alone = sp.csr_array(np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    assert walked(alone, np.array([0, 0, 1]), 3) == pytest.approx(np.array([[1.0, 0], [0, 0]]))


def test_the_walk_between_small_clusters_has_an_eigenvalue_of_one_per_part() -> None:
    values = np.linalg.eigvalsh(count_clusters(THREE).walk)
    assert values[-3:] == pytest.approx(1)
    assert values[-4] < 0.99


# -- of the estimator --------------------------------------------------------------------------------------------------


def fitted(x: object, **arguments: object) -> icon.Clustering:
    settings = {"max_iter": 30, "n_init": 1, "random_state": 0} | arguments
    return icon.Clustering("auto", **settings).fit(x)


def test_an_estimator_that_finds_the_number(tmp_path: Path) -> None:
    found = fitted(THREE)
    assert found.n_clusters == "auto"
    assert found.n_clusters_ == 3
    assert icon.metrics.ari(np.repeat(np.arange(3), 60), found.labels_) == 1
    assert found.probabilities_.shape == found.predict_proba(THREE).shape == (180, 3)
    assert found.classes_.tolist() == [0, 1, 2]
    assert icon.diagnose(found).n_clusters == 3
    assert found.score(THREE) == pytest.approx(np.log(3))
    assert (fitted(THREE).labels_ == found.labels_).all()
    found.save(tmp_path / "found")
    again = icon.load(tmp_path / "found")
    assert (again.n_clusters, again.n_clusters_) == ("auto", 3)
    assert (again.predict(THREE) == found.labels_).all()


def test_a_number_that_is_given_is_kept(tmp_path: Path) -> None:
    """Files of older versions do not have it."""
    found = icon.Clustering(4, max_iter=5, n_init=1, random_state=0).fit(THREE)
    assert found.n_clusters_ == 4
    del found.n_clusters_
    found.save(tmp_path / "older")
    assert icon.load(tmp_path / "older").n_clusters_ == 4


def test_few_points_have_fewer_neighbours() -> None:
    with pytest.warns(UserWarning, match=r"^n_neighbors: lowered from 10 to 3 for 8 points$"):
        assert fitted(THREE[:8]).n_clusters_ == 2


@pytest.mark.parametrize("x", [sp.csr_array(THREE), [THREE, THREE[:, :2]], torch.from_numpy(THREE).float()])
def test_features_of_every_kind(x: object) -> None:
    assert fitted(x, mapper="linear", init="random").n_clusters_ == 3


@pytest.mark.parametrize("arguments", [
    pytest.param({"column": "gaussian"}, marks=pytest.mark.slow), {"mapper": "lookup"},
    {"mapper": "lookup", "hyper": {"metric": "cosine"}},
    pytest.param({"hyper": {"metric": "cosine"}}, marks=pytest.mark.slow),
])  # fmt: skip
def test_other_columns_mappers_and_metrics(arguments: dict[str, object]) -> None:
    assert fitted(THREE, **arguments).n_clusters_ == 3


def test_a_checkpoint_is_of_a_number(tmp_path: Path) -> None:
    whole = fitted(THREE, max_iter=120, checkpoint=tmp_path / "run")
    again = fitted(THREE, max_iter=120, checkpoint=tmp_path / "run")
    assert (again.labels_ == whole.labels_).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": "many"}, "n_clusters: got 'many', expected a number or 'auto'"),
        ({"column": "pairs"}, "n_clusters: got 'auto' with column='pairs', expected a number"),
        ({"column": "graph"}, "n_clusters: got 'auto' with column='graph', expected a number"),
        ({"column": "classes"}, "n_clusters: got 'auto' with column='classes', expected a number"),
        ({"hyper": {"metric": "precomputed"}}, "n_clusters: got 'auto' with metric='precomputed', expected a number"),
        ({"hyper": {"metric": "manhattan"}}, "metric: got 'manhattan' with n_clusters='auto', expected one of"),
        ({"mapper": torch.nn.Linear(4, 3)}, "n_clusters: got 'auto' with a mapper of your own, expected a number"),
        ({"batch_size": 2}, r"batch_size: got 2, expected from 3 \(n_clusters\) to 180 \(points\)"),
    ],
)
def test_what_does_not_go_together(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        icon.Clustering(**{"n_clusters": "auto", **arguments}).fit(THREE, np.arange(180) % 3)
