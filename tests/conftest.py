"""Shared fixtures; one thread: the arrays are small.

With ``ICON_CHECK_SHAPES=1`` the shapes in the signatures of icon are checked at every call.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook
from threadpoolctl import threadpool_limits

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # or scikit-learn leaves out its checks of array API inputs

if os.environ.get("ICON_CHECK_SHAPES"):
    from tests import shapes

    install_import_hook(shapes.MODULES, "tests.shapes.check")

from icon.core.divergence import DIVERGENCES
from icon.core.evaluators import EVALUATORS
from icon.estimators.saved import ESTIMATORS
from icon.methods import registry as methods
from icon.methods.axes import COLUMNS, ROWS
from icon.q import PARTITIONS
from icon.serialization import READERS
from tests import cases

pytest_plugins = ["tests.browser"]

settings.register_profile(
    "icon",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=20 if os.environ.get("CI") else 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("icon")
# torch.manual_seed puts off what devices are to do, with the stack of the caller, where there are none.
GENERATORS = torch if torch.cuda.is_available() else torch.default_generator
torch.set_num_threads(1)
threadpool_limits(1)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """What is collected stays until the end, so that the garbage collector need not look at it again and again."""
    gc.disable()
    collected = yield
    gc.collect()
    gc.freeze()
    gc.enable()
    return collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, so that no process waits for another one that has begun them last."""
    items.sort(key=lambda item: item.path.name != "test_shapes.py")


@pytest.fixture(autouse=True)
def _seed() -> None:
    GENERATORS.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - for code that draws from the global state


@pytest.fixture(scope="session")
def coordinate_input() -> Callable[..., cases.Case]:
    """`cases.coordinate_input(row, column)`: a valid input and target of a coordinate, with its dense counterpart."""
    return cases.coordinate_input


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Features ``[120, 64]`` in [0, 1] and labels ``[120]`` of the handwritten digits."""
    return cases.digits(120)


@pytest.fixture(params=["autograd", "fused"])
def each_evaluator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every loss that leaves the choice open is evaluated by each evaluator in turn."""
    evaluator = EVALUATORS[request.param]()
    monkeypatch.setattr("icon.core.evaluators.choose", lambda problem: evaluator)
    monkeypatch.setattr("icon.core.loss.cross_entropy", lambda *parts, **options: None)  # which takes none
    return str(request.param)


@pytest.fixture
def registry() -> Iterator[None]:
    """What is registered in a test is gone after it."""
    known: tuple[dict[str, Any], ...] = (
        methods._METHODS, ROWS, COLUMNS, DIVERGENCES, EVALUATORS, PARTITIONS, ESTIMATORS, READERS
    )  # fmt: skip
    before = [dict(entries) for entries in known]
    yield
    for entries, kept in zip(known, before, strict=True):
        entries.clear()
        entries.update(kept)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Anchors without a positive are expected here; their warning is not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
