"""A score of the distance as a table, so that the compiled loops can compute one that they do not know."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from icon.q.base import Kernel

# Powers of two (as floats write them) with parts of their own, and how many. A pull over the least width is finite.
# The compiled loops hold these numbers, and are compiled anew only where the text of `compiled.py` changes.
FIRST, LAST, PARTS = 39, 254, 64
_VALUE, _SLOPE = 1e-6, 1e-4  # how far a table may be off, relative to a score and to its slope
_known: WeakKeyDictionary[Kernel, tuple[str, Tensor | None]] = WeakKeyDictionary()


def table_of(q: Kernel) -> Tensor | None:
    """``[p, 4]`` coefficients of cubics of the squared distance, 64 for each power of two; None where they do not do.

    Cubics with the score's values and slopes at both ends are judged in the middle: one with a kink is refused.
    """
    if q not in _known or _known[q][0] != repr(q):
        _known[q] = repr(q), _made(q.radial)
    return _known[q][1]


def _made(score: Callable[[Tensor], Tensor]) -> Tensor | None:
    powers = torch.arange(FIRST, LAST + 1, dtype=torch.float64, device="cpu")
    widths = (2.0 ** (powers - 127) / PARTS).repeat_interleave(PARTS)
    widths = torch.cat([widths[:PARTS], widths])  # what lies below the first power is one part more
    starts = widths.cumsum(0) - widths
    (low, low_slope), (high, high_slope) = _with_slope(score, starts), _with_slope(score, starts + widths)
    low_slope[0] = low_slope[0] if torch.isfinite(low_slope[0]) else (high[0] - low[0]) / widths[0]
    b, e = low_slope * widths, high_slope * widths
    c, d = 3 * (high - low) - 2 * b - e, 2 * (low - high) + b + e
    value, slope = _with_slope(score, starts + widths / 2)
    off = (low + b / 2 + c / 4 + d / 8 - value).abs() / value.abs().clamp_min(1)
    off_slope = ((b + c + 0.75 * d) / widths - slope).abs() / slope.abs()
    off_slope[:PARTS] = 0  # a distance itself has no slope at 0
    wrong = (off > _VALUE) | ((off_slope > _SLOPE) & (slope != 0))  # of infinite scores neither is true
    return None if bool(wrong.any()) else torch.stack([low, b, c, d], dim=1)


def _with_slope(score: Callable[[Tensor], Tensor], squared: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        squared = squared.clone().requires_grad_()
        values = score(squared)
        (slopes,) = torch.autograd.grad(values.sum(), squared)
    return values.detach(), slopes.clone()
