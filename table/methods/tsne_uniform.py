"""t-SNE with Uniform Affinities; its reference is beside that of `table.methods.tsne`."""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.data import Sample
from table.methods import tsne
from table.methods._checks import K
from table.methods._math import Array, Scalar, nearest_neighbors
from table.peers import Package

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


# -- the packages that implement it ------------------------------------------------------------------------------------


def _open_tsne(s: Sample) -> float:
    from openTSNE.affinity import Uniform

    # Where the k-th and next neighbours tie (integer pixels), either choice is right: compare untied data.
    x = s.x + 1e-3 * np.random.default_rng(s.seed).normal(size=s.x.shape)
    theirs = Uniform(x, k_neighbors=10, method="exact", symmetrize="mean").P.toarray()
    rows = icon.p.KNN(10).symmetrize()(x)
    mine = (rows.anchor_marginal[:, None] * rows.to_dense()).numpy()
    return float(np.abs(mine - theirs).max() / theirs.max())


PEERS = (Package("openTSNE", "openTSNE", _open_tsne),)
