"""PCL: prototypical contrastive learning.

Li, Zhou, Xiong and Hoi, "Prototypical Contrastive Learning of Unsupervised Representations", ICLR 2021,
arXiv:2005.04966.

    φ_k = Σ_{i ∈ k} ‖v_i − c_k‖ / (Z_k log(Z_k + α)),   Z_k the size of cluster k
    ProtoNCE = −mean_i [ log e^{v_i·v'_i/τ}/Σ_j e^{v_i·v'_j/τ} + (1/M) Σ_m log e^{v_i·c_s/φ_s}/Σ_k e^{v_i·c_k/φ_k} ]

v and v' on the unit sphere, c the centroids, which the second softmax takes on the sphere and φ as they are; s = s_m(i)
the cluster of i in the m-th clustering. Prototypes, assignments and concentrations are constants. (The paper sums over
i, takes r sampled negatives and rescales the φ of each clustering to the mean τ; its program clips them first.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods import infonce
from table.methods._checks import ce
from table.methods._math import (
    Array,
    Scalar,
    cosine_gradient,
    cosines,
    label_losses,
    label_slopes,
    log_softmax,
    squared_distances,
    unit,
)


def concentration(z: Array, prototypes: Array, assignments: Array, smoothing: float) -> Array:
    """φ ``[K]``; NaN for an empty cluster."""
    v = unit(z)
    phi = np.full(len(prototypes), np.nan)
    for k in np.unique(assignments):
        apart = v[assignments == k] - prototypes[k]
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


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"L_{\mathrm{InfoNCE}} - \frac{1}{nM}\sum_i \sum_m \log\frac{e^{z_i \cdot w_s^m/\phi_s^m}}{\sum_c "
    r"e^{z_i \cdot w_c^m/\phi_c^m}},\quad \phi = \frac{\sum \lVert z - w\rVert}{N \log(N + \alpha)}"
)


def _pcl_clusterings(s: Sample) -> tuple[list[Any], list[Any]]:
    """Two clusterings of the points: ten clusters and five."""
    assignments = [s.y, s.y // 2]
    v = unit(s.z)
    return [np.stack([v[a == c].mean(axis=0) for c in range(a.max() + 1)]) for a in assignments], assignments


def _pcl(s: Sample, z: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """ProtoNCE: InfoNCE and the mean over the clusterings, each prototype with its concentration."""
    total = ce(icon.method("infonce", temperature=0.1), (z, keys))
    clusterings = list(zip(*_pcl_clusterings(s), strict=True))
    for prototypes, assignments in clusterings:
        phi = icon.nn.concentration(s.z, prototypes, assignments, rule="paper", temperature=None)
        loss = icon.method("pcl", temperature=phi)
        total = total + ce(loss, (z, torch.tensor(prototypes)), assignments) / len(clusterings)
    return total


def _pcl_arguments(s: Sample) -> tuple[Any, ...]:
    prototypes, assignments = _pcl_clusterings(s)
    pairs = zip(prototypes, assignments, strict=True)
    return prototypes, assignments, [concentration(s.z, c, a, 10.0) for c, a in pairs], 0.1


def estimated(points: Array, centroids: Array, assignments: Array, temperature: float = 0.2) -> Array:
    """φ ``[K]`` of one clustering as the program estimates it, from unit points and centroids as k-means left them."""
    far = np.sqrt(squared_distances(points, centroids)[np.arange(len(points)), assignments])
    sizes = np.bincount(assignments, minlength=len(centroids))
    several = sizes > 1
    phi = np.zeros(len(centroids))
    phi[several] = np.bincount(assignments, far, len(centroids))[several] / sizes[several] / np.log(sizes[several] + 10)
    phi[~several] = phi.max()
    phi = np.clip(phi, *np.percentile(phi, [10, 90]))
    scaled: Array = temperature * phi / phi.mean()
    return scaled


def program(z: Array, centroids: Array, phi: Array, own: Array, drawn: Array) -> Scalar:
    """The prototypes' term of the program, of one clustering: as candidates the prototype of each point, then others.

    A prototype that two points of the batch share is there twice.
    """
    at = np.concatenate([own, drawn])
    return -np.diagonal(log_softmax(unit(z) @ unit(centroids)[at].T / phi[at])).mean()


BATCH = 12  # points; the prototypes of the others are all drawn


def _clustering(s: Sample) -> tuple[Any, Any, Any]:
    """Centroids and assignments, one cluster having a single point; and the clusters that no point of a batch has."""
    assignments = np.where(np.arange(s.n) == 0, 10, s.y)
    centroids = np.stack([unit(s.z)[assignments == c].mean(axis=0) for c in range(11)])
    return centroids, assignments, np.setdiff1d(np.arange(11), assignments[:BATCH])


def _published(s: Sample, z: torch.Tensor) -> torch.Tensor:
    centroids, assignments, drawn = _clustering(s)
    at = np.concatenate([assignments[:BATCH], drawn])
    phi = icon.nn.concentration(s.z, centroids, assignments)[at]
    loss = icon.method("pcl", settings="authors", temperature=phi)
    return loss.published((z[:BATCH], torch.tensor(centroids[at])), np.arange(BATCH))


def _program(s: Sample, z: Array) -> Scalar:
    centroids, assignments, drawn = _clustering(s)
    return program(z[:BATCH], centroids, estimated(unit(s.z), centroids, assignments), assignments[:BATCH], drawn)


CHECKS = [
    Exact(
        ("za", "zb"),
        _pcl,
        lambda s, *z: proto_nce(*z, *_pcl_arguments(s)),
        lambda s, *z: proto_nce_gradient(*z, *_pcl_arguments(s)),
        form="InfoNCE + two clusterings, concentrations of their own",
    )
]

PROGRAM = Exact(("z",), _published, _program, form="the prototypes' term, with concentrations")
