"""t-SNE with Uniform Affinities; its reference is beside that of `table.methods.tsne`."""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods import tsne
from table.methods._checks import K
from table.methods._math import Array, Scalar, nearest_neighbors

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\sum_{i \ne j} P_{ij} \log\frac{P_{ij}}{Q_{ij}},\quad P = \frac{A + A^{\top}}{2n},\; A_{ij} = "
    r"\frac{1}{k} 1[j \in \mathrm{kNN}(i)]"
)


def program(z: Array, x: Array, n_neighbors: int = 15) -> Scalar:
    """What the program reports: an edge counts once, whichever of its ends is a neighbour of the other."""
    linked = np.zeros((len(x), len(x)), dtype=bool)
    np.put_along_axis(linked, nearest_neighbors(x, n_neighbors), True, axis=1)
    linked = linked | linked.T
    return tsne.divergence(z, linked / linked.sum())


CHECKS = [
    Exact(
        ("map2",),
        lambda s, z: icon.method("tsne-uniform", n_neighbors=K)(z, s.x),
        lambda s, z: tsne.uniform(z, s.x, K),
        lambda s, z: tsne.uniform_gradient(z, s.x, K),
        form="joint KL",
    )
]

PROGRAM = Exact(
    ("map2",),
    lambda s, z: icon.method("tsne-uniform", settings="authors").published(z, s.x),
    lambda s, z: program(z, s.x),
)
