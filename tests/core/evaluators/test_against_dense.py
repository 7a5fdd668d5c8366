"""Blocked evaluation equals dense evaluation in value and gradient, at all 45 coordinates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import icon
from tests import dense
from tests.cases import COORDINATES, N, assert_close, assert_same, coordinate_input, normal, reweighted

pytestmark = pytest.mark.usefixtures("each_evaluator")

BLOCKS = (1, 7, N, None)
DIVERGENCES = ("kl", "reverse-kl", "js", "tv", "hellinger", "alpha")
MASK = torch.as_tensor(dense.others(N))


def loss_of(case: Any, **options: Any) -> icon.Loss:
    return icon.loss(case.row, case.column, **(case.hyper | options))


# -- the 45 coordinates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("debias", [0.0, 0.3])
@pytest.mark.parametrize(("row", "column"), COORDINATES)
class TestEveryCoordinate:
    def test_mean_and_sum(self, row: str, column: str, debias: float) -> None:
        case = coordinate_input(row, column)
        expected = case.dense_rows(debias)
        for block in BLOCKS:
            loss = loss_of(case, debias=debias, block=block)
            assert_same(loss(case.input, case.target), expected.mean(), case.leaves)
        # Two directions are averaged, so each counts half.
        total = loss_of(case, debias=debias, reduction="sum", block=7)(case.input, case.target)
        assert_same(total, expected.sum() / len(case.directions()), case.leaves)

    def test_any_upstream_gradient(self, row: str, column: str, debias: float) -> None:
        case = coordinate_input(row, column, seed=1)
        expected = case.dense_rows(debias)
        for block in BLOCKS:
            rows = loss_of(case, debias=debias, reduction="none", block=block)(case.input, case.target)
            assert_close(rows, expected)
            assert_same(reweighted(rows), reweighted(expected), case.leaves)

    def test_terms(self, row: str, column: str, debias: float) -> None:
        case = coordinate_input(row, column, seed=2)
        kl, cross_entropy, entropy = loss_of(case, debias=debias, block=5).terms(case.input, case.target)
        masses = [dense.debiased(p, debias, case.mask) for _, _, p in case.directions()]
        assert_close(entropy, np.mean([dense.entropies(p).mean() for p in masses]))
        assert_same(kl, case.dense_rows(debias).mean(), case.leaves)
        limit = case.kind not in dense.NORMALIZERS
        assert_close(cross_entropy, kl if limit else kl + entropy)


@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_prepared_rows_give_the_same_loss(row: str, column: str) -> None:
    case = coordinate_input(row, column)
    loss = loss_of(case)
    target = N if column in ("identity", "cross-modal") else case.target
    rows = loss.p(target)
    assert_same(loss(case.input, rows), loss(case.input, case.target), case.leaves, rtol=1e-12)


# -- every option of q against dense autograd -------------------------------------------------------------------------


def dense_q(z: Tensor, scores: Tensor, kind: str, p: np.ndarray, debias: float, **options: Any) -> Tensor:
    return dense.row_kl(scores, dense.debiased(p, debias, MASK.numpy()), MASK, kind, **options).mean()


def neighbours_or_classes(column: str) -> tuple[icon.p.Distribution, np.ndarray, np.ndarray]:
    """A p of edges (k-NN) or of groups (classes, one of them of a single pair), its target and its dense rows."""
    if column == "knn":
        x = normal(N, 5, seed=1).numpy()
        return icon.p.KNN(n_neighbors=4), x, dense.p_knn(x, 4)
    labels = np.where(np.arange(N) < 2, 9, np.arange(N) % 4)
    return icon.p.Classes(), labels, dense.p_members(labels)


@pytest.mark.parametrize("column", ["knn", "classes"])
@pytest.mark.parametrize("debias", [0.0, 0.4])
@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "dot"])
@pytest.mark.parametrize("partition", ["logsumexp", "mean", "max", "second-order", "constant"])
def test_gaussian_metrics_and_partitions(metric: str, partition: str, debias: float, column: str) -> None:
    z = normal(N, 3, grad=True)
    supervisory, target, p = neighbours_or_classes(column)
    scale_name = "sigma" if metric == "sqeuclidean" else "temperature"
    has_scale = partition not in ("mean", "max")
    q = icon.q.Gaussian(metric, partition=partition, **({scale_name: 0.6} if has_scale else {}))
    loss = icon.Loss(supervisory.debias(debias), q, block=7)
    unit = partition in ("mean", "max", "second-order")
    scores = dense.unit_gaussian_scores(z, z, metric) if unit else dense.gaussian_scores(z, z, metric, 0.6)
    temperature = 2 * 0.6**2 if metric == "sqeuclidean" else 0.6
    options = {"temperature": temperature} if partition == "second-order" else {}
    assert_same(loss(z, target), dense_q(z, scores, partition, p, debias, **options), [z])


@pytest.mark.parametrize(("dof", "exponent", "scale"), [(1.0, None, 1.0), (5.0, None, 0.3), (2.0, 3.5, 2.0)])
def test_student_t(dof: float, exponent: float | None, scale: float) -> None:
    z, x = normal(N, 2, grad=True), normal(N, 5, seed=1).numpy()
    loss = icon.Loss(icon.p.KNN(n_neighbors=4).debias(0.2), icon.q.StudentT(dof, exponent, scale), block=5)
    scores = dense.student_t_scores(z, z, dof, scale, exponent)
    assert_same(loss(z, x), dense_q(z, scores, "logsumexp", dense.p_knn(x, 4), 0.2), [z])


def test_harmonic_scale_zero() -> None:
    z, w, labels = normal(N, 3, grad=True), normal(4, 3, seed=2, grad=True), np.arange(N) % 4
    loss = icon.Loss(icon.p.DataLabel(), icon.q.StudentT(dof=1, exponent=1.5, scale=0.0), block=5)
    scores = dense.student_t_scores(z, w, 1.0, 0.0, 1.5)
    expected = dense.row_kl(scores, np.eye(4)[labels], dense.everyone(N, 4)).mean()
    assert_same(loss((z, w), labels), expected, [z, w])


@pytest.mark.parametrize("leak", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("weights", [None, "given", "stationary"])
def test_clusters_leak_and_weights(leak: float, weights: str | None) -> None:
    logits, graph = normal(N, 4, grad=True), np.random.default_rng(0).random((N, N)) * dense.others(N)
    graph = graph + graph.T
    given = np.random.default_rng(1).uniform(0.1, 2, N)
    used = {"given": given, "stationary": graph.sum(axis=1), None: None}[weights]
    q = icon.q.Clusters(leak=leak, weights=given if weights == "given" else weights)
    loss = icon.Loss(icon.p.Graph().debias(0.1), q, block=7)
    scores = dense.cluster_log_q(logits, logits, leak, None if used is None else torch.from_numpy(used))
    p = dense.debiased(dense.p_graph(graph), 0.1, dense.everyone(N))
    assert_same(loss(logits, graph), dense.row_kl(scores, p, dense.everyone(N), "none").mean(), [logits])


def test_clusters_between_two_sets_use_the_sizes_over_the_candidates() -> None:
    a, c = normal(N, 3, grad=True), normal(7, 3, seed=1, grad=True)
    p = np.random.default_rng(0).dirichlet(np.ones(7), N)
    loss = icon.Loss(icon.p.Precomputed(), icon.q.Clusters(leak=0.1), block=4)
    expected = dense.row_kl(dense.cluster_log_q(a, c, 0.1), p, dense.everyone(N, 7), "none").mean()
    assert_same(loss((a, c), p), expected, [a, c])


def test_cluster_prior_is_added_per_anchor() -> None:
    logits, x = normal(N, 4, grad=True), normal(N, 5, seed=1).numpy()
    loss = icon.Loss(icon.p.KNN(n_neighbors=3), icon.q.Clusters(log_prior=0.7), reduction="none", block=5)
    kl = dense.row_kl(dense.cluster_log_q(logits, logits), dense.p_knn(x, 3), dense.everyone(N), "none")
    expected = kl - 0.7 * logits.log_softmax(dim=1).sum(dim=1)
    assert_same(reweighted(loss(logits, x)), reweighted(expected), [logits])


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "dot"])
@pytest.mark.parametrize("per_candidate", [False, True])
def test_learnable_scale(metric: str, per_candidate: bool, block: int | None) -> None:
    a, c = normal(N, 3, grad=True), normal(6, 3, seed=1, grad=True)
    labels = np.arange(N) % 6
    name = "sigma" if metric == "sqeuclidean" else "temperature"
    given = np.linspace(0.3, 1.2, 6) if per_candidate else 0.7
    q = icon.q.Gaussian(metric, **{name: given}, learnable=True)
    loss = icon.Loss(icon.p.DataLabel().debias(0.1), q, block=block).double()
    scores = dense.gaussian_scores(a, c, metric, q.scale)
    p = dense.debiased(np.eye(6)[labels], 0.1, dense.everyone(N, 6))
    expected = dense.row_kl(scores, p, dense.everyone(N, 6)).mean()
    parameters = list(loss.parameters())
    assert len(parameters) == 1
    assert_same(loss((a, c), labels), expected, [a, c, *parameters])


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "dot"])
@pytest.mark.parametrize("per_candidate", [False, True])
def test_learnable_scale_between_groups_of_two_sets(metric: str, per_candidate: bool) -> None:
    a, c = normal(N, 3, grad=True), normal(7, 3, seed=1, grad=True)
    keys = (np.arange(N) % 4, np.arange(7) % 3)
    name = "sigma" if metric == "sqeuclidean" else "temperature"
    q = icon.q.Gaussian(metric, **{name: np.linspace(0.3, 1.2, 7) if per_candidate else 0.7}, learnable=True)
    loss = icon.Loss(icon.p.Pairs().debias(0.3), q, reduction="none", block=5).double()
    mask = dense.everyone(N, 7)
    p = dense.debiased(dense.p_members(*keys), 0.3, mask)
    expected = dense.row_kl(dense.gaussian_scores(a, c, metric, q.scale), p, mask)
    with pytest.warns(UserWarning, match="got 4 of 18 anchors without a positive"):
        value = loss((a, c), keys)
    assert_same(reweighted(value), reweighted(expected), [a, c, *loss.parameters()])


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_learnable_student_t_scale(reduction: str) -> None:
    z, x = normal(N, 2, grad=True), normal(N, 5, seed=1).numpy()
    q = icon.q.StudentT(dof=2.0, scale=0.6, learnable=True)
    loss = icon.Loss(icon.p.KNN(n_neighbors=3), q, reduction=reduction, block=7).double()
    expected = dense.row_kl(dense.student_t_scores(z, z, 2.0, q.scale), dense.p_knn(x, 3), MASK)
    value = loss(z, x)
    leaves = [z, *loss.parameters()]
    if reduction == "none":
        assert_same(reweighted(value), reweighted(expected), leaves)
    else:
        assert_same(value, expected.mean(), leaves)


def test_temperature_per_candidate_as_a_constant() -> None:
    a, c, labels = normal(N, 3, grad=True), normal(6, 3, seed=1, grad=True), np.arange(N) % 6
    temperature = torch.linspace(0.2, 1.5, 6, dtype=torch.float64)
    loss = icon.Loss(icon.p.DataLabel(), icon.q.Gaussian("dot", temperature=temperature), block=5)
    expected = dense.row_kl(a @ c.T / temperature, np.eye(6)[labels], dense.everyone(N, 6)).mean()
    assert_same(loss((a, c), labels), expected, [a, c])


@pytest.mark.parametrize(
    ("kind", "partition"), [("gaussian", "logsumexp"), ("gaussian", "constant"), ("student-t", "logsumexp")]
)
@pytest.mark.parametrize("column", ["knn", "classes"])
def test_log_weights_of_the_candidates(kind: str, partition: str, column: str) -> None:
    z, log_weights = normal(N, 3, grad=True), normal(N, seed=2)
    supervisory, target, p = neighbours_or_classes(column)
    q: icon.q.Kernel = icon.q.StudentT(log_weights=log_weights)
    scores = dense.student_t_scores(z, z, 1.0)
    if kind == "gaussian":
        q = icon.q.Gaussian(sigma=0.8, log_weights=log_weights, partition=partition)
        scores = dense.gaussian_scores(z, z, "sqeuclidean", 0.8)
    loss = icon.Loss(supervisory, q, block=7)
    expected = dense.row_kl(scores + log_weights, p, MASK, partition).mean()
    assert_same(loss(z, target), expected, [z])


@pytest.mark.parametrize("partition", ["logsumexp", "mean", "max"])
@pytest.mark.parametrize("debias", [0.0, 0.3])
def test_margin(partition: str, debias: float) -> None:
    z, labels = normal(N, 3, grad=True), np.arange(N) % 4
    q = icon.q.Gaussian("dot", partition=partition, margin=0.8)
    loss = icon.Loss(icon.p.Classes().debias(debias), q, block=5)
    p = dense.p_members(labels)
    scores = dense.with_margin(z @ z.T, p, 0.8)
    assert_same(loss(z, labels), dense_q(z, scores, partition, p, debias), [z])


def test_detached_candidates_get_no_gradient() -> None:
    a, c = normal(N, 3, grad=True), normal(N, 3, seed=1, grad=True)
    loss = icon.Loss(icon.p.Pairs(), icon.q.Gaussian(temperature=0.3, detach_candidates=True), block=5)
    scores = dense.gaussian_scores(a, c.detach(), "cosine", 0.3)
    assert_same(loss((a, c)), dense.row_kl(scores, np.eye(N), dense.everyone(N)).mean(), [a, c])


def test_momentum_encoder_within_one_set() -> None:
    z, ids = normal(N, 3, grad=True), np.arange(N) // 2
    loss = icon.Loss(icon.p.Pairs(), icon.q.Gaussian(temperature=0.3, detach_candidates=True), block=5)
    scores = dense.gaussian_scores(z, z.detach(), "cosine", 0.3)
    assert_same(loss(z, ids), dense.row_kl(scores, dense.p_members(ids), MASK).mean(), [z])


# -- divergences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", ["row", "joint"])
@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("kind", ["gaussian", "student-t", "clusters"])
def test_divergences(kind: str, name: str, normalization: str) -> None:
    z = normal(N, 3, grad=True)
    x = normal(N, 4, seed=1).numpy()
    q: icon.q.Kernel = {"gaussian": icon.q.Gaussian(sigma=0.8), "student-t": icon.q.StudentT(2.0)}.get(
        kind, icon.q.Clusters(leak=0.1)
    )
    scores = {
        "gaussian": lambda: dense.gaussian_scores(z, z, "sqeuclidean", 0.8),
        "student-t": lambda: dense.student_t_scores(z, z, 2.0),
        "clusters": lambda: dense.cluster_log_q(z, z, 0.1),
    }[kind]()
    mask = dense.everyone(N) if kind == "clusters" else dense.others(N)
    rows = icon.p.StudentT(dof=3.0, exclude_self=kind != "clusters")
    loss = icon.Loss(rows, q, normalization=normalization, divergence=name, block=7)
    p = dense.p_student_t(x, 3.0, mask)
    partition = "none" if kind == "clusters" else "logsumexp"
    if normalization == "row":
        learned = dense.row_q(scores, torch.as_tensor(mask), partition)
        expected = dense.divergence(name, torch.from_numpy(p), learned).mean()
    else:
        learned = dense.joint_q(scores, torch.as_tensor(mask), partition)
        expected = dense.divergence(name, torch.from_numpy(dense.joint(p)), learned).sum()
    assert_same(loss(z, x), expected, [z], rtol=1e-8)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("debias", [0.0, 0.3])
@pytest.mark.parametrize("name", ["js", "hellinger", "tv", "alpha"])
def test_divergences_of_a_sparse_p(name: str, debias: float, block: int | None) -> None:
    z, labels = normal(N, 3, grad=True), np.arange(N) % 4
    loss = icon.Loss(icon.p.Classes().debias(debias), icon.q.StudentT(), divergence=name, reduction="none", block=block)
    p = dense.debiased(dense.p_members(labels), debias, dense.others(N))
    learned = dense.row_q(dense.student_t_scores(z, z, 1.0), MASK)
    expected = dense.divergence(name, torch.from_numpy(p), learned)
    assert_same(reweighted(loss(z, labels)), reweighted(expected), [z])


# -- joint normalisation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("debias", [0.0, 0.2])
@pytest.mark.parametrize("column", ["gaussian", "knn", "classes"])
def test_joint_normalisation(column: str, debias: float, block: int | None) -> None:
    case = coordinate_input("student-t", column)
    loss = loss_of(case, normalization="joint", debias=debias, block=block)
    target = dense.joint(dense.debiased(case.p, debias, case.mask))
    q = dense.joint_q(case.scores(case.anchors, case.anchors), torch.as_tensor(case.mask))
    expected = dense.divergence("kl", torch.from_numpy(target), q).sum()
    assert_same(loss(case.input, case.target), expected, case.leaves)


def test_joint_normalisation_of_a_graph_uses_its_weights() -> None:
    case = coordinate_input("student-t", "graph")
    loss = loss_of(case, normalization="joint", block=7)
    target = torch.from_numpy(case.target / case.target.sum())
    q = dense.joint_q(case.scores(case.anchors, case.anchors), torch.as_tensor(case.mask))
    assert_same(loss(case.input, case.target), dense.divergence("kl", target, q).sum(), case.leaves)


def test_joint_normalisation_of_a_users_own_joint() -> None:
    z = normal(N, 2, grad=True)
    joint = np.random.default_rng(3).random((N, N)) * dense.others(N)
    joint /= joint.sum()
    loss = icon.Loss(icon.p.Precomputed(joint=True), icon.q.StudentT(), normalization="joint", block=7)
    q = dense.joint_q(dense.student_t_scores(z, z, 1.0), MASK)
    assert_same(loss(z, joint), dense.divergence("kl", torch.from_numpy(joint), q).sum(), [z])


def test_joint_terms_are_those_of_the_pairs() -> None:
    case = coordinate_input("student-t", "gaussian")
    terms = loss_of(case, normalization="joint").terms(case.input, case.target)
    target = dense.joint(case.p)
    assert_close(terms.entropy, dense.entropies(target.reshape(1, -1))[0])
    assert_close(terms.kl, terms.cross_entropy - terms.entropy)


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_matmul_precision_is_a_setting_of_the_products_alone(precision: str) -> None:
    before, z, ids = torch.get_float32_matmul_precision(), normal(N, 3, grad=True).float(), np.arange(N) // 2
    loss = icon.method("simclr", matmul_precision=precision)
    assert f"matmul_precision='{precision}'" in repr(loss)
    assert_close(loss(z, ids), icon.method("simclr")(z, ids), rtol=2e-2)
    assert torch.get_float32_matmul_precision() == before
    with pytest.raises(ValueError, match=r"^matmul_precision: got 'fp8', expected 'tf32', 'bfloat16' or None"):
        icon.method("simclr", matmul_precision="fp8")
    with pytest.raises(ValueError, match=r"^matmul_precision: got '.*' with evaluator='autograd'"):
        icon.method("simclr", matmul_precision="tf32", evaluator="autograd")


def test_losses_in_several_threads_restore_the_precision() -> None:
    before, z, ids = torch.get_float32_matmul_precision(), torch.randn(512, 8), np.arange(512) // 2
    loss = icon.method("simclr", matmul_precision="bfloat16")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: loss(z, ids), range(100)))
    found = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(before)
    assert found == before


@pytest.mark.parametrize("n", [N, 600])
def test_a_partition_derived_from_the_softmax_is_what_it_says(n: int) -> None:
    class Halved(icon.q.partitions.LogSumExp):
        is_normalizer = False

        def __call__(self, scores: Tensor, row: Any) -> Tensor:
            return super().__call__(scores, row) / 2

    z, labels = normal(n, 3), np.arange(n) % 4
    q = icon.q.Gaussian(temperature=0.5)
    terms = icon.Loss(icon.p.Classes(), q, reduction="none").terms(z, labels)
    p = torch.as_tensor(dense.p_members(labels))
    expected = (p * dense.gaussian_scores(z, z, "cosine", 0.5)).sum(dim=1)
    other = icon.q.Gaussian(temperature=0.5)
    other.partition = Halved()
    value = icon.Loss(icon.p.Classes(), other)(z, labels)
    assert_close(value, ((terms.cross_entropy + expected) / 2 - expected).mean(), rtol=1e-9)


def test_settings_of_a_finished_loss_are_read_and_not_set() -> None:
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), normalization="joint", anchor_weights=None)
    new = {"reduction": "none", "normalization": "row", "p": icon.p.Pairs(), "block": 3, "divergence_name": "js"}
    for name, value in (new | {"anchor_weights": "stationary", "stationary_anchors": True}).items():
        with pytest.raises(AttributeError, match=rf"^{name}: got a new value .*expected loss\.replace\({name}=...\)"):
            setattr(loss, name, value)
    with pytest.raises(ValueError, match=r"^reduction: got 'none' with normalization='joint'"):
        loss.replace(reduction="none")
    assert loss.replace(normalization="row", reduction="none").reduction == "none"
    parts = icon.p.Classes(), icon.q.StudentT()
    options = {"anchor_weights": [1.0, 2.0], "divergence": "js"}
    assert repr(icon.Loss(*parts, **options).replace(block=3)) == repr(icon.Loss(*parts, **options, block=3))
