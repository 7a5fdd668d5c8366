"""InfoNCE with aligned queries and keys.

van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018, arXiv:1807.03748;
Bachman, Hjelm and Buchwalter, "Learning Representations by Maximizing Mutual Information Across Views", NeurIPS 2019,
arXiv:1906.00910.

    L = −(1/n) Σ_i log [ e^{cos(u_i, v_i)/τ} / Σ_k e^{cos(u_i, v_k)/τ} ],   k over all keys, the positive included
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cosine_gradient, cosines, label_losses, log_softmax, softmax


def value(queries: Array, keys: Array, temperature: float) -> Scalar:
    return -np.diag(log_softmax(cosines(queries, keys) / temperature)).mean()


def gradient(queries: Array, keys: Array, temperature: float) -> tuple[Array, Array]:
    n = len(queries)
    q = softmax(cosines(queries, keys) / temperature)
    return cosine_gradient(queries, keys, (q - np.eye(n)) / (n * temperature))


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log\frac{e^{u_i \cdot v_i/\tau}}{\sum_{k} e^{u_i \cdot v_k/\tau}}"


def program(sources: Array, targets: Array, clip: float | None = 20.0) -> Scalar:
    """What the program returns for one location, without its penalty on scores; it normalises nothing."""
    scores = sources @ targets.T / np.sqrt(sources.shape[1])
    scores = scores if clip is None else clip * np.tanh(scores / clip)
    return label_losses(scores, np.arange(len(sources))).mean()


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b: ce(icon.method("infonce", temperature=0.1), (a, b)),
        lambda s, a, b: value(a, b, 0.1),
        lambda s, a, b: gradient(a, b, 0.1),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: ce(icon.Loss(icon.p.Pairs(), icon.q.Gaussian("dot", temperature=a.shape[1] ** 0.5)), (a, b)),
    lambda s, a, b: program(a, b, clip=None),
    form="dot products over √d, one location, no clipping",
)
