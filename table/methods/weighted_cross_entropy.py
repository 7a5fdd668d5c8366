"""Class-weighted softmax cross-entropy.

King and Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9, 2001,
doi:10.1093/oxfordjournals.pan.a004868 (the weighted likelihood); for many classes: Cui, Jia, Lin, Song and Belongie,
"Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, arXiv:1901.05555.

    L = Σ_i ω_{y_i} (−log softmax_c(z_i·w_c)[y_i]) / Σ_i ω_{y_i},   ω the weights of the classes

Divided by the weights met, not by n: a weighted mean.
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, label_losses, label_slopes
from table.peers import Package, ours, relative


def value(z: Array, prototypes: Array, y: Array, weights: Array) -> Scalar:
    share = weights[y] / weights[y].sum()
    return (share * label_losses(z @ prototypes.T, y)).sum()


def gradient(z: Array, prototypes: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    share = weights[y] / weights[y].sum()
    slope = share[:, None] * label_slopes(z @ prototypes.T, y)
    return slope @ prototypes, slope.T @ z


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{\sum_i a_{y_i}}\sum_i a_{y_i} \log\frac{e^{z_i \cdot w_{y_i}}}{\sum_c e^{z_i \cdot w_c}}"
COUNTS = np.array([50.0, 20.0, 30.0, 5.0, 11.0, 7.0, 2.0, 90.0, 1.0, 40.0])


CHECKS = [
    Exact(
        ("z", "prototypes"),
        lambda s, z, w: ce(icon.method("weighted-cross-entropy", class_weights=1 / COUNTS), (z, w), s.y),
        lambda s, z, w: value(z, w, s.y, 1 / COUNTS),
        lambda s, z, w: gradient(z, w, s.y, 1 / COUNTS),
        form="cross-entropy",
    )
]


# -- the packages that implement it ------------------------------------------------------------------------------------


def _torch(s: Sample) -> float:
    z, w, weight = torch.tensor(s.z), torch.tensor(s.prototypes), torch.linspace(0.5, 5, 10, dtype=torch.float64)
    theirs = torch.nn.functional.cross_entropy(z @ w.T, torch.tensor(s.y), weight=weight).item()
    return relative(ours("weighted-cross-entropy", (z, w), s.y, class_weights=weight), theirs)


PEERS = (Package("torch", "torch", _torch),)
