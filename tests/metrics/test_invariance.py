"""The Representation Invariance Score: against loops over units, classes and thresholds, and against known values."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from icon import metrics

RNG = np.random.default_rng(3)
N, T, U = 12, 4, 5
LABELS = np.array([0, 1, 2] * 4)
ACTIVATIONS = RNG.normal(size=(N, T, U))
score = metrics.representation_invariance_score


def invariant(labels: NDArray[np.int64], t: int) -> NDArray[np.float64]:
    """One unit per class, on for its class whatever the transformation, at changing strength."""
    on = (labels[:, None, None] == np.unique(labels)).astype(float) * np.ones((1, t, 1))
    return on * RNG.uniform(0.5, 1, size=on.shape)


def by_loops(activations: NDArray[np.float64], labels: NDArray[np.int64], top: int) -> float:
    n, t, units = activations.shape
    classes = sorted(set(labels.tolist()))
    ratios: dict[int, list[float]] = {y: [] for y in classes}
    for i in range(units):
        unit = activations[:, :, i]
        rates = {cut: float(np.mean(unit >= cut)) for cut in np.unique(unit)}
        rates = {cut: rate for cut, rate in rates.items() if rate < 1}
        if not rates:
            for y in classes:
                ratios[y].append(0.0)
            continue
        cut = min(rates, key=lambda c: (round(abs(rates[c] - 1 / len(classes)), 12), rates[c]))
        for y in classes:
            local = np.mean([np.mean([unit[a, b] >= cut for b in range(t)]) for a in range(n) if labels[a] == y])
            ratios[y].append(float(local) / rates[cut])
    return float(np.mean([np.mean(sorted(ratios[y])[-top:]) for y in classes]))


@pytest.mark.parametrize("top", [1, 3, 5])
@pytest.mark.parametrize("levels", [None, 1, 2, 3, 6])  # few levels: ties everywhere
@pytest.mark.parametrize("labels", [LABELS, np.array([0] * 7 + [4] * 4 + [9]), np.arange(12) % 5])
def test_score_by_loops(top: int, levels: int | None, labels: NDArray[np.int64]) -> None:
    activations = ACTIVATIONS if levels is None else RNG.integers(0, levels, size=(N, T, U)).astype(float)
    assert score(activations, labels, top=top) == pytest.approx(by_loops(activations, labels, top), abs=1e-12)


@pytest.mark.parametrize(("classes", "each", "t"), list(product([2, 3, 7], [1, 4], [1, 5])))
def test_exactly_invariant_units_score_the_number_of_classes(classes: int, each: int, t: int) -> None:
    labels = np.tile(np.arange(classes), each)
    assert score(invariant(labels, t), labels, top=1) == pytest.approx(classes, abs=1e-12)
    assert score(np.ceil(invariant(labels, t)), labels) == pytest.approx(classes, abs=1e-12)


def test_no_unit_exceeds_the_number_of_balanced_classes() -> None:
    for levels in (2, 3, 10):
        assert score(RNG.integers(0, levels, size=(N, T, 50)), LABELS, top=1) <= 3 + 1e-12


def test_units_of_known_invariance() -> None:
    labels = np.array([0, 0, 1, 1])
    half = np.zeros((4, 2, 1))
    half[:, 0] = 1  # fires on the first version of every instance: rate 1/2, and 1/2 in both classes
    assert score(half, labels, top=1) == 1
    constant = np.full((4, 2, 1), 0.1)
    assert score(constant, labels, top=1) == 0
    one_class = np.repeat([1.0, 1.0, 0.0, 0.0], 2).reshape(4, 2, 1)
    assert score(one_class, labels, top=1) == 1  # 2 for its class, 0 for the other
    # Ties: on for 3 of 4 instances. The rate 1/2 cannot be had; 3/4 is what divides.
    three = np.repeat([1.0, 1.0, 1.0, 0.0], 2).reshape(4, 2, 1)
    assert score(three, labels, top=1) == pytest.approx((1 / 0.75 + 0.5 / 0.75) / 2)


def test_noise_is_at_chance_and_variance_lowers_the_score() -> None:
    labels = np.arange(1000) % 4
    assert score(RNG.normal(size=(1000, 10, 3)), labels, top=3) == pytest.approx(1, abs=0.01)
    units = invariant(labels, 10)
    scores = [score(units + noise * RNG.normal(size=units.shape), labels, top=1) for noise in (0, 0.5, 2)]
    assert scores[0] == pytest.approx(4)
    assert scores == sorted(scores, reverse=True)


def test_monotone_maps_and_orders_do_not_matter() -> None:
    expected = score(ACTIVATIONS, LABELS, top=2)
    order = RNG.permutation(N)
    turned = np.exp(ACTIVATIONS)[order][:, ::-1, ::-1]
    assert score(turned, (10 - LABELS)[order], top=2) == pytest.approx(expected, abs=1e-12)
    tensor = torch.from_numpy(ACTIVATIONS).requires_grad_()
    assert score(tensor, torch.from_numpy(LABELS), top=2) == expected


def test_top_is_a_tenth_of_the_units() -> None:
    many = RNG.normal(size=(N, T, 21))
    assert score(many, LABELS) == score(many, LABELS, top=3)
    assert score(ACTIVATIONS, LABELS) == score(ACTIVATIONS, LABELS, top=1)


NAN = np.where(np.arange(N)[:, None, None] == 7, np.nan, ACTIVATIONS)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: score(NAN, LABELS), ValueError, "^activations: got NaN or infinity in rows 7,"),
        (lambda: score(ACTIVATIONS[0], LABELS), ValueError, r"^activations: got shape \(4, 5\), expected \(n, t, u\)"),
        (lambda: score(ACTIVATIONS[:, :0], LABELS), ValueError, r"^activations: got shape \(12, 0, 5\)"),
        (lambda: score(None, LABELS), TypeError, "^activations: got None"),  # type: ignore[arg-type]
        (lambda: score(ACTIVATIONS, LABELS[:5]), ValueError, "^labels: got 5 entries, expected 12"),
        (lambda: score(ACTIVATIONS, LABELS - 1), ValueError, "^labels: got unknown ones"),
        (lambda: score(ACTIVATIONS, LABELS / 2), ValueError, "^labels: got 0.5, expected whole"),
        (lambda: score(ACTIVATIONS, LABELS * 0), ValueError, "^labels: got 1 class, expected at least two"),
        (lambda: score(ACTIVATIONS[:1], LABELS[:1]), ValueError, "^labels: got 1 class, expected at least two"),
        (lambda: score(ACTIVATIONS, LABELS, top=0), ValueError, "^top: got 0, expected an integer >= 1"),
        (lambda: score(ACTIVATIONS, LABELS, top=6), ValueError, "^top: got 6, expected at most 5"),
        (lambda: score(ACTIVATIONS, LABELS, top=0.5), TypeError, "^top: got 0.5"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
