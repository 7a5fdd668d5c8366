"""Class-weighted softmax cross-entropy.

King and Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9, 2001,
doi:10.1093/oxfordjournals.pan.a004868 (the weighted likelihood); for many classes: Cui, Jia, Lin, Song and Belongie,
"Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, arXiv:1901.05555.

    L = Σ_i ω_{y_i} (−log softmax_c(z_i·w_c)[y_i]) / Σ_i ω_{y_i},   ω the weights of the classes

Divided by the weights met, not by n: a weighted mean.
"""

from __future__ import annotations

from table.references._math import Array, Scalar, label_losses, label_slopes


def value(z: Array, prototypes: Array, y: Array, weights: Array) -> Scalar:
    share = weights[y] / weights[y].sum()
    return (share * label_losses(z @ prototypes.T, y)).sum()


def gradient(z: Array, prototypes: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    share = weights[y] / weights[y].sum()
    slope = share[:, None] * label_slopes(z @ prototypes.T, y)
    return slope @ prototypes, slope.T @ z
