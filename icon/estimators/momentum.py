"""How a map is optimised: Adam, or momentum with a gain per coordinate, after steps in which p's edges count more."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from icon.core.loss import Loss
from icon.estimators.base import learning_rate
from icon.p.rows import Rows
from icon.training.fit import Callback, fit

EXAGGERATION, EXAGGERATION_STEPS = 12.0, 250
RECENT = 50  # steps whose losses are averaged


class MomentumGains(Optimizer):
    """Gradient descent with momentum and a gain per coordinate: up by 0.2 while its direction holds, else times 0.8.

    Source: Jacobs 1988 (delta-bar-delta), as in van der Maaten & Hinton 2008 (t-SNE).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.8) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["update"], state["gain"] = torch.zeros_like(parameter), torch.ones_like(parameter)
                update, gain, gradient = state["update"], state["gain"], parameter.grad
                gain.copy_(torch.where(update * gradient < 0, gain + 0.2, gain * 0.8).clamp_(min=0.01))
                update.mul_(group["momentum"]).sub_(gain * gradient, alpha=group["lr"])
                parameter.add_(update)


def by_momentum(loss: Loss) -> bool:
    """Whether a lookup under this loss is optimised as in t-SNE: Student-t maps of points that attract each other."""
    return loss.row == "student-t" and loss.column not in ("identity", "data-label")


@dataclass
class Schedule:
    """The steps of a map.

    Args:
        steps: in all.
        rate: of learning, or ``"auto"``.
        early: exaggeration >= 1 of p's edges in the first 250 steps, a quarter of all if that is less.
        late: exaggeration >= 1 afterwards.
        tol: stop of a window of steps that was hardly better than the one before.
        min_grad_norm: stop of a gradient that is shorter.
        callback: of the estimator; see `icon.Embedding`.
        shared: further arguments of `icon.training.fit`.
        batch_size: points of a step of Adam; None takes all.
    """

    steps: int
    rate: float | str
    early: float
    late: float
    tol: float
    min_grad_norm: float
    callback: Callable[[int, float, NDArray[np.float32]], object] | None
    shared: dict[str, Any]
    batch_size: int | None = None

    def run(self, loss: Loss, model: nn.Module, inputs: Any, rows: Any) -> tuple[int, float]:
        """Train in place; the number of steps taken, and the mean loss of the last ones."""
        name = loss.name or "embedding"
        lookup = isinstance(inputs, Tensor) and not inputs.is_floating_point()
        self._ended: list[bool] = []  # whether the callback asked for the end, at each step
        stops: dict[str, Any] = {"tol": self.tol, "min_grad_norm": self.min_grad_norm, **self.shared}
        if self.batch_size is not None or not (lookup and by_momentum(loss)):
            rate = learning_rate(self.rate, 0.1 if lookup else 5e-3)
            found = fit(
                loss, model, inputs, rows, steps=self.steps, learning_rate=rate, callback=self._seen(loss, rows),
                label=name, batch_size=self.batch_size, **stops,
            )  # fmt: skip
            return len(found.losses), float(np.mean(found.losses[-RECENT:]))
        early = min(EXAGGERATION_STEPS, self.steps // 4) if self.early > 1 else 0
        if early:
            first = self._rate(rows.n, self.early)
            fit(
                loss, model, inputs, rows.exaggerated(self.early), steps=early,
                optimizer=lambda ps: MomentumGains(ps, first, momentum=0.5),
                callback=self._seen(loss, rows, exaggerated=True), label=f"{name}, exaggerated", **self.shared,
            )  # fmt: skip
        if self._ended and self._ended[-1]:
            return len(self._ended), math.nan
        last, pulled = self._rate(rows.n, self.late), self.late > 1
        found = fit(
            loss, model, inputs, rows.exaggerated(self.late) if pulled else rows, steps=self.steps - early,
            optimizer=lambda ps: MomentumGains(ps, last), callback=self._seen(loss, rows, early, pulled), label=name,
            **stops,
        )  # fmt: skip
        return early + len(found.losses), float(np.mean(found.losses[-RECENT:]))

    def _rate(self, n: int, exaggeration: float) -> float:
        """The gradient is that of the loss, a quarter of what some programs take: their rate is n / exaggeration."""
        return learning_rate(self.rate, max(n / exaggeration / 4, 50.0))

    def _seen(self, loss: Loss, rows: Rows, before: int = 0, exaggerated: bool = False) -> Callback | None:
        """What tells the callback of the loss without exaggeration, and remembers whether it asked for the end."""
        callback = self.callback
        if callback is None:
            return None

        def call(step: int, value: float, z: Tensor) -> object:
            if exaggerated:
                value = float(loss(z, rows))
            self._ended.append(callback(before + step, value, z.cpu().numpy()) is True)
            return self._ended[-1]

        return call
