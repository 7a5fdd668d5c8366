"""A loss in a training loop of one's own: it goes down, repeats bit by bit, and is restored."""

from __future__ import annotations

import copy

import torch

import icon
from tests import dense
from tests.cases import digits, normal


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
