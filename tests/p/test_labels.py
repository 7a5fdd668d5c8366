"""p from what belongs together, against dense indicator matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

import icon
from tests import dense
from tests.cases import assert_close, normal

pytestmark = pytest.mark.usefixtures("quiet")
keys = st.lists(st.integers(0, 5), min_size=2, max_size=20).map(np.array)


@given(labels=keys)
@pytest.mark.parametrize("kind", [icon.p.Classes, icon.p.Pairs])
def test_members_of_one_set(kind: type[icon.p.Distribution], labels: np.ndarray) -> None:
    rows = kind()(labels * 1000)  # any integers, not 0..C-1
    p = dense.p_members(labels)
    assert_close(rows.to_dense(), p, rtol=1e-15)
    assert rows.n_empty == int((p.sum(axis=1) == 0).sum())
    assert rows.n_edges == int((p > 0).sum())
    assert rows.support.exclude_self


@given(a=keys, b=keys)
@pytest.mark.parametrize("kind", [icon.p.Pairs, icon.p.CrossModal, icon.p.Classes])
def test_members_of_two_sets(kind: type[icon.p.Distribution], a: np.ndarray, b: np.ndarray) -> None:
    rows = kind()((a, b))
    p = dense.p_members(a, b)
    assert_close(rows.to_dense(), p, rtol=1e-15)
    assert rows.n_empty == int((p.sum(axis=1) == 0).sum())
    assert not rows.support.exclude_self


def test_blocks_of_groups_are_the_rows() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 25)
    rows = icon.p.Classes().debias(0.25)(labels)
    expected = dense.p_members(labels) * 0.75
    for size in (1, 4, 25, 100):
        found = np.zeros((25, 25))
        for start in range(0, 25, size):
            row, col, value = rows.masses.own_part.edges(start, min(start + size, 25))
            np.add.at(found, (row.numpy() + start, col.numpy()), value.numpy())
        assert_close(found, expected, rtol=1e-14)


def test_identity() -> None:
    rows = icon.p.Identity()(5)
    assert_close(rows.to_dense(), np.eye(5))
    assert not rows.support.exclude_self


def test_aligned_modalities() -> None:
    assert_close(icon.p.CrossModal()(5).to_dense(), np.eye(5))


def test_data_label() -> None:
    labels = np.array([2, 0, 1, 1])
    assert_close(icon.p.DataLabel()(labels).to_dense(), np.eye(3)[labels])
    assert_close(icon.p.DataLabel(n_classes=5)(labels).to_dense(), np.eye(5)[labels])
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 4)
    assert_close(icon.p.DataLabel()(soft).to_dense(), soft, rtol=1e-15)
    assert_close(icon.p.DataLabel()(np.eye(3, dtype=int)[labels]).to_dense(), np.eye(3)[labels])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_soft_targets_in_low_precision_sum_to_one(dtype: torch.dtype) -> None:
    soft = normal(6, 300).to(dtype).softmax(dim=1)
    sums = icon.p.DataLabel()(soft).to_dense().double().sum(dim=1)
    assert_close(sums, np.ones(6), rtol=2e-7)


def test_soft_targets_that_nearly_sum_to_one_are_renormalised() -> None:
    """A row of sum 0.9995 passes the check; KL = A - E - H needs it to be 1."""
    soft = np.array([[0.3, 0.6995], [0.5, 0.5]])
    assert_close(icon.p.DataLabel()(soft).to_dense().sum(dim=1), np.ones(2), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_terms_of_soft_targets_in_low_precision(dtype: torch.dtype) -> None:
    """Entropy and cross-entropy are accumulated in float32 at least, whatever the targets are stored in."""
    soft, logits = normal(6, 300).to(dtype).softmax(dim=1), normal(6, 300, seed=1).float()
    exact = soft.double() / soft.double().sum(dim=1, keepdim=True)
    terms = icon.method("cross-entropy").terms((logits, torch.eye(300)), soft)
    assert_close(terms.entropy, dense.entropies(exact.numpy()).mean(), rtol=1e-5)
    assert_close(terms.cross_entropy, -(exact * logits.double().log_softmax(1)).sum(1).mean(), rtol=1e-5)


def test_smoothed_labels_are_debiased_labels() -> None:
    labels = np.arange(6) % 3
    smoothed = np.eye(3)[labels] * 0.9 + 0.1 / 3
    rows = icon.p.DataLabel().debias(0.1)(labels)
    assert_close(rows.to_dense(), smoothed, rtol=1e-14)
    assert_close(rows.entropy(), dense.entropies(smoothed), rtol=1e-13)


@pytest.mark.parametrize("p", [icon.p.Pairs(exclude_self=True), icon.p.CrossModal(exclude_self=True)], ids=repr)
@pytest.mark.parametrize("aligned", [True, False])
def test_mass_outside_the_support_is_an_error(p: icon.p.Distribution, aligned: bool) -> None:
    """Queries and keys with self excluded: the positive of i is i itself, and no candidate."""
    ids = None if aligned else (np.arange(6), np.arange(6))
    with pytest.raises(ValueError, match=r"exclude_self|support"):
        icon.Loss(p, icon.q.Gaussian())((normal(6, 3), normal(6, 3, seed=1)), ids)


@pytest.mark.parametrize("overlap", ["product", "jaccard"])
def test_two_sets_that_share_label_matrices_are_the_same_points(overlap: str) -> None:
    """A label matrix leaves out self as labels do, whether it is dense or sparse."""
    labels, pair = np.arange(6) % 2, (normal(6, 3), normal(6, 3, seed=1))
    loss = icon.Loss(icon.p.Classes(overlap=overlap, exclude_self=True), icon.q.Gaussian())
    sets = np.eye(2)[labels]
    for matrix in (sets, sp.csr_array(sets)):
        assert_close(loss(pair, matrix), loss(pair, labels), rtol=1e-14)


def test_self_may_be_excluded_between_two_views_where_it_has_no_mass() -> None:
    ids, n = np.arange(6) % 3, 6
    a, c = normal(n, 3), normal(n, 3, seed=1)
    p = dense.p_members(ids, ids) * dense.others(n)
    loss = icon.Loss(icon.p.Precomputed(exclude_self=True), icon.q.Gaussian())
    expected = dense.row_kl(dense.gaussian_scores(a, c), dense.p_graph(p), dense.others(n)).mean()
    assert_close(loss((a, c), dense.p_graph(p)), expected)


def test_a_cross_modal_p_of_ones_own_is_asked_both_ways() -> None:
    class Captions(icon.p.CrossModal):
        def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
            each = max(sets.n, sets.m) // min(sets.n, sets.m)  # type: ignore[type-var, operator]
            a, b = torch.arange(sets.n), torch.arange(sets.m)
            return super().rows((a // each, b) if sets.n > sets.m else (a, b // each), sets)  # type: ignore[operator]

    images, texts, q = torch.randn(4, 5), torch.randn(20, 5), icon.q.Gaussian(temperature=0.1)
    ids = (torch.arange(4), torch.arange(20) // 5)
    expected = icon.Loss(icon.p.CrossModal(), q)((images, texts), ids)
    assert torch.equal(icon.Loss(Captions(), q)((images, texts)), expected)


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
@pytest.mark.parametrize("p", [icon.p.Classes(), icon.p.Pairs(), icon.p.CrossModal(), icon.p.DataLabel(n_classes=3)])
def test_prepared_rows_do_not_see_what_a_buffer_of_labels_is_filled_with(p: icon.p.Distribution, kind: Any) -> None:
    buffer = kind([0, 1, 2, 2, 1, 0])
    rows, expected = p(buffer), p(buffer).to_dense()
    buffer[:] = kind([0, 0, 0, 1, 1, 1])
    assert torch.equal(rows.to_dense(), expected)


def test_a_buffer_of_labels_may_be_filled_anew_before_the_backward_pass() -> None:
    z, prototypes, buffer = normal(6, 3, grad=True), normal(3, 3, seed=1), np.array([0, 1, 2, 2, 1, 0])
    value, expected = (icon.method("cross-entropy")((z, prototypes), buffer) for _ in range(2))
    (before,) = torch.autograd.grad(expected, z)
    buffer[:] = 0
    assert torch.equal(torch.autograd.grad(value, z)[0], before)


@pytest.mark.parametrize("empty", [[], np.zeros(0), torch.zeros(0)])
def test_no_labels_at_all(empty: Any) -> None:
    with pytest.raises(ValueError, match=r"^labels: got an empty vector, expected at least one entry$"):
        icon.method("supcon")(normal(6, 3), empty)
