"""A scale that may be learned: its logarithm is the parameter, and a range keeps it from running away."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from icon import _checks as check
from icon.q.arguments import buffer_or_plain
from icon.q.base import Kernel

LEAST_TEMPERATURE = 0.01  # CLIP's: a score is multiplied with 100 at most (Radford et al. 2021)
LEAST_SCALE, LARGEST_SCALE = 1e-12, 1e12


class Scaled(Kernel):
    """A distribution whose features hold a scale: a number, one per candidate ``[m]``, or a parameter."""

    learnable: bool
    fixed_scale: float | Tensor

    def keep_scale(
        self, scale: float | Tensor, name: str, learnable: bool, least: float = LEAST_SCALE, most: float = LARGEST_SCALE
    ) -> None:
        """Keep a scale, or learn it from there within a range."""
        self.learnable = check.flag(learnable, "learnable")
        buffer_or_plain(self, "fixed_scale", 1.0 if learnable else scale)
        if not learnable:
            return
        low, high = check.positive(least, "min"), check.positive(most, "max")
        first = torch.as_tensor(scale, dtype=torch.get_default_dtype())
        if low > high:
            raise ValueError(f"min: got {low:g} with max={high:g}, expected at most max")
        fits = ((first >= low * (1 - 1e-6)) & (first <= high * (1 + 1e-6))).all()
        if not (first.is_meta or bool(fits)):
            raise ValueError(f"{name}: got {scale}, expected a start between min={low:g} and max={high:g}")
        self.log_scale = nn.Parameter(first.log())
        self._low, self._high = math.log(low), math.log(high)

    @property
    def scale(self) -> float | Tensor:
        """The scale within its range: a step that left it is taken back before the next use."""
        if not self.learnable:
            return self.fixed_scale
        if not check.is_traced():
            self.log_scale.data.clamp_(self._low, self._high)
            return self.log_scale.exp()
        # A compiler or a transform is to change nothing in place; the gradient still reaches a parameter outside.
        return (self.log_scale + (self.log_scale.clamp(self._low, self._high) - self.log_scale).detach()).exp()

    @property
    def score_parameters(self) -> tuple[Tensor, ...]:
        scale = getattr(self, "log_scale", None)  # which is in the features
        return tuple(p for p in super().score_parameters if p is not scale)
