"""Combinations of the arguments of a test, of which the fast tests take a few."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest


def few_are_fast(*values: Sequence[Any]) -> list[Any]:
    """All combinations of the values of several arguments, for `pytest.mark.parametrize`; most are marked as slow.

    Those that are not are a diagonal: every value of each argument is among them, and with two arguments beside the one
    of the most values, every pair of theirs as well.
    """
    longest = max(map(len, values))
    return [
        pytest.param(*combination, marks=[pytest.mark.slow] if sum(places) % longest else [])
        for places, combination in zip(
            itertools.product(*(range(len(each)) for each in values)), itertools.product(*values), strict=True
        )
    ]
