"""A learned scale: its logarithm is the parameter, and a range keeps it from running away."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from icon import _checks as check

LEAST_TEMPERATURE = 0.01  # CLIP's: a score is multiplied with 100 at most (Radford et al. 2021)
LEAST_SCALE, LARGEST_SCALE = 1e-12, 1e12


def learned_scale(
    start: Any, name: str, least: float = LEAST_SCALE, most: float = LARGEST_SCALE
) -> tuple[nn.Parameter, float, float]:
    """The parameter of a scale that starts at a number, or at one per candidate ``[m]``, and its lowest and highest
    logarithm.

    Raises:
        ValueError: a range that is empty, or a start outside of it.
    """
    low, high = check.positive(least, "min"), check.positive(most, "max")
    first = torch.as_tensor(start, dtype=torch.get_default_dtype())
    if low > high:
        raise ValueError(f"min: got {low:g} with max={high:g}, expected at most max")
    if not bool(((first >= low * (1 - 1e-6)) & (first <= high * (1 + 1e-6))).all()):
        raise ValueError(f"{name}: got {start}, expected a start between min={low:g} and max={high:g}")
    return nn.Parameter(first.log()), math.log(low), math.log(high)


def in_range(log_scale: Tensor, low: float, high: float) -> Tensor:
    """The scale, within its range: a step that left it is taken back before the next use."""
    if not check.is_traced():
        log_scale.data.clamp_(low, high)
        return log_scale.exp()
    # A compiler or a transform is to change nothing in place; the gradient still reaches a parameter outside.
    return (log_scale + (log_scale.clamp(low, high) - log_scale).detach()).exp()
