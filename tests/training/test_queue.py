"""Queues against a direct computation from what was pushed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_model, save_model

import icon
from icon.training import Queue
from tests.cases import assert_same, normal
from tests.ranks import run


def test_the_oldest_leave_first() -> None:
    queue, rows = Queue(5, 3), normal(8, 3).float()
    queue.push(rows[:4], torch.arange(4))
    assert len(queue) == 4
    assert torch.equal(queue.rows, rows[:4])
    queue.push(rows[4:], torch.arange(4, 8))
    assert sorted(queue.labels.tolist()) == [3, 4, 5, 6, 7]
    assert torch.equal(queue.rows[queue.labels.argsort()], rows[3:])
    queue.push(normal(20, 3, seed=1))
    assert set(queue.labels.tolist()) == {-1}


def test_negatives_beside_the_batch() -> None:
    queue = Queue(6, 3).double()
    queries, keys, old = normal(4, 3, grad=True), normal(4, 3, seed=1), normal(6, 3, seed=2)
    queue.push(old)
    loss = icon.method("infonce", temperature=0.2)
    candidates, ids = queue.beside(keys)
    scores = torch.nn.functional.cosine_similarity(queries[:, None], torch.cat([keys, old]), dim=2) / 0.2
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(4))
    assert_same(loss((queries, candidates), ids), expected, [queries])


def test_a_memory_behind_the_batch() -> None:
    memory = Queue(6, 3).double()
    z, labels, old, theirs = (
        normal(5, 3, grad=True),
        torch.tensor([0, 1, 0, 1, 2]),
        normal(6, 3, seed=2),
        torch.arange(6) % 3,
    )
    memory.push(old, theirs)
    loss = icon.method("supcon", temperature=0.2)
    every, classes, batch = memory.behind(z, labels)
    expected = loss(torch.cat([z, old]), torch.cat([labels, theirs]), anchors=slice(0, 5))
    assert_same(loss(every, classes, anchors=batch), expected, [z])
    memory.push(old)
    with pytest.raises(ValueError, match=r"^labels: got rows in the queue without one"):
        memory.behind(z, labels)


def test_the_nearest_of_the_queue() -> None:
    queue, z, old = Queue(6, 3).double(), normal(4, 3), normal(6, 3, seed=2)
    assert torch.equal(queue.nearest(z), z)
    queue.push(old)
    cosines = torch.nn.functional.cosine_similarity(z[:, None], old, dim=2)
    assert torch.equal(queue.nearest(z), old[cosines.argmax(dim=1)])


def test_its_state_goes_on_where_it_was() -> None:
    one, other = Queue(5, 3), Queue(5, 3)
    one.push(normal(3, 3), torch.arange(3))
    other.load_state_dict(one.state_dict())
    for queue in (one, other):
        queue.push(normal(4, 3, seed=1), torch.arange(3, 7))
    assert torch.equal(one.held, other.held)
    assert torch.equal(one.labels, other.labels)
    assert len(other) == 5


def test_its_state_goes_through_safetensors_and_back(tmp_path: Path) -> None:
    one, other = Queue(5, 3), Queue(5, 3)
    one.push(normal(3, 3), torch.arange(3))
    save_model(one, str(tmp_path / "queue.safetensors"))
    load_model(other, str(tmp_path / "queue.safetensors"))
    assert torch.equal(one.rows, other.rows)
    earlier = {**one.state_dict(), "_extra_state": {"count": 2, "next": 3}}
    other.load_state_dict(earlier)
    assert len(other) == 2


def test_no_gradient_and_no_alias() -> None:
    queue, keys = Queue(4, 3), normal(2, 3, grad=True).float()
    queue.push(keys)
    assert not queue.rows.requires_grad
    with torch.no_grad():
        keys.zero_()
    assert bool((queue.rows != 0).any())


def pushed(rank: int) -> list[int]:
    queue = Queue(8, 3, group="world")
    queue.push(torch.ones(2 + rank, 3) * rank, torch.full((2 + rank,), rank))
    queue.push(torch.full((rank, 3), 2.0), torch.full((rank,), 2))
    queue.push(torch.full((1 - rank, 3), 3.0))
    return queue.labels.tolist()


@pytest.mark.slow
def test_over_ranks_all_have_all() -> None:
    assert run(pushed, 2) == [[0, 0, 1, 1, 1, 2, -1]] * 2


def beside_over_ranks(rank: int) -> list[float]:
    """Of one queue of all ranks, and of a queue on each."""
    queries, keys, old = normal(8, 3), normal(8, 3, seed=1), normal(7, 3, seed=2)
    loss = icon.method("infonce", temperature=0.2)
    expected = loss((queries, torch.cat([keys, old])), (torch.arange(8), torch.arange(15)))
    part, pushed = (slice(0, 3), slice(0, 2)) if rank == 0 else (slice(3, 8), slice(2, 7))
    errors = []
    for group in ("world", None):
        queue = Queue(7, 3, group=group).double()
        queue.push(old[pushed])
        for exchange in ("gather", "ring"):
            candidates, ids = queue.beside(keys[part])
            value = loss.replace(group="world", exchange=exchange)((queries[part], candidates), ids)
            dist.all_reduce(value)
            errors.append(abs(float(value / 2 - expected)))
    return errors


@pytest.mark.slow
def test_a_loss_over_ranks_has_the_keys_and_the_queue_once() -> None:
    assert max(max(errors) for errors in run(beside_over_ranks, 2)) < 1e-10


@pytest.mark.parametrize(
    ("z", "labels", "told"),
    [
        (torch.ones(2, 4), None, "z: got 4 columns, expected 3"),
        (torch.full((2, 3), torch.nan), None, "z: got NaN"),
        (torch.ones(2, 3), [1], "labels: got 1 entry, expected 2"),
    ],
)
def test_bad_input(z: torch.Tensor, labels: object, told: str) -> None:
    queue = Queue(4, 3)
    with pytest.raises(ValueError, match=f"^{told}"):
        queue.push(z, labels)
    assert len(queue) == 0


def test_a_batch_of_other_columns_is_refused() -> None:
    queue, other = Queue(4, 3), torch.ones(2, 4)
    queue.push(torch.ones(2, 3), [0, 1])
    for call, name in (
        (lambda: queue.beside(other), "keys"),
        (lambda: queue.behind(other, [0, 1]), "z"),
        (lambda: queue.nearest(other), "z"),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: got 4 columns, expected 3 as in the queue"):
            call()
