"""Graphs that are wrong in part, and edges that are kept aside."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from experiments.datasets import Array


def corrupted(graph: sp.csr_array, share: float, seed: int) -> sp.csr_array:
    """A symmetric graph in which that share of the edges keeps one end and gets another, at random.

    No edge is put where one was, so that the number of edges stays, and none to the point itself.
    """
    edges, n = _undirected(graph), graph.shape[0]
    random = np.random.default_rng(seed)
    moved = random.choice(len(edges), round(share * len(edges)), replace=False)
    taken = {(int(i), int(j)) for i, j in edges}
    for place in moved:
        i = j = int(edges[place, random.integers(2)])
        while i == j or (edge := (min(i, j), max(i, j))) in taken:
            j = int(random.integers(n))
        taken.add(edge)
        edges[place] = edge
    return _graph(edges, n)


def held_out(graph: sp.csr_array, share: float, seed: int) -> tuple[sp.csr_array, Array]:
    """A symmetric graph without that share of its edges, and those edges, ``[m, 2]``."""
    edges = _undirected(graph)
    order = np.random.default_rng(seed).permutation(len(edges))
    aside = round(share * len(edges))
    return _graph(edges[order[aside:]], graph.shape[0]), edges[order[:aside]]


def _undirected(graph: sp.csr_array) -> Array:
    """``[m, 2]`` with the smaller index first, in order."""
    upper = sp.coo_array(sp.triu(graph, k=1))
    edges = np.stack(upper.coords, axis=1).astype(np.int64)
    return edges[np.lexsort((edges[:, 1], edges[:, 0]))]


def _graph(edges: Array, n: int) -> sp.csr_array:
    both = np.concatenate([edges, edges[:, ::-1]])
    return sp.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(n, n))
