"""Nearest neighbours: exact against scikit-learn and `icon.p.KNN`, approximate by the recall it reports."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

import icon
from icon.neighbors import approximate, blocks, exact_neighbors, nearest_neighbors, search
from icon.p.knn import knn_rows


def blobs(n: int = 3000, d: int = 16, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(10, d))[rng.integers(10, size=n)] * 3 + rng.normal(size=(n, d))


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_exact_is_exact(metric: str, dtype: str) -> None:
    x = (blobs(700) + 50).astype(dtype)
    found = nearest_neighbors(x, 7, "exact", metric)
    assert found.recall is None
    assert found.indices.dtype == np.int64
    peer = NearestNeighbors(n_neighbors=7, metric=metric, algorithm="brute").fit(x.astype(np.float64))
    assert (np.sort(found.indices) == np.sort(peer.kneighbors()[1])).all()


@given(st.integers(2, 60), st.integers(1, 8), st.integers(0, 10**6), st.sampled_from(["sqeuclidean", "cosine"]))
def test_rows_are_those_of_knn(n: int, d: int, seed: int, metric: str) -> None:
    rng = np.random.default_rng(seed)
    x, k = rng.normal(size=(n, d + 1)), int(rng.integers(1, n))
    rows, recall = knn_rows(x, k, metric=metric)
    expected = icon.p.KNN(k, metric)(x)
    assert recall is None
    assert rows.support == expected.support
    assert torch.equal(rows.masses.indices, expected.masses.indices)
    assert torch.equal(rows.to_dense(), expected.to_dense())


def test_ties_go_to_the_smaller_index_and_self_is_left_out() -> None:
    grid = np.stack(np.meshgrid(range(4), range(4)), axis=-1).reshape(-1, 2)
    x = np.concatenate([grid, grid])
    assert (nearest_neighbors(x, 5).indices != np.arange(32)[:, None]).all()
    rows, _ = knn_rows(x, 5)
    assert torch.equal(rows.masses.indices, icon.p.KNN(5)(x).masses.indices)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x = blobs(500)
    whole = nearest_neighbors(x, 9).indices
    monkeypatch.setattr(blocks, "QUERIES", 37)
    monkeypatch.setattr(blocks, "CANDIDATES", 11)
    monkeypatch.setattr(blocks, "TILE", 5)
    assert (nearest_neighbors(x, 9).indices == whole).all()


def test_rounding_of_wide_features_is_allowed_for() -> None:
    """Rows of one number, whose products round each term alike: eleven others score better than the nearest."""
    d, base = 320, 63 / 64
    query = torch.full((32, d), base)
    numbers = base - torch.linspace(0.2, 6, 4000) * 2**-8
    halves = numbers[:, None].expand(-1, d) / 2  # as the search has them
    scores = (query @ halves.T)[0] - halves.square().sum(dim=1)
    error = scores.double() - (base * halves.double() - halves.double().square()).sum(dim=1)
    for which in error.argsort()[:200].tolist():
        near = numbers[which].expand(1, d)
        distance = float((near.double() - base).square().sum())
        # So many numbers less by 1 / 64 are hardly farther away, and so many as far as the nearest seems to be.
        changed, most = int(distance * 64**2) + 1, int((distance - 4 * float(error[which])) * 64**2)
        others = torch.full((11, d), base)
        others[0, :changed] -= 1 / 64
        others[1:, : max(changed, most)] -= 1 / 64
        points = torch.cat([others, near])
        points = torch.cat([points, -points, torch.ones(1, d), -torch.ones(1, d)])  # of mean 0
        exact = (points.double() - base).square().sum(dim=1)
        found, _ = exact_neighbors(query, points, 1)
        assert int(found[0]) == int(exact.argmin())


@pytest.mark.parametrize("library", ["faiss", pytest.param("pynndescent", marks=pytest.mark.slow)])
@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
def test_approximate_reports_its_recall(library: str, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    monkeypatch.setattr(search, "approximate_library", lambda: library)
    x = blobs(4000).astype(np.float32)
    found = nearest_neighbors(x, 10, "approximate", metric, seed=3)
    assert found.recall is not None
    assert found.recall >= 0.9
    assert found.indices.shape == (4000, 10)
    assert (found.indices != np.arange(4000)[:, None]).all()
    assert (np.diff(np.sort(found.indices), axis=1) > 0).all()
    exact = nearest_neighbors(x, 10, "exact", metric).indices
    hits = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found.indices, exact, strict=True)])
    assert abs(hits - found.recall) < 0.03
    assert (nearest_neighbors(x, 10, "approximate", metric, seed=3).indices == found.indices).all()


def test_the_order_of_an_approximate_search_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    x = blobs(3000).astype(np.float32)
    whole = nearest_neighbors(x, 9, "approximate").indices
    monkeypatch.setattr(approximate, "REGION", 700)
    monkeypatch.setattr(blocks, "CANDIDATES", 100)
    assert (nearest_neighbors(x, 9, "approximate").indices == whole).all()


@pytest.mark.parametrize("factor", [1e-200, 1e-9, 1e30, 1e200])
def test_an_approximate_search_minds_neither_units_nor_order(factor: float) -> None:
    pytest.importorskip("faiss")
    x = blobs(300)
    expected = nearest_neighbors(x, 5).indices
    found = nearest_neighbors(np.asfortranarray(factor * x), 5, "approximate")
    assert found.recall == pytest.approx((found.indices == expected).mean(), abs=0.01)
    assert found.recall > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["sqeuclidean", "cityblock"])
def test_an_approximate_search_of_sparse_features_does_not_mind_units(metric: str) -> None:
    x = sp.random(400, 50, density=0.2, random_state=0, format="csr")
    plain, small = (nearest_neighbors(part, 5, "approximate", metric) for part in (x, 2.0**-46 * x))
    assert plain.recall == pytest.approx(small.recall, abs=0.01)
    assert (plain.indices == small.indices).mean() > 0.99


@pytest.mark.parametrize("library", ["faiss", pytest.param("pynndescent", marks=pytest.mark.slow)])
def test_duplicates_and_few_points(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    monkeypatch.setattr(search, "approximate_library", lambda: library)
    x = np.repeat(blobs(40), 5, axis=0)
    found = nearest_neighbors(x, 3, "approximate")
    assert (found.indices // 5 == np.arange(200)[:, None] // 5).mean() > 0.9
    assert (found.indices != np.arange(200)[:, None]).all()
    tiny = nearest_neighbors(blobs(6), np.int64(5), "approximate")
    assert tiny.recall == 1
    assert (np.sort(tiny.indices) == np.sort(nearest_neighbors(blobs(6), 5).indices)).all()


def test_a_memmap_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(3000, 256)).astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    for name in ("QUERIES", "CANDIDATES", "GATHERED"):
        monkeypatch.setattr(blocks, name, 128)
    tracemalloc.start()
    found = nearest_neighbors(np.load(tmp_path / "x.npy", mmap_mode="r"), 5, "exact")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * x.size  # bytes: less than the features in half precision
    monkeypatch.undo()
    assert (found.indices == nearest_neighbors(x, 5, "exact").indices).all()


def test_automatic_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    x = blobs(300)
    assert nearest_neighbors(x, 5).recall is None
    monkeypatch.setattr(search, "EXACT_UP_TO", 299)
    monkeypatch.setattr(approximate, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'icon-loss\[neighbors\]'"):
        nearest_neighbors(x, 5)
    assert nearest_neighbors(x, 5, "exact").recall is None


@pytest.mark.parametrize(
    ("x", "k", "arguments", "message"),
    [
        (blobs(5), 5, {}, "n_neighbors: got 5, expected less than the number of points, 5"),
        (blobs(5), 0, {}, "n_neighbors: got 0"),
        (np.full((3, 2), np.nan), 1, {}, "features: got NaN or infinity in rows 0, 1, 2"),
        (
            np.full((3, 2), 1.5e308),
            1,
            {},
            r"features: got numbers up to 1.5e\+308, expected sums of them that are finite",
        ),
        (np.zeros(3), 1, {}, r"features: got shape \(3,\)"),
        (np.zeros((3, 0)), 1, {}, r"features: got shape \(3, 0\)"),
        (blobs(5), 2, {"search": "aproximate"}, "search: got 'aproximate' .did you mean 'approximate'"),
        (blobs(5), 2, {"metric": "dot"}, "metric: got 'dot'"),
    ],
)
def test_bad_input(x: np.ndarray, k: int, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{message}"):
        nearest_neighbors(x, k, **arguments)
    with pytest.raises(TypeError, match=r"^features: got dtype"):
        nearest_neighbors(np.array([["a"], ["b"]]), 1)


@pytest.mark.parametrize(
    ("width", "k", "metric", "message"),
    [
        (2, 1, "euclidean", "metric: got 'euclidean'"),
        (2, 0, "dot", "k: got 0"),
        (2, 6, "cosine", "k: got 6, expected at most 5"),
        (3, 1, "sqeuclidean", "queries: got shapes"),
    ],
)
def test_exact_neighbors_refuse_what_they_cannot_find(width: int, k: int, metric: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{message}"):
        exact_neighbors(np.eye(4, width), np.eye(5, 2), k, metric)
