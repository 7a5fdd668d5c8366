"""Normalized cuts of a hard clustering.

Shi and Malik, "Normalized Cuts and Image Segmentation", IEEE TPAMI 2000, doi:10.1109/34.868688; several clusters: Yu
and Shi, "Multiclass Spectral Clustering", ICCV 2003, doi:10.1109/ICCV.2003.1238361.

    NCut = Σ_c cut(c)/vol(c),   cut(c) = Σ_{i∈c, j∉c} w_ij,   vol(c) = Σ_{i∈c} d_i

An empty cluster, or one of isolated nodes only, has no volume and contributes nothing.
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array


def value(labels: Array, adjacency: Array) -> float:
    weights = np.asarray(adjacency, dtype=np.float64)
    total = 0.0
    for c in np.unique(labels):
        inside = labels == c
        volume = weights[inside].sum()
        if volume > 0:
            total += weights[inside][:, ~inside].sum() / volume
    return float(total)
