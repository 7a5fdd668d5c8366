"""The evaluations of one call: of one set, of a pair one way or both, of all pairs of several views."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from tests import dense
from tests.cases import N, assert_same, normal

pytestmark = pytest.mark.usefixtures("each_evaluator")


def test_one_set_and_a_pair_of_the_same_tensor_differ_by_self() -> None:
    z, labels = normal(N, 2, grad=True), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), block=7)
    expected = dense.row_kl(
        dense.student_t_scores(z, z, 1.0), dense.p_members(labels, labels), dense.everyone(N)
    ).mean()
    assert_same(loss((z, z), (labels, labels)), expected, [z])
    assert_same(loss((z, z), labels), expected, [z])


@pytest.mark.parametrize("graph", ["core", "full"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_several_views(graph: str, symmetric: bool) -> None:
    views = [normal(N, 3, seed=s, grad=True) for s in range(3)]
    pairs = [(0, 1), (0, 2)] + ([(1, 2)] if graph == "full" else [])
    ways = pairs + ([(j, i) for i, j in pairs] if symmetric else [])
    expected = torch.stack(
        [
            dense.row_kl(dense.gaussian_scores(views[i], views[j], "cosine", 0.07), np.eye(N), dense.everyone(N)).mean()
            for i, j in ways
        ]
    ).mean()
    loss = icon.method("cmc", graph=graph, symmetric=symmetric, block=7)
    assert_same(loss(views), expected, views)


def test_cross_modal_ids_in_both_directions() -> None:
    a, c = normal(6, 3, grad=True), normal(9, 3, seed=1, grad=True)
    ids_a, ids_c = np.arange(6) % 3, np.arange(9) % 3
    forward = dense.row_kl(
        dense.gaussian_scores(a, c, "cosine", 0.2), dense.p_members(ids_a, ids_c), dense.everyone(6, 9)
    )
    back = dense.row_kl(dense.gaussian_scores(c, a, "cosine", 0.2), dense.p_members(ids_c, ids_a), dense.everyone(9, 6))
    loss = icon.loss("gaussian", "cross-modal", temperature=0.2, block=4)
    assert_same(loss((a, c), (ids_a, ids_c)), (forward.mean() + back.mean()) / 2, [a, c])
    rows = loss.p((ids_a, ids_c))
    assert_same(loss((a, c), rows), (forward.mean() + back.mean()) / 2, [a, c])


def test_queries_against_a_longer_queue_of_keys() -> None:
    a, c = normal(6, 3, grad=True), normal(40, 3, seed=1, grad=True)
    keys = (np.arange(6), np.arange(40))
    loss = icon.Loss(icon.p.Pairs(), icon.q.Gaussian(temperature=0.2, detach_candidates=True), block=4)
    scores = dense.gaussian_scores(a, c.detach(), "cosine", 0.2)
    expected = dense.row_kl(scores, dense.p_members(*keys), dense.everyone(6, 40)).mean()
    assert_same(loss((a, c), keys), expected, [a, c])
