"""p from features, against the definitions; bandwidths, ties, degenerate data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.manifold._t_sne import _joint_probabilities
from sklearn.neighbors import kneighbors_graph

import icon
from icon.p.base import Sets
from tests import dense
from tests.cases import assert_close, assert_same, digits, normal

seeds = st.integers(0, 10_000)


def points(n: int, seed: int = 0, d: int = 3) -> np.ndarray:
    return normal(n, d, seed=seed).numpy()


# -- Gaussian ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exclude_self", [True, False])
def test_gaussian_of_a_perplexity(exclude_self: bool) -> None:
    x = digits(40)[0]
    mask = dense.others(40) if exclude_self else dense.everyone(40)
    p = icon.p.Gaussian(perplexity=12, exclude_self=exclude_self)(x).to_dense()
    assert_close(p, dense.p_gaussian(x, 12, mask), rtol=1e-9)


def test_symmetrised_gaussian_is_scikit_learns() -> None:
    x = digits(60)[0]
    rows = icon.p.Gaussian(perplexity=10).symmetrize()(x)
    condensed = _joint_probabilities(dense.distances(x).astype(np.float32), 10, 0)
    joint = (rows.anchor_marginal[:, None] * rows.to_dense())[tuple(np.triu_indices(60, 1))]
    assert_close(joint, condensed, rtol=1e-4)  # scikit-learn bisects to 1e-5


@pytest.mark.parametrize("sigma", [1e-3, 0.5, 30.0])
def test_gaussian_of_a_sigma(sigma: float) -> None:
    x = points(12)
    p = icon.p.Gaussian(sigma=sigma)(x).to_dense()
    assert_close(p, dense.softmax_rows(-dense.distances(x) / (2 * sigma**2), dense.others(12)), rtol=1e-8)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_gaussian_of_a_similarity(metric: str) -> None:
    x = points(12)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "cosine" else x
    p = icon.p.Gaussian(temperature=0.3, metric=metric)(x).to_dense()
    assert_close(p, dense.softmax_rows(unit @ unit.T / 0.3, dense.others(12)), rtol=1e-10)


def test_gaussian_between_two_sets_has_self_among_its_candidates() -> None:
    a, b = points(6), points(9, 1)
    p = icon.p.Gaussian(sigma=0.8)((a, b)).to_dense()
    assert_close(p, dense.softmax_rows(-dense.distances(a, b) / 1.28, dense.everyone(6, 9)), rtol=1e-10)


def test_gaussian_over_the_nearest_only() -> None:
    x = points(20)
    rows = icon.p.Gaussian(sigma=0.8, n_neighbors=5)(x)
    near = dense.p_knn(x, 5) > 0
    assert rows.n_edges == 100
    assert_close(rows.to_dense(), dense.softmax_rows(-dense.distances(x) / 1.28, near), rtol=1e-10)
    sparse = icon.p.Gaussian(perplexity=3, n_neighbors=9)(x)
    assert_close(sparse.entropy().exp(), np.full(20, 3.0), rtol=1e-9)


@pytest.mark.parametrize("k", [18, 19])
def test_all_neighbours_are_the_exact_p(k: int) -> None:
    x = points(20)
    sparse = icon.p.Gaussian(sigma=0.8, n_neighbors=19)(x).to_dense()
    assert_close(sparse, icon.p.Gaussian(sigma=0.8)(x).to_dense(), rtol=1e-12)
    assert icon.p.Gaussian(sigma=0.8, n_neighbors=k)(x).n_edges == 20 * k


def test_default_perplexity() -> None:
    x = digits(50)[0]
    assert_close(icon.p.Gaussian()(x).to_dense(), icon.p.Gaussian(perplexity=30)(x).to_dense())


# -- Student-t --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dof", [0.5, 1.0, 7.0, 100.0])
def test_student_t(dof: float) -> None:
    x = points(12)
    assert_close(icon.p.StudentT(dof=dof)(x).to_dense(),
                 dense.p_student_t(x, dof, dense.others(12)), rtol=1e-11)  # fmt: skip


def test_student_t_scale() -> None:
    x = points(12)
    assert_close(icon.p.StudentT(dof=2.0, sigma=3.0)(x).to_dense(), icon.p.StudentT(dof=2.0)(x / 3).to_dense())


def test_student_t_of_many_degrees_is_gaussian() -> None:
    x = points(12)
    assert_close(icon.p.StudentT(dof=1e8)(x).to_dense(), icon.p.Gaussian(sigma=1.0)(x).to_dense(), rtol=1e-6)


# -- k nearest neighbours ---------------------------------------------------------------------------------------------


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


# -- degenerate and difficult data ------------------------------------------------------------------------------------

SPATIAL: list[Any] = [
    icon.p.Gaussian(perplexity=5),
    icon.p.Gaussian(sigma=0.7),
    icon.p.Gaussian(perplexity=3, n_neighbors=6),
    icon.p.StudentT(dof=1.0),
    icon.p.KNN(n_neighbors=6),
]


@pytest.mark.parametrize("p", SPATIAL, ids=repr)
@pytest.mark.parametrize("shift", [0.0, 1e3, 1e6, -1e7])
def test_p_does_not_see_a_translation(p: Any, shift: float) -> None:
    """A timestamp or a coordinate among the features must not eat the digits."""
    x = np.round(points(20), 3)
    assert_close(p(x + shift).to_dense(), p(x).to_dense(), rtol=1e-6)


@pytest.mark.parametrize("p", SPATIAL, ids=repr)
@pytest.mark.parametrize("factor", [1e-100, 1e-6, 1e6, 1e100])
def test_p_of_a_perplexity_or_neighbours_does_not_see_units(p: Any, factor: float) -> None:
    scaled = p
    if getattr(p, "sigma", None) is not None:
        scaled = type(p)(**{**p.hyper_parameters(), "sigma": p.sigma * factor})
    assert_close(scaled(points(20) * factor).to_dense(), p(points(20)).to_dense(), rtol=1e-6)


@pytest.mark.parametrize("p", SPATIAL, ids=repr)
@pytest.mark.parametrize("kind", ["constant", "one-hot", "two values", "one outlier", "duplicates"])
def test_degenerate_features_give_distributions(p: Any, kind: str) -> None:
    x = {
        "constant": np.ones((12, 3)),
        "one-hot": np.eye(12),
        "two values": np.repeat([[0.0, 0], [1, 1]], 6, axis=0),
        "one outlier": np.vstack([np.zeros((11, 2)), [[1e9, 0]]]),
        "duplicates": np.repeat(points(3), 4, axis=0),
    }[kind]
    rows = p(x)
    assert torch.isfinite(rows.to_dense()).all()
    assert_close(rows.to_dense().sum(dim=1), np.ones(12), rtol=1e-12)
    assert torch.isfinite(rows.entropy()).all()


def test_constant_features_are_uniform() -> None:
    assert_close(icon.p.Gaussian(perplexity=4)(np.ones((9, 2))).to_dense(), dense.others(9) / 8, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64])
@pytest.mark.parametrize("p", SPATIAL, ids=repr)
def test_features_of_every_dtype(p: Any, dtype: torch.dtype) -> None:
    x = (normal(20, 3) * 4).round().to(dtype)
    assert_close(p(x).to_dense(), p(x.double()).to_dense(), rtol=1e-12)


def test_rows_do_not_hold_the_features_graph() -> None:
    x = normal(12, 3, grad=True)
    for p in SPATIAL:
        assert not p(x).requires_grad
    assert icon.p.Gaussian(sigma=1.0, detach=False)(x).requires_grad


def test_numpy_scalars_are_numbers() -> None:
    x = points(12)
    for number in (np.float64(5), np.float32(5), np.int64(5)):
        assert_close(icon.p.Gaussian(perplexity=number)(x).to_dense(), icon.p.Gaussian(perplexity=5)(x).to_dense())
    assert icon.p.KNN(n_neighbors=np.int64(5))(x).n_edges == 60
    assert_close(icon.p.KNN(n_neighbors=5).debias(np.float32(0.25))(x).to_dense(),
                 icon.p.KNN(n_neighbors=5).debias(0.25)(x).to_dense(), rtol=1e-7)  # fmt: skip


def test_several_perplexities_have_the_average_of_their_gradients() -> None:
    z = torch.from_numpy(points(12, 1)[:, :2].copy())

    def gradient(*perplexities: float) -> torch.Tensor:
        x = torch.from_numpy(points(12, 0)).requires_grad_()
        p = icon.p.Gaussian(perplexity=perplexities, detach=False)  # type: ignore[arg-type]
        scores = icon.Loss(p, icon.q.StudentT()).terms(z, x).cross_entropy
        return torch.autograd.grad(scores, x)[0]

    torch.testing.assert_close(gradient(2.0, 5.0), (gradient(2.0) + gradient(5.0)) / 2)


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
@pytest.mark.parametrize(
    "p",
    [
        lambda scale: icon.p.KNN(7),
        lambda scale: icon.p.KNN(7, metric="cosine"),
        lambda scale: icon.p.Gaussian(perplexity=5),
        lambda scale: icon.p.Gaussian(perplexity=5, n_neighbors=20),
        lambda scale: icon.p.Gaussian(temperature=0.5, metric="cosine", center=True, n_neighbors=20),
        lambda scale: icon.p.Gaussian(sigma=scale, n_neighbors=9, exclude_self=False),
        lambda scale: icon.p.StudentT(sigma=scale, n_neighbors=20),
    ],
)
def test_features_on_disk_give_the_p_of_those_in_memory(p: Any, scale: float, tmp_path: Path) -> None:
    """They are read a block at a time, in one unit for all blocks."""
    x = scale * np.random.default_rng(0).normal(size=(60, 4))
    np.save(tmp_path / "x.npy", x)
    disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    found, expected = (p(scale)(given).to_scipy() for given in (disk, x))
    assert abs(found - expected).max() < 1e-12


def test_features_on_disk_have_as_many_rows_as_the_input(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"^features: got 5 rows, expected 6"):
        icon.p.KNN(2)(np.load(tmp_path / "x.npy", mmap_mode="r"), Sets(6, 6))


def test_far_candidates_keep_their_logarithm_in_the_joint_form() -> None:
    """Masses of exp(-100,000) are 0, and under the reverse KL their logarithm is all that counts."""
    x, z = 30 * normal(20, 3), normal(20, 2, seed=1).requires_grad_()
    others = ~torch.eye(20, dtype=torch.bool)
    logs = (-(torch.cdist(x, x) ** 2) / (2 * 0.05**2)).masked_fill(~others, -torch.inf).log_softmax(dim=1)
    joint = torch.logaddexp(logs, logs.T) - math.log(2 * 20)
    scores = -torch.log1p(torch.cdist(z, z) ** 2)
    log_q = scores[others] - scores[others].logsumexp(dim=0)
    expected = (log_q.exp() * (log_q - joint[others])).sum()
    loss = icon.Loss(icon.p.Gaussian(sigma=0.05), icon.q.StudentT(), normalization="joint", divergence="reverse-kl")
    assert_same(loss(z, x), expected, [z], rtol=1e-9)


@pytest.mark.parametrize("p", [icon.p.KNN(2), icon.p.Gaussian(perplexity=3), icon.p.StudentT()], ids=repr)
def test_a_pair_of_one_size_is_two_sets(p: icon.p.Distribution) -> None:
    """Also where it is prepared alone; one set of points has no pair."""
    x, y, z = normal(8, 3), normal(8, 3, seed=1), normal(8, 2, seed=2)
    loss, rows = icon.Loss(p, icon.q.Gaussian()), p((x, y))
    assert rows.support == icon.Support(8, 8)
    assert loss((z, z + 1), rows) == loss((z, z + 1), (x, y))
    with pytest.raises(ValueError, match=r"^features: got a pair for one set of points, expected one matrix"):
        loss(z, (x, y))


def test_a_neighbour_of_the_other_set_is_not_excluded() -> None:
    x = normal(8, 3)
    with pytest.raises(ValueError, match=r"^exclude_self: got True where i matches i of the other set"):
        icon.p.KNN(2, exclude_self=True)((x, x + 0.01))


@pytest.mark.parametrize("metric", ["sqeuclidean", "cityblock"])
def test_neighbours_of_another_set_without_the_one_of_the_same_index(metric: str) -> None:
    pair = normal(8, 3), normal(8, 3, seed=1)
    of_all = icon.p.Gaussian(sigma=1.0, exclude_self=True, n_neighbors=None, metric=metric)
    p = of_all(pair).to_dense()
    nearest = torch.where(p >= p.sort(dim=1).values[:, -3:-2], p, 0.0)
    assert_close(of_all.replace(n_neighbors=3)(pair).to_dense(), nearest / nearest.sum(dim=1, keepdim=True))
