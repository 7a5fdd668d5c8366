"""PCL: prototypical contrastive learning.

Li, Zhou, Xiong and Hoi, "Prototypical Contrastive Learning of Unsupervised Representations", ICLR 2021,
arXiv:2005.04966.

    φ_k = Σ_{i ∈ k} ‖v_i − c_k‖ / (Z_k log(Z_k + α)),   Z_k the size of cluster k
    ProtoNCE = −mean_i [ log e^{v_i·v'_i/τ}/Σ_j e^{v_i·v'_j/τ} + (1/M) Σ_m log e^{v_i·c_s/φ_s}/Σ_k e^{v_i·c_k/φ_k} ]

v, v' and c on the unit sphere, s = s_m(i) the cluster of i in the m-th clustering. Prototypes, assignments and
concentrations are constants. (The paper sums over i, takes r sampled negatives and rescales the φ of each clustering to
the mean τ.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from table.references import infonce
from table.references._math import Array, Scalar, cosine_gradient, cosines, label_losses, label_slopes, unit


def concentration(z: Array, prototypes: Array, assignments: Array, smoothing: float) -> Array:
    """φ ``[K]``; NaN for an empty cluster."""
    v, c = unit(z), unit(prototypes)
    phi = np.full(len(c), np.nan)
    for k in np.unique(assignments):
        apart = v[assignments == k] - c[k]
        size = len(apart)
        phi[k] = np.sqrt((apart * apart).sum(axis=1)).sum() / (size * np.log(size + smoothing))
    return phi


def proto_nce(
    z: Array,
    keys: Array,
    prototypes: Sequence[Array],
    assignments: Sequence[Array],
    concentrations: Sequence[Array],
    temperature: float,
) -> Scalar:
    total = infonce.value(z, keys, temperature)
    for c, s, phi in zip(prototypes, assignments, concentrations, strict=True):
        total += label_losses(cosines(z, c) / phi, s).mean() / len(prototypes)
    return total


def proto_nce_gradient(
    z: Array,
    keys: Array,
    prototypes: Sequence[Array],
    assignments: Sequence[Array],
    concentrations: Sequence[Array],
    temperature: float,
) -> tuple[Array, Array]:
    from_z, from_keys = infonce.gradient(z, keys, temperature)
    for c, s, phi in zip(prototypes, assignments, concentrations, strict=True):
        slope = label_slopes(cosines(z, c) / phi, s) / phi / (len(z) * len(prototypes))
        from_z = from_z + cosine_gradient(z, c, slope)[0]
    return from_z, from_keys
