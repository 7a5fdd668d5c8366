"""Tensors on the CPU are computed with where torch's default device is another one, here one without numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import icon
from icon.p.rows import Rows
from tests.cases import normal

N = 24
X, Z = normal(N, 6), normal(N, 2, seed=1)
IDS = torch.arange(N) // 2
GRAPH = (X @ X.T).abs().fill_diagonal_(0)
INPUTS: dict[str, Any] = {"one set": Z, "a pair": (Z, normal(N, 2, seed=2)), "corners": (Z, torch.eye(2).double())}
TARGETS: dict[str, Any] = {"features": X, "nothing": None, "graph": GRAPH, "ids": IDS, "classes": IDS % 2}
ROWS: dict[str, Rows] = {
    "listed": icon.p.KNN(4)(X),
    "sparse": icon.p.KNN(4).symmetrize()(X),
    "dense": icon.p.Gaussian(perplexity=5)(X),
    "grouped": icon.p.Pairs()(IDS),
    "mixed": icon.p.Pairs().debias(0.3)(IDS),
    "overlap": icon.p.Classes()(torch.nn.functional.one_hot(IDS % 3).double() + 0.1),
}


@pytest.mark.parametrize("method", icon.methods(), ids=lambda method: method.slug)
def test_every_method_ignores_the_default_device(method: icon.Method) -> None:
    hyper = {"perplexity": 5} if "perplexity" in method.hyper else {}
    taken = 0
    for input in INPUTS.values():
        for target in TARGETS.values():
            try:
                expected = icon.method(method.slug, **hyper)(input, target)
            except (ValueError, TypeError):
                continue  # not what the method takes
            loss = icon.method(method.slug, **hyper)
            with torch.device("meta"):
                assert torch.equal(loss(input, target), expected)
            taken += 1
    assert taken


@pytest.mark.parametrize("kind", ROWS)
def test_rows_ignore_the_default_device(kind: str) -> None:
    rows, anchors = ROWS[kind], torch.arange(N)
    torch.manual_seed(0)
    drawn = rows.masses.draw(anchors)
    torch.manual_seed(0)
    with torch.device("meta"):
        assert torch.equal(rows.masses.draw(anchors), drawn)
        assert rows.n_edges == np.count_nonzero(rows.masses.own_part.to_scipy().toarray())
        assert rows.transpose().symmetrize().n == N


def test_batches_and_queues_ignore_the_default_device() -> None:
    sampler = icon.training.MPerClassBatchSampler(IDS, 2, 4, generator=torch.Generator().manual_seed(0))
    queue = icon.training.Queue(N, 2)
    with torch.device("meta"):
        assert len(next(iter(sampler))) == 4
        queue.push(Z)
    assert torch.equal(queue.rows, Z.float())


@pytest.mark.parametrize("weighted", [False, True])
def test_pairs_are_drawn_where_the_rows_are(weighted: bool) -> None:
    sampler = icon.training.PairSampler(icon.p.KNN(4)(X), weighted=weighted, negatives=3).walks(2).debias(0.2)
    torch.manual_seed(0)
    anchors, partners, _ = sampler.draw(8)
    _, rows = sampler.sample(8, 3)
    torch.manual_seed(0)
    with torch.device("meta"):
        again = sampler.draw(8)
        assert torch.equal(again[0], anchors)
        assert torch.equal(again[1], partners)
        assert torch.equal(sampler.sample(8, 3)[1].to_dense(), rows.to_dense())


@pytest.mark.parametrize("slug", ["clip", "simclr", "supcon"])
def test_a_learned_temperature_may_be_made_without_numbers_and_loaded(slug: str) -> None:
    state = icon.method(slug, learnable=True, temperature=0.3).state_dict()
    with torch.device("meta"):
        loss = icon.method(slug, learnable=True)
        assert "temperature=tensor(..., device='meta'" in repr(loss)
    loss.load_state_dict(state, assign=True)
    assert float(loss.temperature) == pytest.approx(0.3)  # type: ignore[arg-type]
