"""DCD: clustering by a data–cluster–data random walk.

Yang and Oja, "Clustering by Low-Rank Doubly Stochastic Matrix Decomposition", ICML 2012, arXiv:1206.4676; longer: Yang,
Corander and Oja, JMLR 17, 2016.

    J = −Σ_ij A_ij log Σ_k W_ik W_jk / Σ_v W_vk − (α−1) Σ_ik log W_ik

A_ij = 1 when j is among the k nearest of i (directed, no self), W = softmax(logits) row by row, α the exponent of the
Dirichlet prior. A sum over pairs, not a mean.
"""

from __future__ import annotations

from math import log

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import K
from table.methods._math import Array, Scalar, cluster_affinities, log_softmax, nearest_neighbors


def value(logits: Array, x: Array, n_neighbors: int, dirichlet: float) -> Scalar:
    log_w = log_softmax(logits)
    neighbors = nearest_neighbors(x, n_neighbors)
    reached = np.take_along_axis(cluster_affinities(np.exp(log_w)), neighbors, axis=1)
    return -np.log(reached).sum() - (dirichlet - 1) * log_w.sum()


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\sum_{ij} A_{ij} \log \sum_k \frac{W_{ik} W_{jk}}{\sum_v W_{vk}} - (\alpha - 1)\sum_{ik} \log "
    r"W_{ik}"
)


def _dcd(logits: torch.Tensor, s: Sample, dirichlet: float) -> torch.Tensor:
    """The loss, with the constant entropy log k of p put back: the prior is in the loss, not in its terms."""
    return icon.method("dcd", n_neighbors=K, dirichlet=dirichlet)(logits, s.x) + log(K)


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z, dirichlet=dirichlet: _dcd(z, s, dirichlet),
        lambda s, z, dirichlet=dirichlet: value(z, s.x, K, dirichlet),
        scale=lambda s: 1 / (s.n * K),
        form=f"cross-entropy = reference / (n k), Dirichlet exponent {dirichlet:g}",
    )
    for dirichlet in (1.0, 1.2)
]
