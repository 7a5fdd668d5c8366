"""Weights between points in every form in which people have a graph, read as one sparse matrix."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from icon import _checks as check
from icon._lazy import sp
from icon.p.base import Sets

FORMS = "an adjacency [n, n] (dense or sparse), a graph of networkx or igraph, or an edge list [2, E]"

_Edge = tuple[Any, Any, Any]  # from, to, and the weight


def weights(target: Any, name: str, sets: Sets) -> sp.csr_array:
    """Validated non-negative weights as canonical CSR ``[n, m]``: sorted, without duplicates or explicit zeros.

    `icon.p.Graph` says which forms there are.

    Raises:
        TypeError: the target is of no such form, or its entries are no real numbers.
        ValueError: it has another size, node numbers that do not exist, an edge twice, weights that are not finite
            and >= 0, or rows and columns of one set with different names.
        MemoryError: an edge list names more nodes than fit.
    """
    graph = _entries(target, name, sets)
    if not sets.paired and graph.shape[0] == graph.shape[-1]:
        _refuse_other_names(target, name)
    if graph.ndim != 2:
        raise ValueError(f"{name}: got shape {graph.shape}, expected two dimensions (n, n)")
    if 0 in graph.shape:
        raise ValueError(f"{name}: got shape {graph.shape}, expected at least one row and one column")
    if graph.data.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got dtype {graph.data.dtype}, expected real numbers")
    expected = (sets.n or graph.shape[0], sets.m or graph.shape[1])
    if graph.shape != expected:
        hint = _hint(graph.shape, sets)
        raise ValueError(f"{name}: got shape {graph.shape}, expected {expected} for this input{hint}")
    for bad, kind in ((~np.isfinite(graph.data), "NaN or infinite"), (graph.data < 0, "negative")):
        if bad.any():
            rows = np.unique(graph.coords[0][bad]).tolist()
            raise ValueError(f"{name}: got {kind} weights in rows {check.some(rows)}, expected finite weights >= 0")
    canonical = sp.csr_array(graph)  # which adds up what is there twice
    if canonical.nnz < graph.nnz:
        distinct, counts = np.unique(np.stack(graph.coords), axis=1, return_counts=True)
        twice = [tuple(edge) for edge in distinct.T[counts > 1][:3].tolist()]
        raise ValueError(f"{name}: got duplicate edges, for example {twice}, expected each edge once")
    canonical.sort_indices()
    canonical.eliminate_zeros()
    return canonical.astype(np.float64, copy=False)  # in which sums of large integers do not wrap around


def is_matrix(target: Any) -> bool:
    """Whether a target is a dense array, as far as its type tells: also a tensor, a frame or lists."""
    if isinstance(target, Tensor):
        return target.layout == torch.strided
    if isinstance(target, (list, tuple)):
        return not _is_pair(target)
    return hasattr(target, "__array__") and not sp.issparse(target)


def _is_pair(target: Any) -> bool:
    """Whether a target is an edge list and its weights."""
    return isinstance(target, (list, tuple)) and len(target) == 2 and _ndim(target[0]) == 2


def _ndim(value: Any) -> int | None:
    """The dimensions of an array or of nested lists; None where they have no common one."""
    try:
        return np.ndim(value)
    except (TypeError, ValueError):
        return None


def _entries(target: Any, name: str, sets: Sets) -> sp.coo_array:
    """The weights as they are given, whatever they are."""
    if target is None:
        raise TypeError(f"{name}: got None, expected {FORMS}")
    if isinstance(target, (str, bytes, os.PathLike)):
        raise TypeError(f"{name}: got {type(target).__name__} {os.fspath(target)!r}, expected a graph and not its path")
    if (graph := _graph(target)) is not None:
        return _of_graph(*graph, name, sets)
    if sp.issparse(target):
        return sp.coo_array(target)
    if is_matrix(target):
        return _of_array(target, name, sets)
    if isinstance(target, Tensor):
        return _of_sparse_tensor(target, name)
    if _is_pair(target):
        index, weight = target
        return _of_edges(index, weight, name, sets)
    if hasattr(target, "edge_index"):
        return _of_data(target, name, sets)
    raise TypeError(f"{name}: got {type(target).__name__}, expected {FORMS}")


# -- one form each ----------------------------------------------------------------------------------------------------


def _graph(target: Any) -> tuple[Mapping[Any, int] | Sequence[int], list[_Edge], bool] | None:
    """The numbers of the nodes, the edges, and whether they are directed; None if it is no graph."""

    def is_of(package: str) -> bool:  # whoever made a graph has imported its package
        return isinstance(target, getattr(sys.modules.get(package), "Graph", ()))

    if is_of("networkx"):
        numbers = {node: i for i, node in enumerate(target)}
        return numbers, list(target.edges(data="weight", default=1)), target.is_directed()
    if is_of("igraph"):
        given = target.es["weight"] if "weight" in target.es.attributes() else [1] * target.ecount()
        edges = [(i, j, weight) for (i, j), weight in zip(target.get_edgelist(), given, strict=True)]
        return range(target.vcount()), edges, target.is_directed()
    return None


def _of_graph(
    numbers: Mapping[Any, int] | Sequence[int], edges: list[_Edge], directed: bool, name: str, sets: Sets
) -> sp.coo_array:
    """A graph as `_graph` reads it; parallel edges add up."""
    n = len(numbers)
    if n == 0:
        raise ValueError(f"{name}: got a graph without nodes, expected at least one")
    _refuse_other_size(n, name, sets)
    for i, j, weight in edges:
        if not isinstance(weight, (Real, np.bool_)):
            raise TypeError(f"{name}: got the weight {weight!r} on the edge {(i, j)}, expected a number")
    index = np.array([(numbers[i], numbers[j]) for i, j, _ in edges], dtype=np.int64).reshape(-1, 2).T
    values = np.array([weight for *_, weight in edges], dtype=np.float64)
    if not directed:
        back = index[0] != index[1]  # a self-loop is the same both ways
        index, values = np.hstack([index, index[::-1, back]]), np.append(values, values[back])
    graph = sp.coo_array((values, tuple(index)), shape=(n, n))
    graph.sum_duplicates()
    return graph


def _of_sparse_tensor(target: Tensor, name: str) -> sp.coo_array:
    coordinates = target.detach().to_sparse_coo()  # type: ignore[no-untyped-call]
    if coordinates.ndim != 2 or coordinates.dense_dim():
        shape = f"{tuple(coordinates.shape)} with {coordinates.dense_dim()} dense dimensions"
        raise ValueError(f"{name}: got a sparse tensor of shape {shape}, expected two dimensions (n, n), both sparse")
    index = check.array(coordinates._indices())
    return sp.coo_array((_numbers(coordinates._values(), name), tuple(index)), shape=tuple(coordinates.shape))


def _of_array(target: Any, name: str, sets: Sets) -> sp.coo_array:
    """A dense matrix of weights, or an edge list: what has two rows of integers, unless that is the size of p."""
    if _ndim(target) == 1:
        raise ValueError(
            f"{name}: got {check.counted(len(target), 'entry')} in one dimension, such as labels, expected {FORMS}"
        )
    tensor = check.as_tensor(target, name)
    shape = tuple(tensor.shape)
    if len(shape) == 2 and 2 in shape and shape[0] != shape[1] and shape != (sets.n, sets.m):
        integers = not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
        if not integers and sets.n is not None and shape[0] == 2 and tensor.is_floating_point():
            # Floats may look like the numbers of nodes, of which 0 and 1 alone are few.
            integers = bool((tensor == tensor.round()).all() and (tensor > 1).any())
        if integers:
            return _of_edges(tensor, None, name, sets)
    return sp.coo_array(check.array(check.matrix(tensor, name).cpu().double()))


def _of_data(target: Any, name: str, sets: Sets) -> sp.coo_array:
    """A record with an edge list, as in PyTorch Geometric."""
    if target.edge_index is None:
        raise ValueError(f"{name}: got {type(target).__name__} without an edge_index, expected one of shape (2, E)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the number is inferred from the edges, which is all that we would do
        nodes = getattr(target, "num_nodes", None)
    return _of_edges(target.edge_index, getattr(target, "edge_weight", None), name, sets, nodes)


def _of_edges(given: Any, weight: Any, name: str, sets: Sets, nodes: int | None = None) -> sp.coo_array:
    """An edge list ``[2, E]`` with weights ``[E]``, None where they are all 1, of so many nodes if that is known."""
    edges = _numbers(given, name)
    if edges.ndim != 2 or 2 not in edges.shape:
        raise ValueError(f"{name}: got an edge list of shape {edges.shape}, expected (2, E)")
    if edges.dtype.kind not in "iu":
        raise TypeError(f"{name}: got an edge list of {edges.dtype}, expected integers, which number the nodes")
    if edges.shape[0] != 2:
        raise ValueError(
            f"{name}: got an edge list of shape {edges.shape}, expected {edges.shape[::-1]}: transpose it (weights "
            "between two sets are floats)"
        )
    count = edges.shape[1]
    if count == 0:
        raise ValueError(f"{name}: got an edge list without edges, expected at least one")
    named = max(int(edges.max()) + 1, 1)
    if nodes not in (None, named):  # a number that the edges have told says nothing of nodes without edges
        _refuse_other_size(nodes, name, sets)
    n = sets.n or nodes or named
    m = sets.m or n
    for ends, size in zip(edges, (n, m), strict=True):
        wrong = np.unique(ends[(ends < 0) | (ends >= size)]).tolist()
        if wrong:
            raise ValueError(f"{name}: got node numbers {check.some(wrong)} in the edge list, expected 0..{size - 1}")
    check.refuse_if_too_large(16 * n, f"{name}: an edge list of {n} nodes", "number the nodes from 0")
    values = np.ones(count) if weight is None else _numbers(weight, f"{name}.weights")
    if values.shape != (count,):
        raise ValueError(f"{name}: got weights of shape {values.shape}, expected ({count},), one for each edge")
    return sp.coo_array((values, tuple(edges.astype(np.int64))), shape=(n, m))


# -- what is said of them ---------------------------------------------------------------------------------------------


def _numbers(value: Any, name: str) -> NDArray[Any]:
    """An array of what is given, floats in double precision."""
    tensor = check.as_tensor(value, name).cpu()
    return check.array(tensor.double() if tensor.is_floating_point() else tensor)


def _refuse_other_size(nodes: int | None, name: str, sets: Sets) -> None:
    if nodes is not None and sets.n not in (None, nodes):
        raise ValueError(
            f"{name}: got a graph of {check.counted(nodes, 'node')}, expected {sets.n}, one for each point"
        )


def _refuse_other_names(target: Any, name: str) -> None:
    """A data frame whose nodes are others, or in another order, in its rows than in its columns, both being named."""
    if not (hasattr(target, "iloc") and hasattr(target, "columns")):
        return
    rows, columns, numbers = list(target.index), list(target.columns), list(range(len(target)))
    if rows != columns and numbers not in (rows, columns):
        where = next(i for i, (row, column) in enumerate(zip(rows, columns, strict=True)) if row != column)
        raise ValueError(
            f"{name}: got row {rows[where]!r} beside column {columns[where]!r} in a data frame, expected the same "
            "nodes in the same order (frame.reindex, or frame.to_numpy() to go by position)"
        )


def _hint(shape: tuple[int, ...], sets: Sets) -> str:
    """What a matrix of a wrong shape may be."""
    if shape[0] == 2:
        return " (if it is an edge list, give (edge_index, weights))"
    if shape[0] == sets.n and not sets.paired:
        return " (features [n, d] are no graph)"
    return ""
