"""A run over ranks is that of one process, whoever embeds which points; its schedule, and its end."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import icon
from icon.training import fit
from tests.ranks import assert_told, run

N = 30
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "all points": ("gaussian", "knn", {"n_neighbors": 4, "temperature": 0.5}, {}),
    "joint": ("student-t", "gaussian", {"perplexity": 5.0}, {"decay": True}),
    "pairs of a batch": ("clusters", "knn", {"n_neighbors": 4, "debias": 0.2}, {"batch_size": 11, "negatives": 2}),
    "labels of a batch": ("gaussian", "data-label", {"metric": "dot"}, {"batch_size": 7, "max_norm": 0.5}),
    "classes": ("gaussian", "classes", {"temperature": 0.5, "learnable": True}, {}),
    "joined views": ("gaussian", "classes", {"temperature": 0.5, "join": True}, {"batch_size": 11}),
}


class WithPrototypes(nn.Module):
    """Points beside three prototypes, which are the same on all ranks."""

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.eye(3))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, self.prototypes


def trained(case: str, group: str | None, **options: Any) -> tuple[list[float], Tensor]:
    """The losses and the parameters of a short run in float64."""
    torch.manual_seed(0)
    row, column, hyper, settings = CASES[case]
    x = torch.randn(N, 5, dtype=torch.float64)
    target = torch.arange(N) % 3 if column in ("classes", "data-label") else x
    outputs = 4 if row == "clusters" else 3
    mapper: nn.Module = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, outputs))
    mapper = nn.Sequential(mapper, WithPrototypes()) if column == "data-label" else mapper
    loss = icon.loss(row, column, **hyper, group=group).double()
    # Adam divides small gradients by their own size, rounding included: plain descent does not.
    descent = functools.partial(torch.optim.SGD, lr=0.05)
    done = fit(loss, mapper.double(), x, target, steps=12, optimizer=descent, **{**settings, **options})
    return done.losses, nn.utils.parameters_to_vector([*mapper.parameters(), *loss.parameters()]).detach()


def together(rank: int) -> dict[str, float]:
    found = {}
    for case in CASES:
        losses, parameters = trained(case, None)
        losses_of_all, parameters_of_all = trained(case, "world")
        differences = [abs(a - b) for a, b in zip(losses, losses_of_all, strict=True)]
        found[case] = max(*differences, float((parameters - parameters_of_all).abs().max()))
    return found


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_it_is_the_run_of_one_process(world: int) -> None:
    for found in run(together, world):
        assert {case: error for case, error in found.items() if not error < 1e-10} == {}


def disagreements(rank: int) -> list[str]:
    """What each rank is told where one of them has something else, or fails."""
    told = []
    x = torch.randn(N, 5)
    loss = icon.loss("gaussian", "knn", n_neighbors=3, temperature=0.5, group="world")

    def tell(mapper: nn.Module, data: Tensor, **options: Any) -> None:
        try:
            done = fit(loss, mapper, data, data, **{"steps": 3, **options})
            told.append(f"{len(done.losses)} steps")
        except Exception as error:
            told.append(f"{type(error).__name__}: {error}")

    tell(nn.Linear(5, 2), x + rank)
    tell(nn.Linear(5, 2), x, steps=3, seed=rank)
    tell(Failing(rank), x)
    tell(nn.Linear(5, 2), 100 * x, learning_rate=1e37, steps=20)
    tell(nn.Linear(5, 2), x, callback=(lambda step, value, z: step == 2) if rank else None)
    tell(nn.Linear(5, 2), x, checkpoint=f"/nowhere/{rank}")
    tell(nn.Linear(5, 2), x, seed=None, batch_size=6)
    return told


class Failing(nn.Linear):
    """A network that one rank cannot compute."""

    def __init__(self, rank: int) -> None:
        super().__init__(5, 2)
        self.rank = rank

    def forward(self, x: Tensor) -> Tensor:
        if self.rank == 1:
            raise ValueError("no memory left")
        return super().forward(x)


@pytest.mark.slow
def test_what_ranks_are_told() -> None:
    expected = [
        "ValueError: data: got different values on ranks 0 and 1, expected the same on all",
        "ValueError: seed: got different values on ranks 0 and 1",
        "ValueError: no memory left (on rank 1 of 2)",
        "FloatingPointError: ",
        "2 steps",
        "ValueError: checkpoint: got /nowhere/0 (No such file or directory)",
        "3 steps",
    ]
    assert_told(run(disagreements, 2), expected)


def own_draws(rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """The parameters of a network with dropout and batch statistics, its buffers and a teacher's, what ranks drew."""
    torch.manual_seed(rank)  # the ranks begin differently, until the run makes them the same
    x = torch.randn(N, 5, generator=torch.Generator().manual_seed(0))
    seen = []
    mapper = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    mapper[2].register_forward_hook(lambda module, inputs, output: seen.append((output == 0).float().sum()))
    loss = icon.loss("gaussian", "knn", n_neighbors=3, temperature=0.5, group="world")
    teacher = icon.nn.EMA(mapper, 0.5)
    fit(loss, mapper, x, x, steps=6, batch_size=10, teacher=teacher)
    buffers = torch.cat([buffer.flatten().float() for module in (mapper, teacher) for buffer in module.buffers()])
    return nn.utils.parameters_to_vector(mapper.parameters()).detach(), buffers, torch.stack(seen)


@pytest.mark.slow
def test_ranks_end_alike_and_draw_for_themselves() -> None:
    (first, buffers, drawn), (second, other_buffers, other_drawn) = run(own_draws, 2)
    assert torch.equal(first, second)
    assert torch.equal(buffers, other_buffers)
    assert not torch.equal(drawn, other_drawn)


def interrupted(rank: int, folder: str) -> list[float]:
    """How far a run that was ended twice is from one that was not; dropout, minibatches and a schedule."""

    def one(steps: int, name: str | None) -> Tensor:
        torch.manual_seed(0)
        x = torch.randn(N, 5)
        mapper = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 2))
        loss = icon.loss("gaussian", "knn", n_neighbors=3, temperature=0.5, learnable=True, group="world")
        fit(
            loss, mapper, x, x, steps=steps, batch_size=10, checkpoint=None if name is None else f"{folder}/{name}",
            checkpoint_every=2, schedule=lambda method: torch.optim.lr_scheduler.ExponentialLR(method, 0.9),
        )  # fmt: skip
        return nn.utils.parameters_to_vector([*mapper.parameters(), *loss.parameters()]).detach()

    for steps in (3, 7):
        one(steps, "run")
    return [float((one(11, "run") - one(11, None)).abs().max())]


@pytest.mark.slow
def test_it_resumes_bit_by_bit(tmp_path: Path) -> None:
    assert run(interrupted, 2, str(tmp_path)) == [[0.0], [0.0]]
    x = torch.randn(N, 5)
    loss = icon.loss("gaussian", "knn", n_neighbors=3, temperature=0.5, learnable=True)
    with pytest.raises(ValueError, match=r"of a run with ranks 2, expected None|of a run with"):
        fit(loss, nn.Linear(5, 2), x, x, checkpoint=tmp_path / "run")


@pytest.mark.slow
def test_one_rank() -> None:
    (found,) = run(together, 1)
    assert max(found.values()) < 1e-10
