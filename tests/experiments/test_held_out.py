"""The held-out protocol: nothing of the held-out half reaches training."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.held_out import halves, knn_accuracy, standardised

Y = np.repeat(np.arange(4), 10)


def test_halves_are_stratified_and_follow_the_seed() -> None:
    split = halves(Y, 0)
    assert sorted([*split.train, *split.held]) == list(range(40))
    assert np.bincount(Y[split.train]).tolist() == [5, 5, 5, 5]
    assert (halves(Y, 0).train == split.train).all()
    assert (halves(Y, 1).train != split.train).any()
    with pytest.raises(ValueError, match="class 7 with one member"):
        halves(np.array([*Y, 7]), 0)


def test_standardised_by_the_training_half() -> None:
    x = np.random.default_rng(0).normal(3, 5, size=(40, 3))
    x[:, 2] = 1  # a constant feature stays finite
    split = halves(Y, 0)
    z = standardised(x, split.train)
    np.testing.assert_allclose(z[split.train].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z[split.train].std(axis=0), [1, 1, 0], atol=1e-6)
    moved = x.copy()
    moved[split.held] += 100
    assert (standardised(moved, split.train)[split.train] == z[split.train]).all()


def test_knn_accuracy() -> None:
    split = halves(Y, 0)
    apart = 100.0 * Y[:, None] + np.random.default_rng(0).normal(size=(40, 2))
    assert knn_accuracy(apart, Y, split, k=3) == 1
    with pytest.raises(ValueError, match="k: got 21, expected at most 20"):
        knn_accuracy(apart, Y, split, k=21)
