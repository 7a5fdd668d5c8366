"""SimCLR's NT-Xent.

Chen, Kornblith, Norouzi and Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
arXiv:2002.05709.

    L = −(1/2N) Σ_i log [ e^{cos(z_i, z_{i⁺})/τ} / Σ_{k≠i} e^{cos(z_i, z_k)/τ} ]

over all 2N views, i⁺ the other view of the same instance. With more than two views the terms of an anchor's positives
are averaged; an anchor without a positive is left out.
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import (
    Array,
    Scalar,
    contrastive,
    contrastive_gradient,
    cosines,
    label_losses,
    off_diagonal,
    uniform_others,
)
from table.peers import Package, lightly_ntxent, ours, relative


def value(z: Array, ids: Array, temperature: float) -> Scalar:
    return contrastive(z, uniform_others(ids), temperature)


def gradient(z: Array, ids: Array, temperature: float) -> tuple[Array]:
    return contrastive_gradient(z, uniform_others(ids), temperature)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log\frac{e^{z_i \cdot z_i^+/\tau}}{\sum_{k \ne i} e^{z_i \cdot z_k/\tau}}"


def program(first: Array, second: Array, temperature: float = 0.1) -> Scalar:
    """What the program returns of two views ``[n, d]``: the mean loss of each as anchors, the two added."""
    n = len(first)
    scores = cosines(np.concatenate([first, second])) / temperature
    losses = label_losses(scores, np.roll(np.arange(2 * n), n), off_diagonal(2 * n))
    return losses[:n].mean() + losses[n:].mean()


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z: ce(icon.method("simclr", temperature=0.1), z, s.ids),
        lambda s, z: value(z, s.ids, 0.1),
        lambda s, z: gradient(z, s.ids, 0.1),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: icon.method("simclr", settings="authors").published(torch.cat([a, b]), s.two_views),
    lambda s, a, b: program(a, b),
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _lightly(s: Sample) -> float:
    NTXentLoss = lightly_ntxent()
    a, b = torch.tensor(s.za), torch.tensor(s.zb)
    ids = np.tile(np.arange(s.n), 2)
    theirs = NTXentLoss(temperature=0.1)(a, b).item()
    return relative(ours("simclr", torch.cat([a, b]), ids, temperature=0.1), theirs)


def _metric_learning(s: Sample) -> float:
    from pytorch_metric_learning.losses import NTXentLoss

    z, ids = torch.tensor(s.pairs), torch.tensor(s.ids)
    return relative(ours("simclr", z, ids, temperature=0.1), NTXentLoss(temperature=0.1)(z, ids).item())


PEERS = (
    Package("lightly", "lightly", _lightly),
    Package("pytorch-metric-learning", "pytorch_metric_learning", _metric_learning),
)
