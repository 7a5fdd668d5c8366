"""Supervised contrastive learning, the loss with the sum over positives outside the logarithm (L_out).

Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, arXiv:2004.11362.

    L = mean_i (−1/|P(i)|) Σ_{j ∈ P(i)} log [ e^{cos(z_i, z_j)/τ} / Σ_{k≠i} e^{cos(z_i, z_k)/τ} ]

P(i): the other members of i's class. Anchors whose class has no other member are left out of the mean. (The paper sums
over anchors; its code averages.) The formula is NT-Xent's with several positives, so one computation serves both.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods import simclr
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cross_entropies, log_softmax, off_diagonal, unit
from table.peers import Package, ours, relative


def value(z: Array, labels: Array, temperature: float) -> Scalar:
    return simclr.value(z, labels, temperature)


def gradient(z: Array, labels: Array, temperature: float) -> tuple[Array]:
    return simclr.gradient(z, labels, temperature)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \frac{1}{|P(i)|}\sum_{j \in P(i)} \log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{k \ne "
    r"i} e^{z_i \cdot z_k/\tau}}"
)


def program(z: Array, labels: Array, temperature: float) -> Scalar:
    """What the program returns of all views below one another; an anchor without a positive counts as 0."""
    u, others = unit(z), off_diagonal(len(z))
    alike = np.equal.outer(labels, labels) & others
    p = alike / np.maximum(alike.sum(axis=1, keepdims=True), 1)
    return temperature / 0.07 * cross_entropies(p, log_softmax(u @ u.T / temperature, others)).mean()


def _lonely(s: Sample) -> Any:
    """The classes, the first point having one of its own."""
    return np.where(np.arange(s.n) == 0, 10, s.y)


def _published(s: Sample, z: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of that point, which is meant
        return icon.method("supcon", settings="authors", temperature=0.1).published(z, _lonely(s))


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: ce(icon.method("supcon", temperature=0.1), z, s.y),
        lambda s, z: value(z, s.y, 0.1),
        lambda s, z: gradient(z, s.y, 0.1),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("z",),
    _published,
    lambda s, z: program(z, _lonely(s), 0.1),
    form="τ = 0.1, an anchor without a positive",
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _metric_learning(s: Sample) -> float:
    from pytorch_metric_learning.losses import SupConLoss

    z, y = torch.tensor(s.z), torch.tensor(s.y)
    return relative(ours("supcon", z, y, temperature=0.1), SupConLoss(temperature=0.1)(z, y).item())


PEERS = (Package("pytorch-metric-learning", "pytorch_metric_learning", _metric_learning),)
