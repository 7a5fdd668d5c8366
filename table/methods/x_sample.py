"""X-Sample contrastive loss (X-CLR): soft targets from the similarity of side information.

Sobal et al., "X-Sample Contrastive Loss: Improving Contrastive Learning with Sample Similarity Graphs", ICLR 2025,
arXiv:2407.18134.

    L = −(1/n) Σ_i Σ_j softmax_j(cos(x_i, x_j)/τ_s) log softmax_j(cos(a_i, b_j)/τ),   j over all of the other view

The other view of the anchor itself (j = i) is one of the candidates.
"""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cosine_gradient, cosines, cross_entropies, log_softmax, softmax


def value(za: Array, zb: Array, x: Array, temperature: float, target_temperature: float) -> Scalar:
    p = softmax(cosines(x) / target_temperature)
    return cross_entropies(p, log_softmax(cosines(za, zb) / temperature)).mean()


def gradient(za: Array, zb: Array, x: Array, temperature: float, target_temperature: float) -> tuple[Array, Array]:
    p = softmax(cosines(x) / target_temperature)
    q = softmax(cosines(za, zb) / temperature)
    return cosine_gradient(za, zb, (q - p) / (len(za) * temperature))


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \sum_j \operatorname{softmax}_j\left(\frac{c_i \cdot c_j}{\tau_s}\right) \log "
    r"\operatorname{softmax}_j\left(\frac{z_i \cdot z_j'}{\tau}\right)"
)


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b: ce(icon.method("x-sample", temperature=0.2, target_temperature=0.1), (a, b), s.x),
        lambda s, a, b: value(a, b, s.x, 0.2, 0.1),
        lambda s, a, b: gradient(a, b, s.x, 0.2, 0.1),
        form="cross-entropy",
    )
]
