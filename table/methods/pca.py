"""Principal component analysis.

Pearson, "On lines and planes of closest fit to systems of points in space", 1901, doi:10.1080/14786440109462720;
Hotelling, "Analysis of a complex of statistical variables into principal components", 1933, doi:10.1037/h0071325.

    L = −2 tr(Cov z) = −(2/n) Σ_i ‖z_i − z̄‖² = −mean_{ik} ‖z_i − z_k‖²,   Cov biased (1/n)

Over orthonormal linear maps z = x W the minimum is the span of the leading eigenvectors of Cov x.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import subspace_angles

import icon
from table.checks import Exact, Minimiser
from table.data import Sample
from table.methods._checks import wide
from table.methods._math import Array, Scalar
from table.peers import Package, relative


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


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-2 \operatorname{tr} \operatorname{Cov}(z)"


def _minimise_pca(s: Sample) -> tuple[float, str]:
    """Largest angle between the span found by minimising the PCA cell over orthonormal maps and the principal one."""
    dimension = 2
    centred = torch.tensor(s.x - s.x.mean(axis=0))
    weights = torch.tensor(np.random.default_rng(s.seed).normal(size=(s.x.shape[1], dimension)), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )
    loss = icon.method("pca")

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(centred @ torch.linalg.qr(weights).Q)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(step)  # type: ignore[no-untyped-call]
    basis = torch.linalg.qr(weights.detach()).Q.numpy()
    angle = float(subspace_angles(basis, subspace(s.x, dimension)).max())
    return angle, f"L-BFGS over orthonormal 64 x {dimension} maps against the eigenvectors of the covariance"


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: icon.method("pca")(z),
        lambda s, z: value(z),
        lambda s, z: gradient(z),
        form="limit",
    ),
    wide("identity", ("z",), lambda s: None, lambda s: value(s.z)),
    Minimiser("principal subspace", _minimise_pca, 1e-4, "largest principal angle (rad)"),
]


# -- the packages that implement it ------------------------------------------------------------------------------------


def _scikit_learn(s: Sample) -> float:
    from sklearn.decomposition import PCA

    scores = PCA(2).fit_transform(s.x)
    variance = PCA(2).fit(s.x).explained_variance_.sum() * (s.n - 1) / s.n
    return relative(icon.method("pca")(torch.tensor(scores)).item(), -2 * variance)


PEERS = (Package("scikit-learn", "sklearn", _scikit_learn),)
