"""SNE graph embedding (gap), and the softmax with context vectors that LINE and DeepWalk train.

``value``: nobody published it; the definition that the coordinate gaussian × graph implies (I-Con: Alshammari et al.,
ICLR 2025, arXiv:2504.16929).
``context``: Tang et al., "LINE: Large-scale Information Network Embedding", WWW 2015, arXiv:1503.03578 (second-order
proximity, one step); Perozzi, Al-Rfou and Skiena, "DeepWalk: Online Learning of Social Representations", KDD 2014,
arXiv:1403.6652.

    P = (1/K) Σ_{k=1..K} (D⁻¹A)^k
    value   = mean_i KL(P_i‖q_i),  q(j|i) ∝ exp(−‖z_i−z_j‖²)
    context = mean_i KL(P_i‖softmax_j(z_i·c_j)),  all j

Without mass of P on the diagonal the candidates are j ≠ i; with such mass (two steps return home) they are all j.
Isolated nodes have no P_i and are left out of the mean.
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._math import (
    Array,
    Scalar,
    anchor_mean,
    kl_divergences,
    log_softmax,
    softmax,
    walk_average,
    walk_support,
)


def value(z: Array, adjacency: Array, walks: int) -> Scalar:
    p = walk_average(adjacency, walks)
    support = walk_support(p)
    total: Scalar = 0.0
    anchors = 0
    for i in range(len(z)):
        if not p[i].any():
            continue
        targets, scores = [], []
        for j in range(len(z)):
            if not support[i, j]:
                continue
            step = z[i] - z[j]
            targets.append(p[i, j])
            scores.append(-(step @ step))
        total += kl_divergences(np.array(targets), log_softmax(np.array(scores)))
        anchors += 1
    return total / anchors


def context(z: Array, contexts: Array, adjacency: Array) -> Scalar:
    p = walk_average(adjacency, 1)
    return anchor_mean(kl_divergences(p, log_softmax(z @ contexts.T)), p)


def context_gradient(z: Array, contexts: Array, adjacency: Array) -> tuple[Array, Array]:
    p = walk_average(adjacency, 1)
    anchors = p.any(axis=1, keepdims=True)
    slope = anchors * (softmax(z @ contexts.T) - p) / anchors.sum()
    return slope @ contexts, slope.T @ z


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\frac{1}{n}\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad p = D^{-1} W"


CHECKS = [
    Exact(
        ("map2",),
        lambda s, z: icon.method("sne-graph")(z, s.adjacency),
        lambda s, z: value(z, s.adjacency, 1),
        form="KL",
    ),
    Exact(
        ("map2",),
        lambda s, z: icon.method("sne-graph", walks=2)(z, s.adjacency),
        lambda s, z: value(z, s.adjacency, 2),
        form="KL, two walks",
    ),
    Exact(
        ("z", "contexts"),
        lambda s, z, c: icon.loss("gaussian", "graph", metric="dot")((z, c), s.adjacency),
        lambda s, z, c: context(z, c, s.adjacency),
        lambda s, z, c: context_gradient(z, c, s.adjacency),
        form="KL, dot score and context vectors (LINE, DeepWalk)",
    ),
]
