"""Schedules of the learning rate: those of torch, one move per step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from icon.training.digest import without_addresses


def scheduler_of(
    method: Optimizer, schedule: Callable[[Optimizer], LRScheduler] | None, decay: bool, steps: int
) -> LRScheduler | None:
    """The scheduler that is asked for, or None; ``decay`` lets the rate fall to zero over the last half of the
    steps."""
    if decay:
        if schedule is not None:
            raise ValueError("schedule: got a schedule as well as decay=True, expected only one of them")
        return LambdaLR(method, lambda done: min(1.0, 2 * (1 - done / steps)))
    if schedule is None:
        return None
    scheduler: Any = schedule(method)
    if not isinstance(scheduler, LRScheduler):
        raise TypeError(f"schedule: got one that gives {type(scheduler).__name__}, expected a scheduler of torch.optim")
    if getattr(scheduler, "optimizer", method) is not method:
        raise ValueError("schedule: got a scheduler of another optimiser, expected one of that which it is given")
    return scheduler


def advance(scheduler: LRScheduler | None, loss: float) -> None:
    """Move to the rate of the next step."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(loss)
    elif scheduler is not None:
        scheduler.step()


def catch_up(scheduler: LRScheduler, losses: Sequence[float]) -> None:
    """Move as often as a run did that is resumed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimiser has made no step
        for loss in losses:
            advance(scheduler, loss)


def described(scheduler: LRScheduler | None) -> str:
    """What a run with another schedule is told from."""
    if scheduler is None:
        return "None"
    plain = {k: v for k, v in scheduler.state_dict().items() if isinstance(v, (int, float, str, list, tuple))}
    return without_addresses(f"{type(scheduler).__name__}({plain})")
