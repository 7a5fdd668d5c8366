"""MoCo v3: the contrastive term of queries against momentum keys.

Chen, Xie and He, "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021, arXiv:2104.02057.

    ctr(u, v) = −2τ (1/n) Σ_i log [ e^{cos(u_i, v_i)/τ} / Σ_k e^{cos(u_i, v_k)/τ} ]

The keys come from the momentum encoder: no gradient reaches them.
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.methods import infonce
from table.methods._checks import ce
from table.methods._math import Array, Scalar, label_losses, unit


def value(queries: Array, keys: Array, temperature: float) -> Scalar:
    return 2 * temperature * infonce.value(queries, keys, temperature)


def gradient(queries: Array, keys: Array, temperature: float) -> tuple[Array]:
    return (2 * temperature * infonce.gradient(queries, keys, temperature)[0],)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"2\tau \cdot (-\frac{1}{n}\sum_i \log\frac{e^{u_i \cdot v_i/\tau}}{\sum_{k} e^{u_i \cdot v_k/\tau}})"


def program(queries: Array, keys: Array, temperature: float) -> Scalar:
    """What one of the two directions of the program is: queries of one view against all keys of the other."""
    logits = np.einsum("id,kd->ik", unit(queries), unit(keys)) / temperature
    return label_losses(logits, np.arange(len(queries))).mean() * (2 * temperature)


CHECKS = [
    Exact(
        ("za",),
        lambda s, a: ce(icon.method("mocov3", temperature=0.2), (a, torch.tensor(s.zb))),
        lambda s, a: value(a, s.zb, 0.2),
        lambda s, a: gradient(a, s.zb, 0.2),
        scale=lambda s: 1 / (2 * 0.2),
        form="cross-entropy = reference / 2τ",
    )
]

PROGRAM = Exact(
    ("za",),
    lambda s, a: icon.method("mocov3", settings="authors", temperature=0.2).published((a, torch.tensor(s.zb))),
    lambda s, a: program(a, s.zb, 0.2),
)
