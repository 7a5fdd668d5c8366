"""Rows of p and the algebra on them, against the same algebra on dense matrices."""

from __future__ import annotations

import dataclasses
import gc
import math
import pickle
import re
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

import icon
from icon.training import PairSampler
from icon.training.fit import fit
from tests import dense
from tests.cases import assert_close, assert_same, normal, ring
from tests.combinations import few_are_fast
from tests.versions import recent_torch

pytestmark = pytest.mark.usefixtures("quiet")


def stochastic(n: int, seed: int, density: float = 0.4, self_loops: bool = False) -> np.ndarray:
    """A sparse random matrix with rows that sum to one."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 1, (n, n)) * (rng.random((n, n)) < density)
    weights[np.arange(n), (np.arange(n) + 1) % n] += 0.5
    if not self_loops:
        np.fill_diagonal(weights, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def rows_of(p: np.ndarray, **options: Any) -> icon.Rows:
    return icon.p.Precomputed(**options)(p)


sizes = st.integers(3, 14)
seeds = st.integers(0, 10_000)
fractions = st.floats(0, 1)


# -- rows sum to one --------------------------------------------------------------------------------------------------


def spatial(n: int, seed: int) -> np.ndarray:
    return normal(n, 3, seed=seed).numpy()


MAKERS: dict[str, Any] = {
    "gaussian-perplexity": lambda n, s: icon.p.Gaussian(perplexity=min(2.5, n - 1))(spatial(n, s)),
    "gaussian-sigma": lambda n, s: icon.p.Gaussian(sigma=0.3 + s % 5)(spatial(n, s)),
    "gaussian-nearest": lambda n, s: icon.p.Gaussian(perplexity=1.5, n_neighbors=2)(spatial(n, s)),
    "gaussian-cosine": lambda n, s: icon.p.Gaussian(temperature=0.2, metric="cosine")(spatial(n, s)),
    "gaussian-self": lambda n, s: icon.p.Gaussian(sigma=1.0, exclude_self=False)(spatial(n, s)),
    "student-t": lambda n, s: icon.p.StudentT(dof=0.5 + s % 7)(spatial(n, s)),
    "identity": lambda n, s: icon.p.Identity()(n),
    "graph": lambda n, s: icon.p.Graph()(ring(n, s)),
    "knn": lambda n, s: icon.p.KNN(n_neighbors=2)(spatial(n, s)),
    "pairs": lambda n, s: icon.p.Pairs()(np.arange(n) // 2),
    "pairs-queries": lambda n, s: icon.p.Pairs()((np.arange(n) % 3, np.arange(n + 4) % 3)),
    "cross-modal": lambda n, s: icon.p.CrossModal()((np.arange(n) % 3, np.arange(5) % 3)),
    "classes": lambda n, s: icon.p.Classes()(np.random.default_rng(s).integers(0, 3, n)),
    "data-label": lambda n, s: icon.p.DataLabel(n_classes=4)(np.arange(n) % 4),
    "soft-labels": lambda n, s: icon.p.DataLabel()(np.random.default_rng(s).dirichlet(np.ones(3), n)),
    "precomputed": lambda n, s: rows_of(stochastic(n, s)),
}


@pytest.mark.parametrize("name", list(MAKERS))
@given(n=sizes, seed=seeds, alpha=fractions)
def test_every_row_is_a_distribution(name: str, n: int, seed: int, alpha: float) -> None:
    try:
        plain = MAKERS[name](n, seed)
    except ValueError as error:
        assert "without a positive" in str(error)  # noqa: PT017 - the only acceptable refusal
        return
    for rows in (plain, plain.debias(alpha)):
        p = rows.to_dense()
        assert p.shape == (rows.n, rows.m)
        assert bool((p >= 0).all())
        assert_close(p.sum(dim=1), (~rows.empty).double(), rtol=1e-12)
        if rows.support.exclude_self:
            assert bool((p.diagonal() == 0).all())


@pytest.mark.parametrize("name", list(MAKERS))
@given(n=sizes, seed=seeds, alpha=st.sampled_from([0.0, 0.25, 1.0]))
def test_entropy_is_scipys(name: str, n: int, seed: int, alpha: float) -> None:
    rows = MAKERS[name](n, seed).debias(alpha)
    expected = dense_entropy(rows.to_dense().numpy())
    assert_close(rows.entropy(), expected, rtol=1e-12)


def dense_entropy(p: np.ndarray) -> np.ndarray:
    return np.array([scipy.stats.entropy(row) if row.sum() > 0 else 0.0 for row in p])


@pytest.mark.parametrize("name", list(MAKERS))
def test_groups_tell_all_of_p_or_there_are_none(name: str) -> None:
    masses = MAKERS[name](9, 3).masses
    if masses.grouping is None:
        return
    number, each = masses.grouping
    same = number[:, None] == number
    same.fill_diagonal_(False)
    assert_close(same * each[:, None], masses.tile(0, 9, each))


def test_entropy_of_empty_rows_is_zero() -> None:
    rows = icon.p.Classes()(np.array([0, 1, 1, 3]))
    assert rows.entropy().tolist() == [0, 0, 0, 0]
    assert rows.debias(0.5).entropy()[0] == 0


def test_entropy_of_a_debiased_p_whose_stored_zeros_meet_the_excluded_self() -> None:
    x = spatial(9, 0)
    for p in (icon.p.Gaussian(perplexity=3), icon.p.Gaussian(perplexity=3).symmetrize(), icon.p.StudentT()):
        rows = p.debias(0.3)(x)
        assert_close(rows.entropy(), dense_entropy(rows.to_dense().numpy()), rtol=1e-12)


@pytest.mark.parametrize("name", list(MAKERS))
def test_n_edges_counts_the_positive_entries(name: str) -> None:
    rows = MAKERS[name](8, 1)
    assert rows.n_edges == int((rows.to_dense() > 0).sum())


def test_exaggeration_is_of_the_edges_alone() -> None:
    """Uniform mass that is as much exaggerated would outweigh all repulsion and draw the map into one point."""
    rows = icon.p.KNN(2)(spatial(8, 0)).debias(0.25)
    edges, uniform = 0.75 / 2, 0.25 / 7
    found = rows.exaggerated(12.0).to_dense()
    is_edge = rows.masses.positives(0, 8)
    others = ~is_edge & ~torch.eye(8, dtype=torch.bool)
    assert_close(found[is_edge], torch.full((16,), 12 * edges + uniform, dtype=torch.float64))
    assert_close(found[others], torch.full((40,), uniform, dtype=torch.float64))


# -- debias -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(MAKERS))
@given(n=sizes, seed=seeds, alpha=fractions, again=fractions)
def test_debias_is_the_dense_mixture_with_the_uniform(name: str, n: int, seed: int, alpha: float, again: float) -> None:
    rows = MAKERS[name](n, seed)
    mask = dense.everyone(rows.n, rows.m)
    if rows.support.exclude_self:
        mask &= dense.others(rows.n)
    once = dense.debiased(rows.to_dense().numpy(), alpha, mask)
    assert_close(rows.debias(alpha).to_dense(), once, rtol=1e-12)
    assert_close(rows.debias(alpha).debias(again).to_dense(), dense.debiased(once, again, mask), rtol=1e-12)


@pytest.mark.parametrize("name", list(MAKERS))
def test_debias_zero_is_an_exact_no_op(name: str) -> None:
    rows = MAKERS[name](8, 0)
    assert torch.equal(rows.debias(0).to_dense(), rows.to_dense())
    assert torch.equal(rows.debias(0.0).entropy(), rows.entropy())


def test_debias_leaves_the_original_alone() -> None:
    rows = MAKERS["knn"](8, 0)
    before = rows.to_dense().clone()
    rows.entropy()
    rows.debias(0.5).entropy()
    assert torch.equal(rows.to_dense(), before)
    assert rows.masses.uniform_mass is None


# -- walks ------------------------------------------------------------------------------------------------------------


@given(n=sizes, seed=seeds, k=st.integers(1, 5), average=st.booleans())
def test_walks_are_dense_powers(n: int, seed: int, k: int, average: bool) -> None:
    p = stochastic(n, seed)
    powers = [np.linalg.matrix_power(p, e) for e in range(1, k + 1)]
    walked = rows_of(p).walks(k, average=average)
    assert_close(walked.to_dense(), np.mean(powers, axis=0) if average else powers[-1], rtol=1e-12)
    assert_close(walked.to_dense().sum(dim=1), np.ones(n), rtol=1e-12)


@pytest.mark.parametrize("name", ["gaussian-perplexity", "student-t", "graph", "knn", "classes", "pairs"])
def test_walks_of_every_p_on_one_set(name: str) -> None:
    rows = MAKERS[name](10, 2)
    p = rows.to_dense().numpy()
    assert_close(rows.walks(3).to_dense(), (p + p @ p + p @ p @ p) / 3, rtol=1e-12)


def test_one_walk_is_the_p_itself() -> None:
    rows = MAKERS["knn"](8, 0)
    assert torch.equal(rows.walks(1).to_dense(), rows.to_dense())


def test_a_walk_that_comes_home_makes_self_a_candidate() -> None:
    rows = icon.p.Pairs()(np.array([0, 0, 1, 1]))
    assert rows.support.exclude_self
    walked = rows.walks(2, average=False)
    assert not walked.support.exclude_self
    assert_close(walked.to_dense(), np.eye(4))


@pytest.mark.parametrize("applied", [lambda p: p.walks(2), lambda p: p.symmetrize(), lambda p: p.symmetrize("union")])
def test_two_sets_of_one_size_are_refused_as_others_are(applied: Any) -> None:
    sets = (normal(6, 3), normal(6, 3, seed=1))
    with pytest.raises(ValueError, match=r": got 6 anchors and 6 candidates, expected one set of points"):
        icon.Loss(applied(icon.p.KNN(2)), icon.q.StudentT())(sets, sets)


def test_an_anchor_whose_walks_all_end_early_weighs_nothing() -> None:
    graph = np.array([[0, 2, 1, 0], [0, 0, 3, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    walked = icon.p.Graph()(graph).walks(2, average=False)
    assert walked.empty.tolist() == [False, True, True, False]
    assert_close(walked.marginal, np.array([3, 0, 0, 1]) / 4)


def test_pruned_walks_keep_the_largest_entries_sum_to_one_and_say_so() -> None:
    p = stochastic(12, 0, density=0.6)
    walked = rows_of(p).walks(3, prune=4)
    q = walked.to_dense()
    assert_close(q.sum(dim=1), np.ones(12), rtol=1e-12)
    assert any("prune" in note for note in walked.notes)
    assert any(re.search(r"\b4\b", note) for note in walked.notes)
    power = p @ p
    kept = np.where(power >= np.sort(power, axis=1)[:, [-4]], power, 0)
    only = rows_of(p).walks(2, average=False, prune=4)
    assert_close(only.to_dense(), kept / kept.sum(axis=1, keepdims=True), rtol=1e-12)
    assert int((only.to_dense() > 0).sum(dim=1).max()) <= 4


def test_pruning_by_more_than_a_row_has_changes_nothing() -> None:
    p = stochastic(9, 0)
    assert_close(rows_of(p).walks(3, prune=9).to_dense(), rows_of(p).walks(3).to_dense(), rtol=1e-12)


# -- symmetrise -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["average", "union", "intersection"])
@given(n=sizes, seed=seeds)
def test_symmetrize_is_dense_algebra(how: str, n: int, seed: int) -> None:
    p = stochastic(n, seed, density=0.8)
    merged = {"average": (p + p.T) / 2, "union": np.maximum(p, p.T), "intersection": np.minimum(p, p.T)}[how]
    rows = rows_of(p).symmetrize(how)
    assert_close(rows.to_dense(), dense.p_graph(merged), rtol=1e-12)
    assert_close(rows.anchor_marginal, merged.sum(axis=1) / merged.sum(), rtol=1e-12)
    pairs = rows.anchor_marginal[:, None] * rows.to_dense()
    assert_close(pairs, pairs.T, rtol=1e-12)


@given(n=sizes, seed=seeds, alpha=fractions)
def test_symmetrize_of_a_debiased_p(n: int, seed: int, alpha: float) -> None:
    p = stochastic(n, seed)
    rows = rows_of(p).debias(alpha).symmetrize()
    target = dense.joint(dense.debiased(p, alpha, dense.others(n)))
    assert_close(rows.anchor_marginal[:, None] * rows.to_dense(), target, rtol=1e-12)


def test_symmetrize_of_a_dense_and_of_a_sparse_p_agree() -> None:
    x = spatial(10, 0)
    full = icon.p.Gaussian(perplexity=3)(x)
    sparse = rows_of(full.to_dense().numpy())
    assert_close(full.symmetrize().to_dense(), sparse.symmetrize().to_dense(), rtol=1e-12)
    assert_close(full.symmetrize().anchor_marginal, sparse.symmetrize().anchor_marginal, rtol=1e-12)


def test_symmetrize_of_a_symmetric_graph_changes_nothing() -> None:
    rows = icon.p.Graph()(ring(10))
    assert_close(rows.symmetrize().to_dense(), rows.to_dense(), rtol=1e-12)
    assert_close(rows.symmetrize().anchor_marginal, rows.anchor_marginal, rtol=1e-12)


# -- mixtures ---------------------------------------------------------------------------------------------------------


@given(n=sizes, seed=seeds, weight=fractions, alpha=fractions)
def test_mix_is_dense_algebra(n: int, seed: int, weight: float, alpha: float) -> None:
    a, b = stochastic(n, seed), stochastic(n, seed + 1)
    mixed = rows_of(a).debias(alpha).mix(rows_of(b), weight)
    expected = (1 - weight) * dense.debiased(a, alpha, dense.others(n)) + weight * b
    assert_close(mixed.to_dense(), expected, rtol=1e-12)


def test_a_debiased_p_and_one_of_another_support_are_not_mixed() -> None:
    """One p is debiased over the others, the other has self in its support."""
    a, b = stochastic(8, 0), stochastic(8, 1, self_loops=True)
    first, second = rows_of(a).debias(0.5), rows_of(b, exclude_self=False)
    for one, other in ((first, second), (second, first)):
        with pytest.raises(ValueError, match=r"^mix: got a debiased p and a different support, expected the same"):
            one.mix(other, 0.4)


def test_mix_where_one_p_has_no_row_takes_the_other() -> None:
    a, b = stochastic(6, 0), stochastic(6, 1)
    a[2] = 0
    mixed = rows_of(a).mix(rows_of(b), 0.25).to_dense()
    expected = 0.75 * a + 0.25 * b
    expected[2] = b[2]
    assert_close(mixed, expected, rtol=1e-12)


@pytest.mark.parametrize("swap", [False, True])
def test_mix_where_a_debiased_p_meets_an_empty_row(swap: bool) -> None:
    a, b = stochastic(6, 0), stochastic(6, 1)
    b[2] = 0
    first, second, weight = rows_of(a).debias(0.4), rows_of(b), 0.25
    if swap:
        first, second, weight = second, first, 1 - weight
    mixed = first.mix(second, weight).to_dense()
    expected = 0.75 * dense.debiased(a, 0.4, dense.others(6)) + 0.25 * b
    assert_close(mixed, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


def test_mix_keeps_the_uniform_mass_of_a_row_without_edges() -> None:
    a, b = stochastic(6, 0), stochastic(6, 1)
    b[2] = 0
    mixed = rows_of(a).debias(1.0).mix(rows_of(b), 0.25).to_dense()
    expected = 0.75 * dense.debiased(a, 1.0, dense.others(6)) + 0.25 * b
    assert_close(mixed, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


# -- composition, support, copies -------------------------------------------------------------------------------------


def test_operations_compose_left_to_right() -> None:
    x = spatial(12, 0)
    p = dense.p_knn(x, 3)
    walked = (p + p @ p) / 2
    rows = icon.p.KNN(n_neighbors=3).walks(2).debias(0.6)(x)
    assert_close(rows.to_dense(), 0.4 * walked + 0.6 / 12, rtol=1e-12)
    symmetric = (p + p.T) / 2
    rows = icon.p.KNN(n_neighbors=3).symmetrize().debias(0.2)(x)
    assert_close(rows.to_dense(), dense.debiased(dense.p_graph(symmetric), 0.2, dense.others(12)), rtol=1e-12)


def test_mixing_two_distributions_of_one_target() -> None:
    x = spatial(12, 0)
    mixed = icon.p.KNN(n_neighbors=3).mix(icon.p.StudentT(dof=2.0), 0.3)(x)
    expected = 0.7 * dense.p_knn(x, 3) + 0.3 * dense.p_student_t(x, 2.0, dense.others(12))
    assert_close(mixed.to_dense(), expected, rtol=1e-12)


def test_a_distribution_is_a_recipe_that_operations_do_not_change() -> None:
    p = icon.p.KNN(n_neighbors=3)
    p.walks(2).debias(0.5)
    assert p.operations == ()
    assert repr(icon.p.KNN(10).walks(2).debias(0.6)) == "KNN(n_neighbors=10).walks(2).debias(0.6)"


def test_dense_matrix_of_classes_and_of_its_csr_agree() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 30)
    rows = icon.p.Classes()(labels)
    assert_close(rows.to_dense(), dense.p_members(labels), rtol=1e-15)
    assert_close(rows.to_scipy().toarray(), dense.p_members(labels), rtol=1e-15)


def test_transpose_is_the_other_conditional() -> None:
    a, b = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 0, 0, 2])
    rows = icon.p.CrossModal()((a, b))
    assert_close(rows.to_dense(), dense.p_members(a, b))
    assert_close(rows.transpose().to_dense(), dense.p_members(b, a), rtol=1e-12)


def test_the_support_of_two_sets_needs_no_square() -> None:
    assert icon.Support(3, 5, False).size == 5
    assert icon.Support(5, 5, True).size == 4
    with pytest.raises(ValueError, match="expected one set where self is excluded"):
        icon.Support(3, 5, True)
    with pytest.raises(ValueError, match="at least two points"):
        icon.Support(1, 1, True)


def test_mass_on_self_cannot_move_to_a_support_without_self() -> None:
    with pytest.raises(ValueError, match="mass on the anchor itself"):
        icon.p.Identity()(5).on(icon.Support(5, 5, True))


def test_float32_rows_are_those_of_float64() -> None:
    rows = icon.p.Classes()(np.arange(20) % 3).debias(0.1)
    moved = rows.to(torch.device("cpu"), torch.float32)
    assert moved.to_dense().dtype == torch.float32
    assert_close(moved.to_dense(), rows.to_dense(), rtol=1e-6)
    assert_close(moved.entropy(), rows.entropy(), rtol=1e-5)


def test_scipy_round_trip() -> None:
    p = stochastic(9, 0)
    rows = icon.Rows.from_scipy(sp.csr_array(p * 7), exclude_self=True)
    assert_close(rows.to_dense(), p, rtol=1e-15)
    assert not rows.empty.any()
    assert math.isclose(float(rows.anchor_marginal.sum()), 1.0)


# -- copies share nothing that the fields decide -----------------------------------------------------------------------


def test_replaced_rows_have_an_entropy_of_their_own() -> None:
    rows = icon.p.KNN(n_neighbors=5)(spatial(12, 0))
    assert_close(rows.entropy(), np.full(12, np.log(5)))
    other = dataclasses.replace(rows, masses=icon.p.KNN(n_neighbors=2)(spatial(12, 0)).masses)
    assert_close(other.entropy(), np.full(12, np.log(2)))
    assert other.n_empty == 0
    assert_close(dataclasses.replace(rows, masses=rows.masses.scaled(0.5)).masses.sums(), np.full(12, 0.5))


@pytest.mark.parametrize("p", [icon.p.KNN(3), icon.p.Gaussian(perplexity=3), icon.p.KNN(3).walks(2)], ids=repr)
def test_prepared_rows_do_not_keep_the_features_alive(p: icon.p.Distribution) -> None:
    x = normal(12, 3)
    watched, rows = weakref.ref(x), p(x)
    del x
    gc.collect()
    assert watched() is None
    assert rows.n == 12


WITH_SELF = icon.p.KNN(2, exclude_self=False)(normal(20, 3))


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda p: p.debias(0.3).walks(2), r"^walks: got a debiased p, expected the plain one \(debias last\)"),
        (lambda p: p.debias(0.3).symmetrize("union"), r"^symmetrize: got a debiased p, expected the plain one"),
        (
            lambda p: p.debias(0.3).mix(WITH_SELF, 0.5),
            r"^mix: got a debiased p and a different support",
        ),
    ],
)
def test_what_a_whole_batch_refuses_a_sampled_one_refuses_too(refused: Any, message: str) -> None:
    x = normal(20, 3)
    p = refused(icon.p.KNN(5))
    with pytest.raises(ValueError, match=message):
        p(x)
    loss = icon.Loss(p, icon.q.Clusters())
    with pytest.raises(ValueError, match=message):
        fit(loss, torch.nn.Linear(3, 4).double(), x, x, steps=1, batch_size=8)
    with pytest.raises(ValueError, match=message):
        refused(PairSampler(icon.p.KNN(5)(x)))


# -- a sparse p that is nearly full ------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_nearly_all_pairs_are_read_as_a_matrix_with_the_same_value_and_gradient(alpha: float) -> None:
    rows = rows_of(stochastic(40, 0, density=0.5)).debias(alpha)
    masses, tile = rows.masses, normal(40, 40, seed=1, grad=True)
    assert masses.is_filled
    whole = masses.expectation(tile, 0)
    parts = torch.cat([masses.expectation(tile[:15], 0), masses.expectation(tile[15:], 15)])  # edge by edge
    sent = normal(40, seed=2)
    assert_close(whole, parts)
    assert_close(torch.autograd.grad(whole @ sent, tile)[0], torch.autograd.grad(parts @ sent, tile)[0])


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_the_loss_of_a_walked_p_is_that_of_its_edges(alpha: float) -> None:
    x, z = normal(60, 3), normal(60, 4, seed=1, grad=True)
    rows, q = icon.p.KNN(5).walks(3)(x).debias(alpha), icon.q.Clusters(balance=0.8)
    assert rows.masses.is_filled
    whole, parts = (icon.Loss(icon.p.KNN(5), q, block=block)(z, rows) for block in (None, 16))
    assert_close(whole, parts)
    assert_close(torch.autograd.grad(whole, z)[0], torch.autograd.grad(parts, z)[0])


def test_few_edges_and_edges_with_gradient_are_not_read_as_a_matrix() -> None:
    masses = rows_of(stochastic(40, 0, density=0.5)).masses
    assert not dataclasses.replace(masses, values=masses.values.clone().requires_grad_()).is_filled
    assert not icon.p.KNN(2).symmetrize("union")(normal(200, 2)).masses.is_filled


def test_a_debiased_row_without_neighbour_has_no_positive() -> None:
    p = stochastic(6, 0)
    p[2] = 0
    debiased = rows_of(p).debias(0.3)
    assert debiased.empty.tolist() == [False, False, True, False, False, False]


def test_edges_of_one_mass_are_drawn_equally_often() -> None:
    star = np.zeros((5, 5))
    star[0, 1:] = star[1:, 0] = 1
    star[1, 2] = star[2, 1] = 1
    masses = icon.p.Graph()(star).masses
    torch.manual_seed(0)
    drawn = torch.stack([masses.draw(torch.arange(5)) for _ in range(4000)])
    shares = torch.nn.functional.one_hot(drawn, 5).double().mean(dim=0)
    expected = torch.from_numpy(star / star.sum(axis=1, keepdims=True))
    assert bool((shares[expected == 0] == 0).all())
    assert (shares - expected).abs().max() < 0.04  # five standard deviations


def test_repr_says_what_kind_of_rows_they_are() -> None:
    rows = icon.p.Pairs()(np.arange(8) // 2)
    assert repr(rows) == "Rows(8 x 8, Grouped)"
    assert repr(rows.debias(0.1)) == "Rows(8 x 8, Grouped, debiased)"
    assert repr(icon.p.Identity()(5)) == "Rows(5 x 5, Listed, self included)"


def test_an_evaluation_without_gradient_keeps_the_gradient_of_later_ones() -> None:
    x, z = normal(12, 4, grad=True).float().detach().requires_grad_(), normal(12, 2).float().requires_grad_()
    loss = icon.Loss(icon.p.Gaussian(sigma=1.0, detach=False), icon.q.Gaussian(sigma=1.0))
    rows = loss.p(x)
    with torch.no_grad():
        loss(z, rows)
    loss(z, rows).backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert icon.p.KNN(3).walks(np.int64(2)).operations[0].k.__class__ is int  # type: ignore[attr-defined]


POINTS = normal(20, 4)


@pytest.mark.parametrize("normalization", ["row", "joint"])
@pytest.mark.parametrize("p", [icon.p.Classes(), icon.p.Graph(), icon.p.Gaussian(sigma=1.0).debias(0.1), icon.p.KNN(3)])
def test_rows_that_were_used_in_inference_mode_serve_training(p: icon.p.Distribution, normalization: str) -> None:
    target = {"labels": np.arange(18) % 4, "graph": ring(18)}.get(p.made_from, normal(18, 4))
    loss, z = icon.Loss(p, icon.q.StudentT(), normalization=normalization), normal(18, 2, grad=True)
    rows = loss.p(target)
    with torch.inference_mode():
        loss(z.float(), rows)
        loss(z, rows)
    assert_same(loss(z, rows), loss(z, target), [z])


class OfRows(torch.nn.Module):
    """A loss of rows that were prepared before."""

    def __init__(self, loss: icon.Loss, rows: icon.Rows) -> None:
        super().__init__()
        self.loss, self.rows = loss, rows

    def forward(self, z: Tensor) -> Tensor:
        return self.loss(z, self.rows)


@recent_torch
@pytest.mark.parametrize(
    ("p", "normalization"),
    few_are_fast([icon.p.Classes(), icon.p.Graph().walks(2), icon.p.Gaussian(perplexity=5)], ["row", "joint"]),
)
def test_rows_that_were_exported_serve_training(p: icon.p.Distribution, normalization: str) -> None:
    """Of tensors without numbers, as `torch.export` has them, nothing is kept in the rows."""
    target = {"labels": np.arange(18) % 4, "graph": ring(18)}.get(p.made_from, normal(18, 4))
    loss, z = icon.Loss(p, icon.q.StudentT(), normalization=normalization), normal(18, 2, grad=True)
    rows = loss.p(target)
    for points in (z.detach().float(), z.detach()):
        torch.export.export(OfRows(loss, rows), (points,), strict=False)
    assert_same(loss(z, rows), loss(z, target), [z])


@pytest.mark.parametrize("prepare", [lambda: icon.p.KNN(3)(POINTS), lambda: icon.p.Pairs()(torch.arange(20) // 2)])
def test_rows_can_be_pickled(prepare: Callable[[], icon.Rows]) -> None:
    """Also where they remember what they were made from, to which they hold a weak reference."""
    rows = prepare()
    rows.entropy()
    again = pickle.loads(pickle.dumps(rows))
    assert torch.equal(again.to_dense(), rows.to_dense())
    assert torch.equal(again.entropy(), rows.entropy())
    mixed = icon.Loss(icon.p.Gaussian(sigma=1.0).mix(rows, 0.5), icon.q.Gaussian())
    assert pickle.loads(pickle.dumps(mixed))(POINTS[:, :2], POINTS) == mixed(POINTS[:, :2], POINTS)


def test_an_anchor_left_out_has_no_positive() -> None:
    rows = icon.p.DataLabel(n_classes=4, ignore_index=3)(torch.arange(9) % 4)
    icon.testing.check_distribution(rows)
    assert not rows.masses.positives(3, 4).any()
    assert rows.n_edges == int(rows.masses.positives(0, 9).sum()) == 7
