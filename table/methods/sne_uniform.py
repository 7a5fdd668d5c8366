"""SNE with Uniform Affinities; its reference is beside that of `table.methods.sne`."""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods import sne
from table.methods._checks import K

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad p_{j|i} = \frac{1}{k} 1[j \in "
    r"\mathrm{kNN}(i)]"
)


CHECKS = [
    Exact(
        ("map2",),
        lambda s, z: icon.method("sne-uniform", n_neighbors=K)(z, s.x),
        lambda s, z: sne.uniform(z, s.x, K),
        lambda s, z: sne.uniform_gradient(z, s.x, K),
        scale=lambda s: 1 / s.n,
        form="KL = reference / n",
    )
]
