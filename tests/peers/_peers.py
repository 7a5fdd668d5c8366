"""Behaviours that well-known packages document, asked of icon and of the package, where it is installed.

A file has one peer. What differs between the two is said in the case; all else must be the same of both.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import pytest
from torch import Tensor

from tests.cases import assert_close, assert_same

Functions = dict[str, Callable[..., Any]]


class Package:
    """The functions of a package by name; it is imported when the first of them is asked for."""

    def __init__(self, name: str, build: Callable[[], Functions]) -> None:
        self.name, self.build = name, build
        self.is_icon = name == "icon"

    @cached_property
    def functions(self) -> Functions:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.build()

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self.functions[name]

    def __repr__(self) -> str:
        return self.name


def each(ours: Functions, module: str, theirs: Callable[[], Functions]) -> pytest.MarkDecorator:
    """Parametrise a test by ``package``: icon, and the peer where there is one, so that nothing is skipped."""
    packages = [Package("icon", lambda: ours)]
    if importlib.util.find_spec(module) is not None:
        packages.append(Package(module, theirs))
    return pytest.mark.parametrize("package", packages, ids=repr)


def agree(found: Tensor, expected: Tensor, leaves: Sequence[Tensor], rtol: float = 1e-9) -> None:
    """Equal values, of one or of all anchors, and equal gradients of their sum."""
    assert_close(found, expected, rtol, "value")
    assert_same(found.sum(), expected.sum(), leaves, rtol)
