"""The teacher of self-distillation: an exponential moving average of a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from icon import _checks as check


class EMA(nn.Module):
    """A teacher: the exponential moving average of a module, ``θ_t ← μ θ_t + (1-μ) θ`` at each `update`.

    It starts as a copy, gives no gradient, and averages the buffers (batch statistics) as well.

    >>> teacher = icon.nn.EMA(encoder, decay=0.996)
    >>> loss = icon.method("byol")((predictor(encoder(a)), teacher(b)))
    >>> loss.backward(); optimizer.step(); teacher.update(encoder)

    Args:
        module: what is averaged, in float32 or float64; the teacher keeps a copy.
        decay: μ in [0, 1], or a function of the number of updates made (a schedule, see `cosine_decay`).

    Raises:
        TypeError: no module, or one in half precision, where the average would stop moving (use autocast instead); from
            `update`, a teacher that has been turned to half precision since.
        ValueError: a decay outside [0, 1]; from `update`, a module of another structure.

    Source: Tarvainen & Valpola 2017 (mean teacher); used by BYOL, MoCo v3 and DINO. On torch's ``AveragedModel``.
    """

    def __init__(self, module: nn.Module, decay: float | Callable[[int], float] = 0.99) -> None:
        super().__init__()
        _refuse_half(check.module(module, "module"), "module")
        self.decay = decay if callable(decay) else check.fraction(decay, "decay")
        self.averaged = AveragedModel(module, multi_avg_fn=self._blend, use_buffers=True)
        self.averaged.requires_grad_(False)
        self.averaged.n_averaged += 1  # the copy counts as the first: the next update is an average already

    @torch.no_grad()
    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the averaged module gives, without gradient.

        Args:
            inputs: of the module.
            named: of the module.
        """
        return self.averaged(*inputs, **named)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards a module of the same structure, after the optimiser's step.

        Args:
            module: of the same structure, also compiled or in `DistributedDataParallel`.

        Raises:
            ValueError: parameters or buffers of other names or shapes.
            TypeError: the teacher is in half precision.
        """
        _refuse_half(self.averaged, "teacher")
        own, other = (
            {name: tuple(value.shape) for name, value in (*m.named_parameters(), *m.named_buffers())}
            for m in (_bare(self.averaged.module), _bare(check.module(module, "module")))
        )
        if own != other:
            name = next(iter(dict(own.items() ^ other.items())))
            raise ValueError(
                f"module: got {name} of shape {other.get(name)}, expected {own.get(name)}, as in the averaged module"
            )
        self.averaged.update_parameters(module)

    @property
    def n_updates(self) -> int:
        return int(self.averaged.n_averaged) - 1

    def _blend(self, averaged: Any, current: Any, count: Any) -> None:
        decay = check.fraction(self.decay(self.n_updates), "decay") if callable(self.decay) else self.decay
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point() or mean.is_complex():
                mean.lerp_(value.to(mean), 1 - decay)
            else:
                mean.copy_(value)  # a counter


def _bare(module: Any) -> nn.Module:
    """A module without what compiles it or spreads it over devices and ranks."""
    module = getattr(module, "_orig_mod", module)
    spread = isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel))
    return _bare(module.module) if spread else module


def _refuse_half(module: nn.Module, name: str) -> None:
    low = {p.dtype for p in module.parameters() if p.dtype in (torch.float16, torch.bfloat16)}
    if low:
        raise TypeError(f"{name}: got parameters in {low.pop()}, expected float32 or float64 (and autocast)")


def cosine_decay(start: float, steps: int) -> Callable[[int], float]:
    """The schedule of BYOL, MoCo v3 and DINO: the decay goes from ``start`` to 1 along half a cosine.

    >>> teacher = icon.nn.EMA(encoder, icon.nn.cosine_decay(0.996, steps=10_000))

    Args:
        start: the first decay, in [0, 1].
        steps: until it is 1.
    """
    return partial(_along_cosine, check.fraction(start, "start"), check.count(steps, "steps"))  # which can be pickled


def _along_cosine(start: float, steps: int, step: int) -> float:
    return 1 - (1 - start) * (math.cos(math.pi * min(step, steps) / steps) + 1) / 2
