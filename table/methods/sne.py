"""Stochastic neighbor embedding.

Hinton and Roweis, "Stochastic Neighbor Embedding", NIPS 2002.

    C = Σ_i KL(P_i‖Q_i),  p_{j|i} ∝ exp(−‖x_i−x_j‖²/2σ_i²) at a given perplexity,  q_{j|i} ∝ exp(−‖z_i−z_j‖²),  j ≠ i
    ∂C/∂z_i = 2 Σ_j (z_i−z_j)(p_{j|i} − q_{j|i} + p_{i|j} − q_{i|j})

``uniform`` is the same cost with P_i uniform over the k nearest neighbours. Sums over anchors, not means.
"""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods._checks import PERPLEXITY
from table.methods._math import (
    Array,
    Scalar,
    conditional_gaussian,
    kl_divergences,
    log_softmax,
    off_diagonal,
    pull,
    softmax,
    squared_distances,
    uniform_neighbors,
)


def value(z: Array, x: Array, perplexity: float) -> Scalar:
    return _cost(z, conditional_gaussian(x, perplexity))


def gradient(z: Array, x: Array, perplexity: float) -> tuple[Array]:
    return (_slope(z, conditional_gaussian(x, perplexity)),)


def uniform(z: Array, x: Array, n_neighbors: int) -> Scalar:
    return _cost(z, uniform_neighbors(x, n_neighbors))


def uniform_gradient(z: Array, x: Array, n_neighbors: int) -> tuple[Array]:
    return (_slope(z, uniform_neighbors(x, n_neighbors)),)


def _cost(z: Array, p: Array) -> Scalar:
    return kl_divergences(p, log_softmax(-squared_distances(z), off_diagonal(len(z)))).sum()


def _slope(z: Array, p: Array) -> Array:
    excess = p - softmax(-squared_distances(z), off_diagonal(len(z)))
    return pull(z, 2 * (excess + excess.T))


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad q_{j|i} \propto e^{-\lVert z_i - "
    r"z_j\rVert^2}"
)


CHECKS = [
    Exact(
        ("map2",),
        lambda s, z: icon.method("sne", perplexity=PERPLEXITY)(z, s.x),
        lambda s, z: value(z, s.x, PERPLEXITY),
        lambda s, z: gradient(z, s.x, PERPLEXITY),
        scale=lambda s: 1 / s.n,
        form="KL = reference / n",
    )
]
