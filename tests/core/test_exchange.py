"""What ranks exchange, under what else looks at a loss: compilers, checkpointing, copies, ranks that do not learn."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import icon
from tests.core.test_parts import N
from tests.ranks import run


def halves(rank: int) -> tuple[icon.Loss, Tensor, Tensor, Tensor]:
    """A loss, the points of this rank and their ids, and their gradient in one process."""
    z, ids = torch.randn(N, 3).double(), torch.arange(N) // 2
    part, loss = (slice(0, 5), slice(5, N))[rank], icon.method("simclr", temperature=0.5)
    whole = z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(whole, ids), whole)
    return loss, z[part], ids[part], expected[part]


def compiled(rank: int) -> list[float]:
    """A compiled loss of points with a gradient, and without, as a validation asks for."""
    z, ids, loss = torch.randn(N, 3).double(), torch.arange(N) // 2, icon.method("simclr", group="world")
    part = (slice(0, 5), slice(5, N))[rank]
    call = torch.compile(loss, backend="eager")
    return [float(call(own, ids[part]) - loss(own, ids[part])) for own in (z[part], z[part].requires_grad_())]


@pytest.mark.slow
def test_compilation() -> None:
    assert run(compiled, 2) == [[0.0, 0.0]] * 2


def recomputed(rank: int) -> list[float]:
    """A loss whose graph is not kept but made anew as the gradient is taken."""
    (loss, z, ids, expected), found = halves(rank), []
    for exchange in ("gather", "ring"):
        own = z.clone().requires_grad_()
        together = loss.replace(group="world", exchange=exchange)
        checkpoint(together, own, ids, use_reentrant=False).backward()
        found.append(float((own.grad / 2 - expected).abs().max()))
    return found


@pytest.mark.slow
def test_activation_checkpointing() -> None:
    assert max(map(max, run(recomputed, 2))) < 1e-10


def copies(rank: int) -> list[float]:
    """Of what is over a process group that is not the world."""
    group, z, ids = dist.new_group([0, 1]), torch.randn(N, 3), torch.arange(N) // 2
    queue = icon.training.Queue(4, 3, group=group)
    queue.push(z)
    centering = icon.nn.Centering(3, group=group)
    loss = icon.method("simclr", learnable=True, group=group)
    copied = copy.deepcopy(torch.nn.ModuleList([loss, queue, centering]))
    assert copied[0].q is not loss.q
    assert torch.equal(copied[1].rows, queue.rows)
    return [float((copied[0](z, ids) - loss(z, ids)).detach()), float((copied[2](z) - centering(z)).sum())]


@pytest.mark.slow
def test_a_copy_has_the_same_process_group() -> None:
    assert run(copies, 2) == [[0.0, 0.0]] * 2


def learns_alone(rank: int) -> list[float]:
    """Of the points of one rank alone a gradient is asked; the other takes part in it."""
    (loss, z, ids, expected), found = halves(rank), []
    for exchange in ("gather", "ring"):
        own = z.clone().requires_grad_(rank == 0)
        loss.replace(group="world", exchange=exchange)(own, ids).backward()
        found.append(0.0 if own.grad is None else float((own.grad / 2 - expected).abs().max()))
    return found


@pytest.mark.slow
def test_points_of_one_rank_learn_alone() -> None:
    assert max(map(max, run(learns_alone, 2))) < 1e-10
