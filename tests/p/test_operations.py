"""What a p is after an operation: a mixture keeps the weights of the anchors, and takes in the identity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from tests.cases import normal

N = 24
IDS = np.arange(N) // 2
GRAPH = np.triu(np.random.default_rng(0).random((N, N)) < 0.3, 1).astype(float)
GRAPH = GRAPH + GRAPH.T


def test_a_mixture_keeps_the_weights_of_the_anchors() -> None:
    z = normal(N, 3)
    for settings in ({"normalization": "joint"}, {"anchor_weights": "stationary"}):
        alone = icon.Loss(icon.p.Graph(), icon.q.StudentT(), **settings)(z, GRAPH)
        mixed = icon.Loss(icon.p.Graph().mix(icon.p.Graph(), 0.5), icon.q.StudentT(), **settings)(z, GRAPH)
        assert mixed.item() == pytest.approx(alone.item(), rel=1e-12)


def test_a_mixture_with_the_identity() -> None:
    rows = icon.p.Classes().mix(icon.p.Identity(), 0.3)(IDS)
    expected = 0.7 * icon.p.Classes()(IDS).to_dense() + 0.3 * torch.eye(N, dtype=torch.float64)
    assert torch.equal(rows.to_dense(), expected)


@pytest.mark.parametrize("p", [icon.p.Pairs(), icon.p.KNN(1), icon.p.DataLabel()])
def test_debiased_all_the_way_nothing_is_a_positive(p: icon.p.Distribution) -> None:
    rows = p.debias(1.0)(normal(N, 2) if p.made_from == "features" else IDS)
    assert not rows.masses.positives(0, N).any()
    assert rows.n_edges == 0
