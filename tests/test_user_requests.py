"""What users of the peers ask for most: ten promises (the distributed one is tested elsewhere)."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import icon
from tests import dense
from tests.cases import COORDINATES, N, assert_close, assert_same, coordinate_input, digits, gradients, normal

# -- 2: zeros of p and masked diagonals -------------------------------------------------------------------------------


@pytest.mark.parametrize("detach", [True, False])
def test_zero_entries_of_p_are_finite_in_value_and_gradient(detach: bool) -> None:
    """torch.nn.functional.kl_div gives NaN gradients for p here."""
    z = normal(4, 2, grad=True)
    p = torch.tensor([[0, 0.5, 0.5, 0], [1, 0, 0, 0], [0.25, 0.25, 0, 0.5], [0, 1, 0, 0.0]]).double().requires_grad_()
    for q in (icon.q.Gaussian(), icon.q.StudentT(), icon.q.Clusters()):
        loss = icon.Loss(icon.p.Precomputed(detach=detach), q)
        found = gradients(loss(z, p), [z, p])
        assert all(torch.isfinite(g).all() for g in found)
        assert bool(found[1].any()) is not detach


def test_masked_diagonals_agree_between_p_and_q() -> None:
    z = normal(N, 2, grad=True)
    p = icon.p.Gaussian(sigma=0.1)(normal(N, 2, seed=1))
    value = icon.Loss(icon.p.Gaussian(sigma=0.1), icon.q.Gaussian(sigma=0.1))(z, p)
    assert torch.isfinite(value)
    assert torch.isfinite(gradients(value, [z])[0]).all()


def test_negative_p_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^p: got negative weights"):
        icon.p.Precomputed()(np.array([[0, 1.5, -0.5], [1, 0, 0], [1, 0, 0]]))


# -- 3: anchors without a positive ------------------------------------------------------------------------------------


def test_labels_with_singletons_work() -> None:
    z, labels = normal(4, 2, grad=True), [0, 1, 1, 3]
    with pytest.warns(UserWarning, match=r"got 2 of 4 anchors without a positive"):
        value = icon.method("supcon")(z, labels)
    expected = dense.row_kl(
        dense.gaussian_scores(z, z, "cosine", 0.1), dense.p_members(np.array(labels)), dense.others(4)
    )
    assert_same(value, expected[1:3].mean(), [z])


# -- 4: collapse ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("p", [icon.p.Gaussian(perplexity=5), icon.p.KNN(n_neighbors=5), icon.p.StudentT()], ids=repr)
def test_a_p_of_the_trained_embedding_is_detached_and_does_not_collapse(p: icon.p.Distribution) -> None:
    z = normal(40, 5, grad=True)
    loss = icon.Loss(p, icon.q.Gaussian(temperature=0.5))
    expected = gradients(loss(z, z.detach()), [z])[0]
    assert torch.equal(gradients(loss(z, z), [z])[0], expected)
    optimizer = torch.optim.Adam([z], lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss(z, z).backward()
        optimizer.step()
    singular = torch.linalg.svdvals(z.detach() - z.detach().mean(dim=0))
    share = singular / singular.sum()
    assert torch.isfinite(singular).all()
    assert float((-(share * share.log()).sum()).exp()) > 3  # effective rank, of at most 5


# -- 5: KL and rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("normalization", ["row", "joint"])
@pytest.mark.parametrize("perplexity", [5, 100, 119])
@pytest.mark.parametrize("dof", [0.5, 1, 10, 100])
def test_kl_is_not_negative(dof: float, perplexity: float, normalization: str, dtype: torch.dtype) -> None:
    x = digits(120)[0]
    p = icon.p.Gaussian(perplexity=perplexity)
    rows = p(x)
    assert_close(rows.to_dense().sum(dim=1), np.ones(120), rtol=1e-12)
    assert_close(rows.entropy().exp(), np.full(120, perplexity), rtol=1e-6)
    for scale in (1e-4, 1.0, 100.0):
        z = (normal(120, 2) * scale).to(dtype)
        assert float(icon.Loss(p, icon.q.StudentT(dof), normalization=normalization)(z, rows)) >= -1e-6
        assert float(icon.Loss(icon.p.StudentT(dof=dof), icon.q.StudentT(dof))(z, z)) >= -1e-6


# -- 7: degenerate data -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["constant", "few distinct", "duplicates"])
@pytest.mark.parametrize("row", ["gaussian", "gaussian-wide", "gaussian-narrow", "student-t", "clusters"])
@pytest.mark.parametrize("column", ["gaussian", "student-t", "knn"])
def test_degenerate_features_and_embeddings(row: str, column: str, kind: str) -> None:
    """Six neighbours among three distinct points, duplicates, constant columns."""
    x = {
        "constant": np.ones((18, 3)),
        "few distinct": np.repeat(np.eye(3), 6, axis=0),
        "duplicates": np.repeat(normal(9, 3).numpy(), 2, axis=0),
    }[kind]
    hyper = {"gaussian": {"perplexity": 5}, "knn": {"n_neighbors": 6}, "student-t": {}}[column]
    for z in (torch.from_numpy(x), normal(18, 3), torch.zeros(18, 3).double()):
        for options in ({}, {"normalization": "joint"}):
            if options and row in ("gaussian-wide", "gaussian-narrow"):
                continue
            leaf = z.clone().requires_grad_()
            value = icon.loss(row, column, **hyper, **options)(leaf, x)
            assert torch.isfinite(value)
            assert torch.isfinite(gradients(value, [leaf])[0]).all()


# -- 8: blocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_the_block_does_not_matter_in_float32(row: str, column: str) -> None:
    """Float64 is tested against dense autograd in test_blocks."""
    case = coordinate_input(row, column)
    results = []
    for block in (1, 7, N, None):
        leaves = [leaf.detach().float().requires_grad_() for leaf in case.leaves]
        input = leaves[0] if len(leaves) == 1 else tuple(leaves)
        value = icon.loss(row, column, **case.hyper, block=block)(input, case.target)
        results.append((value, gradients(value, leaves)))
    for value, grads in results[1:]:
        assert_close(value, results[0][0], rtol=1e-5)
        for g, e in zip(grads, results[0][1], strict=True):
            assert_close(g, e, rtol=1e-4)


# -- 9: the same seed -------------------------------------------------------------------------------------------------


def trained(seed: int, steps: int = 25) -> tuple[icon.Loss, torch.Tensor, torch.optim.Optimizer]:
    generator = torch.Generator().manual_seed(seed)
    z = (torch.randn(60, 2, generator=generator) * 1e-2).requires_grad_()
    loss = icon.Loss(icon.p.Gaussian(perplexity=10), icon.q.StudentT(learnable=True), normalization="joint")
    rows = loss.p(digits(60)[0])
    optimizer = torch.optim.Adam([z, *loss.parameters()], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(z, rows).backward()
        optimizer.step()
    return loss, z.detach(), optimizer


def test_the_same_seed_gives_the_same_bits() -> None:
    (one, z, _), (other, w, _) = trained(0), trained(0)
    assert torch.equal(z, w)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not torch.equal(trained(1)[1], z)


def test_state_dict_restores_a_trained_loss_exactly() -> None:
    loss, z, _ = trained(0)
    fresh = icon.Loss(icon.p.Gaussian(perplexity=10), icon.q.StudentT(learnable=True), normalization="joint")
    x = digits(60)[0]
    assert not torch.equal(fresh(z, x), loss(z, x))
    fresh.load_state_dict(copy.deepcopy(loss.state_dict()))
    assert torch.equal(fresh(z, x), loss(z, x))


def test_training_lowers_the_loss() -> None:
    """A t-SNE of a few digits, to the end."""
    x, labels = digits(60)
    z = trained(0, steps=150)[1]
    start = icon.method("tsne", perplexity=10)(normal(60, 2) * 1e-2, x)
    end = icon.method("tsne", perplexity=10)(z, x)
    assert float(end) < 0.6 * float(start)
    nearest = dense.p_knn(z.numpy(), 1).argmax(axis=1)
    assert (labels[nearest] == labels).mean() > 0.7


# -- 10: memory -------------------------------------------------------------------------------------------------------


def test_an_exact_p_that_does_not_fit_is_refused_with_advice() -> None:
    x = torch.zeros(1, 3).expand(3_000_000, 3)
    with pytest.raises(MemoryError) as caught:
        icon.p.Gaussian(perplexity=30, n_neighbors=None)(x)
    message = str(caught.value)
    assert "3000000 x 3000000" in message
    assert "GiB" in message
    assert "n_neighbors" in message


def test_a_students_t_p_that_does_not_fit_is_refused_as_well() -> None:
    with pytest.raises(MemoryError, match="n_neighbors"):
        icon.p.StudentT()(torch.zeros(1, 3).expand(3_000_000, 3))
