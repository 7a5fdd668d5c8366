"""How a map is optimised: Adam, or momentum with a gain per coordinate, after steps in which p's edges count more."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from icon.core.loss import Loss
from icon.estimators.base import learning_rate
from icon.training.fit import Callback, fit, is_true

EXAGGERATION, EXAGGERATION_STEPS = 12.0, 250


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


def optimized(estimator: Any, loss: Loss, model: nn.Module, inputs: Any, rows: Any, seed: int) -> list[float]:
    """Train the map of an `icon.Embedding` in place: the loss of each step, with its exaggeration.

    p's edges are exaggerated in the first 250 steps, or a quarter of all if that is less. ``rows`` are prepared p, or
    what batches are drawn from.
    """
    steps, callback, name = estimator.max_iter, estimator.callback, loss.name or "embedding"
    stops = {"tol": estimator.tol, "min_grad_norm": estimator.min_grad_norm}
    ended: list[bool] = []  # whether the callback asked for the end, at each step

    def seen(before: int = 0, exaggerated: bool = False) -> Callback | None:
        """What tells the callback of the loss without exaggeration, and remembers whether it asked for the end."""

        def call(step: int, value: float, z: Tensor) -> object:
            if exaggerated:
                value = float(loss(z, rows))
            ended.append(is_true(callback(before + step, value, z.cpu().numpy())))
            return ended[-1]

        return None if callback is None else call

    train = partial(fit, loss, model, inputs, seed=seed, verbose=estimator.verbose)
    lookup = isinstance(inputs, Tensor) and not inputs.is_floating_point()
    if estimator.batch_size is not None or not (lookup and by_momentum(loss)):
        rate = learning_rate(estimator.learning_rate, 0.1 if lookup else 5e-3)
        adam = {"learning_rate": rate, "batch_size": estimator.batch_size}
        return train(rows, steps=steps, callback=seen(), label=name, **adam, **stops).losses
    pull, late_pull = float(estimator.early_exaggeration), float(estimator.late_exaggeration)
    # The gradient is that of the loss, a quarter of what some programs take: their rate is n / exaggeration.
    first, last = (learning_rate(estimator.learning_rate, max(rows.n / each / 4, 50.0)) for each in (pull, late_pull))
    early = min(EXAGGERATION_STEPS, steps // 4) if pull > 1 else 0
    losses: list[float] = []
    if early:
        losses = train(
            rows.exaggerated(pull), steps=early, optimizer=partial(MomentumGains, lr=first, momentum=0.5),
            callback=seen(exaggerated=True), label=f"{name}, exaggerated",
        ).losses  # fmt: skip
    if ended and ended[-1]:
        return losses
    return losses + train(
        rows.exaggerated(late_pull) if late_pull > 1 else rows, steps=steps - early,
        optimizer=partial(MomentumGains, lr=last), callback=seen(early, late_pull > 1), label=name, **stops,
    ).losses  # fmt: skip
