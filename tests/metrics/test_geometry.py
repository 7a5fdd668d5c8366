"""Alignment, uniformity, effective rank: against loops and scipy, and against known values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.special import logsumexp
from scipy.stats import entropy, ortho_group

from icon import metrics
from icon.metrics import geometry

RNG = np.random.default_rng(2)
A, B = RNG.normal(size=(2, 30, 4))
UNIT = A / np.linalg.norm(A, axis=1, keepdims=True)
ROTATION = ortho_group.rvs(4, random_state=0)


# -- alignment --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [0.5, 1, 2, 3])
def test_alignment_by_a_loop(power: float) -> None:
    apart = [np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** power for a, b in zip(A, B, strict=True)]
    assert metrics.alignment(A, B, power) == pytest.approx(np.mean(apart), abs=1e-12)


def test_alignment_of_equal_opposite_and_orthogonal_views() -> None:
    assert metrics.alignment(A, A) == 0
    assert metrics.alignment(A, 3 * A) == pytest.approx(0, abs=1e-30)
    assert metrics.alignment(A, -A, power=3) == pytest.approx(8, abs=1e-12)
    assert metrics.alignment(np.eye(3), np.roll(np.eye(3), 1, axis=0)) == pytest.approx(2, abs=1e-12)
    assert metrics.alignment(torch.ones(1, 2), torch.ones(1, 2)) == 0


def test_alignment_does_not_see_rotation() -> None:
    assert metrics.alignment(A @ ROTATION, B @ ROTATION) == pytest.approx(metrics.alignment(A, B), abs=1e-12)


# -- uniformity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0.1, 2, 50])
@pytest.mark.parametrize("entries", [1, 70, 1000, 2**22])
def test_uniformity_of_all_pairs_in_any_blocks(t: float, entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "TILE_ENTRIES", entries)
    exponents = -t * pdist(UNIT, "sqeuclidean")
    expected = logsumexp(exponents) - math.log(len(exponents))
    assert metrics.uniformity(A, t) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("t", [0.5, 2, 1000])
def test_uniformity_of_two_points_is_the_kernel_of_their_distance(t: float) -> None:
    assert metrics.uniformity([[3.0, 0.0], [-0.5, 0.0]], t) == -4 * t
    assert metrics.uniformity([[1.0, 0.0], [0.0, 7.0]], t) == -2 * t


def test_uniformity_of_a_simplex_and_of_a_collapse() -> None:
    simplex = np.eye(5) - 0.2  # every pair at the squared distance 2 · 5/4
    assert metrics.uniformity(simplex, t=2) == pytest.approx(-5, abs=1e-12)
    for t in (0.1, 2, 1e6):
        assert -1e-8 < metrics.uniformity(np.full((20, 3), 0.1), t) <= 0


def test_uniformity_does_not_see_rotation_or_length() -> None:
    lengths = 10.0 ** np.arange(-300, 300, 20)[:, None]
    assert metrics.uniformity(lengths * A @ ROTATION) == pytest.approx(metrics.uniformity(A), abs=1e-12)


def test_uniformity_holds_no_square() -> None:
    """The tile of the first block is the largest: its entries stay near the stated number."""
    n = 3000
    units = torch.nn.functional.normalize(torch.randn(n, 2, dtype=torch.float64), dim=1)
    sizes: list[int] = []
    original = geometry._log_potential

    def counted(units: torch.Tensor, start: int, stop: int, t: float) -> torch.Tensor:
        sizes.append((min(stop, n) - start) * (n - start))
        return original(units, start, stop, t)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry, "_log_potential", counted)
        metrics.uniformity(units)
    assert len(sizes) > 1
    assert max(sizes) <= geometry.TILE_ENTRIES < n * n


# -- effective rank ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("center", [True, False])
def test_effective_rank_is_the_entropy_of_the_singular_values(center: bool) -> None:
    matrix = A + 3
    values = np.linalg.svd(matrix - matrix.mean(axis=0) * center, compute_uv=False)
    expected = np.exp(entropy(values / values.sum()))
    assert metrics.effective_rank(matrix, center) == pytest.approx(expected, abs=1e-12)


def test_effective_rank_of_orthogonal_and_rank_one_matrices() -> None:
    assert metrics.effective_rank(ROTATION, center=False) == pytest.approx(4, abs=1e-12)
    assert metrics.effective_rank(np.concatenate([ROTATION, -ROTATION])) == pytest.approx(4, abs=1e-12)
    for center in (True, False):
        assert metrics.effective_rank(np.outer(A[:, 0], B[0]), center) == pytest.approx(1, abs=1e-10)
    assert metrics.effective_rank(np.diag([3.0, 1.0]), center=False) == pytest.approx(4 / 3**0.75, abs=1e-12)


def test_effective_rank_does_not_see_rotation_scale_or_place() -> None:
    expected = metrics.effective_rank(A)
    for same in (A @ ROTATION, 1e200 * A, 1e-200 * A, A + 7):
        assert metrics.effective_rank(same) == pytest.approx(expected, abs=1e-10)
    assert metrics.effective_rank(A + 7, center=False) < expected


# -- bad input --------------------------------------------------------------------------------------------------------

NAN = np.where(np.arange(30)[:, None] == 7, np.inf, A)
ZERO = np.where(np.arange(30)[:, None] == 3, 0, A)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: metrics.alignment(NAN, A), ValueError, "^za: got NaN or infinity in rows 7"),
        (lambda: metrics.alignment(A, ZERO), ValueError, "^zb: got zeros only in rows 3"),
        (lambda: metrics.alignment(A, B[:4]), ValueError, r"^zb: got shape \(4, 4\), expected \(30, 4\)"),
        (lambda: metrics.alignment(A, B[0]), ValueError, r"^zb: got shape \(4,\), expected two dimensions"),
        (lambda: metrics.alignment(A, B, 0), ValueError, "^power: got 0, expected a finite number > 0"),
        (lambda: metrics.alignment(A, None), TypeError, "^zb: got None"),  # type: ignore[arg-type]
        (lambda: metrics.uniformity(NAN), ValueError, "^z: got NaN or infinity in rows 7"),
        (lambda: metrics.uniformity(ZERO), ValueError, "^z: got zeros only in rows 3"),
        (lambda: metrics.uniformity(A[:1]), ValueError, "^z: got 1 row, expected at least two points"),
        (lambda: metrics.uniformity(A[0]), ValueError, r"^z: got shape \(4,\)"),
        (lambda: metrics.uniformity(A, -2), ValueError, "^t: got -2, expected a finite number > 0"),
        (lambda: metrics.uniformity(A, math.inf), ValueError, "^t: got inf"),
        (lambda: metrics.effective_rank(NAN), ValueError, "^z: got NaN or infinity in rows 7"),
        (lambda: metrics.effective_rank(A[:0]), ValueError, r"^z: got shape \(0, 4\)"),
        (lambda: metrics.effective_rank(A[:1]), ValueError, "^z: got equal rows only"),
        (lambda: metrics.effective_rank(np.full((5, 2), 0.1)), ValueError, "^z: got equal rows only"),
        (lambda: metrics.effective_rank(np.zeros((5, 2)), center=False), ValueError, "^z: got zeros only"),
    ],
)
def test_bad_input(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
