"""Parts as values: what makes one, whether two are the same, how one is shown."""

from __future__ import annotations

from collections import OrderedDict, deque
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import icon
from icon import _values as values
from icon.core.divergence import DIVERGENCES, Alpha


class Plain:
    def __init__(self, **state: Any) -> None:
        vars(self).update(state)


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: int) -> None:
        self.x = x


def constant() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(2, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: float("nan"),
        lambda: torch.tensor(float("nan"), dtype=torch.bfloat16),
        lambda: torch.tensor([True, False]),
        lambda: np.array([1.0, float("nan")]),
        lambda: np.array(["a", "b"]),
        lambda: {"a": [1, (2, {3})], "b": None},
        lambda: Plain(a=np.ones(2), b=Plain()),
        lambda: Slotted(1),
        lambda: partial(max, 1),
        lambda: deque([1, 2]),
        lambda: torch.device("cpu"),
        constant,
        lambda: icon.p.KNN(3).mix(icon.p.Gaussian(sigma=1.0), 0.5),
        icon.core.evaluators.Grid,
    ],
)
def test_two_that_are_made_alike_are_the_same(make: Any) -> None:
    assert values.same(make(), make())


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 2),
        (1, "1"),
        ([1], (1,)),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.zeros(2), torch.zeros(1, 2)),
        (torch.tensor([1.0]), torch.tensor([2.0])),
        (np.array([1]), np.array([2])),
        (Plain(a=[1]), Plain(a=[2])),
        (Slotted(1), Slotted(2)),
        (partial(max, 1), partial(max, 2)),
        (deque([1]), deque([2])),
        (lambda: 1, lambda: 1),
        (icon.p.KNN(3), icon.p.KNN(3).walks(2)),
        (icon.core.evaluators.Grid(), icon.core.evaluators.Grid(0.1)),
    ],
)
def test_what_is_not_the_same(a: Any, b: Any) -> None:
    assert not values.same(a, b)


def test_numbers_and_mappings_are_compared_by_what_they_hold() -> None:
    assert values.same(1, 1.0)
    assert values.same(np.float32(0.5), 0.5)
    assert values.same(np.bool_(True), True)
    assert values.same(np.str_("a"), "a")
    assert values.same(OrderedDict(a=1), {"a": 1})
    one = constant()
    assert values.same(one.eval(), constant())  # whether it trains is no part of it


def test_the_arguments_of_a_class_are_those_that_it_passes_on_too() -> None:
    class Own(icon.q.Gaussian):
        def __init__(self, power: float = 2.0, **rest: Any) -> None:
            super().__init__(**rest)

    assert {"power", "metric", "partition", "margin"} <= values.parameters(Own).keys()
    assert "rest" not in values.parameters(Own)
    assert list(values.parameters(icon.p.Identity)) == ["exclude_self", "operations"]


def test_a_value_that_is_registered_has_its_name() -> None:
    assert values.name_of(Alpha(), DIVERGENCES) == "alpha"
    assert values.name_of(Alpha(0.3), DIVERGENCES) is None
    assert values.name_of(None, DIVERGENCES) == "kl"


def test_a_part_is_shown_with_its_arguments() -> None:
    class Scaled:
        def __init__(self, by: Any = 1.0) -> None:
            self.by = by

    assert values.shown(Scaled()) == "Scaled()"
    assert values.shown(Scaled([1.0, 2.0])) == "Scaled(by=[1.0, 2.0])"
    assert values.shown(Scaled(torch.ones(9))) == "Scaled(by=[9 numbers])"
    assert values.shown(Scaled(Scaled(constant))) == "Scaled(by=Scaled(by=constant))"
    assert values.shown((1, 2, 3, 4, 5)) == "(5 numbers)"
    assert values.shown(Scaled(np.float64(2.0))) == "Scaled(by=2.0)"  # as it is in a file, and for another run
