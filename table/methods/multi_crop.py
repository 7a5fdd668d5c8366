"""Multi-crop: the codes of two global views, predicted from every other view.

Caron, Misra, Mairal, Goyal, Bojanowski and Joulin, "Unsupervised Learning of Visual Features by Contrasting Cluster
Assignments", NeurIPS 2020, arXiv:2006.09882 (SwAV, cosine scores); Caron, Touvron, Misra, Jégou, Mairal, Bojanowski and
Joulin, "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, arXiv:2104.14294 (DINO, equation 3).

    L = 1/(G(V−1)) Σ_{g ≤ G} Σ_{v ≠ g} ℓ(z_v, Q_g),   ℓ(z, Q) = −(1/n) Σ_i Σ_k Q_ik log softmax_k(cos(z_i, c_k)/τ)

of V views whose first G are global; the others are small local crops, which have no codes. The codes are constants.
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._math import Array, Scalar, cosine_gradient, cosines, cross_entropies, log_softmax, softmax


def value(views: tuple[Array, ...], prototypes: Array, codes: tuple[Array, ...], temperature: float) -> Scalar:
    terms = [
        cross_entropies(code, log_softmax(cosines(view, prototypes) / temperature)).mean()
        for g, code in enumerate(codes)
        for v, view in enumerate(views)
        if v != g
    ]
    return sum(terms) / (len(codes) * (len(views) - 1))


def gradient(
    views: tuple[Array, ...], prototypes: Array, codes: tuple[Array, ...], temperature: float
) -> tuple[Array, ...]:
    scale = 1 / (len(codes) * (len(views) - 1) * len(views[0]) * temperature)
    by_view, by_prototype = [], np.zeros_like(prototypes)
    for v, view in enumerate(views):
        q = softmax(cosines(view, prototypes) / temperature)
        log_slope = sum((q - code for g, code in enumerate(codes) if g != v), start=np.zeros_like(q))
        of_view, of_prototypes = cosine_gradient(view, prototypes, scale * log_slope)
        by_view.append(of_view)
        by_prototype = by_prototype + of_prototypes
    return (*by_view, by_prototype)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{G(V-1)\,n}\sum_{g \le G} \sum_{v \ne g} \sum_{i, c} q^g_{ic} \log p^v_{ic},\quad "
    r"p^v_{ic} \propto e^{z^v_i \cdot w_c/\tau}"
)


def _codes(s: Sample) -> tuple[Array, Array]:
    """Those of a teacher, for the two global views."""
    return softmax(s.za @ s.prototypes.T / 0.4), softmax(s.zb @ s.prototypes.T / 0.4)


def _loss(s: Sample, a: torch.Tensor, b: torch.Tensor, local: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    crops, targets, weights = icon.nn.multi_crop([a, b, local], [torch.tensor(code) for code in _codes(s)])
    loss = icon.method("multi-crop", temperature=0.3)
    return loss.terms((crops, prototypes), targets, weights=weights).cross_entropy


CHECKS = [
    Exact(
        ("za", "zb", "zc", "prototypes"),
        _loss,
        lambda s, a, b, c, w: value((a, b, c), w, _codes(s), 0.3),
        lambda s, a, b, c, w: gradient((a, b, c), w, _codes(s), 0.3),
        form="cross-entropy, two global views and a local one",
    )
]
