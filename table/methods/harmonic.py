"""Harmonic loss: classification by distance to class centres.

Baek, Liu, Tyagi and Tegmark, "Harmonic Loss Trains Interpretable AI Models", 2025, arXiv:2502.01628.

    L = −(1/n) Σ_i log [ d_{i,y_i}^{−n} / Σ_c d_{ic}^{−n} ],   d_ic = ‖z_i − w_c‖,   exponent n
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact, Limit
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, log_softmax, softmax, squared_distances


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


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log\frac{d_{i y_i}^{-n}}{\sum_c d_{ic}^{-n}}"


def _harmonic_limit(s: Sample, scale: float) -> float:
    loss = icon.loss("student-t", "data-label", dof=1.0, exponent=1.5, scale=scale)
    return float(ce(loss, (torch.tensor(s.z), torch.tensor(s.prototypes)), s.y))


def program(z: Array, prototypes: Array, labels: Array, n: float = 1.0) -> Scalar:
    """What the program minimises: its n is a power of the squared distances, to which it adds 1e-4."""
    kernel = (squared_distances(z, prototypes) + 1e-4) ** -n
    return -np.log(kernel[np.arange(len(z)), labels] / kernel.sum(axis=1)).mean()


CHECKS = [
    Exact(
        ("z", "prototypes"),
        lambda s, z, w: ce(icon.method("harmonic", exponent=3.0), (z, w), s.y),
        lambda s, z, w: value(z, w, s.y, 3.0),
        lambda s, z, w: gradient(z, w, s.y, 3.0),
        form="cross-entropy, scale 0",
    ),
    Limit(
        "scale c → 0",
        (0.1, 0.03, 0.01),
        _harmonic_limit,
        lambda s: value(s.z, s.prototypes, s.y, 3.0),
        2.0,
    ),
]

PROGRAM = Exact(
    ("z", "prototypes"),
    lambda s, z, w: icon.method("harmonic", settings="authors").published((z, w), s.y),
    lambda s, z, w: program(z, w, s.y),
)
