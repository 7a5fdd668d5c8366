"""Scores as tables: the compiled loop reads from one what PyTorch computes, and what no table tells is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import icon
from icon.core.evaluators import edges
from icon.core.evaluators.edges import Links
from icon.core.evaluators.nodes import compiled
from icon.core.evaluators.tables import table_of
from tests.core.evaluators.test_grid import Rational


class Distance(icon.q.Radial):
    def radial(self, squared: Tensor) -> Tensor:
        return -squared.clamp_min(1e-300).sqrt()


class Steep(icon.q.Radial):
    def radial(self, squared: Tensor) -> Tensor:
        return -squared.exp()


class Hinge(icon.q.Radial):
    def radial(self, squared: Tensor) -> Tensor:
        return -(squared - 3).clamp_min(0)


class Scaled(icon.q.Radial):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def radial(self, squared: Tensor) -> Tensor:
        return -self.factor * squared

    def extra_repr(self) -> str:
        return f"{self.factor}"


@pytest.mark.skipif(compiled() is None, reason="the loops are compiled by numba, which is not installed")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [1e-12, 1.0, 5.0, 1e6])
@pytest.mark.parametrize("q", [Rational(), Distance(), Steep()], ids=lambda q: type(q).__name__)
def test_sums_are_those_of_pytorch(q: icon.q.Radial, spread: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    z = spread * torch.randn(400, 2, dtype=dtype)
    z[:7] = z[7]  # pairs at distance 0, whose score pulls nowhere
    links = Links(icon.p.KNN(9)(torch.randn(400, 3)).masses, z)
    pulls = 1e4 * torch.rand(len(links.indices), dtype=dtype)
    given = z, links, q, pulls
    for found, expected in zip(edges._sums(*given), edges._sums_by_torch(*given), strict=True):
        kept = torch.isfinite(expected)
        assert bool(kept.any()) or spread > 1
        off = (found[kept] - expected[kept]).norm()
        assert float(off) <= 1e-6 * float(expected[kept].norm())


def test_a_score_with_a_kink_has_no_table() -> None:
    assert table_of(Hinge()) is None
    assert table_of(Rational()) is not None


def test_a_score_that_changes_has_another_table() -> None:
    q = Scaled(2.0)
    before = table_of(q)
    q.factor = 3.0
    after = table_of(q)
    assert before is not None
    assert after is not None
    torch.testing.assert_close(after, 1.5 * before)
