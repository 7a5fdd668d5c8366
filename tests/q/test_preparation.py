"""Points as scores take them: the derivatives that are written by hand."""

from __future__ import annotations

import pytest
import torch

from icon.q.preparation import unit_rows


@pytest.mark.parametrize("length", [1.0, 3.0])
def test_derivatives_of_unit_rows(length: float) -> None:
    """The one of the first order is written by hand; of tiny and of large rows, forward mode and second order too."""
    torch.manual_seed(0)
    x = (torch.randn(4, 5, dtype=torch.float64) * torch.tensor([[1.0], [1e-3], [30.0], [1.0]])).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: unit_rows(t, length), x, eps=1e-8, atol=1e-5, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda t: unit_rows(t, length), x[:1].detach().requires_grad_())
    far = torch.tensor([[3e-30, 4e-30], [3e30, 4e30], [0.0, 0.0]], requires_grad=True)
    unit = unit_rows(far, length)
    assert torch.allclose(unit, length * torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]]))
    unit.sum().backward()
    expected = length * torch.tensor([[0.2 * 0.8 / 5e-30, -0.2 * 0.6 / 5e-30], [0.2 * 0.8 / 5e30, -0.2 * 0.6 / 5e30]])
    assert torch.allclose(far.grad[:2], expected, rtol=1e-5)
    assert not far.grad[2].any()
