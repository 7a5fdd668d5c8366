"""SimCLR's NT-Xent.

Chen, Kornblith, Norouzi and Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
arXiv:2002.05709.

    L = −(1/2N) Σ_i log [ e^{cos(z_i, z_{i⁺})/τ} / Σ_{k≠i} e^{cos(z_i, z_k)/τ} ]

over all 2N views, i⁺ the other view of the same instance. With more than two views the terms of an anchor's positives
are averaged; an anchor without a positive is left out.
"""

from __future__ import annotations

from table.references._math import (
    Array,
    Scalar,
    anchor_mean,
    cosine_gradient,
    cosines,
    cross_entropies,
    log_softmax,
    off_diagonal,
    softmax,
    uniform_others,
)


def value(z: Array, ids: Array, temperature: float) -> Scalar:
    p = uniform_others(ids)
    return anchor_mean(cross_entropies(p, log_softmax(cosines(z) / temperature, off_diagonal(len(z)))), p)


def gradient(z: Array, ids: Array, temperature: float) -> tuple[Array]:
    p = uniform_others(ids)
    anchors = p.any(axis=1, keepdims=True)
    q = softmax(cosines(z) / temperature, off_diagonal(len(z)))
    as_anchor, as_candidate = cosine_gradient(z, z, anchors * (q - p) / (anchors.sum() * temperature))
    return (as_anchor + as_candidate,)
