"""p of the nearest neighbours, against the definition; ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import kneighbors_graph

import icon
from tests import dense
from tests.cases import assert_close, digits, normal

seeds = st.integers(0, 10_000)


def points(n: int, seed: int = 0, d: int = 3) -> np.ndarray:
    return normal(n, d, seed=seed).numpy()


@given(n=st.integers(3, 20), seed=seeds)
def test_knn(n: int, seed: int) -> None:
    k = 1 + seed % (n - 1)
    rows = icon.p.KNN(n_neighbors=k)(points(n, seed))
    assert_close(rows.to_dense(), dense.p_knn(points(n, seed), k), rtol=1e-15)
    assert rows.n_edges == n * k


def test_knn_is_scikit_learns() -> None:
    x = points(60, d=8)
    expected = kneighbors_graph(x, 7, mode="connectivity").toarray() / 7
    assert_close(icon.p.KNN(n_neighbors=7)(x).to_dense(), expected)


def test_ties_go_to_the_smaller_index() -> None:
    """Pixels of the digits are integers, so ties are exact."""
    x = digits(120)[0] * 16
    assert torch.equal(icon.p.KNN(n_neighbors=10)(x).to_dense() > 0, torch.from_numpy(dense.p_knn(x, 10) > 0))
    grid = np.array([[0.0], [1], [2], [3], [4]])
    assert icon.p.KNN(n_neighbors=1)(grid).to_dense().argmax(dim=1).tolist() == [1, 0, 1, 2, 3]


def test_knn_by_cosine() -> None:
    x = points(20)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert_close(icon.p.KNN(n_neighbors=4, metric="cosine")(x).to_dense(), dense.p_knn(unit, 4))


def test_knn_between_two_sets() -> None:
    a, b = points(5), points(9, 1)
    expected = np.zeros((5, 9))
    np.put_along_axis(expected, np.argsort(dense.distances(a, b), axis=1)[:, :3], 1 / 3, axis=1)
    assert_close(icon.p.KNN(n_neighbors=3)((a, b)).to_dense(), expected)


def test_knn_with_self_in_the_support_is_still_of_others() -> None:
    x = points(12)
    rows = icon.p.KNN(n_neighbors=3, exclude_self=False)(x)
    assert not rows.support.exclude_self
    assert_close(rows.to_dense(), dense.p_knn(x, 3))


def test_a_neighbour_of_the_other_set_is_not_excluded() -> None:
    x = normal(8, 3)
    with pytest.raises(ValueError, match=r"^exclude_self: got True where i matches i of the other set"):
        icon.p.KNN(2, exclude_self=True)((x, x + 0.01))
