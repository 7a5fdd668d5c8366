"""Harmonic loss: classification by distance to class centres.

Baek, Liu, Tyagi and Tegmark, "Harmonic Loss Trains Interpretable AI Models", 2025, arXiv:2502.01628.

    L = −(1/n) Σ_i log [ d_{i,y_i}^{−n} / Σ_c d_{ic}^{−n} ],   d_ic = ‖z_i − w_c‖,   exponent n
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, log_softmax, softmax, squared_distances


def value(z: Array, prototypes: Array, labels: Array, exponent: float) -> Scalar:
    log_q = log_softmax(-exponent / 2 * np.log(squared_distances(z, prototypes)))
    return -log_q[np.arange(len(z)), labels].mean()


def gradient(z: Array, prototypes: Array, labels: Array, exponent: float) -> tuple[Array, Array]:
    d2 = squared_distances(z, prototypes)
    excess = np.eye(len(prototypes))[labels] - softmax(-exponent / 2 * np.log(d2))
    slope = excess * exponent / d2 / len(z)  # dL/d(d²) times the 2 of d(d²) = 2 (z − w)·(dz − dw)
    apart = z[:, None, :] - prototypes[None, :, :]
    pulls = slope[:, :, None] * apart
    return pulls.sum(axis=1), -pulls.sum(axis=0)
