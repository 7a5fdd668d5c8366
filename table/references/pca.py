"""Principal component analysis.

Pearson, "On lines and planes of closest fit to systems of points in space", 1901, doi:10.1080/14786440109462720;
Hotelling, "Analysis of a complex of statistical variables into principal components", 1933, doi:10.1037/h0071325.

    L = −2 tr(Cov z) = −(2/n) Σ_i ‖z_i − z̄‖² = −mean_{ik} ‖z_i − z_k‖²,   Cov biased (1/n)

Over orthonormal linear maps z = x W the minimum is the span of the leading eigenvectors of Cov x.
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar


def value(z: Array) -> Scalar:
    centred = z - z.mean(axis=0)
    return -2 * (centred * centred).sum() / len(z)


def gradient(z: Array) -> tuple[Array]:
    return (-4 * (z - z.mean(axis=0)) / len(z),)


def subspace(x: Array, k: int) -> Array:
    """Orthonormal basis ``[D, k]`` of the k leading principal directions, largest variance first."""
    centred = x - x.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred / len(x))  # eigenvalues ascending
    return vectors[:, ::-1][:, :k]
