"""CLIP's symmetric cross-entropy.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021, arXiv:2103.00020.

    L = ½ [ CE(softmax_j cos(a_i, b_j)/τ, i) + CE(softmax_j cos(b_i, a_j)/τ, i) ],   each a mean over i
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cosine_gradient, cosines, label_losses, log_softmax, softmax, unit
from table.peers import Package, open_clip_loss, ours, relative


def value(za: Array, zb: Array, temperature: float) -> Scalar:
    logits = cosines(za, zb) / temperature
    return -(np.diag(log_softmax(logits)) + np.diag(log_softmax(logits.T))).mean() / 2


def gradient(za: Array, zb: Array, temperature: float) -> tuple[Array, Array]:
    n = len(za)
    logits = cosines(za, zb) / temperature
    slope = (softmax(logits) + softmax(logits.T).T) / 2 - np.eye(n)
    return cosine_gradient(za, zb, slope / (n * temperature))


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{2n}\sum_i \left(\log\frac{e^{a_i \cdot b_i/\tau}}{\sum_k e^{a_i \cdot b_k/\tau}} + "
    r"\log\frac{e^{a_i \cdot b_i/\tau}}{\sum_k e^{a_k \cdot b_i/\tau}}\right)"
)


def program(images: Array, texts: Array, logit_scale: float = 1 / 0.07) -> Scalar:
    """What the program returns of one process: the images among the texts, the texts among the images, halved."""
    logits = logit_scale * (unit(images) @ unit(texts).T)
    own = np.arange(len(images))
    return (label_losses(logits, own).mean() + label_losses(logits.T, own).mean()) / 2


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b: ce(icon.method("clip", temperature=0.07), (a, b)),
        lambda s, a, b: value(a, b, 0.07),
        lambda s, a, b: gradient(a, b, 0.07),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: icon.method("clip", settings="authors", learnable=False).published((a, b)),
    lambda s, a, b: program(a, b),
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _open_clip(s: Sample) -> float:
    a, b = (torch.nn.functional.normalize(torch.tensor(v), dim=1) for v in (s.za, s.zb))
    theirs = open_clip_loss()()(a, b, torch.tensor(1 / 0.07, dtype=torch.float64)).item()
    return relative(ours("clip", (a, b), temperature=0.07), theirs)


PEERS = (Package("open_clip_torch", "open_clip", _open_clip),)
