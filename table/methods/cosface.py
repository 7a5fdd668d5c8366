"""CosFace: softmax over the cosines to class prototypes, with a margin that is taken from the true class.

Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu, "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018,
arXiv:1801.09414 (equation 4).

    L = −(1/n) Σ_i log e^{s(cos θ_{y_i} − m)} / (e^{s(cos θ_{y_i} − m)} + Σ_{c ≠ y_i} e^{s cos θ_c})
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cosine_gradient, cosines, label_losses, label_slopes


def value(z: Array, prototypes: Array, labels: Array, scale: float, margin: float) -> Scalar:
    return label_losses(_scores(z, prototypes, labels, scale, margin), labels).mean()


def gradient(z: Array, prototypes: Array, labels: Array, scale: float, margin: float) -> tuple[Array, Array]:
    slope = scale * label_slopes(_scores(z, prototypes, labels, scale, margin), labels) / len(z)
    return cosine_gradient(z, prototypes, slope)


def _scores(z: Array, prototypes: Array, labels: Array, scale: float, margin: float) -> Array:
    return scale * (cosines(z, prototypes) - margin * np.eye(len(prototypes))[labels])


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \log\frac{e^{s(\cos\theta_{y_i} - m)}}"
    r"{e^{s(\cos\theta_{y_i} - m)} + \sum_{c \ne y_i} e^{s \cos\theta_c}}"
)

CHECKS = [
    Exact(
        ("z", "prototypes"),
        lambda s, z, w, scale=scale, margin=margin: ce(icon.method("cosface", scale=scale, margin=margin), (z, w), s.y),
        lambda s, z, w, scale=scale, margin=margin: value(z, w, s.y, scale, margin),
        lambda s, z, w, scale=scale, margin=margin: gradient(z, w, s.y, scale, margin),
        form=f"cross-entropy, s = {scale:g}, m = {margin:g}",
    )
    for scale, margin in ((64.0, 0.35), (10.0, 0.2))
]
