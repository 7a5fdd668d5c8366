"""Points as scores take them: the derivatives that are written by hand."""

from __future__ import annotations

import pytest
import torch

import icon
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


@pytest.mark.parametrize(
    ("unit", "dtype"), [(u, torch.float32) for u in (1e-37, 1e-30, 1e19, 1e36)] + [(1e-150, torch.float64)]
)
def test_standardised_features_in_any_unit(unit: float, dtype: torch.dtype) -> None:
    """In single precision the squares of such numbers are 0 or infinite, and in double precision their cubes."""
    x, ids = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)).to(dtype), torch.arange(20) % 5
    loss = icon.Loss(icon.p.Pairs(), icon.q.Gaussian("dot", temperature=3.0, preprocess="standardize"))
    plain, scaled = x.clone().requires_grad_(), (x * unit).requires_grad_()
    value, expected = loss(scaled, ids), loss(plain, ids)
    value.backward()
    expected.backward()
    assert torch.allclose(value, expected)
    assert torch.allclose(scaled.grad * unit, plain.grad, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_as_long_and_as_short_as_numbers_go(dtype: torch.dtype) -> None:
    """No square of them is a number, and a row of zeros stays one, without gradient."""
    largest = torch.finfo(dtype).max ** 0.99
    x = torch.tensor([[3.0, -4.0]], dtype=dtype) * torch.tensor(
        [[largest / 4], [4 / largest], [1.0], [0.0]], dtype=dtype
    )
    x.requires_grad_()
    unit = unit_rows(x, 5.0)
    expected = torch.tensor([[3.0, -4.0]] * 3 + [[0.0, 0.0]], dtype=dtype)
    torch.testing.assert_close(unit, expected, rtol=4 * torch.finfo(dtype).eps, atol=0)
    (gradient,) = torch.autograd.grad(unit[:, 0].sum(), x)
    assert torch.isfinite(gradient).all()
    assert not gradient[3].any()
    torch.testing.assert_close(gradient[2], torch.tensor([0.64, 0.48], dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_second_derivatives_beside_a_row_of_zeros(dtype: torch.dtype) -> None:
    """The other rows have theirs, and that row has none."""
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=dtype, requires_grad=True)

    def along(t: torch.Tensor) -> torch.Tensor:
        return unit_rows(t)[:, 0].sum()

    (first,) = torch.autograd.grad(along(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    by_func = torch.func.grad(lambda t: torch.func.grad(along)(t).sum())(x.detach())
    expected = torch.tensor([[-0.04352, 0.02464], [0.0, 0.0]], dtype=dtype)
    for found in (second, by_func):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
