"""Classical multidimensional scaling.

Torgerson, "Multidimensional scaling: I. Theory and method", Psychometrika 17, 1952, doi:10.1007/BF02288916; Borg and
Groenen, "Modern Multidimensional Scaling", 2nd edition, Springer 2005 (chapter 12), doi:10.1007/0-387-28981-X.

    strain = (1/n²) ‖X̃X̃ᵀ − Z̃Z̃ᵀ‖² = mean_ij (x̃_i·x̃_j − z̃_i·z̃_j)²,   x̃ = x − x̄, z̃ = z − z̄
    ∂/∂z_i = −(4/n²) Σ_j (x̃_i·x̃_j − z̃_i·z̃_j) z̃_j

The books' strain is the sum. Its minimiser in k dimensions: the k leading eigenvectors of X̃X̃ᵀ, each times the square
root of its eigenvalue; that is, the scores of PCA.
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar


def strain(z: Array, x: Array) -> Scalar:
    misfit = _gram(x) - _gram(z)
    return (misfit * misfit).mean()


def gradient(z: Array, x: Array) -> tuple[Array]:
    return (-4 * (_gram(x) - _gram(z)) @ (z - z.mean(axis=0)) / len(z) ** 2,)


def scores(x: Array, dimension: int) -> Array:
    """The minimiser ``[n, dimension]``, largest variance first; the sign of each column is arbitrary."""
    values, vectors = np.linalg.eigh(_gram(x))  # eigenvalues ascending
    leading = slice(None, -dimension - 1, -1)
    return vectors[:, leading] * np.sqrt(np.maximum(values[leading], 0.0))


def _gram(x: Array) -> Array:
    centred = x - x.mean(axis=0)
    return centred @ centred.T
