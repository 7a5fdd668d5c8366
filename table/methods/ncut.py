"""Normalized cuts of a hard clustering.

Shi and Malik, "Normalized Cuts and Image Segmentation", IEEE TPAMI 2000, doi:10.1109/34.868688; several clusters: Yu
and Shi, "Multiclass Spectral Clustering", ICCV 2003, doi:10.1109/ICCV.2003.1238361.

    NCut = Σ_c cut(c)/vol(c),   cut(c) = Σ_{i∈c, j∉c} w_ij,   vol(c) = Σ_{i∈c} d_i

An empty cluster, or one of isolated nodes only, has no volume and contributes nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import SpectralClustering, kmeans_plusplus
from sklearn.manifold import spectral_embedding

import icon
from table.checks import Limit, Minimiser
from table.data import Sample, sample
from table.methods._checks import ce, hard, minimise
from table.methods._math import Array


def value(labels: Array, adjacency: Array) -> float:
    weights = np.asarray(adjacency, dtype=np.float64)
    total = 0.0
    for c in np.unique(labels):
        inside = labels == c
        volume = weights[inside].sum()
        if volume > 0:
            total += weights[inside][:, ~inside].sum() / volume
    return float(total)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\sum_c \frac{\operatorname{cut}(c)}{\operatorname{vol}(c)}"


def _ncut_limit(s: Sample, epsilon: float) -> float:
    loss = icon.method("ncut", leak=1 - epsilon)
    stationary = s.adjacency.sum(axis=1) / s.adjacency.sum()
    walk = s.adjacency / s.adjacency.sum(axis=1, keepdims=True)
    start: float = -(stationary @ walk @ np.log(stationary))
    return (float(ce(loss, hard(s.y, 10), s.adjacency)) - start) / epsilon


def _minimise_ncut(s: Sample) -> tuple[float, str]:
    """Excess NCut of the minimiser of the NCut cell over spectral clustering; 0 where it is lower.

    Both start from k-means++ seeds in the spectral embedding and keep the best of their starts by their own loss.
    """
    s = sample(s.seed, 600)
    spectral = SpectralClustering(10, affinity="precomputed", assign_labels="kmeans", random_state=s.seed)
    expected = value(spectral.fit_predict(s.adjacency), s.adjacency)
    embedding = spectral_embedding(s.adjacency, n_components=10, drop_first=False, random_state=s.seed)
    loss = icon.method("ncut")
    rows = loss.p(s.adjacency)
    ends = []
    for restart in range(6):
        centres, _ = kmeans_plusplus(embedding, 10, random_state=restart)
        distances = ((embedding[:, None] - centres) ** 2).sum(axis=2)
        logits = torch.tensor(-5 * distances / distances.mean()).requires_grad_()
        minimise(logits, lambda z: loss(z, rows), steps=400, rate=0.1)
        ends.append((loss(logits, rows).item(), logits.argmax(dim=1).numpy()))
    reached = value(min(ends, key=lambda end: end[0])[1], s.adjacency)
    note = f"NCut {reached:.4f} against {expected:.4f} (spectral), 600 digits, 10 clusters"
    return max(0.0, float(reached / expected - 1)), note


CHECKS = [
    Limit("ε → 0", (1e-2, 1e-3, 1e-4), _ncut_limit, lambda s: value(s.y, s.adjacency) - 10 + 1, 1.0),
    Minimiser("NCut", _minimise_ncut, 0.02, "excess over the NCut of spectral clustering"),
]
