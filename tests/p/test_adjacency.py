# ruff: noqa: E501 - a case is a line
"""Graphs in every form in which people have them, and what is said of those that are none."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import icon
from icon.p import Sets
from tests import dense
from tests.cases import assert_close, normal, ring

N = 12
RING = np.round(4 * ring(N)) / 4
EIGHT = Sets(8, 8)
EDGES = np.array([[0, 1, 2, 6], [1, 2, 3, 0]])

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse [BC]S[CR] tensor support:UserWarning"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning"),
    pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning"),
]


def edge_list(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    index = np.stack(a.nonzero())
    return index, a[tuple(index)]


def data(a: np.ndarray) -> SimpleNamespace:
    """The attributes that a graph of PyTorch Geometric has."""
    index, weight = map(torch.from_numpy, edge_list(a))
    return SimpleNamespace(edge_index=index, edge_weight=weight, num_nodes=len(a))


def networkx_graph(a: np.ndarray, kind: type[nx.Graph] = nx.DiGraph) -> nx.Graph:
    """With names that have another order than the nodes; a multigraph has every edge twice, with half of its weight."""
    graph = kind()
    names = [f"node {-i}" for i in range(len(a))]
    graph.add_nodes_from(names)
    for i, j in zip(*(a if graph.is_directed() else np.triu(a)).nonzero(), strict=True):
        parts = 2 if graph.is_multigraph() else 1
        for _ in range(parts):
            graph.add_edge(names[i], names[j], weight=float(a[i, j]) / parts)
    return graph


def igraph_graph(a: np.ndarray, directed: bool = True) -> igraph.Graph:
    index, weight = edge_list(a if directed else np.triu(a))
    return igraph.Graph(len(a), index.T.tolist(), directed=directed, edge_attrs={"weight": weight.tolist()})


SCIPY: dict[str, Callable[[np.ndarray], Any]] = {
    name: getattr(sp, name)
    for name in (f"{kind}_{of}" for kind in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil") for of in ("array", "matrix"))
}  # fmt: skip

DIRECTED: dict[str, Callable[[np.ndarray], Any]] = {
    "numpy": lambda a: a,
    "float32": lambda a: a.astype(np.float32),
    "numpy matrix": np.asmatrix,
    "lists": lambda a: a.tolist(),
    "pandas": pd.DataFrame,
    "torch": torch.from_numpy,
    "torch rows": lambda a: list(torch.from_numpy(a)),
    "torch with a gradient": lambda a: torch.from_numpy(a).requires_grad_(),
    "torch coo": lambda a: torch.from_numpy(a).to_sparse(),
    "torch csr": lambda a: torch.from_numpy(a).to_sparse_csr(),
    "torch csc": lambda a: torch.from_numpy(a).to_sparse_csc(),
    "torch bsr": lambda a: torch.from_numpy(a).to_sparse_bsr((1, 1)),
    **SCIPY,
    "networkx": networkx_graph,
    "networkx, parallel edges": lambda a: networkx_graph(a, nx.MultiDiGraph),
    "igraph": igraph_graph,
    "edge list": edge_list,
    "edge list of torch": lambda a: tuple(map(torch.from_numpy, edge_list(a))),
    "edge list of lists": lambda a: [each.tolist() for each in edge_list(a)],
    "record": data,
}

UNDIRECTED: dict[str, Callable[[np.ndarray], Any]] = {
    "networkx": lambda a: networkx_graph(a, nx.Graph),
    "networkx, parallel edges": lambda a: networkx_graph(a, nx.MultiGraph),
    "igraph": lambda a: igraph_graph(a, directed=False),
}

UNWEIGHTED: dict[str, Callable[[np.ndarray], Any]] = {
    "bool": lambda a: a > 0,
    "bool, sparse": lambda a: sp.csr_array(a > 0),
    "bool, torch": lambda a: torch.from_numpy(a > 0),
    "integers": lambda a: (a > 0).astype(np.uint8),
    "networkx": lambda a: nx.from_numpy_array(a > 0, create_using=nx.DiGraph),
    "igraph": lambda a: igraph.Graph(edge_list(a)[0].T.tolist(), directed=True),
    "edge list": lambda a: edge_list(a)[0],
    "edge list of int32": lambda a: edge_list(a)[0].astype(np.int32),
    "edge list of torch": lambda a: torch.from_numpy(edge_list(a)[0]),
    "edge list of lists": lambda a: edge_list(a)[0].tolist(),
    "from and to": lambda a: tuple(map(torch.from_numpy, edge_list(a)[0])),
    "no weights": lambda a: (edge_list(a)[0], None),
    "record": lambda a: SimpleNamespace(edge_index=torch.from_numpy(edge_list(a)[0]), edge_weight=None),
}


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_every_form_of_a_directed_graph_has_the_same_rows(draw: st.DataObject) -> None:
    n = draw.draw(st.integers(2, 7))
    a = draw.draw(arrays(np.float64, (n, n), elements=st.sampled_from([0, 0, 0.25, 1.5, 3.0])))
    np.fill_diagonal(a, 0)
    a[0, 1] = 0.5
    p = icon.p.Graph(exclude_self=draw.draw(st.sampled_from([None, False])))
    expected = p(a, Sets(n, n))
    assert_close(expected.to_dense(), dense.p_graph(a), rtol=1e-12)
    for name, form in DIRECTED.items():
        rows = p(form(a), Sets(n, n))
        assert torch.equal(rows.to_dense(), expected.to_dense()), name
        assert torch.equal(rows.marginal, expected.marginal), name


@pytest.mark.parametrize("form", UNDIRECTED)
def test_an_undirected_edge_counts_both_ways_and_a_self_loop_once(form: str) -> None:
    a = RING + np.diag(np.arange(N) / 2)
    assert_close(icon.p.Graph(exclude_self=False)(UNDIRECTED[form](a)).to_dense(), dense.p_graph(a), rtol=1e-12)


@pytest.mark.parametrize("form", UNWEIGHTED)
def test_an_edge_without_a_weight_weighs_one(form: str) -> None:
    a = np.triu(RING)
    a[-1, 0] = 1  # so that every node has edges, and the last one is known of
    expected = dense.p_graph((a > 0).astype(float))
    assert_close(icon.p.Graph()(UNWEIGHTED[form](a)).to_dense(), expected, rtol=1e-12)


def test_a_graph_of_a_class_of_ones_own() -> None:
    class Own(nx.Graph):
        pass

    graph = Own([("a", "b"), ("b", "c")])
    assert icon.p.Graph()(graph).to_dense()[1].tolist() == [0.5, 0, 0.5]


def test_parallel_edges_of_igraph_add_up() -> None:
    graph = igraph.Graph([(0, 1), (0, 1), (0, 2)])
    assert_close(icon.p.Graph()(graph).to_dense()[0], np.array([0, 2, 1]) / 3)


class TestHowManyNodes:
    """An edge list does not say how many nodes there are: the points do, then a record, then the edges."""

    def test_as_many_as_points(self) -> None:
        assert icon.p.Graph()(EDGES, EIGHT).n == 8
        with pytest.warns(UserWarning, match="got 4 of 8 anchors without a positive"):
            assert icon.loss("gaussian", "graph")(normal(8, 2), EDGES).isfinite()

    def test_as_many_as_a_record_has(self) -> None:
        assert icon.p.Graph()(SimpleNamespace(edge_index=EDGES, num_nodes=9)).n == 9

    def test_as_many_as_the_edges_name(self) -> None:
        assert icon.p.Graph()(EDGES).n == 7

    @pytest.mark.filterwarnings("error")
    def test_a_number_that_a_record_has_inferred_is_none(self) -> None:
        class Inferred:
            edge_index = torch.from_numpy(EDGES)

            @property
            def num_nodes(self) -> int:
                warnings.warn("inferred from the edges", stacklevel=2)
                return 7

        assert icon.p.Graph()(Inferred(), EIGHT).n == 8

    def test_between_two_sets(self) -> None:
        index = np.array([[0, 1, 2, 0], [4, 0, 3, 1]])
        loss = icon.loss("gaussian", "graph", metric="dot")
        a = sp.coo_array((np.ones(4), tuple(index)), shape=(3, 5))
        z = normal(3, 2), normal(5, 2, seed=1)
        assert loss(z, index) == loss(z, a)

    def test_an_array_of_the_shape_of_p_is_an_adjacency(self) -> None:
        counts = np.array([[0, 1, 2], [2, 1, 0]])
        assert_close(icon.p.Graph()(counts, Sets(2, 3, True)).to_dense(), dense.p_graph(counts))
        assert_close(icon.p.Graph()(counts.astype(float)).to_dense(), dense.p_graph(counts))
        assert icon.p.Graph()([[0, 1], [1, 0]]).to_dense().tolist() == [[0, 1], [1, 0]]
        assert icon.p.Graph()((np.array([[0, 1], [1, 0]]), None), EIGHT).n_edges == 2


class TestRowsOfOnesOwn:
    """`icon.p.Precomputed` takes the same forms, and checks the sums."""

    @pytest.mark.parametrize("form", DIRECTED)
    def test_every_form(self, form: str) -> None:
        p = dense.p_graph(RING)
        rows = icon.p.Precomputed()(DIRECTED[form](p))
        assert_close(rows.to_dense(), p, rtol=1e-6 if form == "float32" else 1e-12)

    def test_two_rows_of_integers_are_rows(self) -> None:
        p = np.array([[0, 1, 0], [1, 0, 0]])
        assert icon.p.Precomputed()(p).to_dense().tolist() == p.tolist()

    def test_sums_are_checked(self) -> None:
        with pytest.raises(ValueError, match=r"^p: got rows 1 with sums 2\.0, expected 1"):
            icon.p.Precomputed()(nx.path_graph(3))


# -- what is wrong ----------------------------------------------------------------------------------------------------


def weighted(make: Callable[[], Any], weight: Any) -> Any:
    """A ring of eight nodes with one weight that is none."""
    graph = make()
    if isinstance(graph, nx.Graph):
        graph[2][3]["weight"] = weight
    else:
        graph.es["weight"] = [weight if i == 2 else 1 for i in range(graph.ecount())]
    return graph


FORMS = r"expected an adjacency \[n, n\] \(dense or sparse\), a graph of networkx or igraph, or an edge list \[2, E\]$"
RING_8 = [lambda: nx.cycle_graph(8), lambda: igraph.Graph.Ring(8)]

REFUSED: list[tuple[str, Any, type[Exception], str]] = [
    ("edges in rows", EDGES.T, ValueError, r"got an edge list of shape \(4, 2\), expected \(2, 4\): transpose it"),
    ("edges as tuples", [(0, 1), (1, 2), (2, 3)], ValueError, r"got an edge list of shape \(3, 2\), .*transpose it"),
    ("edges in rows, weights", (EDGES.T, np.ones(4)), ValueError, r"got an edge list of shape \(4, 2\), .*transpose it"),
    ("floats", EDGES.astype(float), TypeError, "got an edge list of float64, expected integers, which number the nodes"),
    ("floats, weights", (EDGES.astype(float), np.ones(4)), TypeError, "got an edge list of float64, expected integers"),
    ("from one", EDGES + 2, ValueError, r"got node numbers 8 in the edge list, expected 0\.\.7"),
    ("negative", EDGES - 1, ValueError, r"got node numbers -1 in the edge list, expected 0\.\.7"),
    ("very large", EDGES.astype(np.uint64) + np.uint64(2**63), ValueError, r"got node numbers 9223372036854775808, "),
    ("no edges", np.empty((2, 0), dtype=int), ValueError, "got an edge list without edges, expected at least one"),
    ("an edge list of three rows", (np.ones((3, 4), dtype=int), None), ValueError, r"got an edge list of shape \(3, 4\), expected \(2, E\)"),
    ("weights too few", (EDGES, [1.0, 2.0]), ValueError, r"got weights of shape \(2,\), expected \(4,\), one for each edge"),
    ("weights in a column", (EDGES, np.ones((4, 1))), ValueError, r"got weights of shape \(4, 1\), expected \(4,\)"),
    ("weights of text", (EDGES, list("abcd")), TypeError, r"\.weights: got list \(dtype <U1\), expected a numeric array"),
    ("weights of NaN", (EDGES, [1, np.nan, 1, 1]), ValueError, "got NaN or infinite weights in rows 1, expected finite weights >= 0"),
    ("infinite weights", (EDGES, [1, 1, 1, np.inf]), ValueError, "got NaN or infinite weights in rows 6, expected finite"),
    ("negative weights", (EDGES, [1, 1, -1, 1]), ValueError, "got negative weights in rows 2, expected finite weights >= 0"),
    ("duplicates", (np.array([[0, 0], [1, 1]]), [1, 2]), ValueError, r"got duplicate edges, for example \[\(0, 1\)\], expected each edge once"),
    ("self-loops", np.array([[0, 1, 2], [1, 1, 3]]), ValueError, "got self-loops on nodes 1, expected none"),
    ("a 2 x 2 edge list", EDGES[:, :2], ValueError, r"got shape \(2, 2\), expected \(8, 8\) for this input \(if it is an edge list, give \(edge_index, weights\)\)"),
    ("features", normal(8, 3), ValueError, r"got shape \(8, 3\), expected \(8, 8\) for this input \(features \[n, d\] are no graph\)"),
    ("sparse features", sp.csr_array(normal(8, 3).numpy()), ValueError, r"got shape \(8, 3\), .*\(features \[n, d\] are no graph\)"),
    ("labels", np.arange(8), ValueError, rf"got 8 entries in one dimension, such as labels, {FORMS}"),
    ("names", list("abcdefgh"), ValueError, "got 8 entries in one dimension, such as labels, expected"),
    ("two matrices", (RING, RING), ValueError, r"got an edge list of shape \(12, 12\), expected \(2, E\)"),
    ("three dimensions", np.ones((3, 8, 8)), ValueError, r"got shape \(3, 8, 8\), expected two dimensions"),
    ("one sparse dimension", sp.coo_array(np.ones(8)), ValueError, r"got shape \(8,\), expected two dimensions"),
    ("blocks of a tensor", torch.ones(8, 8, 2).to_sparse(2), ValueError, r"got a sparse tensor of shape \(8, 8, 2\) with 1 dense dim"),
    ("complex tensor", torch.ones(8, 8, dtype=torch.complex64).to_sparse(), TypeError, "got dtype complex64, expected real numbers"),
    ("text", "graph.csv", TypeError, r"got str 'graph\.csv', expected a graph and not its path"),
    ("a path", Path("graph.csv"), TypeError, r"got \w*Path 'graph\.csv', expected a graph and not its path"),
    ("a smaller graph", nx.path_graph(5), ValueError, "got a graph of 5 nodes, expected 8, one for each point"),
    ("a larger graph", igraph.Graph.Ring(9), ValueError, "got a graph of 9 nodes, expected 8, one for each point"),
    ("a larger record", SimpleNamespace(edge_index=EDGES, num_nodes=9), ValueError, "got a graph of 9 nodes, expected 8"),
    ("a record without edges", SimpleNamespace(edge_index=None), ValueError, "got SimpleNamespace without an edge_index, expected"),
    *((f"a word {i}", weighted(make, "high"), TypeError, r"got the weight 'high' on the edge \(2, 3\), expected a number") for i, make in enumerate(RING_8)),
    *((f"no number {i}", weighted(make, None), TypeError, r"got the weight None on the edge \(2, 3\), expected a number") for i, make in enumerate(RING_8)),
    *((f"no finite number {i}", weighted(make, np.nan), ValueError, "got NaN or infinite weights in rows 2, 3, expected") for i, make in enumerate(RING_8)),
    *((f"negative {i}", weighted(make, -1), ValueError, "got negative weights in rows 2, 3, expected finite") for i, make in enumerate(RING_8)),
    ("no edge, networkx", nx.empty_graph(8), ValueError, "got no edge, expected at least one"),
    ("no edge, igraph", igraph.Graph(8), ValueError, "got no edge, expected at least one"),
    ("no node, networkx", nx.Graph(), ValueError, "got a graph without nodes, expected at least one"),
    ("no node, igraph", igraph.Graph(), ValueError, "got a graph without nodes, expected at least one"),
    ("edges of networkx", nx.path_graph(8).edges, TypeError, rf"got EdgeView, {FORMS}"),
    ("a dictionary", {0: [1]}, TypeError, rf"got dict, {FORMS}"),
    ("an object", object(), TypeError, rf"got object, {FORMS}"),
    ("a class", nx.Graph, TypeError, rf"got type, {FORMS}"),
    ("a number", 8, TypeError, rf"got int, {FORMS}"),
    ("nothing", None, TypeError, rf"got None, {FORMS}"),
    ("ragged lists", [[1, 2], [3]], TypeError, "got list .*expected a numeric array or tensor"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "kind", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_is_wrong_is_named(target: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as raised:
        icon.p.Graph()(target, EIGHT)
    line = str(raised.value)
    assert re.match("adjacency(: )?" + message, line), line
    assert "\n" not in line


def test_node_numbers_that_no_memory_holds() -> None:
    with pytest.raises(
        MemoryError, match=r"^adjacency: an edge list of 1000000000000001 nodes needs .*number the nodes"
    ):
        icon.p.Graph()(np.array([[0, 1, 10**15], [1, 0, 1]]))


# -- where graphs are given -------------------------------------------------------------------------------------------

GIVEN = ["networkx", "igraph", "edge list", "edge list of torch", "record", "torch csr", "pandas", "lists"]


@pytest.mark.slow
@pytest.mark.parametrize("form", GIVEN)
def test_a_loss_and_the_estimators(form: str) -> None:
    target, z = DIRECTED[form](RING), normal(N, 4)
    for loss in (icon.loss("gaussian", "graph"), icon.method("tsne-graph", walks=2), icon.method("ncut")):
        assert loss(z, target) == loss(z, RING)
    x = z.numpy()
    embedding = icon.Embedding(column="graph", max_iter=5, random_state=0)
    assert np.array_equal(embedding.fit(x, target).embedding_, embedding.fit(x, RING).embedding_)
    assert np.array_equal(embedding.fit_transform(x, target), embedding.fit_transform(x, RING))
    clustering = icon.Clustering(2, column="graph", n_init=1, max_iter=5, random_state=0)
    assert np.array_equal(clustering.fit_predict(x, target), clustering.fit_predict(x, RING))
    assert clustering.score(x, target) == clustering.score(x, RING)
    weight = np.arange(1.0, N + 1)
    assert clustering.fit(x, target, weight).loss_ == clustering.fit(x, RING, weight).loss_


@pytest.mark.parametrize("form", GIVEN)
def test_an_affinity(form: str) -> None:
    p, x = dense.p_graph(RING), normal(N, 4).numpy()
    embedding = icon.Embedding(max_iter=5, random_state=0)
    assert_close(embedding.fit(x, affinity=DIRECTED[form](p)).loss_, embedding.fit(x, affinity=p).loss_, rtol=1e-5)


def test_an_affinity_that_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"^affinity: got a graph of 5 nodes, expected 12"):
        icon.Embedding().fit(normal(N, 4).numpy(), affinity=nx.path_graph(5))


@pytest.mark.parametrize("form", ["networkx", "igraph", "edge list", "record"])
def test_pairs_are_drawn_from_a_graph_of_many_points(form: str) -> None:
    n = 4100  # more than are seen whole
    x = normal(n, 3).numpy()
    near = sp.coo_array(icon.p.KNN(3)(x).to_scipy())
    index, weight = np.stack(near.coords), near.data
    graphs = {
        "networkx": lambda: nx.from_scipy_sparse_array(near, create_using=nx.DiGraph),
        "igraph": lambda: igraph.Graph(n, index.T.tolist(), directed=True, edge_attrs={"weight": weight.tolist()}),
        "edge list": lambda: (index, weight),
        "record": lambda: SimpleNamespace(edge_index=torch.from_numpy(index), edge_weight=torch.from_numpy(weight)),
    }
    clustering = icon.Clustering(3, "graph", walks=2, n_init=1, max_iter=3, init="random", random_state=0)
    expected = clustering.fit(x, near).loss_
    assert clustering.fit(x, graphs[form]()).loss_ == expected
