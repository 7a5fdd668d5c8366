"""Candidates that travel from rank to rank: what no rank holds, what goes round with them, and what cannot."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import icon
from icon.q.base import Batch
from tests.cases import Largest
from tests.core.test_parts import N, inputs
from tests.core.test_ranks import off_by
from tests.ranks import run


def largest(rank: int, exchange: str) -> int:
    """Of a step of 520 points on each of four ranks, in 1,000 dimensions."""
    z = torch.randn(520, 1000, requires_grad=True)
    loss = icon.method("simclr", group="world", exchange=exchange, block=16)
    with Largest(floating=True) as sizes:
        loss(z, torch.arange(520) // 2 + 260 * rank).backward()
    return sizes.numbers


@pytest.mark.slow
def test_a_ring_never_holds_all_candidates() -> None:
    assert run(largest, 4, "gather") == [4 * 520 * 1000] * 4
    assert run(largest, 4, "ring") == [520 * 1000] * 4


def options_of_a_ring(rank: int) -> dict[str, float]:
    """What else is asked of candidates that travel: parameters of a score, margins, weights of a graph, marginals."""
    cut, found = [0, 5, N], {}
    input, target, _ = inputs("pairs")
    input = input[0] if isinstance(input, tuple) else input
    graph = inputs("graph")
    losses = {
        "learned": (icon.method("simclr", temperature=0.3, learnable=True), target),
        "centred": (icon.loss("gaussian", "pairs", sigma=1.0, preprocess="standardize"), target),
        "margin": (icon.loss("gaussian", "pairs", temperature=0.5, margin=0.2), target),
        "moving": (icon.Loss(icon.p.Pairs(), icon.q.Clusters(marginals="moving", exponent=0.8)), target),
        "stationary": (icon.Loss(icon.p.Graph(), icon.q.Clusters(leak=0.1, weights="stationary")), graph[1]),
        "score": (icon.Loss(icon.p.Pairs(), Bilinear(input.shape[1])), target),
        "decoupled": (icon.loss("gaussian", "pairs", temperature=0.5, partition="decoupled"), target),
        "single": (icon.loss("gaussian", "classes", temperature=0.5), torch.arange(N) % 3),
    }
    for name, (loss, given) in losses.items():
        for part in (cut, [0, 1, N]):
            alone = loss.double()
            together = copy.deepcopy(alone).replace(group="world", exchange="ring")
            found[f"{name} {part}"] = off_by(alone, together, input, given, part)
    return found


class Bilinear(icon.q.Kernel):
    """A score with a parameter of its own."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.eye(d) + 0.1)

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return anchors @ self.weight @ candidates.mT


@pytest.mark.slow
def test_options_of_a_ring() -> None:
    for found in run(options_of_a_ring, 2):
        assert {name: error for name, error in found.items() if not error < 1e-10} == {}


class Centred(icon.q.Kernel):
    def statistics(self, batch: Batch) -> dict[str, Tensor]:
        return {"mean": batch.candidates.mean(dim=0)}


@pytest.mark.parametrize(
    ("q", "options", "why"),
    [
        (icon.q.Gaussian(temperature=1.0), {"divergence": "js"}, "divergence='js'"),
        (icon.q.Gaussian(temperature=1.0), {"evaluator": "fused"}, "evaluator=Fused()"),
        (icon.q.Gaussian(temperature=[1.0, 2.0]), {}, "a temperature per candidate"),
        (icon.q.Gaussian(temperature=1.0, log_weights=[1.0, 2.0]), {}, "log_weights"),
        (icon.q.Clusters(weights=[1.0, 2.0]), {}, "weights"),
        (icon.q.Clusters(agreement=True, exponent=0.5), {}, "agreement=True"),
        (Centred(), {}, "Centred, whose statistics are of all candidates"),
        (icon.q.Kernel(partition=lambda scores, row: scores.sum(dim=1)), {}, "the partition Plain"),
    ],
)
def test_what_a_ring_cannot_do(q: Any, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=r"^exchange: got 'ring' with " + why):
        icon.Loss(icon.p.Pairs(), q, **options, group="world", exchange="ring")


def test_a_ring_of_no_group() -> None:
    with pytest.raises(ValueError, match=r"^exchange: got 'ring' without group="):
        icon.method("simclr", exchange="ring")
    loss = icon.method("simclr", group="world", exchange="ring")
    assert "exchange='ring'" in repr(loss)
    assert loss.replace(exchange="gather").exchange == "gather"
