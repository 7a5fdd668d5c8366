"""The minimisations behind the `Minimiser` checks: the engine's loss and the classical algorithm, from one start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import subspace_angles
from sklearn.cluster import KMeans, SpectralClustering, kmeans_plusplus
from sklearn.manifold import spectral_embedding

import icon
from table.data import Sample, sample
from table.references import kmeans as kmeans_reference
from table.references import ncut as ncut_reference
from table.references import pca as pca_reference


def pca(s: Sample) -> tuple[float, str]:
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
        value.backward()
        return value

    optimizer.step(step)
    basis = torch.linalg.qr(weights.detach()).Q.numpy()
    angle = float(subspace_angles(basis, pca_reference.subspace(s.x, dimension)).max())
    return angle, f"L-BFGS over orthonormal 64 x {dimension} maps against the eigenvectors of the covariance"


def kmeans(s: Sample) -> tuple[float, str]:
    """Excess inertia of the minimiser of the K-means cell over Lloyd's algorithm, from the same k-means++ centres."""
    s = sample(s.seed, 600)
    x = torch.tensor(s.x)
    centres, _ = kmeans_plusplus(s.x, 10, random_state=s.seed)
    lloyd = KMeans(10, init=centres, n_init=1, tol=0).fit(s.x)
    # Memberships start soft: saturated ones have no gradient. σ = 6 leaves the entropy a few percent of the loss.
    logits = (-(torch.cdist(x, torch.tensor(centres)) ** 2) / (2 * 15.0**2)).requires_grad_()
    loss = icon.method("kmeans", sigma=6.0)
    rows = loss.p(s.x)
    _minimise(logits, lambda z: loss(z, rows), steps=300, rate=0.3)
    labels = logits.argmax(dim=1).numpy()
    found, expected = kmeans_reference.inertia(s.x, labels), kmeans_reference.inertia(s.x, lloyd.labels_)
    note = f"inertia {found:.0f} against {expected:.0f} (Lloyd), 600 digits, 10 clusters"
    return float(found / expected - 1), note


def ncut(s: Sample) -> tuple[float, str]:
    """Excess NCut of the minimiser of the NCut cell over spectral clustering; 0 where it is lower.

    Both start from k-means++ seeds in the spectral embedding and keep the best of their starts by their own loss.
    """
    s = sample(s.seed, 600)
    spectral = SpectralClustering(10, affinity="precomputed", assign_labels="kmeans", random_state=s.seed)
    expected = ncut_reference.value(spectral.fit_predict(s.adjacency), s.adjacency)
    embedding = spectral_embedding(s.adjacency, n_components=10, drop_first=False, random_state=s.seed)
    loss = icon.method("ncut")
    rows = loss.p(s.adjacency)
    ends = []
    for restart in range(6):
        centres, _ = kmeans_plusplus(embedding, 10, random_state=restart)
        distances = ((embedding[:, None] - centres) ** 2).sum(axis=2)
        logits = torch.tensor(-5 * distances / distances.mean()).requires_grad_()
        _minimise(logits, lambda z: loss(z, rows), steps=400, rate=0.1)
        ends.append((loss(logits, rows).item(), logits.argmax(dim=1).numpy()))
    found = ncut_reference.value(min(ends, key=lambda end: end[0])[1], s.adjacency)
    note = f"NCut {found:.4f} against {expected:.4f} (spectral), 600 digits, 10 clusters"
    return max(0.0, float(found / expected - 1)), note


def _minimise(logits: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor], steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam([logits], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(logits).backward()
        optimizer.step()
