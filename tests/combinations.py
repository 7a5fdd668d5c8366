"""Combinations of the arguments of a test, of which the fast tests take a few."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest


def few_are_fast(*values: Sequence[Any]) -> list[Any]:
    """All combinations of the values of several arguments, for `pytest.mark.parametrize`; most are marked as slow.

    Among the others is every value of the argument that has the most, and every combination of the rest.
    """
    longest = max(range(len(values)), key=lambda k: len(values[k]))
    rest = [tuple(range(len(each))) for k, each in enumerate(values) if k != longest]
    number = {places: k for k, places in enumerate(itertools.product(*rest))}
    period = min(len(values[longest]), len(number))
    cases = []
    for places in itertools.product(*(range(len(each)) for each in values)):
        fast = (number[places[:longest] + places[longest + 1 :]] - places[longest]) % period == 0
        case = [each[place] for each, place in zip(values, places, strict=True)]
        cases.append(pytest.param(*case, marks=[] if fast else [pytest.mark.slow]))
    return cases
