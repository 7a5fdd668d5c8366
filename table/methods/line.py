"""LINE with second-order proximity.

Tang, Qu, Wang, Zhang, Yan and Mei, "LINE: Large-scale Information Network Embedding", WWW 2015, arXiv:1503.03578.

    O₂ = −Σ_ij w_ij log p₂(j|i),   p₂(j|i) = exp(z_i·c_j) / Σ_k exp(z_i·c_k)

the sum of λ_i KL(w_i·/d_i ‖ p₂(·|i)) with λ_i = d_i, constants dropped; k over all nodes, i included. An undirected
edge counts in both directions. (The paper trains it by negative sampling.)
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact, Number
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, complex_step, cross_entropies, log_softmax, softmax, squared_distances


def value(z: Array, contexts: Array, adjacency: Array) -> Scalar:
    weights = np.asarray(adjacency, dtype=np.float64)
    return cross_entropies(weights, log_softmax(z @ contexts.T)).sum()


def gradient(z: Array, contexts: Array, adjacency: Array) -> tuple[Array, Array]:
    weights = np.asarray(adjacency, dtype=np.float64)
    slope = weights.sum(axis=1, keepdims=True) * softmax(z @ contexts.T) - weights
    return slope @ contexts, slope.T @ z


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\sum_{i,j} w_{ij} \log\frac{e^{z_i \cdot c_j}}{\sum_k e^{z_i \cdot c_k}}"


def noise(adjacency: Array) -> Array:
    """The program's probability of each node as a negative: its degree, out and in, to the power of 3/4."""
    degrees = adjacency.sum(axis=0) + adjacency.sum(axis=1)
    share: Array = degrees**0.75 / (degrees**0.75).sum()
    return share


def program(scores: Array, adjacency: Array, negatives: int = 5) -> Scalar:
    """What the program minimises in expectation over its samples, for each edge, from scores ``z_i·c_j``."""
    positive, negative = np.log1p(np.exp(-scores)), np.log1p(np.exp(scores))
    drawn = negatives * adjacency.sum(axis=1) @ (negative @ noise(adjacency))
    return ((adjacency * positive).sum() + drawn) / adjacency.sum()


def minimum(adjacency: Array, negatives: int = 5) -> Array:
    """The scores at which it is least where the dimension does not bind."""
    least: Array = np.log(adjacency / (negatives * np.outer(adjacency.sum(axis=1), noise(adjacency))))
    return least


def _softmax_at_the_minimum(s: Sample) -> float:
    """The divergence of p from the softmax with candidates weighted by the noise, or the slope of the program."""
    weights = np.exp(-squared_distances(s.x) / 1000)  # a graph that has all edges, itself among them: finite scores
    best = minimum(weights)
    loss = icon.loss("gaussian", "graph", metric="dot", temperature=1.0, log_weights=np.log(noise(weights)))
    divergence = loss.terms((torch.tensor(best), torch.eye(s.n, dtype=torch.float64)), torch.tensor(weights)).kl
    slope = complex_step(lambda v: program(v, weights), [best], [np.random.default_rng(s.seed).normal(size=best.shape)])
    return max(abs(float(divergence)), abs(slope))


CHECKS = [
    Exact(
        ("z", "contexts"),
        lambda s, z, c: ce(icon.method("line"), (z, c), s.adjacency),
        lambda s, z, c: value(z, c, s.adjacency),
        lambda s, z, c: gradient(z, c, s.adjacency),
        scale=lambda s: 1 / s.adjacency.sum(),
        form="cross-entropy = reference / volume",
    )
]

PROGRAM = Number(
    "minimum of the program",
    _softmax_at_the_minimum,
    unit="divergence, and slope of the program",
    note="its softmax with candidates weighted by degree^(3/4) is p",
)
