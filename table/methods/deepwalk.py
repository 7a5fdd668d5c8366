"""DeepWalk: skip-gram over random walks, in expectation over the walks.

Perozzi, Al-Rfou and Skiena, "DeepWalk: Online Learning of Social Representations", KDD 2014, arXiv:1403.6652; the
co-occurrence frequencies: Qiu, Dong, Ma, Li, Wang and Tang, "Network Embedding as Matrix Factorization: Unifying
DeepWalk, LINE, PTE, and node2vec", WSDM 2018, arXiv:1710.02971.

    L = −Σ_i π_i Σ_j P̄_ij log softmax_j(z_i·c_j),   P̄ = (P + ... + P^T)/T,   P = D⁻¹A,   π_i = d_i/vol

T the window, j over all nodes, i included. Long walks on an undirected graph visit i with frequency π_i, and
π_i P̄_ij = π_j P̄_ji: looking back along a walk gives the same counts as looking ahead. (The paper approximates the
softmax by a hierarchical one.)
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cross_entropies, log_softmax, softmax, walk_average


def value(z: Array, contexts: Array, adjacency: Array, window: int) -> Scalar:
    return cross_entropies(_occurrences(adjacency, window), log_softmax(z @ contexts.T)).sum()


def gradient(z: Array, contexts: Array, adjacency: Array, window: int) -> tuple[Array, Array]:
    together = _occurrences(adjacency, window)
    slope = together.sum(axis=1, keepdims=True) * softmax(z @ contexts.T) - together
    return slope @ contexts, slope.T @ z


def _occurrences(adjacency: Array, window: int) -> Array:
    """π_i P̄_ij ``[n, n]``: how often j stands within the window of i. Sums to 1."""
    degrees = np.asarray(adjacency, dtype=np.float64).sum(axis=1, keepdims=True)
    together: Array = degrees / degrees.sum() * walk_average(adjacency, window)
    return together


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\sum_i \frac{d_i}{\operatorname{vol}}\sum_j \left(\frac{1}{K}\sum_{r=1}^{K} P^r\right)_{ij} "
    r"\log\frac{e^{z_i \cdot c_j}}{\sum_k e^{z_i \cdot c_k}}"
)


def counts(adjacency: Array, window: int = 5, length: int = 40) -> Array:
    """The share of ``(i, j)`` among the program's pairs: walks from every node, a window that is shrunk at random."""
    step = (adjacency > 0) / (adjacency > 0).sum(axis=1, keepdims=True)
    at, total = np.ones(len(step)), np.zeros(step.shape)
    for position in range(length):
        ahead = np.eye(len(step))
        for distance in range(1, min(window, length - 1 - position) + 1):
            ahead = ahead @ step
            total += (window - distance + 1) / window * at[:, None] * ahead
        at = at @ step
    share: Array = (total + total.T) / (2 * total.sum())
    return share


def program(z: Array, contexts: Array, adjacency: Array) -> Scalar:
    """The paper's softmax on the pairs of the program, which has a hierarchical one (and negative sampling) instead."""
    return -(counts(adjacency) * log_softmax(z @ contexts.T)).sum()


CHECKS = [
    Exact(
        ("z", "contexts"),
        lambda s, z, c, window=window: ce(icon.method("deepwalk", window=window), (z, c), s.adjacency),
        lambda s, z, c, window=window: value(z, c, s.adjacency, window),
        lambda s, z, c, window=window: gradient(z, c, s.adjacency, window),
        form=f"cross-entropy, window {window}",
    )
    for window in (1, 5)
]

PROGRAM = Exact(
    ("z", "contexts"),
    lambda s, z, c: ce(
        icon.loss("gaussian", "graph", metric="dot", temperature=1.0, anchor_weights="stationary"),
        (z, c),
        counts(s.adjacency),
    ),
    lambda s, z, c: program(z, c, s.adjacency),
    form="the softmax on the pairs that the program counts",
)
