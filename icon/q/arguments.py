"""Weights and scales that a user gives a learned distribution or a loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from icon import _checks as check
from icon._scales import precise


def buffer_or_plain(module: nn.Module, name: str, value: Tensor | float | None) -> None:
    """A tensor as a buffer, and a plain attribute else, which is quicker to read."""
    if isinstance(value, Tensor):
        module.register_buffer(name, value)
    else:
        setattr(module, name, value)


def shares(given: Any, name: str, size: str = "n") -> Tensor:
    """Weights or marginals that a user gives, a vector ``[size]``, checked.

    Raises:
        TypeError: a tensor that requires a gradient, which it would never get.
        ValueError: not a vector of finite numbers >= 0 of which some are positive.
    """
    numbers = check.constant(given, name)
    wrong = "" if numbers.ndim != 1 else " with negative, infinite or only zero entries"
    fine = (torch.isfinite(numbers) & (numbers >= 0)).all() & (numbers.sum() > 0)
    if numbers.ndim != 1 or (check.values_matter(numbers) and not bool(fine)):
        shape = tuple(numbers.shape)
        raise ValueError(f"{name}: got shape {shape}{wrong}, expected finite numbers >= 0 ({size},), some > 0")
    return numbers if numbers.is_floating_point() else numbers.double()


def proportions(weights: Tensor) -> Tensor:
    """Weights of which only the proportions matter, the largest one, since single precision loses very small ones."""
    return weights.to(precise(weights)) / weights.amax()


def positive_scale(value: Any, name: str) -> float | Tensor:
    """A temperature or bandwidth > 0: a number, or one per candidate ``[m]``."""
    tensor = check.constant(value, name, " (learnable=True makes a parameter)")
    if tensor.ndim > 1:
        raise ValueError(f"{name}: got shape {tuple(tensor.shape)}, expected a number or one per candidate (m,)")
    if tensor.ndim == 0:
        return check.positive(tensor.item(), name)
    if not bool(((tensor > 0) & torch.isfinite(tensor)).all()):
        raise ValueError(f"{name}: got entries that are not finite and > 0, expected numbers > 0")
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())
