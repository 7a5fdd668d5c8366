"""What is done to points before their product makes scores: rows of one length, dimensions centred or standardised."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch.autograd import forward_ad
from torch.compiler import is_compiling

from icon._scales import precise
from icon.q.totals import Totals


def unit_rows(x: Tensor, length: float | Tensor = 1.0) -> Tensor:
    """Rows scaled to a length; a row of zeros stays zero and gets no gradient."""
    if isinstance(length, Tensor):
        return unit_rows(x) * length
    # `icon._checks.is_traced`, written out: this runs in most calls of a loss.
    traced = is_compiling() or _are_functorch_transforms_active()
    if traced or forward_ad._current_level >= 0:
        return _differentiable(x, length)
    # `Function.apply` without its search for transforms, of which there are none here: 30 µs of a small step.
    unit: Tensor = super(torch.autograd.Function, _UnitRows).apply(x, length)  # type: ignore[no-untyped-call]
    return unit


def _scaled(x: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """Rows of a length, and what they were multiplied by ``[n, 1]``."""
    if x.dtype is torch.float32 and not x.is_mps:  # in double precision no square under- or overflows
        norm = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float64)
        scale = torch.div(length, torch.threshold(norm, _LEAST, math.inf)).to(x.dtype)
        return x * scale, scale
    largest = x.detach().abs().amax(dim=1, keepdim=True)
    # So that no square under- or overflows; the norm of what is left is at least one, or zero.
    shrink = largest.reciprocal().nan_to_num(posinf=0.0)
    x = x * shrink
    scale = length / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(0.5)
    return x * scale, shrink * scale


def _differentiable(x: Tensor, length: float) -> Tensor:
    """Rows of a length, twice differentiable: a norm has no second derivative at 0, where torch gives NaN."""
    zero = (x == 0).all(dim=1, keepdim=True)
    return _scaled(x.masked_fill(zero, 1.0), length)[0].masked_fill(zero, 0.0)


_LEAST = 1e-37  # the norm, in single precision, below which a row is one of zeros


class _UnitRows(torch.autograd.Function):
    """`_scaled` with a derivative in four operations, where autograd takes fifteen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, length: float) -> Tensor:
        unit, factor = _scaled(x, length)
        ctx.length = length
        ctx.save_for_backward(x, unit, factor)
        return unit

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        x, unit, factor = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            gradient = torch.autograd.grad(_differentiable(x, ctx.length), x, upstream, create_graph=True)
            return gradient[0], None
        # What is orthogonal to each row, scaled as the row was.
        along = torch.linalg.vecdot(upstream, unit).unsqueeze(1)
        return torch.addcmul(upstream, unit, along, value=-1 / ctx.length**2) * factor, None


def moments(x: Tensor, totals: Totals) -> tuple[Tensor, Tensor]:
    """Mean and variance ``[d]`` of each dimension over the points of all parts, in double precision.

    There the square of any number in single precision is an ordinary number.
    """
    x = x.to(precise(x))
    count = totals.sum(x.new_full((), float(len(x))))
    mean = totals.sum(x.sum(dim=0)) / count
    return mean, totals.sum((x - mean).square().sum(dim=0)) / count


def centered(x: Tensor, mean: Tensor, variance: Tensor, standardize: bool = False) -> Tensor:
    """Each dimension less its mean and, where asked for, with variance 1; a constant dimension becomes 0."""
    moved = x - mean
    if standardize:
        rounding = torch.finfo(x.dtype).eps * mean.detach().abs()
        constant = variance <= (4 * rounding) ** 2
        moved = moved / torch.where(constant, torch.inf, variance).sqrt()  # whose derivative has no third power
    return moved.to(x.dtype)
