"""Groups: what their sums take, and parts of them."""

from __future__ import annotations

import pytest
import torch

import icon
from icon.p.masses import Grouped, Masses, Overlap
from icon.p.support import Support
from tests.cases import Largest

KEYS = torch.tensor([0, 1, 0, 0])


def test_sums_over_groups_of_one_set_take_no_more_than_its_features() -> None:
    keys, features = torch.arange(3000) // 2, torch.randn(3000, 4)
    masses = Grouped(keys, keys, Support(3000, 3000, True))
    with Largest(floating=True) as largest:
        averages = masses.average(features)
    assert largest.numbers == features.numel()
    torch.testing.assert_close(averages, features.view(-1, 2, 4).flip(1).reshape(-1, 4))


def test_an_anchor_alone_among_the_candidates_has_no_mass() -> None:
    one, weights = Support(1, 4, True, 2), torch.ones(1, dtype=torch.float64)
    labels = torch.eye(2, dtype=torch.float64)[KEYS]
    parts: list[Masses] = [
        Grouped(KEYS[2:3], KEYS, one),
        Overlap.of(labels[2:3], labels, one, torch.ones(4, dtype=torch.float64)),
    ]
    for masses in parts:
        tiles = [masses.columns(start, start + 1).tile(0, 1, weights) for start in range(4)]
        torch.testing.assert_close(torch.cat(tiles, dim=1), masses.tile(0, 1, weights))
        assert float(masses.columns(2, 3).sums()) == 0


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_large_groups_are_counted_exactly_whatever_the_default_dtype_is(default: torch.dtype) -> None:
    z, labels = torch.randn(600, 3, dtype=torch.float32), torch.arange(600) % 2
    expected = icon.method("supcon")(z, labels)
    torch.set_default_dtype(default)
    try:
        found = icon.method("supcon")(z, labels)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)
