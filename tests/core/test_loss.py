"""Properties of the loss: what must hold for every p and q."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import icon
from tests import dense
from tests.cases import COORDINATES, D, N, assert_close, assert_same, coordinate_input, gradients, normal
from tests.combinations import few_are_fast

pytestmark = pytest.mark.usefixtures("each_evaluator")

seeds = st.integers(0, 10_000)
sizes = st.integers(3, 12)

#: Every normalised q, with the number of columns of its input; clusters count self as a candidate.
LEARNED: dict[str, Callable[[], icon.q.Kernel]] = {
    "sqeuclidean": lambda: icon.q.Gaussian(sigma=0.8),
    "cosine": lambda: icon.q.Gaussian(temperature=0.2),
    "dot": lambda: icon.q.Gaussian("dot", temperature=0.5),
    "student-t": lambda: icon.q.StudentT(dof=2.0),
    "student-t-learnable": lambda: icon.q.StudentT(scale=0.4, learnable=True),
    "clusters": icon.q.Clusters,
    "clusters-leak": lambda: icon.q.Clusters(leak=0.3),
}


def with_self(name: str) -> bool:
    return name.startswith("clusters")


def learned_rows(q: icon.q.Kernel, input: Any, n: int, m: int, exclude_self: bool) -> Tensor:
    """``[n, m]`` the probabilities of q: exp(-KL) of a p that is one-hot at each candidate in turn."""
    loss = icon.Loss(icon.p.Precomputed(exclude_self=exclude_self), q, reduction="none")
    columns = []
    for j in range(m):
        p = np.zeros((n, m))
        p[:, j] = 1
        if exclude_self:
            p[j] = np.eye(m)[(j + 1) % m]
        column = (-loss(input, p)).exp()
        columns.append(torch.where(torch.arange(n) == j, 0.0, column) if exclude_self else column)
    return torch.stack(columns, dim=1)


def random_p(n: int, seed: int, exclude_self: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = dense.others(n) if exclude_self else dense.everyone(n)
    weights = rng.uniform(0.1, 1, (n, n)) * (rng.random((n, n)) < 0.5) * mask
    weights[np.arange(n), (np.arange(n) + 1) % n] += 0.3
    return weights / weights.sum(axis=1, keepdims=True)


# -- q is a distribution, KL a divergence -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNED)
@given(n=sizes, seed=seeds)
def test_rows_of_q_sum_to_one(name: str, n: int, seed: int) -> None:
    z = normal(n, 3, seed=seed)
    q = learned_rows(LEARNED[name](), z, n, n, exclude_self=not with_self(name))
    assert_close(q.sum(dim=1), np.ones(n), rtol=1e-12)


@pytest.mark.parametrize("name", LEARNED)
@given(n=sizes, m=sizes, seed=seeds)
def test_rows_of_q_between_two_sets_sum_to_one(name: str, n: int, m: int, seed: int) -> None:
    a, c = normal(n, 3, seed=seed), normal(m, 3, seed=seed + 1)
    q = learned_rows(LEARNED[name](), (a, c), n, m, exclude_self=False)
    assert_close(q.sum(dim=1), np.ones(n), rtol=1e-12)


@pytest.mark.parametrize(("divergence", "name"), few_are_fast(["kl", "js", "tv", "hellinger", "alpha"], list(LEARNED)))
@given(n=sizes, seed=seeds, alpha=st.sampled_from([0.0, 0.1, 1.0]))
def test_divergences_are_not_negative(divergence: str, name: str, n: int, seed: int, alpha: float) -> None:
    p = random_p(n, seed, exclude_self=not with_self(name))
    given_rows = icon.p.Precomputed(exclude_self=not with_self(name)).debias(alpha)
    loss = icon.Loss(given_rows, LEARNED[name](), divergence=divergence, reduction="none")
    values = loss(normal(n, 3, seed=seed), p).detach()
    assert float(values.min()) >= -1e-12
    bounds = {"tv": 1.0, "hellinger": 1.0, "js": np.log(2), "alpha": 4.0}
    assert float(values.max()) <= bounds.get(divergence, np.inf) + 1e-12


@pytest.mark.parametrize(
    ("divergence", "name"), few_are_fast(["kl", "reverse-kl", "js", "tv", "hellinger", "alpha"], list(LEARNED))
)
def test_divergence_of_a_distribution_from_itself_is_zero(divergence: str, name: str) -> None:
    z = normal(N, D, grad=True)
    exclude = not with_self(name)
    q = LEARNED[name]()
    p = learned_rows(q, z, N, N, exclude).detach()
    rows = icon.p.Precomputed(exclude_self=exclude)(p)
    loss = icon.Loss(icon.p.Precomputed(exclude_self=exclude), q, divergence=divergence, reduction="none")
    values = loss(z, rows)
    assert float(values.detach().abs().max()) < 1e-12
    if divergence != "tv":  # which has a kink there
        (gradient,) = gradients(values.sum(), [z])
        assert float(gradient.abs().max()) < 1e-9


def test_a_p_without_self_has_kl_at_least_minus_log_of_the_mass_elsewhere() -> None:
    """Clusters always count self: KL(p ‖ q) >= -log(1 - q_ii)."""
    z, labels = normal(N, 4), np.arange(N) % 3
    q = learned_rows(icon.q.Clusters(), z, N, N, exclude_self=False)
    kl = icon.Loss(icon.p.Classes(), icon.q.Clusters(), reduction="none")(z, labels)
    assert bool((kl >= -torch.log1p(-q.diagonal()) - 1e-12).all())


@given(n=sizes, seed=seeds)
def test_cross_entropy_is_kl_plus_entropy(n: int, seed: int) -> None:
    p = random_p(n, seed, exclude_self=True)
    loss = icon.Loss(icon.p.Precomputed().debias(0.2), icon.q.StudentT(), reduction="none")
    terms = loss.terms(normal(n, 2, seed=seed), p)
    assert_close(terms.cross_entropy, terms.kl + terms.entropy, rtol=1e-13)
    assert_close(terms.entropy, dense.entropies(dense.debiased(p, 0.2, dense.others(n))))


def test_infonce_bound_on_mutual_information() -> None:
    """log m - CE never exceeds log m, and CE of indistinguishable points is log of the number of candidates."""
    z = torch.ones(10, 3, dtype=torch.float64)
    terms = icon.method("infonce").terms((z, z.clone()))
    assert_close(terms.cross_entropy, np.log(10), rtol=1e-12)


# -- symmetries -------------------------------------------------------------------------------------------------------


def permuted(case: Any, order: np.ndarray) -> tuple[Any, Any, list[Tensor]]:
    """The same points in another order, targets alike."""
    index = torch.from_numpy(order)
    a = case.anchors.detach()[index].requires_grad_()
    target = case.target
    if case.column == "graph":
        target = target[np.ix_(order, order)]
    elif target is not None:
        target = target[order]
    if case.candidates is None:
        return a, target, [a]
    c = case.candidates.detach()
    c = (c[index] if case.column == "cross-modal" else c.clone()).requires_grad_()
    return (a, c), target, [a, c]


@pytest.mark.parametrize(("row", "column"), COORDINATES)
@settings(max_examples=2)
@given(seed=seeds)
def test_permutation_equivariance(row: str, column: str, seed: int) -> None:
    case = coordinate_input(row, column, seed=seed % 3)
    order = np.random.default_rng(seed).permutation(N)
    loss = icon.loss(row, column, **case.hyper, reduction="none", debias=0.1, block=5)
    here = loss(case.input, case.target)
    input, target, leaves = permuted(case, order)
    there = loss(input, target)
    views = 2 if column == "cross-modal" else 1
    at = torch.from_numpy(np.concatenate([order + N * k for k in range(views)]))
    assert_close(there, here[at], rtol=1e-10, what="terms")
    before, after = gradients(here.mean(), case.leaves), gradients(there.mean(), leaves)
    for k, (b, a) in enumerate(zip(before, after, strict=True)):
        moved = b if len(b) != N or (column == "data-label" and k == 1) else b[torch.from_numpy(order)]
        assert_close(a, moved, rtol=1e-8, what=f"gradient by leaf {k}")


@pytest.mark.parametrize("name", ["sqeuclidean", "student-t"])
@given(seed=seeds, shift=st.floats(-100, 100))
def test_distances_do_not_see_translations(name: str, seed: int, shift: float) -> None:
    z, labels = normal(N, 3, seed=seed), np.arange(N) % 4
    loss = icon.Loss(icon.p.Classes(), LEARNED[name]())
    assert_close(loss(z + shift, labels), loss(z, labels), rtol=1e-10)


@given(seed=seeds, factor=st.floats(1e-3, 1e3))
def test_cosine_does_not_see_lengths(seed: int, factor: float) -> None:
    z, labels = normal(N, 3, seed=seed), np.arange(N) % 4
    lengths = torch.linspace(0.5, 2, N, dtype=torch.float64)[:, None] * factor
    loss = icon.method("supcon")
    assert_close(loss(z * lengths, labels), loss(z, labels), rtol=1e-10)


@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_alpha_zero_changes_not_one_bit(row: str, column: str) -> None:
    case = coordinate_input(row, column)
    plain = icon.loss(row, column, **case.hyper)
    zero = icon.Loss(plain.p.debias(0.0), plain.q)
    one, other = plain(case.input, case.target), zero(case.input, case.target)
    assert torch.equal(one, other)
    for g, h in zip(gradients(one, case.leaves), gradients(other, case.leaves), strict=True):
        assert torch.equal(g, h)


@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_the_same_call_gives_the_same_bits(row: str, column: str) -> None:
    case = coordinate_input(row, column)
    loss = icon.loss(row, column, **case.hyper)
    one, other = loss(case.input, case.target), loss(case.input, case.target)
    assert torch.equal(one, other)
    for g, h in zip(gradients(one, case.leaves), gradients(other, case.leaves), strict=True):
        assert torch.equal(g, h)


# -- partitions and limits --------------------------------------------------------------------------------------------


def partition_of(z: Tensor, partition: str, metric: str, labels: np.ndarray, **scale: float) -> Tensor:
    """A_i plus the expected score, which all partitions share: CE_i = A_i - E_i."""
    q = icon.q.Gaussian(metric, partition=partition, **scale)
    return icon.Loss(icon.p.Classes(), q, reduction="none").terms(z, labels).cross_entropy


@pytest.mark.parametrize("metric", ["cosine", "dot", "sqeuclidean"])
@given(n=st.integers(4, 12), seed=seeds)
def test_partitions_are_ordered(metric: str, n: int, seed: int) -> None:
    """mean <= logsumexp - log m <= max <= logsumexp, at unit scale."""
    z, labels = normal(n, 3, seed=seed), np.arange(n) % 2
    unit = {"sigma": 0.5**0.5} if metric == "sqeuclidean" else {"temperature": 1.0}
    soft = partition_of(z, "logsumexp", metric, labels, **unit)
    mean, highest = (partition_of(z, kind, metric, labels) for kind in ("mean", "max"))
    assert bool((mean <= soft - np.log(n - 1) + 1e-12).all())
    assert bool((soft - np.log(n - 1) <= highest + 1e-12).all())
    assert bool((highest <= soft + 1e-12).all())


@pytest.mark.parametrize("metric", ["cosine", "dot", "sqeuclidean"])
@given(seed=seeds, alpha=st.sampled_from([0.0, 0.3]))
def test_limits_are_reached_monotonically(metric: str, seed: int, alpha: float) -> None:
    """T (KL + H) falls to the max row as T → 0, and T (KL + H - log|S|) rises to the mean row as T → ∞."""
    z, labels = normal(N, 2, seed=seed), np.arange(N) % 3
    p = icon.p.Classes().debias(alpha)

    def rescaled(temperature: float, subtract: float) -> Tensor:
        scale = {"sigma": (temperature / 2) ** 0.5} if metric == "sqeuclidean" else {"temperature": temperature}
        loss = icon.Loss(p, icon.q.Gaussian(metric, **scale), reduction="none")
        return temperature * (loss.terms(z, labels).cross_entropy - subtract)

    def limit(partition: str) -> Tensor:
        return icon.Loss(p, icon.q.Gaussian(metric, partition=partition), reduction="none")(z, labels)

    narrow = [(rescaled(t, 0.0) - limit("max")).detach() for t in (1.0, 0.3, 0.1, 0.03, 1e-3, 1e-5)]
    wide = [(rescaled(t, np.log(N - 1)) - limit("mean")).detach() for t in (1.0, 3.0, 10.0, 100.0, 1e3)]
    for errors in (narrow, wide):
        assert all(float(e.min()) >= -1e-9 for e in errors)
        assert all(bool((b <= a + 1e-9).all()) for a, b in itertools.pairwise(errors))
    assert float(narrow[-1].max()) <= 1e-5 * np.log(N - 1) + 1e-9
    assert 5 < float(wide[-2].max() / wide[-1].max()) < 20  # first order: ten times the T, a tenth of the error


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_second_order_partition_is_the_next_order(metric: str) -> None:
    """Its error is O(1/T²): a hundredth for ten times the temperature."""
    z, labels = normal(N, 3), np.arange(N) % 3
    errors = []
    for temperature in (10.0, 100.0):
        exact = icon.Loss(icon.p.Classes(), icon.q.Gaussian(metric, temperature=temperature), reduction="none")
        second = icon.q.Gaussian(metric, temperature=temperature, partition="second-order")
        near = icon.Loss(icon.p.Classes(), second, reduction="none")(z, labels)
        errors.append(temperature * (exact.terms(z, labels).cross_entropy - np.log(N - 1)) - near)
    ratio = float(errors[0].abs().max() / errors[1].abs().max())
    assert 60 < ratio < 160


# -- joint normalisation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sqeuclidean", "student-t", "dot"])
@given(n=sizes, seed=seeds)
def test_chain_rule_of_the_joint_kl(name: str, n: int, seed: int) -> None:
    """KL(P‖Q) = sum_i P_i KL(P_.|i ‖ Q_.|i) + KL(P_i ‖ Q_i)."""
    z, rng = normal(n, 2, seed=seed), np.random.default_rng(seed)
    pairs = rng.uniform(0.01, 1, (n, n)) * dense.others(n)
    pairs /= pairs.sum()
    p = icon.p.Precomputed(joint=True)
    whole = icon.Loss(p, LEARNED[name](), normalization="joint")(z, pairs)
    rows = icon.Loss(p, LEARNED[name](), reduction="none")(z, pairs)
    scores = {
        "sqeuclidean": lambda: dense.gaussian_scores(z, z, "sqeuclidean", 0.8),
        "student-t": lambda: dense.student_t_scores(z, z, 2.0),
        "dot": lambda: dense.gaussian_scores(z, z, "dot", 0.5),
    }[name]()
    marginal_q = dense.joint_q(scores, torch.as_tensor(dense.others(n))).sum(dim=1)
    marginal_p = torch.from_numpy(pairs.sum(axis=1))
    expected = marginal_p @ rows + (marginal_p * (marginal_p / marginal_q).log()).sum()
    assert_close(whole, expected, rtol=1e-10)


@given(n=sizes, seed=seeds)
def test_joint_kl_is_not_negative_and_zero_at_itself(n: int, seed: int) -> None:
    z = normal(n, 2, seed=seed)
    loss = icon.Loss(icon.p.Precomputed(joint=True), icon.q.StudentT(), normalization="joint")
    q = dense.joint_q(dense.student_t_scores(z, z, 1.0), torch.as_tensor(dense.others(n)))
    assert abs(float(loss(z, q))) < 1e-12
    p = np.random.default_rng(seed).random((n, n)) * dense.others(n)
    assert float(loss(z, p / p.sum())) >= -1e-12


def test_joint_mean_and_sum_are_one_number() -> None:
    case = coordinate_input("student-t", "knn")
    values = [
        icon.loss("student-t", "knn", **case.hyper, normalization="joint", reduction=r)(case.input, case.target)
        for r in ("mean", "sum")
    ]
    assert torch.equal(values[0], values[1])


# -- inputs -----------------------------------------------------------------------------------------------------------


def test_numpy_and_torch_targets_and_list_targets_agree() -> None:
    z, labels = normal(N, 2), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT())
    expected = loss(z, labels)
    for same in (torch.from_numpy(labels), labels.tolist(), labels.astype(np.int32), labels.astype(np.uint8)):
        assert torch.equal(loss(z, same), expected)


def test_numpy_input_is_accepted() -> None:
    z, labels = normal(N, 2), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT())
    assert torch.equal(loss(z.numpy(), labels), loss(z, labels))


def test_strided_and_transposed_inputs() -> None:
    wide, labels = normal(2, N, grad=True), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), block=5)
    assert_same(loss(wide.T, labels), loss(wide.T.contiguous(), labels), [wide], rtol=1e-13)


def test_expanded_input() -> None:
    z = normal(1, 2, grad=True)
    value = icon.Loss(icon.p.Classes(), icon.q.StudentT())(z.expand(6, 2), np.arange(6) % 2)
    assert_close(value, np.log(5) - np.log(2), rtol=1e-12)
    assert_close(gradients(value, [z])[0], np.zeros((1, 2)))


def test_anchors_and_candidates_of_different_precision_meet_in_the_higher() -> None:
    a, c = normal(N, 3).float(), normal(N, 3, seed=1)
    assert icon.method("clip")((a, c)).dtype == torch.float64


def test_integer_input_counts_as_numbers() -> None:
    z = np.arange(12).reshape(6, 2)
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT())
    assert torch.equal(loss(z, np.arange(6) % 2), loss(z.astype(float), np.arange(6) % 2))


@pytest.mark.parametrize("column", ["cross-modal", "pairs", "classes", "data-label", "knn", "graph", "identity"])
def test_prepared_rows_of_a_debiased_p(column: str) -> None:
    case = coordinate_input("gaussian", column)
    loss = icon.loss("gaussian", column, **case.hyper, debias=0.2)
    rows = loss.p(N if column in ("identity", "cross-modal") else case.target)
    assert_same(loss(case.input, rows), loss(case.input, case.target), case.leaves, rtol=1e-12)


def test_soft_targets_that_are_one_hot_are_labels() -> None:
    z, w, labels = normal(N, 3, grad=True), normal(4, 3, seed=1, grad=True), np.arange(N) % 4
    for row, hyper in (
        ("gaussian", {}),
        ("gaussian", {"margin": 0.4}),
        ("gaussian-narrow", {"margin": 0.4}),
        ("student-t", {}),
        ("clusters", {"leak": 0.1}),
    ):
        loss = icon.loss(row, "data-label", **hyper, debias=0.1)
        assert_same(loss((z, w), np.eye(4)[labels]), loss((z, w), labels), [z, w], rtol=1e-12)


def test_label_smoothing_is_torchs() -> None:
    logits = normal(N, 5, grad=True)
    labels = torch.arange(N) % 5
    loss = icon.method("cross-entropy", label_smoothing=0.1)
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert_same(loss.terms((logits, torch.eye(5).double()), labels).cross_entropy, expected, [logits])


def test_soft_targets_are_torchs() -> None:
    logits = normal(N, 5, grad=True)
    targets = normal(N, 5, seed=3).softmax(dim=1)
    expected = torch.nn.functional.cross_entropy(logits, targets)
    terms = icon.method("cross-entropy").terms((logits, torch.eye(5).double()), targets)
    assert_same(terms.cross_entropy, expected, [logits])
    (gradient,) = gradients(terms.kl, [logits])
    kl = torch.nn.functional.kl_div(logits.log_softmax(1), targets, reduction="batchmean")
    assert_close(terms.kl, kl)
    assert_close(gradient, gradients(kl, [logits])[0])


# -- a module like others ---------------------------------------------------------------------------------------------


def test_loss_is_a_module_that_copies_and_pickles() -> None:
    case = coordinate_input("gaussian", "knn")
    loss = icon.loss("gaussian", "knn", **case.hyper)
    expected = loss(case.input, case.target)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(twin(case.input, case.target), expected)
        assert repr(twin) == repr(loss)


def test_the_arguments_of_a_call_are_not_changed() -> None:
    for row, column in COORDINATES:
        case = coordinate_input(row, column)
        before = [leaf.detach().clone() for leaf in case.leaves]
        target = copy.deepcopy(case.target)
        icon.loss(row, column, **case.hyper, debias=0.1)(case.input, case.target).backward()
        assert all(torch.equal(a.detach(), b) for a, b in zip(case.leaves, before, strict=True))
        assert target is None or np.array_equal(target, case.target)


def test_a_loss_in_autocast_is_the_loss() -> None:
    z = normal(32, 8).float().requires_grad_()
    ids = np.arange(32) // 2
    loss = icon.method("simclr", temperature=0.05)
    expected = loss(z, ids)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(z, ids)
    assert value.dtype == torch.float32
    assert_same(value, expected, [z], rtol=1e-4)
    value.backward()


def test_a_penalty_is_added_in_the_joint_form_too() -> None:
    logits, x = normal(N, 4, grad=True), normal(N, 5, seed=1).numpy()
    plain, prior = (icon.loss("clusters", "knn", n_neighbors=3, normalization="joint", log_prior=s) for s in (0.0, 0.7))
    assert_same(prior(logits, x), plain(logits, x) - 0.7 * logits.log_softmax(dim=1).sum(dim=1).mean(), [logits])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))])
def test_a_copy_refuses_what_the_original_refuses(copied: Callable[[icon.Loss], icon.Loss]) -> None:
    with pytest.raises(ValueError, match="6 of 6 anchors without a positive"):
        copied(icon.method("supcon", on_no_positive="raise"))(normal(6, 3), np.arange(6))
