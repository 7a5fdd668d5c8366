"""Prepared rows of one set serve a pair of sets as well, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import icon
from tests.cases import assert_close, normal

N = 24
IDS = np.arange(N) // 2
GRAPH = np.triu(np.random.default_rng(0).random((N, N)) < 0.3, 1).astype(float)
GRAPH = GRAPH + GRAPH.T
X = np.random.default_rng(1).normal(size=(N, 6))
TARGETS: dict[str, Any] = {"x-sample": X, "sne": X, "lgsimclr": X, "sne-graph": GRAPH, "infonce": IDS, "mocov3": IDS}
TARGETS |= {"simclr": IDS, "supcon": IDS, "t-simclr": IDS, "clip": None}


@pytest.mark.parametrize("slug", TARGETS)
def test_prepared_rows_serve_a_pair_too(slug: str) -> None:
    """`loss.p(target)` cannot know that the input will be a pair; the loss must not depend on it."""
    loss = icon.method(slug, **({"perplexity": 5} if slug == "sne" else {}))
    pair = (normal(N, 5), normal(N, 5, seed=1))
    prepared = loss.p(N if slug == "clip" else TARGETS[slug])
    direct = loss(pair, TARGETS[slug])
    for _ in range(2):  # the second time from what the first has kept
        assert_close(loss(pair, prepared), direct, rtol=1e-14)


def test_rows_of_another_p_serve_a_pair_too() -> None:
    pair = (normal(N, 5), normal(N, 5, seed=1))
    q = icon.q.Gaussian(temperature=0.1)
    assert icon.Loss(icon.p.Pairs(), q)(pair, icon.p.KNN(4)(X)) == icon.Loss(icon.p.KNN(4), q)(pair, X)


def test_rows_changed_by_hand_are_refused_for_a_pair() -> None:
    loss = icon.method("infonce")
    with pytest.raises(ValueError, match=r"^target: got rows that exclude self, expected rows of two sets"):
        loss((normal(N, 5), normal(N, 5)), loss.p(IDS).debias(0.5))
