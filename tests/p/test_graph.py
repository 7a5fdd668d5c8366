"""p from an adjacency, and p of the user's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

import icon
from tests import dense
from tests.cases import assert_close, normal, ring

GRAPH = ring(12)

FORMATS: dict[str, Callable[[np.ndarray], Any]] = {
    "numpy": lambda a: a,
    "float32": lambda a: a.astype(np.float32).astype(np.float64),
    "torch": torch.from_numpy,
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
    "csc": sp.csc_array,
    "coo": sp.coo_array,
    "torch coo": lambda a: torch.from_numpy(a).to_sparse(),
    "torch csr": lambda a: torch.from_numpy(a).to_sparse_csr(),
    "list": lambda a: a.tolist(),
}


def quarter(a: np.ndarray) -> np.ndarray:
    """Weights that float32 holds exactly."""
    return np.round(a * 4) / 4


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_graph_of_every_format(name: str) -> None:
    a = quarter(GRAPH)
    rows = icon.p.Graph()(FORMATS[name](a))
    assert_close(rows.to_dense(), dense.p_graph(a), rtol=1e-12)
    assert_close(rows.anchor_marginal, a.sum(axis=1) / a.sum(), rtol=1e-12)
    assert rows.n_edges == np.count_nonzero(a)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_precomputed_of_every_format(name: str) -> None:
    p = dense.p_graph(GRAPH)
    rows = icon.p.Precomputed()(FORMATS[name](p))
    assert_close(rows.to_dense(), p, rtol=1e-6 if name == "float32" else 1e-12)


def test_a_frame_whose_rows_and_columns_name_other_nodes_is_refused() -> None:
    weights, names = np.ones((3, 3)) - np.eye(3), list("abc")
    for index, columns in ((names, names), (None, names), (names, None)):
        assert icon.p.Graph()(pd.DataFrame(weights, index, columns)).n_edges == 6
    for columns in ("bac", "bcd"):
        frame = pd.DataFrame(weights, names, list(columns))
        with pytest.raises(ValueError, match=r"^adjacency: got row 'a' beside column 'b' in a data frame, expected"):
            icon.p.Graph()(frame)
        assert icon.p.Graph()(frame.to_numpy()).n_edges == 6


def test_weights_whose_sum_is_too_large_for_a_float() -> None:
    found, expected = icon.p.Graph()(1.7e308 * (GRAPH / GRAPH.max())), icon.p.Graph()(GRAPH)
    assert_close(found.to_dense(), expected.to_dense())
    assert_close(found.marginal, expected.marginal)


@pytest.mark.parametrize("factor", [2**61, 5e-320])
def test_weights_whose_sum_is_no_number_of_their_kind(factor: float) -> None:
    """A sum of large integers wraps around, and the inverse of one of the smallest floats is infinite."""
    weights = np.array([[0, 2, 2], [2, 0, 0], [2, 0, 0]])
    rows, expected = (icon.p.Graph()(sp.csr_array(weights * x)) for x in (factor, 1))
    assert_close(rows.to_dense(), expected.to_dense(), rtol=1e-12)
    assert_close(rows.marginal, expected.marginal, rtol=1e-12)


def test_extended_precision() -> None:
    weights = sp.csr_array(ring(8).astype(np.longdouble))
    assert_close(icon.p.Graph()(weights).to_dense(), icon.p.Graph()(ring(8)).to_dense(), rtol=1e-15)


def test_unsorted_edges_are_the_same_edges() -> None:
    coo = sp.coo_array(GRAPH)
    order = np.random.default_rng(0).permutation(coo.nnz)
    shuffled = sp.coo_array((coo.data[order], (coo.row[order], coo.col[order])), shape=coo.shape)
    assert torch.equal(icon.p.Graph()(shuffled).to_dense(), icon.p.Graph()(coo).to_dense())
    csr = sp.csr_array(GRAPH)
    for i in range(12):
        span = slice(csr.indptr[i], csr.indptr[i + 1])
        csr.indices[span], csr.data[span] = csr.indices[span][::-1].copy(), csr.data[span][::-1].copy()
    csr.has_sorted_indices = False
    z = normal(12, 2)
    loss = icon.Loss(icon.p.Graph().debias(0.1), icon.q.StudentT(), block=5)
    assert torch.equal(loss(z, csr), loss(z, GRAPH))


def test_the_users_matrix_is_not_changed() -> None:
    for kind in (sp.csr_array, sp.csr_matrix, sp.coo_array):
        given = kind(GRAPH)
        before = given.copy()
        icon.p.Graph().walks(2)(given)
        assert (given != before).nnz == 0
        assert np.array_equal(given.data, before.data)


def test_explicit_zeros_are_no_edges() -> None:
    coo = sp.coo_array(GRAPH)
    missing = int(np.flatnonzero(GRAPH[0] == 0)[-1])
    extra = sp.coo_array(
        (np.append(coo.data, 0.0), (np.append(coo.row, 0), np.append(coo.col, missing))), shape=coo.shape
    )
    rows = icon.p.Graph()(extra)
    assert rows.n_edges == coo.nnz
    assert_close(rows.to_dense(), dense.p_graph(GRAPH))


def test_an_explicit_zero_on_the_diagonal_is_no_self_loop() -> None:
    coo = sp.coo_array(GRAPH)
    extra = sp.coo_array((np.append(coo.data, 0.0), (np.append(coo.row, 3), np.append(coo.col, 3))), shape=coo.shape)
    assert_close(icon.p.Graph()(extra).debias(0.2).entropy(), icon.p.Graph()(coo).debias(0.2).entropy())


def test_self_loops_where_self_is_in_the_support() -> None:
    a = GRAPH + np.diag(np.arange(12.0))
    assert_close(icon.p.Graph(exclude_self=False)(a).to_dense(), dense.p_graph(a))


def test_boolean_adjacency() -> None:
    a = GRAPH > 0
    assert_close(icon.p.Graph()(sp.csr_array(a)).to_dense(), dense.p_graph(a.astype(float)))


def test_graph_between_two_sets() -> None:
    a = np.random.default_rng(0).random((5, 9))
    rows = icon.p.Graph()(a)
    assert not rows.support.exclude_self
    assert_close(rows.to_dense(), dense.p_graph(a))


def test_a_directed_graph_and_a_sink() -> None:
    a = np.triu(GRAPH)
    rows = icon.p.Graph()(a)
    assert rows.n_empty == 1
    assert_close(rows.to_dense(), dense.p_graph(a))


def test_walks_into_a_sink_keep_the_average_of_powers_or_say_so() -> None:
    """Where a walk can end in a node without edges, the powers lose mass: not to be renormalised without a word."""
    a = np.array([[0, 1.0, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]])
    p = dense.p_graph(a)
    rows = icon.p.Graph().walks(2)(a)
    average = (p + p @ p) / 2
    exact = np.abs(rows.to_dense().numpy() - average).max() < 1e-12
    assert exact or rows.notes


def test_deepwalk_marginal_is_stationary() -> None:
    rows = icon.p.Graph()(GRAPH)
    pi, p = rows.anchor_marginal.numpy(), rows.to_dense().numpy()
    assert_close(pi @ p, pi, rtol=1e-12)
    assert_close(rows.walks(4).anchor_marginal, pi)


# -- the user's own ---------------------------------------------------------------------------------------------------


def test_precomputed_support() -> None:
    p = dense.p_graph(GRAPH)
    assert icon.p.Precomputed()(p).support.exclude_self
    assert not icon.p.Precomputed(exclude_self=False)(p).support.exclude_self
    with_self = (p + np.eye(12)) / 2
    assert not icon.p.Precomputed()(with_self).support.exclude_self
    assert not icon.p.Precomputed()(np.full((3, 4), 0.25)).support.exclude_self


@pytest.mark.parametrize("faint", [1e-310, 1e-20])
def test_a_diagonal_that_only_rounding_can_have_left_is_told(faint: float) -> None:
    p = dense.p_graph(GRAPH) + faint * np.eye(12)
    with pytest.warns(UserWarning, match=r"^p: got a diagonal of at most 1e-\d+, which makes each point a candidate"):
        icon.p.Precomputed()(p)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        icon.p.Precomputed(exclude_self=False)(p)
        icon.p.Precomputed()((dense.p_graph(GRAPH) + np.eye(12)) / 2)


def test_precomputed_joint() -> None:
    joint = GRAPH / GRAPH.sum()
    rows = icon.p.Precomputed(joint=True)(joint)
    assert_close(rows.anchor_marginal[:, None] * rows.to_dense(), joint, rtol=1e-12)


def test_rows_of_zeros_are_anchors_without_positives() -> None:
    p = dense.p_graph(GRAPH)
    p[4] = 0
    rows = icon.p.Precomputed()(p)
    assert rows.n_empty == 1
    assert rows.empty.nonzero().flatten().tolist() == [4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_rows_in_low_precision_sum_to_one_as_well_as_they_can(dtype: torch.dtype, sparse: bool) -> None:
    """A softmax in the user's dtype is a distribution; it is renormalised, not refused."""
    p = normal(50, 400).to(dtype).softmax(dim=1)
    rows = icon.p.Precomputed()(p.to_sparse() if sparse else p)
    assert_close(rows.to_dense().sum(dim=1), np.ones(50), rtol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_joint_in_float32(sparse: bool) -> None:
    p = normal(300 * 300).float().softmax(dim=0).view(300, 300)
    p.fill_diagonal_(0)
    p /= p.sum()
    rows = icon.p.Precomputed(joint=True)(p.to_sparse() if sparse else p)
    assert_close(rows.anchor_marginal.sum(), 1.0, rtol=1e-6)
