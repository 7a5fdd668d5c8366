"""Batches of m points per class: what every batch, every epoch and every rank has."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

import icon
from icon.training import MPerClassBatchSampler


class Drawn(NamedTuple):
    labels: list[int]
    m: int
    size: int
    world: int
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Drawn:
    """Classes of at least m points, with numbers that need not follow each other, and a batch of some of them."""
    m = draw(st.integers(2, 4))
    sizes = draw(st.dictionaries(st.integers(0, 50), st.integers(m, 20), min_size=1, max_size=6))
    labels = draw(st.permutations([name for name, size in sizes.items() for _ in range(size)]))
    return Drawn(labels, m, m * draw(st.integers(1, len(sizes))), draw(st.integers(1, 3)), draw(st.integers(0, 99)))


def epochs_of(case: Drawn, rank: int, epochs: int = 2) -> list[list[list[int]]]:
    generator = torch.Generator().manual_seed(case.seed)
    sampler = MPerClassBatchSampler(case.labels, case.m, case.size, generator=generator, rank=rank, world=case.world)
    found = [list(sampler) for _ in range(epochs)]
    assert {len(epoch) for epoch in found} == {len(sampler)}
    return found


@given(cases())
def test_every_batch_of_every_rank_has_m_points_of_each_of_its_classes(case: Drawn) -> None:
    for rank in range(case.world):
        for epoch in epochs_of(case, rank):
            assert len(epoch) == max(1, len(case.labels) // (case.world * case.size))
            for batch in epoch:
                assert len(set(batch)) == len(batch) == case.size
                assert set(Counter(case.labels[i] for i in batch).values()) == {case.m}


@given(cases())
def test_no_point_is_on_two_ranks_where_there_are_enough(case: Drawn) -> None:
    sizes = Counter(case.labels)
    for parts in zip(*(epochs_of(case, rank)[0] for rank in range(case.world)), strict=True):
        together = [i for part in parts for i in part]
        for name, count in Counter(case.labels[i] for i in together).items():
            if count <= sizes[name]:
                assert len({i for i in together if case.labels[i] == name}) == count


@given(cases())
def test_points_of_a_class_come_equally_often(case: Drawn) -> None:
    case = case._replace(world=1)
    for epoch in epochs_of(case, 0):
        counts = Counter(i for batch in epoch for i in batch)
        for name in set(case.labels):
            of_class = [counts[i] for i, label in enumerate(case.labels) if label == name]
            assert max(of_class) - min(of_class) <= 1


@given(cases())
def test_no_anchor_of_supcon_is_without_a_positive(case: Drawn) -> None:
    labels, loss = torch.tensor(case.labels), icon.method("supcon")
    z = torch.randn(len(labels), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for batch in epochs_of(case, 0)[0]:
            loss(z[batch], labels[batch])


def test_classes_are_equally_probable() -> None:
    labels = np.repeat(np.arange(5), [400, 200, 100, 50, 10])
    sampler = MPerClassBatchSampler(labels, 2, 4)
    counts = Counter(int(labels[i]) for _ in range(10) for batch in sampler for i in batch)
    share = np.array([counts[c] for c in range(5)]) / sum(counts.values())
    np.testing.assert_allclose(share, 0.2, atol=0.03)


def test_epochs_differ_and_a_seed_repeats_them() -> None:
    sampler = MPerClassBatchSampler([0, 1, 2] * 10, 3, 6)
    first, second = list(sampler), list(sampler)
    assert first != second
    torch.manual_seed(0)  # as at the start of each test
    assert [list(sampler), list(sampler)] == [first, second]


def test_in_a_loader() -> None:
    x, y = torch.arange(40.0), torch.arange(40) % 4
    loader = DataLoader(TensorDataset(x, y), batch_sampler=MPerClassBatchSampler(y, per_class=5, batch_size=10))
    batches = list(loader)
    assert len(batches) == len(loader) == 4
    for points, labels in batches:
        assert labels.unique(return_counts=True)[1].tolist() == [5, 5]
        assert torch.equal(points.long() % 4, labels)


def test_small_classes_are_left_out_with_a_warning() -> None:
    labels = [0] * 10 + [5] + [2] * 10 + [7] * 2
    with pytest.warns(UserWarning, match=r"^labels: got fewer than per_class=3 points of classes 5, 7: they are left"):
        sampler = MPerClassBatchSampler(labels, 3, 6)
    assert len(sampler) == 3
    assert {labels[i] for batch in sampler for i in batch} == {0, 2}


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"per_class": 1}, ValueError, "per_class: got 1, expected an integer >= 2"),
        ({"batch_size": 5}, ValueError, "batch_size: got 5, expected a multiple of per_class=2"),
        ({"batch_size": 1}, ValueError, "batch_size: got 1, expected an integer >= 2"),
        ({"batch_size": 10}, ValueError, "batch_size: got 10, expected at most 6, per_class=2 of each"),
        ({"labels": [0, 1, 2]}, ValueError, "labels: got at most 1 points of a class, expected 2 of some"),
        ({"labels": [0, 0, -1]}, ValueError, "labels: got negative entries in rows 2"),
        ({"labels": [0.0, 1.0]}, TypeError, "labels: got dtype torch.float64, expected integers"),
        ({"rank": 2, "world": 2}, ValueError, "rank: got 2, expected 0..1, one of world=2"),
        ({"world": 2}, ValueError, "generator: got None with world=2, expected one that is seeded alike on all ranks"),
        ({"generator": 3}, TypeError, "generator: got 3, expected a torch.Generator or None"),
    ],
)  # fmt: skip
def test_bad_arguments(change: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=f"^{told}"):
        MPerClassBatchSampler(**({"labels": [0, 1, 2] * 4, "per_class": 2, "batch_size": 4} | change))
