"""The examples in docstrings run, with the names that a reader supplies in mind."""

from __future__ import annotations

import copy
import doctest
import importlib
import inspect
import pkgutil
import re
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
    and getattr(place, name).__module__.startswith(place.__name__ if place is icon.testing else "icon")
}
METHODS = {
    f"{name}.{method}": function
    for name, kind in PUBLIC.items()
    if inspect.isclass(kind)
    for method, given in vars(kind).items()
    if not method.startswith("_")
    and inspect.isfunction(function := getattr(given, "__func__", given))
    and function.__module__ == kind.__module__
    and function.__doc__  # else it has that of the base
}
DOCUMENTED = {name: thing for name, thing in (PUBLIC | METHODS).items() if thing.__module__ != "icon.testing"}


def names_in_mind() -> dict[str, Any]:
    torch.manual_seed(0)
    x, y = digits(90)
    encoder = nn.Linear(4, 3)
    return {
        "icon": icon, "torch": torch,
        "x": x, "labels": y, "new": x[:5],
        "z": torch.randn(20, 3, requires_grad=True), "ids": torch.arange(20) // 2, "other_view": torch.randn(20, 3),
        "prototypes": torch.randn(4, 3), "n_prototypes": 4, "assignments": torch.arange(20) % 4,
        "queries": torch.randn(6, 3), "keys": torch.randn(6, 3), "centroids": torch.randn(4, 3),
        "a": torch.randn(6, 4), "b": torch.randn(6, 4), "view_a": torch.randn(6, 4), "view_b": torch.randn(6, 4),
        "encoder": encoder, "student": encoder, "teacher": copy.deepcopy(encoder), "predictor": nn.Linear(3, 3),
        "optimizer": torch.optim.SGD(encoder.parameters(), lr=0.1),
    }  # fmt: skip


SLOW = {"icon.estimators.advice.advise", "icon.estimators.diagnostics.diagnose"}


class Shown(doctest.OutputChecker):
    """What an example shows has to be what it prints; one that shows nothing may print anything."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


def failures(example: doctest.DocTest) -> str:
    """What is wrong with an example; nothing where it is right."""
    example = copy.copy(example)
    example.globs = names_in_mind()
    said: list[str] = []
    runner = doctest.DocTestRunner(Shown(), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        runner.run(example, out=said.append)
    return "".join(said)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in EXAMPLES]
)
def test_example_runs(name: str) -> None:
    assert not failures(EXAMPLES[name])


def test_another_output_is_found() -> None:
    parse = doctest.DocTestParser().get_doctest
    assert not failures(parse(">>> 1 + 1\n2\n>>> 3", {}, "right", None, 0))
    assert "Expected:" in failures(parse(">>> 1 + 1\n3", {}, "wrong", None, 0))
    assert "ZeroDivisionError" in failures(parse(">>> x = 1 / 0", {}, "broken", None, 0))


def test_there_are_examples() -> None:
    shows = [name for name, test in EXAMPLES.items() if any(example.want for example in test.examples)]
    assert len(EXAMPLES) >= 40
    assert len(shows) >= 12


def entries(text: str, section: str) -> list[str]:
    """The entries of a section, each with what continues it."""
    found = re.search(rf"^{section}:\n((?:    .*\n|\n(?=    ))*)", text + "\n", flags=re.MULTILINE)
    return re.findall(r"^    \S.*(?:\n     .*)*", found[1], flags=re.MULTILINE) if found else []


def raised(thing: Any) -> set[str]:
    """The errors in the code of a function, or of what makes an object of a class."""
    if getattr(thing, "_is_protocol", False):
        return set()
    made = [vars(thing).get(name) for name in ("__init__", "__post_init__")] if inspect.isclass(thing) else [thing]
    written = [each for each in made if inspect.isfunction(each) and each.__code__.co_filename != "<string>"]
    code = "".join(map(inspect.getsource, written))
    return set(re.findall(r"\braise (\w+Error)\(", code)) - {"NotImplementedError", "AssertionError"}


@pytest.mark.parametrize("name", list(PUBLIC))
def test_every_public_thing_is_documented(name: str) -> None:
    assert inspect.getdoc(PUBLIC[name])


@pytest.mark.parametrize("name", list(DOCUMENTED))
def test_every_argument_and_error_has_its_line(name: str) -> None:
    """Also those that a class takes for its base, and those of methods that have words of their own."""
    thing = DOCUMENTED[name]
    text = inspect.getdoc(thing) or ""
    takes = {} if getattr(thing, "_is_protocol", False) else dict(inspect.signature(thing).parameters)
    wanted = [argument for argument in takes if argument not in ("self", "cls", "operations")]  # the last are chained
    named_tuple = inspect.isclass(thing) and issubclass(thing, tuple)
    listed = entries(text, "Attributes" if named_tuple else "Args")
    assert [argument for argument in wanted if not any(re.match(rf" +{argument}: ", e + " ") for e in listed)] == []
    for entry in listed:
        argument, _, words = entry.strip().partition(":")
        assert argument in wanted, f"{argument} is no argument"
        assert not [other for other in wanted if re.search(rf"[.;,] {other}: ", words)], f"two in one: {entry.strip()}"
    errors = entries(text, "Raises")
    assert not [entry for entry in errors if re.search(r"[.;] \w+Error: ", entry)], "two errors in one line"
    assert raised(thing) <= set(re.findall(r"\b\w+Error\b", " ".join(errors)))
