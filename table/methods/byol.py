"""BYOL: the normalised distance of a prediction from its target.

Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020, arXiv:2006.07733.

    L = mean_i ‖p̂_i − t̂_i‖² = mean_i [2 − 2 cos(p_i, t_i)]

The target comes from the slowly moving network: no gradient reaches it. (The paper adds the same term with the two
views exchanged.)
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._math import Array, Scalar, unit
from table.peers import Package, lightly_loss, ours, relative


def value(prediction: Array, target: Array) -> Scalar:
    return (2 - 2 * (unit(prediction) * unit(target)).sum(axis=1)).mean()


def gradient(prediction: Array, target: Array) -> tuple[Array]:
    p, t = unit(prediction), unit(target)
    lengths = np.sqrt((prediction * prediction).sum(axis=1, keepdims=True))
    return (-2 * (t - p * (p * t).sum(axis=1, keepdims=True)) / lengths / len(p),)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\frac{1}{n}\sum_i \left(2 - 2\cos(u_i, v_i)\right)"


def program(prediction: Array, projection: Array) -> Scalar:
    """What one of the two directions of the program is: squared distances between unit vectors."""
    apart = unit(prediction) - unit(projection)
    return np.einsum("id,id->i", apart, apart).mean()


CHECKS = [
    Exact(
        ("za",),
        lambda s, a: icon.method("byol")((a, torch.tensor(s.zb))),
        lambda s, a: value(a, s.zb),
        lambda s, a: gradient(a, s.zb),
        scale=lambda s: 0.5,
        offset=lambda s: -1.0,
        form="cross-entropy = reference / 2 - 1",
    )
]

PROGRAM = Exact(
    ("za",),
    lambda s, a: icon.method("byol", settings="authors").published((a, torch.tensor(s.zb))),
    lambda s, a: program(a, s.zb),
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _lightly(s: Sample) -> float:
    a, b = torch.tensor(s.za), torch.tensor(s.zb)
    theirs = lightly_loss("negative_cosine_similarity", "NegativeCosineSimilarity")()(a, b).item()
    return relative(ours("byol", (a, b)), theirs)


PEERS = (Package("lightly", "lightly", _lightly),)
