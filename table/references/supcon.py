"""Supervised contrastive learning, the loss with the sum over positives outside the logarithm (L_out).

Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, arXiv:2004.11362.

    L = mean_i (−1/|P(i)|) Σ_{j ∈ P(i)} log [ e^{cos(z_i, z_j)/τ} / Σ_{k≠i} e^{cos(z_i, z_k)/τ} ]

P(i): the other members of i's class. Anchors whose class has no other member are left out of the mean. (The paper sums
over anchors; its code averages.) The formula is NT-Xent's with several positives, so one computation serves both.
"""

from __future__ import annotations

from table.references import simclr
from table.references._math import Array, Scalar


def value(z: Array, labels: Array, temperature: float) -> Scalar:
    return simclr.value(z, labels, temperature)


def gradient(z: Array, labels: Array, temperature: float) -> tuple[Array]:
    return simclr.gradient(z, labels, temperature)
