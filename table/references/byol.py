"""BYOL: the normalised distance of a prediction from its target.

Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020, arXiv:2006.07733.

    L = mean_i ‖p̂_i − t̂_i‖² = mean_i [2 − 2 cos(p_i, t_i)]

The target comes from the slowly moving network: no gradient reaches it. (The paper adds the same term with the two
views exchanged.)
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, unit


def value(prediction: Array, target: Array) -> Scalar:
    return (2 - 2 * (unit(prediction) * unit(target)).sum(axis=1)).mean()


def gradient(prediction: Array, target: Array) -> tuple[Array]:
    p, t = unit(prediction), unit(target)
    lengths = np.sqrt((prediction * prediction).sum(axis=1, keepdims=True))
    return (-2 * (t - p * (p * t).sum(axis=1, keepdims=True)) / lengths / len(p),)
