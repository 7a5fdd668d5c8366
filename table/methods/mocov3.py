"""MoCo v3: the contrastive term of queries against momentum keys.

Chen, Xie and He, "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021, arXiv:2104.02057.

    ctr(u, v) = −2τ (1/n) Σ_i log [ e^{cos(u_i, v_i)/τ} / Σ_k e^{cos(u_i, v_k)/τ} ]

The keys come from the momentum encoder: no gradient reaches them.
"""

from __future__ import annotations

import torch

import icon
from table.checks import Exact
from table.methods import infonce
from table.methods._checks import ce
from table.methods._math import Array, Scalar


def value(queries: Array, keys: Array, temperature: float) -> Scalar:
    return 2 * temperature * infonce.value(queries, keys, temperature)


def gradient(queries: Array, keys: Array, temperature: float) -> tuple[Array]:
    return (2 * temperature * infonce.gradient(queries, keys, temperature)[0],)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"2\tau \cdot (-\frac{1}{n}\sum_i \log\frac{e^{u_i \cdot v_i/\tau}}{\sum_{k} e^{u_i \cdot v_k/\tau}})"


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
