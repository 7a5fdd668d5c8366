"""Decoupled contrastive learning: NT-Xent without the positive in the denominator.

Yeh, Hong, Hsu, Liu, Chen and LeCun, "Decoupled Contrastive Learning", ECCV 2022, arXiv:2110.06848.

    L = mean_i [ −s_{i i⁺} + log Σ_{k: id_k≠id_i} e^{s_ik} ],   s = cos/τ

over all 2n views; the sum runs over both views of every other instance. (The paper adds the anchors up.) With more than
two views the positives of an anchor are averaged; an anchor without a positive is left out.
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._math import Array, Scalar, anchor_mean, contrastive_gradient, cosines, log_softmax, uniform_others
from table.peers import Package, lightly_loss, ours, relative


def value(z: Array, ids: Array, temperature: float) -> Scalar:
    p, scores = uniform_others(ids), cosines(z) / temperature
    # A softmax over the negatives alone: any one of them tells the log of their sum.
    negative = ~np.equal.outer(ids, ids)
    first = negative.argmax(axis=1)
    rows = np.arange(len(z))
    log_sum = scores[rows, first] - log_softmax(scores, negative)[rows, first]
    return anchor_mean(log_sum - (p * scores).sum(axis=1), p)


def gradient(z: Array, ids: Array, temperature: float) -> tuple[Array]:
    return contrastive_gradient(z, uniform_others(ids), temperature, ~np.equal.outer(ids, ids))


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log\frac{e^{z_i \cdot z_i^+/\tau}}{\sum_{k \ne i, i^+} e^{z_i \cdot z_k/\tau}}"


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z: icon.method("decoupled-contrastive", temperature=0.1)(z, s.ids),
        lambda s, z: value(z, s.ids, 0.1),
        lambda s, z: gradient(z, s.ids, 0.1),
        form="cross-entropy",
    )
]


# -- the packages that implement it ------------------------------------------------------------------------------------


def _lightly(s: Sample) -> float:
    a, b = torch.tensor(s.za), torch.tensor(s.zb)
    theirs = lightly_loss("dcl_loss", "DCLLoss")(temperature=0.1)(a, b).item()
    return relative(ours("decoupled-contrastive", torch.cat([a, b]), np.tile(np.arange(s.n), 2)), theirs)


PEERS = (Package("lightly", "lightly", _lightly),)
