"""t-SNE graph embedding: a random-walk target and a Cauchy embedding.

After Kruiger et al., "Graph Layouts by t-SNE", Computer Graphics Forum (EuroVis) 2017, doi:10.1111/cgf.13187, in the
row form of I-Con (Alshammari et al., ICLR 2025, arXiv:2504.16929), whose P is the graph's own walk rather than a
Gaussian of shortest paths.

    L = mean_i KL(P_i‖q_i),  P = (1/K) Σ_{k=1..K} (D⁻¹A)^k,  q(j|i) ∝ 1/(1 + ‖z_i−z_j‖²)

Without mass of P on the diagonal the candidates are j ≠ i; with such mass they are all j. Isolated nodes are left out.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path

import icon
from table.checks import Exact
from table.data import Sample
from table.methods import tsne
from table.methods._math import (
    Array,
    Scalar,
    anchor_mean,
    distance_gradient,
    gaussian_of_distances,
    kl_divergences,
    log_softmax,
    log_student,
    off_diagonal,
    softmax,
    squared_distances,
    walk_average,
    walk_support,
)


def value(z: Array, adjacency: Array, walks: int) -> Scalar:
    p = walk_average(adjacency, walks)
    log_q = log_softmax(log_student(squared_distances(z), dof=1.0), walk_support(p))
    return anchor_mean(kl_divergences(p, log_q), p)


def gradient(z: Array, adjacency: Array, walks: int) -> tuple[Array]:
    p = walk_average(adjacency, walks)
    d2 = squared_distances(z)
    anchors = p.any(axis=1, keepdims=True)
    excess = anchors * (p - softmax(log_student(d2, dof=1.0), walk_support(p)))
    return (distance_gradient(z, excess / (1 + d2) / anchors.sum()),)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\frac{1}{n}\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad p = D^{-1} W,\; q_{j|i} \propto "
    r"(1+\lVert z_i - z_j\rVert^2)^{-1}"
)


def affinities(adjacency: Array, perplexity: float = 40.0) -> Array:
    """The program's ``p(j|i)``, from hops over their largest number; where no path is, ten times that many."""
    hops = shortest_path(adjacency > 0, unweighted=True)
    hops = np.where(np.isinf(hops), 10 * hops[np.isfinite(hops)].max(), hops)
    return gaussian_of_distances((hops / hops.max()) ** 2, perplexity)


def program(z: Array, adjacency: Array, kl: float = 1.0, compression: float = 0.01, repulsion: float = 0.6) -> Scalar:
    """What the program minimises in its last phase, without its guards against log 0: three terms, their mean."""
    n, p = len(z), affinities(adjacency)
    total = kl * tsne.divergence(z, (p + p.T) / (2 * n)) + compression * (z * z).sum() / (2 * n)
    apart = np.sqrt(squared_distances(z)[off_diagonal(n)])
    total = total - repulsion * np.log(apart + 0.05).sum() / (2 * n**2)
    return total / (kl + compression + repulsion)


def _divergence(s: Sample, z: torch.Tensor) -> torch.Tensor:
    loss = icon.Loss(icon.p.Precomputed(), icon.q.StudentT(), normalization="joint")
    return loss(z, torch.tensor(affinities(s.adjacency)))


CHECKS = [
    Exact(
        ("map2",),
        lambda s, z, walks=walks: icon.method("tsne-graph", walks=walks)(z, s.adjacency),
        lambda s, z, walks=walks: value(z, s.adjacency, walks),
        lambda s, z, walks=walks: gradient(z, s.adjacency, walks),
        form=f"KL, {walks} walk{'s' if walks > 1 else ''}",
    )
    for walks in (1, 2)
]

PROGRAM = Exact(
    ("map2",),
    _divergence,
    lambda s, z: program(z, s.adjacency, compression=0.0, repulsion=0.0),
    form="the program's divergence alone, by its own p",
)
