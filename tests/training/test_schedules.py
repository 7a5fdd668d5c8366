"""Schedules of the learning rate: they move once a step, resume, and belong to a run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

import icon
from icon.nn.mappers import MLP
from icon.training.fit import fit
from tests.training.runs import sne
from tests.versions import recent_torch

SCHEDULES: dict[str, Callable[[Optimizer], LRScheduler]] = {
    "one cycle": lambda method: lr_scheduler.OneCycleLR(method, 0.1, total_steps=20),
    "plateau": lambda method: lr_scheduler.ReduceLROnPlateau(method, patience=0, threshold=0.05),
    "warm-up": lambda method: lr_scheduler.SequentialLR(
        method, [lr_scheduler.LinearLR(method, 0.1, total_iters=4), lr_scheduler.ExponentialLR(method, 0.9)], [4]
    ),
}


@recent_torch
@pytest.mark.parametrize("name", list(SCHEDULES))
def test_a_schedule_of_torch_moves_the_rate_and_resumes(name: str, x: Tensor, tmp_path: Path) -> None:
    def one(steps: int, checkpoint: Path | None) -> tuple[list[float], Tensor]:
        methods: list[Optimizer] = []

        def optimizer(parameters: list[nn.Parameter]) -> Optimizer:
            methods.append(torch.optim.Adam(parameters, lr=0.05))
            return methods[0]

        def note(*_: Any) -> None:
            rates.append(methods[0].param_groups[0]["lr"])

        rates: list[float] = []
        torch.manual_seed(0)
        model = MLP(5, 2, 8)
        fit(icon.method("sne", perplexity=5.0), model, x, x, steps=steps, optimizer=optimizer, callback=note,
            schedule=SCHEDULES[name], checkpoint=checkpoint, checkpoint_every=3)  # fmt: skip
        return rates, nn.utils.parameters_to_vector(model.parameters()).detach()

    rates, whole = one(14, None)
    assert len(set(rates)) > 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, _ = one(7, tmp_path / "run")
        rest, resumed = one(14, tmp_path / "run")
    assert first + rest == rates
    assert torch.equal(whole, resumed)
    with pytest.raises(ValueError, match="with schedule"):
        fit(icon.method("sne", perplexity=5.0), MLP(5, 2, 8), x, x, checkpoint=tmp_path / "run")


def test_a_run_with_another_function_of_the_rate_is_refused(x: Tensor, tmp_path: Path) -> None:
    def one(factor: float, steps: int) -> list[float]:
        torch.manual_seed(0)
        schedule = partial(lr_scheduler.LambdaLR, lr_lambda=lambda step: factor**step)
        return fit(icon.method("sne", perplexity=5.0), MLP(5, 2, 8), x, x, steps=steps, schedule=schedule,
                   checkpoint=tmp_path / "run").losses  # fmt: skip

    first = one(0.9, 3)
    with pytest.raises(ValueError, match=r"^checkpoint: got .*run of a run with another schedule \(delete it"):
        one(0.8, 6)
    assert one(0.9, 6)[:3] == first


class Halved:
    """A schedule that holds a function, which in another process is at another place."""

    def __init__(self) -> None:
        self.of = lambda step: 0.5**step

    def __call__(self, step: int) -> float:
        return self.of(step)


def test_a_schedule_is_known_by_what_it_holds_and_not_by_its_place(x: Tensor, tmp_path: Path) -> None:
    for steps in (2, 3):
        torch.manual_seed(0)
        schedule = partial(lr_scheduler.LambdaLR, lr_lambda=Halved())
        fit(sne(), MLP(5, 2, 8), x, x, steps=steps, schedule=schedule, checkpoint=tmp_path / "run")


def test_a_schedule_that_is_none(x: Tensor) -> None:
    loss, model = icon.method("sne", perplexity=5.0), MLP(5, 2, 8)
    with pytest.raises(ValueError, match=r"^schedule: got a schedule as well as decay=True"):
        fit(loss, model, x, x, decay=True, schedule=SCHEDULES["one cycle"])
    with pytest.raises(TypeError, match=r"^schedule: got one that gives NoneType"):
        fit(loss, model, x, x, schedule=lambda method: None)
