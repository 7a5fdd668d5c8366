"""Hard-Negative Contrastive; its reference is beside that of `table.methods.debiased_contrastive`."""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.methods import debiased_contrastive
from table.methods._math import Array, Scalar, cosines

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \log\frac{e^{s_i^+}}{e^{s_i^+} + N g_i},\quad g_i = \max\left(\frac{\frac{\sum_k "
    r"e^{(1+\beta) s_{ik}}}{\sum_k e^{\beta s_{ik}}} - \tau^+ e^{s_i^+}}{1 - \tau^+},\; e^{-1/\tau}\right)"
)


def program(first: Array, second: Array, tau_plus: float = 0.1, beta: float = 1.0, temperature: float = 0.5) -> Scalar:
    """What the program returns of two views ``[n, d]``: the weights of the negatives are part of the gradient."""
    n = len(first)
    scores = cosines(np.concatenate([first, second])) / temperature
    image, count = np.tile(np.arange(n), 2), 2 * n - 2
    positive = np.exp(np.tile(np.diagonal(scores, n), 2))
    tilt = np.where(np.not_equal.outer(image, image), np.exp(beta * scores), 0)
    tilted = np.einsum("ik,ik->i", tilt, np.exp(scores)) / tilt.sum(axis=1)
    rest = (tilted - tau_plus * positive) * count / (1 - tau_plus)
    least = count * np.exp(-1 / temperature)
    return np.log(1 + np.where(rest.real > least, rest, least) / positive).mean()


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z, tau=tau, beta=beta: icon.method("hard-negatives", tau_plus=tau, beta=beta)(z, s.ids),
        lambda s, z, tau=tau, beta=beta: debiased_contrastive.hard(z, s.ids, 0.5, tau, beta),
        form=f"cross-entropy, β = {beta:g}, τ⁺ = {tau:g}",
    )
    for tau, beta in ((0.1, 1.0), (0.0, 2.0))
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: icon.method("hard-negatives", settings="authors").published(torch.cat([a, b]), s.two_views),
    lambda s, a, b: program(a, b),
)
