"""Supervised contrastive learning with soft or multiple labels: positives weighted by the overlap of the labels.

Soft labels: Kim, Lee, Chang and Park, "Generalized Supervised Contrastive Learning", 2022, arXiv:2206.00384 (the
cross-entropy of label similarity and latent similarity). Multi-hot labels: Lin, Qin, Wang, Zhou and Yang, "An Effective
Deployment of Contrastive Learning in Multi-label Text Classification", Findings of ACL 2023, arXiv:2212.00552 (weights
by Jaccard similarity); Zhang and Wu, "Multi-Label Supervised Contrastive Learning", AAAI 2024 (weights by overlap).

    L = −mean_i Σ_{j≠i} p_ij log [ e^{cos(z_i, z_j)/τ} / Σ_{k≠i} e^{cos(z_i, z_k)/τ} ],   p_ij = o_ij / Σ_{k≠i} o_ik
    product: o_ij = y_i·y_j          jaccard: o_ij = Σ_l min(y_il, y_jl) / Σ_l max(y_il, y_jl)

With rows of class probabilities the product is the probability that i and j share their class; with multi-hot rows it
counts the common labels. One-hot labels give SupCon either way. Anchors without any overlap are left out of the mean.
The papers differ in how they scale the weights; here each anchor's weights are scaled to a distribution.
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, contrastive, contrastive_gradient, off_diagonal, unit


def value(z: Array, labels: Array, temperature: float, overlap: str) -> Scalar:
    return contrastive(z, _shared(labels, overlap), temperature)


def gradient(z: Array, labels: Array, temperature: float, overlap: str) -> tuple[Array]:
    return contrastive_gradient(z, _shared(labels, overlap), temperature)


def _shared(labels: Array, overlap: str) -> Array:
    y = np.asarray(labels, dtype=np.float64)
    if overlap == "product":
        weights = y @ y.T
    elif overlap == "jaccard":
        common, either = np.zeros((len(y), len(y))), np.zeros((len(y), len(y)))
        for label in y.T:  # one label at a time: memory n², not n²·L
            common += np.minimum.outer(label, label)
            either += np.maximum.outer(label, label)
        weights = common / np.where(either > 0, either, 1.0)
    else:
        raise ValueError(f"overlap={overlap!r}: expected 'product' or 'jaccard'")
    weights = np.where(off_diagonal(len(y)), weights, 0.0)
    totals = weights.sum(axis=1, keepdims=True)
    return weights / np.where(totals > 0, totals, 1.0)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \sum_{j \ne i} \frac{y_i \cdot y_j}{\sum_{k \ne i} y_i \cdot y_k} "
    r"\log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{k \ne i} e^{z_i \cdot z_k/\tau}}"
)


def program(z: Array, labels: Array, temperature: float = 0.1) -> Scalar:
    """What the program returns of unit rows z, without the 1e-8 in its denominators: cosines of labels as weights."""
    others = off_diagonal(len(z))
    alike = np.where(others, unit(labels) @ unit(labels).T, 0.0)
    scores = z @ z.T / temperature
    normaliser = np.log(np.where(others, np.exp(scores), 0.0).sum(axis=1, keepdims=True))
    each = (alike * (normaliser - scores)).sum(axis=1) / alike.sum(axis=1)
    return temperature / 0.07 * each.mean()


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: ce(icon.method("soft-supcon", temperature=0.1), z, s.soft_labels),
        lambda s, z: value(z, s.soft_labels, 0.1, "product"),
        lambda s, z: gradient(z, s.soft_labels, 0.1, "product"),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("z",),
    lambda s, z: icon.method("soft-supcon", settings="authors").published(z, unit(s.soft_labels)),
    lambda s, z: program(unit(z), s.soft_labels),
    form="labels scaled to unit length",
)
