"""t-SimCNE: NT-Xent with the Cauchy kernel of t-SNE, in two dimensions.

Böhm, Berens and Kobak, "Unsupervised visualization of image datasets using contrastive learning", ICLR 2023,
arXiv:2210.09879.

    L = −mean_i log [ (1 + ‖z_i−z_{i⁺}‖²)⁻¹ / Σ_{k≠i} (1 + ‖z_i−z_k‖²)⁻¹ ]

It is t-SimCLR's formula row by row, with one degree of freedom and unit scale.
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.methods import t_simclr
from table.methods._checks import ce
from table.methods._math import Array, Scalar, label_losses, off_diagonal, squared_distances


def value(z: Array, ids: Array) -> Scalar:
    return t_simclr.row_value(z, ids, dof=1.0, scale=1.0)


def gradient(z: Array, ids: Array) -> tuple[Array]:
    return t_simclr.row_gradient(z, ids, dof=1.0, scale=1.0)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log\frac{(1+d_{i+}^2)^{-1}}{\sum_{k \ne i} (1+d_{ik}^2)^{-1}}"


def program(first: Array, second: Array, temperature: float = 1.0) -> Scalar:
    """What the program returns of two views ``[n, d]`` since 0.4.9; its temperature multiplies squared distances."""
    both, n = np.concatenate([first, second]), len(first)
    log_kernel = -np.log(1 + 2 * temperature * squared_distances(both))
    return label_losses(log_kernel, np.roll(np.arange(2 * n), n), off_diagonal(2 * n)).mean()


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z: ce(icon.method("t-simcne"), z, s.ids),
        lambda s, z: value(z, s.ids),
        lambda s, z: gradient(z, s.ids),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: icon.method("t-simcne", settings="authors").published(torch.cat([a, b]), s.two_views),
    lambda s, a, b: program(a, b),
)
