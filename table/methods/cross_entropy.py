"""Softmax cross-entropy with label smoothing.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, arXiv:1512.00567 (section 7).

    L = −(1/n) Σ_i Σ_c [ (1−α) 1[y_i = c] + α/C ] log softmax_c(z_i·w_c/τ)
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cross_entropies, log_softmax, softmax
from table.peers import Package, ours, relative


def value(z: Array, prototypes: Array, labels: Array, temperature: float, label_smoothing: float) -> Scalar:
    p = _smoothed(labels, len(prototypes), label_smoothing)
    return cross_entropies(p, log_softmax(z @ prototypes.T / temperature)).mean()


def gradient(
    z: Array, prototypes: Array, labels: Array, temperature: float, label_smoothing: float
) -> tuple[Array, Array]:
    p = _smoothed(labels, len(prototypes), label_smoothing)
    slope = (softmax(z @ prototypes.T / temperature) - p) / (len(z) * temperature)
    return slope @ prototypes, slope.T @ z


def _smoothed(labels: Array, n_classes: int, label_smoothing: float) -> Array:
    return (1 - label_smoothing) * np.eye(n_classes)[labels] + label_smoothing / n_classes


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log\frac{e^{z_i \cdot w_{y_i}}}{\sum_c e^{z_i \cdot w_c}}"


CHECKS = [
    Exact(
        ("z", "prototypes"),
        lambda s, z, w, smoothing=smoothing: ce(
            icon.method("cross-entropy", temperature=0.5, label_smoothing=smoothing), (z, w), s.y
        ),
        lambda s, z, w, smoothing=smoothing: value(z, w, s.y, 0.5, smoothing),
        lambda s, z, w, smoothing=smoothing: gradient(z, w, s.y, 0.5, smoothing),
        form=f"cross-entropy, label smoothing {smoothing:g}",
    )
    for smoothing in (0.0, 0.1)
]


# -- the packages that implement it ------------------------------------------------------------------------------------


def _torch(s: Sample) -> float:
    z, w = torch.tensor(s.z), torch.tensor(s.prototypes)
    theirs = torch.nn.functional.cross_entropy(z @ w.T, torch.tensor(s.y), label_smoothing=0.1).item()
    return relative(ours("cross-entropy", (z, w), s.y, label_smoothing=0.1), theirs)


PEERS = (Package("torch", "torch", _torch),)
