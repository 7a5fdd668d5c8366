"""Triplet loss with the hardest negative of the batch, and its two unpublished neighbours.

Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR 2015,
arXiv:1503.03832; hardest in the batch: Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person
Re-Identification", 2017, arXiv:1703.07737.

    value = mean_i max(0, ‖z_i − z_{i⁺}‖² − min_{k: id_k≠id_i} ‖z_i − z_k‖² + m)

The gaps are the definitions that gaussian-narrow × cross-modal and gaussian-narrow × classes imply (I-Con: Alshammari
et al., ICLR 2025, arXiv:2504.16929), with cosine scores:

    clip   = ½ Σ_{both directions} mean_i [ max_k( cos(a_i, b_k) + m 1[k≠i] ) − cos(a_i, b_i) ]
    supcon = mean_i [ max_{k≠i}( cos(z_i, z_k) + m 1[y_k≠y_i] ) − mean_{k≠i, y_k=y_i} cos(z_i, z_k) ]

Anchors whose class has no other member are left out of ``supcon``.
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import narrow
from table.methods._math import Array, Scalar, off_diagonal, squared_distances, uniform_others, unit
from table.peers import Package, relative


def value(z: Array, ids: Array, margin: float) -> Scalar:
    positive = uniform_others(ids)
    if not np.isin(positive, (0, 1)).all() or not positive.any(axis=1).all():
        raise ValueError("ids: expected every id exactly twice (an anchor and its one positive)")
    d2 = squared_distances(z)
    d2_positive = (positive * d2).sum(axis=1)
    hardest = np.where(np.equal.outer(ids, ids), np.inf, d2.real).argmin(axis=1)
    gap = d2_positive - d2[np.arange(len(z)), hardest] + margin
    return np.where(gap.real > 0, gap, 0.0).mean()


def clip(za: Array, zb: Array, margin: float) -> Scalar:
    a, b = unit(za), unit(zb)
    n = len(a)
    total = 0.0
    for anchors, candidates in ((a, b), (b, a)):
        for i in range(n):
            best: Scalar = -np.inf
            for k in range(n):
                score = anchors[i] @ candidates[k] + margin * (k != i)
                if score.real > best.real:
                    best = score
            total += best - anchors[i] @ candidates[i]
    return total / (2 * n)


def supcon(z: Array, labels: Array, margin: float) -> Scalar:
    u = unit(z)
    n = len(u)
    total, n_anchors = 0.0, 0
    for i in range(n):
        best, friends, n_friends = -np.inf, 0.0, 0
        for k in range(n):
            if k == i:
                continue
            similarity = u[i] @ u[k]
            score = similarity + margin * (labels[k] != labels[i])
            if score.real > best.real:
                best = score
            if labels[k] == labels[i]:
                friends += similarity
                n_friends += 1
        if n_friends:
            total += best - friends / n_friends
            n_anchors += 1
    return total / n_anchors


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\frac{1}{n}\sum_i \max\left(0,\; d_{i+}^2 - \min_{k} d_{ik}^2 + m\right)"


def program(z: Array, ids: Array, margin: float) -> Scalar:
    """What the mean of the program's values is: the furthest of one's own kind less the nearest of another kind."""
    d2, alike, rows = squared_distances(z), np.equal.outer(ids, ids), np.arange(len(z))
    furthest = np.where(alike & off_diagonal(len(z)), d2.real, -1.0).argmax(axis=1)
    nearest = np.where(alike, np.inf, d2.real).argmin(axis=1)
    violated = d2[rows, furthest] - d2[rows, nearest] + margin
    return violated[violated.real > 0].sum() / len(z)


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z: icon.method("triplet", margin=0.5)(z, s.ids),
        lambda s, z: value(z, s.ids, 0.5),
        form="limit",
    ),
    narrow("pairs", ("pairs",), lambda s: s.ids, lambda s: value(s.pairs, s.ids, 0.5), 0.5, lambda s: s.n - 1),
]

PROGRAM = Exact(
    ("pairs",),
    lambda s, z: icon.method("triplet", settings="authors", margin=0.5).published(z, s.ids),
    lambda s, z: program(z, s.ids, 0.5),
    form="squared distances, a hard margin, ids that occur twice",
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _torch(s: Sample) -> float:
    z = torch.tensor(s.pairs)
    distances = torch.cdist(z, z) ** 2
    same = torch.tensor(s.ids[:, None] == s.ids)
    positive = z[(same & ~torch.eye(s.n, dtype=torch.bool)).int().argmax(dim=1)]
    negative = z[distances.masked_fill(same, np.inf).argmin(dim=1)]
    squared = torch.nn.TripletMarginWithDistanceLoss(
        distance_function=lambda a, b: ((a - b) ** 2).sum(dim=1), margin=0.5
    )
    return relative(icon.method("triplet", margin=0.5)(z, s.ids).item(), squared(z, positive, negative).item())


def _metric_learning(s: Sample) -> float:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import BatchHardMiner
    from pytorch_metric_learning.reducers import MeanReducer

    z, ids = torch.tensor(s.pairs), torch.tensor(s.ids)
    squared = LpDistance(normalize_embeddings=False, p=2, power=2)
    loss = TripletMarginLoss(margin=0.5, distance=squared, reducer=MeanReducer())
    theirs = loss(z, ids, BatchHardMiner(distance=squared)(z, ids)).item()
    return relative(icon.method("triplet", margin=0.5)(z, ids).item(), theirs)


PEERS = (
    Package("torch", "torch", _torch),
    Package("pytorch-metric-learning", "pytorch_metric_learning", _metric_learning),
)
