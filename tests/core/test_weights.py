"""Reductions, the weights of anchors, and anchors without a positive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import icon
from tests import dense
from tests.cases import COORDINATES, D, N, assert_close, assert_same, coordinate_input, gradients, normal

pytestmark = pytest.mark.usefixtures("each_evaluator")

LABELS = np.array([0, 1, 1, 3, 3, 3, 2])  # 0 and 6 are alone in their classes


def on_labels(**options: Any) -> Tensor:
    with pytest.warns(UserWarning, match=r"target: got 2 of 7 anchors without a positive"):
        return icon.Loss(icon.p.Classes(), icon.q.StudentT(), **options)(normal(7, 2), LABELS)


def test_empty_policies() -> None:
    none = on_labels(reduction="none")
    assert none[0] == 0
    assert none[6] == 0
    expected = dense.row_kl(dense.student_t_scores(normal(7, 2), normal(7, 2), 1.0), dense.p_members(LABELS),
                            dense.others(7))  # fmt: skip
    assert_close(none, expected)
    assert_close(on_labels(on_no_positive="skip"), expected.sum() / 5)
    assert_close(on_labels(on_no_positive="zero"), expected.sum() / 7)
    assert_close(on_labels(on_no_positive="skip", reduction="sum"), expected.sum())
    assert_close(on_labels(on_no_positive="zero", reduction="sum"), expected.sum())
    with pytest.raises(ValueError, match=r"target: got 2 of 7 anchors without a positive \(rows 0, 6\)"):
        icon.Loss(icon.p.Classes(), icon.q.StudentT(), on_no_positive="raise")(normal(7, 2), LABELS)


def test_labels_with_singletons_work() -> None:
    z, labels = normal(4, 2, grad=True), [0, 1, 1, 3]
    with pytest.warns(UserWarning, match=r"got 2 of 4 anchors without a positive"):
        value = icon.method("supcon")(z, labels)
    expected = dense.row_kl(
        dense.gaussian_scores(z, z, "cosine", 0.1), dense.p_members(np.array(labels)), dense.others(4)
    )
    assert_same(value, expected[1:3].mean(), [z])


def test_empty_anchors_get_no_gradient_of_their_own_term() -> None:
    z = normal(7, 2, grad=True)
    with pytest.warns(UserWarning, match="without a positive"):
        none = icon.Loss(icon.p.Classes().debias(0.2), icon.q.StudentT(), reduction="none")(z, LABELS)
    (gradient,) = gradients(none[0] + none[6], [z])
    assert float(gradient.abs().max()) == 0


def test_terms_of_empty_anchors() -> None:
    with pytest.warns(UserWarning, match="without a positive"):
        kl, cross_entropy, entropy = icon.Loss(icon.p.Classes(), icon.q.StudentT(), reduction="none").terms(
            normal(7, 2), LABELS
        )
    assert kl[0] == cross_entropy[0] == entropy[0] == 0


@pytest.mark.parametrize("on_no_positive", ["skip", "zero"])
def test_anchor_weights_are_a_weighted_mean(on_no_positive: str) -> None:
    weights = np.array([5.0, 1, 2, 3, 4, 0, 7])
    none = on_labels(reduction="none").numpy()
    total = weights.sum() if on_no_positive == "zero" else weights[[1, 2, 3, 4, 5]].sum()
    assert_close(on_labels(anchor_weights=weights, on_no_positive=on_no_positive), none @ weights / total)


def test_anchor_weights_and_gradient() -> None:
    z, labels, weights = normal(N, 2, grad=True), np.arange(N) % 3, np.linspace(0, 1, N)
    expected = dense.row_kl(dense.student_t_scores(z, z, 1.0), dense.p_members(labels), dense.others(N))
    mean = icon.Loss(icon.p.Classes(), icon.q.StudentT(), anchor_weights=weights)(z, labels)
    assert_same(mean, expected @ torch.from_numpy(weights) / weights.sum(), [z])
    total = icon.Loss(icon.p.Classes(), icon.q.StudentT(), anchor_weights=weights, reduction="sum")(z, labels)
    assert_same(total, expected @ torch.from_numpy(weights), [z])


def test_weights_of_a_call_with_prepared_rows_between_the_views() -> None:
    a, b, weights = normal(N, 2), normal(N, 2), torch.linspace(0.5, 1, N, dtype=torch.float64)
    rows = icon.p.Pairs()(None, icon.p.Sets(N, N, True))
    joined, plain = (icon.Loss(icon.p.Classes(join=join), icon.q.StudentT()) for join in (True, False))
    assert_close(joined((a, b), rows, weights=weights), plain((a, b), rows, weights=weights))


@pytest.mark.parametrize("name", ["js", "hellinger"])
def test_anchor_weights_of_another_divergence(name: str) -> None:
    z, labels, weights = normal(N, 2, grad=True), np.arange(N) % 3, np.linspace(0, 1, N)
    q = dense.row_q(dense.student_t_scores(z, z, 1.0), torch.as_tensor(dense.others(N)))
    expected = dense.divergence(name, torch.from_numpy(dense.p_members(labels)), q) @ torch.from_numpy(weights)
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), anchor_weights=weights, divergence=name, block=5)
    assert_same(loss(z, labels), expected / weights.sum(), [z])


def test_stationary_anchors_are_weighted_by_degree() -> None:
    case = coordinate_input("student-t", "graph")
    loss = icon.loss("student-t", "graph", **case.hyper, anchor_weights="stationary", block=7)
    degree = torch.from_numpy(case.target.sum(axis=1))
    assert_same(loss(case.input, case.target), case.dense_rows() @ degree / degree.sum(), case.leaves)


@pytest.mark.parametrize("on_no_positive", ["skip", "zero"])
def test_stationary_weights_with_isolated_nodes(on_no_positive: str) -> None:
    graph = coordinate_input("student-t", "graph").target.copy()
    graph[3] = graph[:, 3] = 0
    z = normal(N, D)
    loss = icon.Loss(icon.p.Graph(), icon.q.StudentT(), anchor_weights="stationary", on_no_positive=on_no_positive)
    with pytest.warns(UserWarning, match="got 1 of 18 anchors"):
        value = loss(z, graph)
    rows = dense.row_kl(dense.student_t_scores(z, z, 1.0), dense.p_graph(graph), dense.others(N))
    assert_close(value, rows @ torch.from_numpy(graph.sum(axis=1)) / graph.sum())


def test_anchor_weights_count_under_joint_normalisation_or_are_refused() -> None:
    z, labels = normal(N, 2), np.arange(N) % 3
    with pytest.raises(ValueError, match="anchor_weights"):
        icon.Loss(icon.p.Classes(), icon.q.StudentT(), normalization="joint", anchor_weights=np.linspace(0.1, 1, N))(
            z, labels
        )


@pytest.mark.parametrize("divergence", ["reverse-kl", "js"])
def test_anchors_without_a_positive_are_skipped_under_every_divergence(divergence: str) -> None:
    z = normal(7, 2, grad=True)
    p = dense.debiased(dense.p_members(LABELS), 0.2, dense.others(7))
    kept = torch.from_numpy(p.sum(axis=1) > 0)
    q = dense.row_q(dense.student_t_scores(z, z, 1.0), torch.as_tensor(dense.others(7)))
    expected = dense.divergence(divergence, torch.from_numpy(p)[kept], q[kept]).mean()
    with pytest.warns(UserWarning, match="got 2 of 7 anchors"):
        value = icon.Loss(icon.p.Classes().debias(0.2), icon.q.StudentT(), divergence=divergence)(z, LABELS)
    assert_same(value, expected, [z])


@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_reductions_agree(row: str, column: str) -> None:
    case = coordinate_input(row, column)
    mean, total, none = (
        icon.loss(row, column, **case.hyper, reduction=r)(case.input, case.target) for r in ("mean", "sum", "none")
    )
    views = 2 if column == "cross-modal" else 1
    assert none.shape == (N * views,)
    assert_close(none.mean(), mean, rtol=1e-13)
    assert_close(none.sum() / views, total, rtol=1e-13)


@pytest.mark.parametrize("unit", [1e-310, 1e-45, 1e39, 1e308])
def test_only_the_proportions_of_weights_matter_to_a_mean(unit: float) -> None:
    loss, z, labels = icon.method("supcon"), normal(N, 3).float(), np.arange(N) % 4
    weights = np.linspace(0.1, 1, N)
    assert_close(loss(z, labels, weights=weights * unit), loss(z, labels, weights=weights), rtol=1e-6)
    assert_close(loss.replace(anchor_weights=weights * unit)(z, labels), loss(z, labels, weights=weights), rtol=1e-6)


def test_weights_of_a_call_are_anchor_weights() -> None:
    z, other, w, ids = normal(8, 3, grad=True), normal(8, 3, seed=1, grad=True), np.linspace(0, 1, 8), np.arange(8) // 2
    for slug, input, target in (("infonce", z, ids), ("clip", (z, other), None), ("cross-entropy", (z, other), ids)):
        loss = icon.method(slug)
        assert_same(loss(input, target, weights=w), loss.replace(anchor_weights=w)(input, target), [z, other])
        expected = loss.replace(anchor_weights=w).terms(input, target).cross_entropy
        assert_same(loss.terms(input, target, weights=w).cross_entropy, expected, [z, other])
    both = icon.method("simclr")((z, other), weights=w)
    every = icon.method("simclr").replace(anchor_weights=np.tile(w, 2))
    assert_same(both, every(torch.cat([z, other]), np.tile(np.arange(8), 2)), [z, other])


@pytest.mark.parametrize(
    ("loss", "weights", "told"),
    [
        (lambda: icon.method("infonce"), [1.0, 2.0], r"weights: got 2, expected 8 \(one per anchor\)"),
        (lambda: icon.method("infonce"), [-1.0] * 8, "weights: got shape"),
        (lambda: icon.method("t-simclr"), [1.0] * 8, "weights: got numbers with normalization='joint'"),
        (
            lambda: icon.method("infonce", anchor_weights="stationary"),
            [1.0] * 8,
            "weights: got numbers with anchor_weights",
        ),
    ],
)
def test_weights_that_cannot_be(loss: Callable[[], icon.Loss], weights: list[float], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        loss()(normal(8, 3), np.arange(8) // 2, weights=weights)


@pytest.mark.parametrize("assign", [False, True])
def test_weights_of_the_anchors_are_loaded_and_not_set(assign: bool) -> None:
    loss, other = (icon.method("supcon", anchor_weights=weights) for weights in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]))
    loss.load_state_dict(other.state_dict(), assign=assign)
    assert loss.anchor_weights is not None
    assert loss.anchor_weights.tolist() == [3.0, 2.0, 1.0]
    with pytest.raises(AttributeError, match=r"^anchor_weights: got a new value for a read-only setting"):
        loss.anchor_weights = torch.ones(3)
