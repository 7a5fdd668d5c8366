"""The examples in docstrings run, with the names that a reader supplies in mind."""

from __future__ import annotations

import copy
import doctest
import importlib
import inspect
import pkgutil
import warnings
from typing import Any

import pytest
import torch
from torch import nn

import icon
from tests.cases import digits

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(icon.__path__, "icon.")
    if not module.name.endswith("__main__") and module.name not in ("icon.codes", "icon.mappers")  # former names
]
EXAMPLES = {
    test.name: test
    for module in (icon, *MODULES)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module)
    if test.examples
}
PUBLIC = {
    f"{place.__name__}.{name}": getattr(place, name)
    for place in (icon, icon.p, icon.q, icon.nn, icon.metrics, icon.training, icon.estimators, icon.testing)
    for name in getattr(place, "__all__", dir(place))
    if not name.startswith("_")
    and callable(getattr(place, name))
    and getattr(place, name).__module__.startswith("icon")
}


def names_in_mind() -> dict[str, Any]:
    torch.manual_seed(0)
    x, y = digits(90)
    encoder = nn.Linear(4, 3)
    return {
        "icon": icon, "torch": torch, "Embedding": icon.Embedding, "Clustering": icon.Clustering,
        "x": x, "labels": y, "new": x[:5],
        "z": torch.randn(20, 3, requires_grad=True), "ids": torch.arange(20) // 2, "other_view": torch.randn(20, 3),
        "prototypes": torch.randn(4, 3), "n_prototypes": 4, "assignments": torch.arange(20) % 4,
        "queries": torch.randn(6, 3), "keys": torch.randn(6, 3), "centroids": torch.randn(4, 3),
        "a": torch.randn(6, 4), "b": torch.randn(6, 4), "view_a": torch.randn(6, 4), "view_b": torch.randn(6, 4),
        "encoder": encoder, "student": encoder, "teacher": copy.deepcopy(encoder), "predictor": nn.Linear(3, 3),
        "optimizer": torch.optim.SGD(encoder.parameters(), lr=0.1),
    }  # fmt: skip


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_example_runs(name: str) -> None:
    namespace = names_in_mind()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for example in EXAMPLES[name].examples:
            exec(compile(example.source, name, "exec"), namespace)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 14


@pytest.mark.parametrize("name", list(PUBLIC))
def test_every_public_thing_is_documented(name: str) -> None:
    """With one argument per line, where arguments are described."""
    text = inspect.getdoc(PUBLIC[name])
    assert text
    listed = text.partition("Args:\n")[2].partition("\n\n")[0]
    for line in listed.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            argument = line.strip().split(":")[0]
            assert ", " not in argument, f"{name}: {line.strip()}"
