"""Units of numbers: what keeps squares and lengths ordinary numbers, whatever the features are measured in."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor

from icon._lazy import sp

X = TypeVar("X", bound=Any)  # a tensor, an array or a sparse matrix

#: Squares of numbers up to it, and down to its inverse, are ordinary numbers.
_SAFE = {torch.float64: 2.0**300, torch.float32: 2.0**50}


def precise(of: Tensor | torch.device) -> torch.dtype:
    """Double precision, where the device has it."""
    # The name of a tensor's device takes 9 µs of a small step.
    has_none = of.is_mps if isinstance(of, Tensor) else of.type == "mps"
    return torch.float32 if has_none else torch.float64


def unit_of(*features: Tensor) -> float:
    """A power of two that the features are divided by, so that their squares are ordinary numbers; 1 if they are.

    Dividing by a power of two changes no digit, and no tie.
    """
    largest = max(abs(float(end)) for x in features for end in torch.aminmax(x.detach()))
    safe = min(_SAFE.get(x.dtype, _SAFE[torch.float64]) for x in features)
    if largest == 0 or 1 / safe <= largest <= safe:
        return 1.0
    return power_of_two(largest)


def power_of_two(largest: float) -> float:
    """The highest power of two up to a number > 0."""
    return math.ldexp(1.0, math.frexp(largest)[1] - 1)


def in_a_unit(a: X, b: X) -> tuple[X, X, float]:
    """Two sets of numbers, dense or sparse, in a unit in which their squares are ordinary numbers, and the unit."""
    arrays = [x.data if sp.issparse(x) else x for x in ((a,) if a is b else (a, b))]
    entries = [x if isinstance(x, Tensor) else torch.as_tensor(x, device="cpu") for x in arrays]
    if not all(map(len, entries)) or (unit := unit_of(*entries)) == 1:
        return a, b, 1.0
    scaled = a / unit
    return scaled, scaled if a is b else b / unit, unit


def unit_rows(x: Tensor) -> Tensor:
    """Rows of length one, however long or short they were; a row of zeros stays zero."""
    largest = x.detach().abs().amax(dim=-1, keepdim=True)
    x = x / torch.where(largest > 0, largest, 1.0)
    unit: Tensor = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(0.5)
    return unit


def centred_in_unit(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``(x - mean) / unit``, the mean and the unit, in double precision where the device has it.

    Far from zero, single precision would lose what the features differ in. In their own unit their squares are
    ordinary numbers.
    """
    x = x.detach().to(precise(x))
    largest = x.abs().amax()
    unit = torch.where(largest > 0, largest, torch.ones_like(largest))
    first = x[:1] / unit
    moved = x / unit - first  # a constant feature is 0, where a mean would be rounded
    mean = moved.mean(dim=0)
    centred, mean = moved - mean, first[0] + mean
    spread = centred.abs().amax()
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    return centred / spread, mean * unit, unit * spread
