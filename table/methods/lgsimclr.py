"""LGSimCLR: SimCLR whose positive is sampled from the nearest neighbours in language space.

El Banani, Desai and Johnson, "Learning Visual Representations via Language-Guided Sampling", CVPR 2023,
arXiv:2302.12248.

    L = −(1/n) Σ_i (1/k) Σ_{j ∈ kNN_x(i)} log [ e^{cos(z_i, z_j)/τ} / Σ_{l≠i} e^{cos(z_i, z_l)/τ} ]

the expectation over a positive drawn uniformly from the k nearest neighbours of i by Euclidean distance in the
language features x.
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import (
    Array,
    Scalar,
    contrastive,
    contrastive_gradient,
    cosines,
    label_losses,
    off_diagonal,
    uniform_neighbors,
)


def value(z: Array, x: Array, n_neighbors: int, temperature: float) -> Scalar:
    return contrastive(z, uniform_neighbors(x, n_neighbors), temperature)


def gradient(z: Array, x: Array, n_neighbors: int, temperature: float) -> tuple[Array]:
    return contrastive_gradient(z, uniform_neighbors(x, n_neighbors), temperature)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{nk}\sum_i \sum_{j \in \mathrm{kNN}(i)} \log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{l \ne i} "
    r"e^{z_i \cdot z_l/\tau}}"
)


def program(z: Array, partners: Array, temperature: float = 0.1) -> Scalar:
    """What the program returns of images ``[n, d]`` and of those that language drew for them, which are anchors too."""
    n = len(z)
    scores = cosines(np.concatenate([z, partners])) / temperature
    return label_losses(scores, np.roll(np.arange(2 * n), n), off_diagonal(2 * n)).mean()


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: ce(icon.method("lgsimclr", n_neighbors=5, temperature=0.1), z, s.x),
        lambda s, z: value(z, s.x, 5, 0.1),
        lambda s, z: gradient(z, s.x, 5, 0.1),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: ce(icon.method("simclr", temperature=0.1), torch.cat([a, b]), s.two_views),
    lambda s, a, b: program(a, b),
    form="simclr on a batch of images and their partners",
)
