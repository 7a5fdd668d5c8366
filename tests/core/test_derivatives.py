"""Gradients by the points, by p and by parameters, and second derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import icon
from tests import dense
from tests.cases import Bilinear, N, assert_close, assert_same, gradients, normal, reweighted

pytestmark = pytest.mark.usefixtures("each_evaluator")

BLOCKS = (1, 7, N, None)
LEARNED = [
    icon.q.Gaussian(temperature=0.5),
    icon.q.Gaussian(sigma=0.7),
    icon.q.StudentT(3.0),
    icon.q.Clusters(leak=0.1),
    icon.q.Gaussian(partition="second-order", sigma=0.7),
]
MASK = torch.as_tensor(dense.others(N))


def torch_gaussian(x: Tensor, sigma: float) -> Tensor:
    return dense.gaussian_scores(x, x, "sqeuclidean", sigma).masked_fill(~MASK, -torch.inf).softmax(dim=1)


@pytest.mark.parametrize("block", BLOCKS)
def test_gradient_through_a_gaussian_p(block: int | None) -> None:
    z, x = normal(N, 2, grad=True), normal(N, 4, seed=1, grad=True)
    loss = icon.Loss(icon.p.Gaussian(sigma=1.3, detach=False), icon.q.Gaussian(sigma=0.8), block=block)
    expected = dense.row_kl(dense.gaussian_scores(z, z, "sqeuclidean", 0.8), torch_gaussian(x, 1.3), MASK).mean()
    assert_same(loss(z, x), expected, [z, x])


def test_gradient_through_a_student_t_p() -> None:
    z, x = normal(N, 2, grad=True), normal(N, 4, seed=1, grad=True)
    loss = icon.Loss(icon.p.StudentT(dof=2.0, detach=False), icon.q.StudentT(), block=5)
    p = dense.student_t_scores(x, x, 2.0).masked_fill(~MASK, -torch.inf).softmax(dim=1)
    assert_same(loss(z, x), dense.row_kl(dense.student_t_scores(z, z, 1.0), p, MASK).mean(), [z, x])


def test_gradient_through_a_debiased_p() -> None:
    z, x = normal(N, 2, grad=True), normal(N, 4, seed=1, grad=True)
    loss = icon.Loss(icon.p.Gaussian(sigma=1.3, detach=False).debias(0.3), icon.q.StudentT(), block=5)
    p = 0.7 * torch_gaussian(x, 1.3) + 0.3 * MASK.double() / (N - 1)
    assert_same(loss(z, x), dense.row_kl(dense.student_t_scores(z, z, 1.0), p, MASK).mean(), [z, x])


def test_gradient_through_precomputed_rows_with_zeros() -> None:
    z, logits = normal(N, 2, grad=True), normal(N, N, seed=1, grad=True)
    kept = torch.from_numpy(np.random.default_rng(0).random((N, N)) < 0.6) & MASK

    def rows() -> Tensor:
        return logits.masked_fill(~kept, -torch.inf).softmax(dim=1)

    loss = icon.Loss(icon.p.Precomputed(detach=False), icon.q.StudentT(), block=5)
    expected = dense.row_kl(dense.student_t_scores(z, z, 1.0), rows(), MASK).mean()
    assert_same(loss(z, rows()), expected, [z, logits])


def test_gradient_through_the_nearest_neighbours_of_p() -> None:
    z, x = normal(N, 2, grad=True), normal(N, 4, seed=1, grad=True)
    loss = icon.Loss(icon.p.Gaussian(sigma=1.3, n_neighbors=5, detach=False), icon.q.StudentT(), block=5)
    near = torch.as_tensor(dense.p_knn(x.detach().numpy(), 5) > 0)
    p = dense.gaussian_scores(x, x, "sqeuclidean", 1.3).masked_fill(~near, -torch.inf).softmax(dim=1)
    assert_same(loss(z, x), dense.row_kl(dense.student_t_scores(z, z, 1.0), p, MASK).mean(), [z, x])


@pytest.mark.parametrize("n_neighbors", [None, 5])
def test_gradient_through_p_under_joint_normalisation_is_right_or_refused(n_neighbors: int | None) -> None:
    z, x = normal(N, 2, grad=True), normal(N, 4, seed=1, grad=True)
    p = icon.p.Gaussian(sigma=1.3, n_neighbors=n_neighbors, detach=False)
    try:
        value = icon.Loss(p, icon.q.StudentT(), normalization="joint", block=5)(z, x)
    except ValueError as error:
        assert "detach" in str(error)  # noqa: PT017 - either outcome is right
        return
    near = MASK if n_neighbors is None else torch.as_tensor(dense.p_knn(x.detach().numpy(), n_neighbors) > 0)
    rows = dense.gaussian_scores(x, x, "sqeuclidean", 1.3).masked_fill(~near, -torch.inf).softmax(dim=1)
    q = dense.joint_q(dense.student_t_scores(z, z, 1.0), MASK)
    expected = dense.divergence("kl", (rows + rows.T) / (2 * N), q).sum()
    assert_same(value, expected, [z, x])


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_gradient_through_p_under_other_reductions(reduction: str) -> None:
    z, x = normal(N, 2, grad=True), normal(N, 4, seed=1, grad=True)
    loss = icon.Loss(icon.p.Gaussian(sigma=1.3, detach=False), icon.q.StudentT(), reduction=reduction, block=5)
    expected = dense.row_kl(dense.student_t_scores(z, z, 1.0), torch_gaussian(x, 1.3), MASK)
    value = loss(z, x)
    if reduction == "sum":
        assert_same(value, expected.sum(), [z, x])
    else:
        assert_same(reweighted(value), reweighted(expected), [z, x])


def test_a_p_and_a_q_of_the_same_points_both_get_gradients() -> None:
    z = normal(N, 2, grad=True)
    loss = icon.Loss(icon.p.Gaussian(sigma=1.3, detach=False), icon.q.StudentT(), block=5)
    expected = dense.row_kl(dense.student_t_scores(z, z, 1.0), torch_gaussian(z, 1.3), MASK).mean()
    assert_same(loss(z, z), expected, [z])


@pytest.mark.parametrize("q", LEARNED, ids=repr)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_gradcheck(q: icon.q.Kernel, reduction: str) -> None:
    loss = icon.Loss(icon.p.Classes().debias(0.2), q, reduction=reduction, block=3)
    labels = torch.tensor([0, 1, 0, 2, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), (normal(7, 2, grad=True),))


def test_a_scaled_loss_and_several_losses_of_one_embedding() -> None:
    z, labels = normal(N, 3, grad=True), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), block=5)
    (once,) = gradients(loss(z, labels), [z])
    (both,) = gradients(-3 * loss(z, labels) + loss(2 * z, labels) * 0, [z])
    assert_close(both, -3 * once, rtol=1e-12)


def test_backward_of_cross_entropy_equals_that_of_the_loss() -> None:
    z, labels = normal(N, 3, grad=True), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), block=5)
    assert_close(gradients(loss.terms(z, labels).cross_entropy, [z])[0], gradients(loss(z, labels), [z])[0], 1e-12)


def test_no_gradient_is_asked_for_and_none_is_made() -> None:
    z, labels = normal(N, 3), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT())
    assert not loss(z, labels).requires_grad
    with torch.no_grad():
        assert not loss(z.clone().requires_grad_(), labels).requires_grad
    with torch.inference_mode():
        assert_close(loss(z, labels).clone(), dense.row_kl(
            dense.student_t_scores(z, z, 1.0), dense.p_members(labels), MASK).mean())  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("block", [None, 5])
@pytest.mark.parametrize("q", LEARNED, ids=repr)
def test_hessian_vector_products(q: icon.q.Kernel, block: int | None, reduction: str) -> None:
    """Against central differences of the gradient, whichever evaluator and however many blocks."""
    z, v, labels = normal(N, 3, grad=True), normal(N, 3, seed=1), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes().debias(0.1), q, block=block, reduction=reduction)

    def gradient(at: Tensor, create_graph: bool = False) -> Tensor:
        value = loss(at, labels)
        value = value if reduction == "mean" else reweighted(value)
        (found,) = torch.autograd.grad(value, [at], create_graph=create_graph)
        return found

    (product,) = torch.autograd.grad((gradient(z, create_graph=True) * v).sum(), [z])
    up, down = ((z.detach() + s * v).requires_grad_() for s in (1e-5, -1e-5))
    assert_close(product, (gradient(up) - gradient(down)) / 2e-5, rtol=1e-7)


@pytest.mark.parametrize("block", [None, 5])
@pytest.mark.parametrize("temperature", [0.4, 0.01])
def test_hessian_vector_products_of_two_directions(temperature: float, block: int | None) -> None:
    """The sums of both directions are made together where the scores are small, and apart where they are large."""
    z, w, v = normal(N, 3, grad=True), normal(N, 3, seed=1, grad=True), normal(N, 3, seed=2)
    loss = icon.method("clip", temperature=temperature, block=block)

    def gradient(a: Tensor, create_graph: bool = False) -> Tensor:
        (found,) = torch.autograd.grad(loss((a, w)), [a], create_graph=create_graph)
        return found

    product, by_other = torch.autograd.grad((gradient(z, create_graph=True) * v).sum(), [z, w])
    up, down = ((z.detach() + s * v).requires_grad_() for s in (1e-6, -1e-6))
    assert_close(product, (gradient(up) - gradient(down)) / 2e-6, rtol=1e-5)
    assert bool((by_other != 0).any())


def test_second_derivatives_of_a_score_with_parameters_in_blocks_are_refused() -> None:
    z, labels = normal(N, 3, grad=True), np.arange(N) % 3
    value = icon.Loss(icon.p.Classes(), Bilinear(), block=5)(z, labels)
    with pytest.raises(RuntimeError, match=r"create_graph: got True .* expected one block: pass block=18"):
        torch.autograd.grad(value, [z], create_graph=True)
