"""Multi-class N-pair loss.

Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016.

    L = (1/N) Σ_i log( 1 + Σ_{j≠i} exp(q_i·k_j − q_i·k_i) )

Plain dot products. (The paper adds a penalty on the norms of the embeddings.)
"""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.methods._checks import ce
from table.methods._math import Array, Scalar, softmax


def value(queries: Array, keys: Array) -> Scalar:
    scores = queries @ keys.T
    gaps = scores - np.diag(scores)[:, None]  # 0 on the diagonal: the 1 of the formula is exp(0)
    top = gaps.real.max(axis=1)
    return (top + np.log(np.exp(gaps - top[:, None]).sum(axis=1))).mean()


def gradient(queries: Array, keys: Array) -> tuple[Array, Array]:
    n = len(queries)
    slope = (softmax(queries @ keys.T) - np.eye(n)) / n
    return slope @ keys, slope.T @ queries


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\frac{1}{n}\sum_i \log\left(1 + \sum_{j \ne i} e^{u_i \cdot v_j - u_i \cdot v_i}\right)"


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b: ce(icon.method("n-pair"), (a, b)),
        lambda s, a, b: value(a, b),
        lambda s, a, b: gradient(a, b),
        form="cross-entropy",
    )
]
