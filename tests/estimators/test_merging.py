"""Merging of clusters: the table's mutual information, each merge and move against trying all of them."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from icon.estimators.merging import (
    balance_of,
    grouped,
    merge,
    merges,
    modularity,
    mutual_information,
    normalized_cut,
)

Array = NDArray[np.float64]


def table(k: int, seed: int) -> Array:
    """Symmetric, with a third of zeros, summing to one."""
    rng = np.random.default_rng(seed)
    found = rng.random((k, k)) ** 4 * (rng.random((k, k)) > 0.6)
    found += found.T + np.eye(k)
    return np.asarray(found / found.sum())


def objective(joint: Array, balance: float) -> float:
    sizes = joint.sum(axis=1)
    return mutual_information(joint) + (1 - balance) * float((sizes * np.log(sizes)).sum())


def naive(joint: Array, n_groups: int, balance: float) -> NDArray[np.int64]:
    """The same greedy search, every union and every move tried on the whole table."""
    groups = np.arange(len(joint))

    def value(labels: NDArray[np.int64]) -> float:
        return objective(grouped(joint, np.unique(labels, return_inverse=True)[1]), balance)

    def joined(a: int, b: int) -> NDArray[np.int64]:
        return np.unique(np.where(groups == b, a, groups), return_inverse=True)[1]

    while groups.max() + 1 > n_groups:
        groups = max((joined(a, b) for a, b in combinations(range(groups.max() + 1), 2)), key=value)
    moved = True
    while moved:
        moved = False
        for cluster in np.random.default_rng(0).permutation(len(joint)):
            if (groups == groups[cluster]).sum() == 1:
                continue
            moves = [np.where(np.arange(len(joint)) == cluster, g, groups) for g in range(n_groups)]
            best = max(moves, key=value)
            if value(best) > value(groups) + 1e-12:
                groups, moved = best, True
    return groups


@settings(max_examples=25, deadline=None)
@given(k=st.integers(2, 9), data=st.data())
def test_equals_trying_everything(k: int, data: st.DataObject) -> None:
    n_groups, seed = data.draw(st.integers(1, k)), data.draw(st.integers(0, 999))
    joint, balance = table(k, seed), data.draw(st.sampled_from([1.0, 0.6, 0.0]))
    groups = merge(joint, n_groups, balance)
    assert len(np.unique(groups)) == n_groups
    assert groups.max() == n_groups - 1
    expected = objective(grouped(joint, naive(joint, n_groups, balance)), balance)
    assert objective(grouped(joint, groups), balance) == pytest.approx(expected, abs=1e-10)


def test_the_sequence_of_merges_ends_in_one_group() -> None:
    """Each step joins two groups, and those of a block before two blocks."""
    joint = blocks([4, 3])
    found = list(merges(joint))
    assert [len(np.unique(groups)) for groups in found] == list(range(7, 0, -1))
    assert all(groups.max() + 1 == len(np.unique(groups)) for groups in found)
    for finer, coarser in pairwise(found):
        assert len(np.unique(np.stack([finer, coarser]), axis=1).T) == finer.max() + 1
    assert found[-2].tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_modularity_of_known_tables() -> None:
    assert modularity(np.array([[0.4, 0.1], [0.1, 0.4]])) == pytest.approx(0.8 - 0.5)
    assert modularity(np.ones((1, 1))) == 0
    assert modularity(np.full((3, 3), 1 / 9)) == pytest.approx(0)


def test_blocks_are_found() -> None:
    """Twelve clusters in three blocks that pairs hardly leave, the blocks of unequal sizes."""
    block = np.repeat([0, 1, 2], [6, 4, 2])
    joint = np.where(block[:, None] == block, 1.0, 0.02)
    groups = merge(joint / joint.sum(), 3)
    assert [len(np.unique(groups[block == b])) for b in range(3)] == [1, 1, 1]
    assert len(np.unique(groups)) == 3


def test_mutual_information_of_known_tables() -> None:
    assert mutual_information(np.eye(4) / 4) == pytest.approx(np.log(4))
    assert mutual_information(np.full((3, 3), 1 / 9)) == pytest.approx(0.0, abs=1e-15)


def test_an_empty_cluster_costs_nothing() -> None:
    joint = np.zeros((4, 4))
    joint[:3, :3] = table(3, 0)
    groups = merge(joint, 3)
    assert mutual_information(grouped(joint, groups)) == pytest.approx(mutual_information(joint))


def blocks(parts: list[int], leaves: float = 0.01) -> Array:
    """Groups of so many equal clusters each, in a line; a walk stays in its line but for one probability."""
    group = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(group))
    near = np.exp(-np.abs(number[:, None] - number) / 2.0) * (group[:, None] == group)
    return np.asarray((1 - leaves) * near / near.sum() + leaves / len(group) ** 2)


def test_balance_is_one_for_equal_groups_and_lower_for_unequal_ones() -> None:
    assert balance_of(blocks([10, 10, 10]), 3) == 1
    unequal = blocks([30, 2, 2])
    found = balance_of(unequal, 3)
    assert found < 1
    groups = merge(unequal, 3, found)
    assert [len(np.unique(part)) for part in np.split(groups, [30, 32])] == [1, 1, 1]
    equal = merge(unequal, 3)
    assert len(np.unique(equal[:30])) > 1, "the mutual information cuts the large group"
    assert normalized_cut(grouped(unequal, groups)) < normalized_cut(grouped(unequal, equal))


def test_balance_is_one_where_one_group_more_costs_as_little() -> None:
    """Four groups of unequal sizes, of which three are asked for."""
    assert balance_of(blocks([30, 2, 2, 2]), 3) == 1


@pytest.mark.parametrize("n_groups", [1, 34, 51])
def test_balance_is_one_without_a_choice(n_groups: int) -> None:
    joint = blocks([30, 2, 2])
    assert balance_of(joint, min(n_groups, len(joint))) == 1


def test_normalized_cut_of_known_tables() -> None:
    assert normalized_cut(np.eye(4) / 4) == 0
    assert normalized_cut(np.full((3, 3), 1 / 9)) == pytest.approx(2)
    empty = np.zeros((3, 3))
    empty[:2, :2] = np.eye(2) / 2
    assert normalized_cut(empty) == 1
