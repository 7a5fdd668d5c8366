"""What POT documents of entropic transport: the plan ``diag(u) exp(s / ε) diag(v)`` that has the given marginals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import icon
from tests.cases import normal
from tests.peers._peers import Functions, Package, each

ROWS, COLUMNS = 8, 4
SCORES = np.tanh(normal(ROWS, COLUMNS).numpy())
UNEQUAL_ROWS, UNEQUAL_COLUMNS = np.arange(1.0, ROWS + 1), np.arange(1.0, COLUMNS + 1)
MARGINALS = {
    "equal": (np.ones(ROWS), np.ones(COLUMNS)),
    "unequal": (UNEQUAL_ROWS, UNEQUAL_COLUMNS),
    "a row without mass": (UNEQUAL_ROWS * (np.arange(ROWS) != 2), UNEQUAL_COLUMNS),
    "a column without mass": (UNEQUAL_ROWS, UNEQUAL_COLUMNS * (np.arange(COLUMNS) != 1)),
    "mass in one column": (UNEQUAL_ROWS, np.eye(COLUMNS)[3]),
}


def our_plan(scores: Any, rows: Any, columns: Any, epsilon: float) -> Any:
    codes = icon.sinkhorn(scores, epsilon, 100_000, row_weights=rows, column_weights=columns, tolerance=1e-11)
    return rows[:, None] * codes.numpy()


def theirs() -> Functions:
    import ot

    def plan(scores: Any, rows: Any, columns: Any, epsilon: float) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the logarithm of no mass
            return ot.sinkhorn(
                rows, columns, -scores, epsilon, method="sinkhorn_log", stopThr=1e-11, numItermax=100_000
            )

    return {"plan": plan}


EACH = each({"plan": our_plan}, "ot", theirs)


def marginals(name: str) -> list[Any]:
    return [weights / weights.sum() for weights in MARGINALS[name]]


def written_out(scores: Any, rows: Any, columns: Any, epsilon: float) -> Any:
    """Cuturi's iteration, u and v in turn."""
    kernel, v = np.exp(scores / epsilon), np.ones(len(columns))
    for _ in range(20_000):
        u = rows / (kernel @ v)
        v = columns / (kernel.T @ u)
    return u[:, None] * kernel * v


@EACH
@pytest.mark.parametrize(
    ("name", "epsilon"), [(name, 1.0) for name in MARGINALS] + [("equal", 0.1), ("unequal", 0.1), ("unequal", 0.02)]
)
def test_plan(package: Package, name: str, epsilon: float) -> None:
    rows, columns = marginals(name)
    found = package["plan"](SCORES, rows, columns, epsilon)
    np.testing.assert_allclose(found, written_out(SCORES, rows, columns, epsilon), atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), rows, atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=0), columns, atol=1e-9)
    assert not found[rows == 0].any()
    assert not found[:, columns == 0].any()


@EACH
def test_a_small_epsilon_gives_the_best_plan(package: Package) -> None:
    """Where exp(s / ε) overflows. On a line the best plan couples the points in their order."""
    points = np.array([0.0, 1.0, 3.0]), np.array([0.5, 2.0])
    rows, columns = np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.6])
    scores = -np.square(points[0][:, None] - points[1])
    found = package["plan"](scores, rows, columns, 1e-3)
    np.testing.assert_allclose(found, [[0.2, 0], [0.2, 0.3], [0, 0.3]], atol=1e-6)
