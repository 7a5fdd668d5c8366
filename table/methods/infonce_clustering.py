"""InfoNCE clustering, and the TEMI objective that it equals up to log n.

Alshammari et al., "I-Con: A Unifying Framework for Representation Learning", ICLR 2025, arXiv:2504.16929; Adaloglou,
Michels, Kalisch and Kollmann, "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC 2023,
arXiv:2303.17896.

    value    = mean_i mean_{i⁺} −log Σ_c φ_ic φ_{i⁺c} / N_c,      N_c = Σ_k φ_kc
    temi_pmi = mean_i mean_{i⁺} −log Σ_c φ_ic φ_{i⁺c} / φ̄_c,      φ̄_c = N_c/n      (β = 1, marginals of the batch)

φ = softmax(logits). Anchors without a positive are left out of the mean but count in N_c and n.
"""

from __future__ import annotations

from math import log

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, anchor_mean, cluster_affinities, cross_entropies, softmax
from table.methods._math import uniform_others as positives


def value(logits: Array, ids: Array) -> Scalar:
    p = positives(ids)
    return anchor_mean(cross_entropies(p, np.log(cluster_affinities(softmax(logits)))), p)


def temi_pmi(logits: Array, ids: Array) -> Scalar:
    p, phi = positives(ids), softmax(logits)
    marginals = phi.mean(axis=0)
    used = marginals.real > 0
    pmi = np.log((phi[:, used] / marginals[used]) @ phi[:, used].T)
    return anchor_mean(cross_entropies(p, pmi), p)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log \sum_c \frac{\phi_{ic}\,\phi_{i^+c}}{N_c}"


def program(phi: Array, ids: Array) -> Scalar:
    """What the program returns of probabilities ``[n, C]``, the points themselves masked in p (mask_diagonal)."""
    together = np.equal.outer(ids, ids) & ~np.eye(len(ids), dtype=bool)
    p = together / np.maximum(together.sum(axis=1, keepdims=True), 1)
    i, j = np.nonzero(p)
    q = np.einsum("pc,c,pc->p", phi[i], 1 / phi.sum(axis=0), phi[j])
    return -(p[i, j] * np.log(q)).sum() / len(ids)


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z: ce(icon.method("infonce-clustering"), z, s.ids),
        lambda s, z: value(z, s.ids),
        form="cross-entropy",
    ),
    Exact(
        ("logits",),
        lambda s, z: ce(icon.method("infonce-clustering"), z, s.ids),
        lambda s, z: temi_pmi(z, s.ids),
        offset=lambda s: log(s.n),
        form="cross-entropy = PMI objective of TEMI + log n",
    ),
]

PROGRAM = Exact(
    ("logits",),
    lambda s, z: icon.method("infonce-clustering", settings="authors").published(z, s.ids),
    lambda s, z: program(softmax(z), s.ids),
)
