"""t-SimCNE: NT-Xent with the Cauchy kernel of t-SNE, in two dimensions.

Böhm, Berens and Kobak, "Unsupervised visualization of image datasets using contrastive learning", ICLR 2023,
arXiv:2210.09879.

    L = −mean_i log [ (1 + ‖z_i−z_{i⁺}‖²)⁻¹ / Σ_{k≠i} (1 + ‖z_i−z_k‖²)⁻¹ ]

It is t-SimCLR's formula with one degree of freedom and unit scale.
"""

from __future__ import annotations

from table.references import t_simclr
from table.references._math import Array, Scalar


def value(z: Array, ids: Array) -> Scalar:
    return t_simclr.value(z, ids, dof=1.0, scale=1.0)


def gradient(z: Array, ids: Array) -> tuple[Array]:
    return t_simclr.gradient(z, ids, dof=1.0, scale=1.0)
