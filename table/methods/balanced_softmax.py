"""Balanced softmax for long-tailed classes.

Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020, arXiv:2007.10740.

    L = −(1/n) Σ_i log [ n_{y_i} e^{s_{i y_i}} / Σ_c n_c e^{s_ic} ],   s = z·w,   n_c the training counts

A class that was never met (n_c = 0) has no part in the sum.
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, label_losses, label_slopes


def value(z: Array, prototypes: Array, y: Array, counts: Array) -> Scalar:
    return label_losses(*_balanced(z, prototypes, y, counts)).mean()


def gradient(z: Array, prototypes: Array, y: Array, counts: Array) -> tuple[Array, Array]:
    slope = label_slopes(*_balanced(z, prototypes, y, counts)) / len(z)
    return slope @ prototypes, slope.T @ z


def _balanced(z: Array, prototypes: Array, y: Array, counts: Array) -> tuple[Array, Array, Array]:
    met = counts > 0
    scores = z @ prototypes.T + np.log(np.where(met, counts, 1.0))
    return scores, y, np.broadcast_to(met, scores.shape)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log\frac{N_{y_i} e^{z_i \cdot w_{y_i}}}{\sum_c N_c e^{z_i \cdot w_c}}"
COUNTS = np.array([50.0, 20.0, 30.0, 5.0, 11.0, 7.0, 2.0, 90.0, 1.0, 40.0])


def program(scores: Array, y: Array, counts: Array) -> Scalar:
    """What the program returns of logits: ``log Σ_c (n_c/n_y) e^{s_c - s_y}``, averaged."""
    own = scores[np.arange(len(y)), y]
    return np.log((counts / counts[y][:, None] * np.exp(scores - own[:, None])).sum(axis=1)).mean()


CHECKS = [
    Exact(
        ("z", "prototypes"),
        lambda s, z, w: ce(icon.method("balanced-softmax", class_counts=COUNTS), (z, w), s.y),
        lambda s, z, w: value(z, w, s.y, COUNTS),
        lambda s, z, w: gradient(z, w, s.y, COUNTS),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("z", "prototypes"),
    lambda s, z, w: icon.method("balanced-softmax", settings="authors", class_counts=COUNTS).published((z, w), s.y),
    lambda s, z, w: program(z @ w.T, s.y, COUNTS),
)
