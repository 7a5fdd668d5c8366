"""Classical multidimensional scaling.

Torgerson, "Multidimensional scaling: I. Theory and method", Psychometrika 17, 1952, doi:10.1007/BF02288916; Borg and
Groenen, "Modern Multidimensional Scaling", 2nd edition, Springer 2005 (chapter 12), doi:10.1007/0-387-28981-X.

    strain = (1/n²) ‖X̃X̃ᵀ − Z̃Z̃ᵀ‖² = mean_ij (x̃_i·x̃_j − z̃_i·z̃_j)²,   x̃ = x − x̄, z̃ = z − z̄
    ∂/∂z_i = −(4/n²) Σ_j (x̃_i·x̃_j − z̃_i·z̃_j) z̃_j

The books' strain is the sum. Its minimiser in k dimensions: the k leading eigenvectors of X̃X̃ᵀ, each times the square
root of its eigenvalue; that is, the scores of PCA.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

import icon
from table.checks import Limit, Minimiser
from table.data import Sample
from table.methods._math import Array, Scalar


def strain(z: Array, x: Array) -> Scalar:
    misfit = _gram(x) - _gram(z)
    return (misfit * misfit).mean()


def gradient(z: Array, x: Array) -> tuple[Array]:
    return (-4 * (_gram(x) - _gram(z)) @ (z - z.mean(axis=0)) / len(z) ** 2,)


def scores(x: Array, dimension: int) -> Array:
    """The minimiser ``[n, dimension]``, largest variance first; the sign of each column is arbitrary."""
    values, vectors = np.linalg.eigh(_gram(x))  # eigenvalues ascending
    leading = slice(None, -dimension - 1, -1)
    coordinates: Array = vectors[:, leading] * np.sqrt(np.maximum(values[leading], 0.0))
    return coordinates


def _gram(x: Array) -> Array:
    centred: Array = x - x.mean(axis=0)
    return centred @ centred.T


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\frac{1}{n^2}\sum_{i,j} (x_i \cdot x_j - z_i \cdot z_j)^2"


def _strain_from_loss(s: Sample, temperature: float) -> float:
    """``2τ · loss + mean_i Var_k(x_i·x_k)`` of the second-order form, as a fraction of the strain."""
    gram = _centre(s.x) @ _centre(s.x).T
    loss = icon.method("mds", temperature=temperature)(torch.tensor(s.map2), s.x).item()
    return float((2 * temperature * loss + gram.var(axis=1).mean()) / strain(s.map2, s.x))


def _strain_from_kl(s: Sample, temperature: float) -> float:
    """``2τ² KL`` of two Gaussians of the same temperature, as a fraction of the strain."""
    loss = icon.loss("gaussian", "gaussian", metric="dot", temperature=temperature, preprocess="center",
                     target_metric="dot", target_temperature=temperature, center=True, exclude_self=False)  # fmt: skip
    return float(2 * temperature**2 * loss(torch.tensor(s.map2), s.x).item() / strain(s.map2, s.x))


def _mds_minimum(s: Sample) -> tuple[float, str]:
    """Distance of the minimiser's Gram matrix from that of the principal scores, relative to the latter."""
    x = s.x / 16
    loss, temperature = icon.method("mds", temperature=1e5), 1e5
    rows = loss.p(x)

    def objective(flat: Any) -> tuple[float, Any]:
        z = torch.tensor(flat.reshape(s.map2.shape), requires_grad=True)
        value = 2 * temperature * loss(z, rows)
        (gradient,) = torch.autograd.grad(value, z)
        return value.item(), gradient.numpy().ravel()

    options = {"maxiter": 2000, "ftol": 1e-16, "gtol": 1e-10}
    optimum = minimize(objective, s.map2.ravel(), jac=True, method="L-BFGS-B", options=options)
    z, principal = _centre(optimum.x.reshape(s.map2.shape)), scores(x, 2)
    distance = np.linalg.norm(z @ z.T - principal @ principal.T) / np.linalg.norm(principal @ principal.T)
    return float(distance), "L-BFGS from a random map, τ = 1e5, against the eigenvectors of the centred Gram matrix"


def _centre(z: Any) -> Any:
    return z - z.mean(axis=0)


CHECKS = [
    Limit("second-order form, τ → ∞", (1e5, 1e6, 1e7), _strain_from_loss, lambda s: 1.0, -1.0),
    Limit("2τ² KL, τ → ∞", (3e4, 1e5, 3e5), _strain_from_kl, lambda s: 1.0, -1.0),
    Minimiser("principal scores", _mds_minimum, 1e-3, "relative distance of the Gram matrices"),
]
