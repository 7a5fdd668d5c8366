"""Negatives of an anchor's own, against the formula and in gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import icon
from tests.cases import assert_close, normal

N, K, D = 7, 3, 4


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_it_is_infonce_over_own_negatives(metric: str) -> None:
    anchors, positives = normal(N, D, grad=True), normal(N, D, seed=1, grad=True)
    negatives = normal(N, K, D, seed=2, grad=True)
    leaves = [anchors, positives, negatives]
    input, target = icon.nn.own_negatives(anchors, positives, negatives, metric=metric)
    value = icon.method("cross-entropy", temperature=0.2)(input, target)
    rows = []
    for i in range(N):
        candidates = [positives[i], *negatives[i]]
        pairs = [
            (anchors[i], c) if metric == "dot" else (anchors[i] / anchors[i].norm(), c / c.norm()) for c in candidates
        ]
        scores = torch.stack([a @ c / 0.2 for a, c in pairs])
        rows.append(scores.logsumexp(dim=0) - scores[0])
    expected = torch.stack(rows).mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    for found, right in zip(torch.autograd.grad(value, leaves), torch.autograd.grad(expected, leaves), strict=True):
        assert_close(found, right, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-30, 1e-20, 1e20, 1e30])
def test_cosines_do_not_depend_on_the_unit(unit: float) -> None:
    given = normal(N, D).float(), normal(N, D, seed=1).float(), normal(N, K, D, seed=2).float()
    (expected, _), _ = icon.nn.own_negatives(*given)
    (scores, _), _ = icon.nn.own_negatives(*(unit * each for each in given))
    assert_close(scores, expected, rtol=1e-5)


def test_numbers_of_candidates() -> None:
    """Hard negatives as numbers ``[n, k]`` into a set: indexing makes them rows, with their gradient."""
    anchors, memory = normal(N, D), normal(20, D, seed=3, grad=True)
    index = torch.arange(N * K).reshape(N, K) % 20
    input, target = icon.nn.own_negatives(anchors, anchors + 1, memory[index])
    icon.method("cross-entropy", temperature=0.2)(input, target).backward()
    assert memory.grad is not None
    assert bool((memory.grad.abs().sum(dim=1) > 0).all())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"positives": torch.ones(N - 1, D)}, r"positives: got shape \(6, 4\), expected \(7, 4\)"),
        ({"negatives": torch.ones(N, D)}, r"negatives: got shape \(7, 4\), expected \(7, k, 4\)"),
        ({"negatives": torch.ones(N, 0, D)}, r"negatives: got shape \(7, 0, 4\)"),
        ({"negatives": torch.full((N, K, D), torch.nan)}, "negatives: got NaN"),
        ({"metric": "sqeuclidean"}, "metric: got 'sqeuclidean'"),
    ],
)
def test_bad_input(change: dict[str, Any], told: str) -> None:
    given: dict[str, Any] = {
        "anchors": torch.ones(N, D),
        "positives": torch.ones(N, D),
        "negatives": torch.ones(N, K, D),
    }
    with pytest.raises(ValueError, match=f"^{told}"):
        icon.nn.own_negatives(**{**given, **change})


def test_the_part_of_a_rank_may_be_empty() -> None:
    (scores, corners), target = icon.nn.own_negatives(torch.ones(0, D), torch.ones(0, D), torch.ones(0, K, D))
    assert [tuple(x.shape) for x in (scores, corners, target)] == [(0, K + 1), (K + 1, K + 1), (0,)]
