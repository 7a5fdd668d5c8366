"""MoCo v3: the contrastive term of queries against momentum keys.

Chen, Xie and He, "An Empirical Study of Training Self-Supervised Vision Transformers", ICCV 2021, arXiv:2104.02057.

    ctr(u, v) = −2τ (1/n) Σ_i log [ e^{cos(u_i, v_i)/τ} / Σ_k e^{cos(u_i, v_k)/τ} ]

The keys come from the momentum encoder: no gradient reaches them.
"""

from __future__ import annotations

from table.references import infonce
from table.references._math import Array, Scalar


def value(queries: Array, keys: Array, temperature: float) -> Scalar:
    return 2 * temperature * infonce.value(queries, keys, temperature)


def gradient(queries: Array, keys: Array, temperature: float) -> tuple[Array]:
    return (2 * temperature * infonce.gradient(queries, keys, temperature)[0],)
