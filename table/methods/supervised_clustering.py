"""Supervised clustering (gap): clusters whose target is the class.

Nobody published it; this is the definition that the coordinate clusters × classes implies (I-Con: Alshammari et al.,
ICLR 2025, arXiv:2504.16929).

    L = mean_i KL(p_i‖q_i),  p uniform over {j≠i: y_j=y_i},  q_ij = Σ_c φ_ic φ_jc / N_c over all j, self included

φ = softmax(logits), N_c = Σ_k φ_kc. Anchors whose class has no other member are left out.

Its balance b adds (1−b) H(mean_i φ_i). Of clusters that are the classes, φ → 1[c = y_i], each p_ij meets
q_ij = 1/N_c, so that the cross-entropy tends to Σ_c s_c log N_c = log n − H(s) with s_c = N_c / n. With the balance:

    log n − b H(s).

At b = 1 equal classes are worth most: it is log n less the mutual information of two points of a class. At b = 0 all
sizes are worth the same.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

import icon
from table.checks import Exact, Limit
from table.data import Sample
from table.methods._math import Array, Scalar, kl_divergences, softmax


def value(logits: Array, labels: Array) -> Scalar:
    phi = softmax(logits)
    phi = phi[:, phi.sum(axis=0).real > 0]  # an empty cluster contributes nothing
    sizes = phi.sum(axis=0)
    total: Scalar = 0.0
    n_anchors = 0
    for i in range(len(phi)):
        friends, shared = [], []
        for j in range(len(phi)):
            friends.append(float(j != i and labels[j] == labels[i]))
            shared.append((phi[i] * phi[j] / sizes).sum())
        if any(friends):
            total += kl_divergences(np.array(friends) / sum(friends), np.log(np.array(shared)))
            n_anchors += 1
    return total / n_anchors


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\frac{1}{n}\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}},\quad p \;\text{over the class},\; q "
    r"\;\text{clusters}"
)


def _balanced(s: Sample, epsilon: float, balance: float) -> float:
    """Cross-entropy and the balance's term of the classes as clusters, each smoothed by ε."""
    loss = icon.loss("clusters", "classes", balance=balance)
    phi = (1 - epsilon) * np.eye(10)[s.y] + epsilon / 10
    z = torch.tensor(np.log(phi))
    return float(loss(z, s.y) + loss.terms(z, s.y).entropy)


def _separated(s: Sample, balance: float) -> float:
    share = np.bincount(s.y) / s.n
    return float(np.log(s.n) + balance * (share * np.log(share)).sum())


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z: icon.method("supervised-clustering")(z, s.y),
        lambda s, z: value(z, s.y),
        form="KL",
    ),
    *(
        Limit(
            f"hard clusters, balance {balance:g}",
            (1e-3, 1e-4, 1e-5),
            partial(_balanced, balance=balance),
            partial(_separated, balance=balance),
            1.0,
        )
        for balance in (1.0, 0.5, 0.0)
    ),
]
