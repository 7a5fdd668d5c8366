"""Entries of p that are zero, and a diagonal that is masked in p and in q."""

from __future__ import annotations

import pytest
import torch

import icon
from tests.cases import N, assert_close, gradients, normal


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
    """Where p and q are the same Gaussian of the same points, the KL is zero: its minimum, whose gradient is zero."""
    z = normal(N, 2, grad=True)
    value = icon.Loss(icon.p.Gaussian(sigma=0.1), icon.q.Gaussian(sigma=0.1))(z, z.detach())
    assert_close(value, 0.0)
    assert_close(gradients(value, [z])[0], torch.zeros_like(z))


def test_the_gradient_of_p_is_finite_where_it_has_no_candidate() -> None:
    w = torch.rand(4, 4).fill_diagonal_(0).requires_grad_()
    loss = icon.Loss(icon.p.Precomputed(detach=False), icon.q.Gaussian())
    loss(torch.randn(4, 2), w / w.sum(dim=1, keepdim=True)).backward()
    assert w.grad is not None
    assert w.grad.abs().max() < 100
