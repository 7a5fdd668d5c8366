"""Sampled softmax: a few classes stand for all, each divided by how often it is drawn.

Bengio and Senécal, "Quick Training of Probabilistic Neural Nets by Importance Sampling", AISTATS 2003, and "Adaptive
Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model", IEEE Trans. Neural Networks 2008,
doi:10.1109/TNN.2007.912312; Jean, Cho, Memisevic and Bengio, "On Using Very Large Target Vocabulary for Neural Machine
Translation", ACL 2015, arXiv:1412.2007.

    L = −(1/n) Σ_i log [ e^{s_{i y_i}}/Q_{y_i} / Σ_{c ∈ S} e^{s_ic}/Q_c ],   s = z·w

S the sampled classes, the targets among them; Q_c the expected number of times that c is drawn; y an index into S.
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, label_losses, label_slopes


def value(z: Array, sampled_prototypes: Array, y: Array, expected_counts: Array) -> Scalar:
    return label_losses(z @ sampled_prototypes.T - np.log(expected_counts), y).mean()


def gradient(z: Array, sampled_prototypes: Array, y: Array, expected_counts: Array) -> tuple[Array, Array]:
    slope = label_slopes(z @ sampled_prototypes.T - np.log(expected_counts), y) / len(z)
    return slope @ sampled_prototypes, slope.T @ z


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \log\frac{e^{z_i \cdot w_{y_i} - \log Q_{y_i}}}{\sum_{c \in S} e^{z_i \cdot w_c "
    r"- \log Q_c}}"
)
COUNTS = np.array([50.0, 20.0, 30.0, 5.0, 11.0, 7.0, 2.0, 90.0, 1.0, 40.0])


CHECKS = [
    Exact(
        ("z", "prototypes"),
        lambda s, z, w: ce(icon.method("sampled-softmax", expected_counts=COUNTS), (z, w), s.y),
        lambda s, z, w: value(z, w, s.y, COUNTS),
        lambda s, z, w: gradient(z, w, s.y, COUNTS),
        form="cross-entropy",
    )
]
