"""t-SNE with Uniform Affinities; its reference is beside that of `table.methods.tsne`."""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods import tsne
from table.methods._checks import K

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\sum_{i \ne j} P_{ij} \log\frac{P_{ij}}{Q_{ij}},\quad P = \frac{A + A^{\top}}{2n},\; A_{ij} = "
    r"\frac{1}{k} 1[j \in \mathrm{kNN}(i)]"
)


CHECKS = [
    Exact(
        ("map2",),
        lambda s, z: icon.method("tsne-uniform", n_neighbors=K)(z, s.x),
        lambda s, z: tsne.uniform(z, s.x, K),
        lambda s, z: tsne.uniform_gradient(z, s.x, K),
        form="joint KL",
    )
]
