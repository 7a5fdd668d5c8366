"""Drawing from many points: a batch takes no work over all of them, and is drawn as from few."""

from __future__ import annotations

import pytest
import torch

import icon
from icon.training import PairSampler, sampler
from tests.cases import Largest

MANY = sampler.LARGE
LABELS = torch.arange(MANY) // 4


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("second", [None, icon.p.Classes()(LABELS // 2)], ids=["classes", "mixture"])
def test_a_draw_makes_nothing_of_the_size_of_all_points(weighted: bool, second: icon.Rows | None) -> None:
    rows = icon.p.Classes()(LABELS)
    pairs = PairSampler(rows if second is None else rows.mix(second, 0.5), weighted)
    pairs.draw(8)
    with Largest() as largest:
        anchors, partners, _ = pairs.draw(64)
    assert largest.numbers <= 64 * 64
    assert torch.equal(LABELS[anchors] // 2, LABELS[partners] // 2)
    assert not (anchors == partners).any()


def test_anchors_of_many_are_different_and_as_probable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "LARGE", 0)
    pairs = PairSampler(icon.p.Classes()(torch.tensor([0, 1, 1, 2, 2, 2])))  # the first has no positive
    drawn = torch.stack([pairs.draw(2)[0] for _ in range(2000)])
    assert (drawn[:, 0] != drawn[:, 1]).all()
    shares = torch.bincount(drawn.flatten(), minlength=6) / drawn.numel()
    torch.testing.assert_close(shares, torch.tensor([0.0] + 5 * [0.2]), rtol=0, atol=0.03)
    assert sorted(pairs.draw(9)[0].tolist()) == [1, 2, 3, 4, 5]


def test_a_seed_draws_the_same_of_many() -> None:
    pairs = PairSampler(icon.p.Classes()(LABELS))
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(pairs.draw(64)[:2])
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])
