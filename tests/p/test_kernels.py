"""p from kernels of the features, against the definitions; bandwidths."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.manifold._t_sne import _joint_probabilities

import icon
from tests import dense
from tests.cases import assert_close, assert_same, digits, normal


def points(n: int, seed: int = 0, d: int = 3) -> np.ndarray:
    return normal(n, d, seed=seed).numpy()


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


def test_several_perplexities_have_the_average_of_their_gradients() -> None:
    z = torch.from_numpy(points(12, 1)[:, :2].copy())

    def gradient(*perplexities: float) -> torch.Tensor:
        x = torch.from_numpy(points(12, 0)).requires_grad_()
        p = icon.p.Gaussian(perplexity=perplexities, detach=False)  # type: ignore[arg-type]
        scores = icon.Loss(p, icon.q.StudentT()).terms(z, x).cross_entropy
        return torch.autograd.grad(scores, x)[0]

    torch.testing.assert_close(gradient(2.0, 5.0), (gradient(2.0) + gradient(5.0)) / 2)


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


@pytest.mark.parametrize("metric", ["sqeuclidean", "cityblock"])
def test_neighbours_of_another_set_without_the_one_of_the_same_index(metric: str) -> None:
    pair = normal(8, 3), normal(8, 3, seed=1)
    of_all = icon.p.Gaussian(sigma=1.0, exclude_self=True, n_neighbors=None, metric=metric)
    p = of_all(pair).to_dense()
    nearest = torch.where(p >= p.sort(dim=1).values[:, -3:-2], p, 0.0)
    assert_close(of_all.replace(n_neighbors=3)(pair).to_dense(), nearest / nearest.sum(dim=1, keepdim=True))
