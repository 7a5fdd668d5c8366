"""The first clusters of a restart: many clusters merged, those of k-means, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from icon.estimators.merging import merge
from icon.methods import registry
from icon.nn.mappers import Lookup
from icon.training.fit import fit
from icon.training.sampler import PairSampler

KINDS = ("over-clustering", "k-means", "random")
OVER, MOST = 3, 500  # clusters for each one wanted, when over-clustering; at most so many more
SUBSET = 50_000  # points beyond which k-means and the merging see a subset
DRAWS = 8  # partners of each of them
STEPS, BATCH, RATE = 150, 1024, 5e-3


def over(n_clusters: int, points: int) -> int:
    """How many clusters over-clustering begins with, where a step sees so many points."""
    return min(OVER * n_clusters, n_clusters + MOST, points)


def merged(
    phi: Callable[[Tensor], NDArray[np.float32]], n: int, pairs: PairSampler, n_clusters: int
) -> NDArray[np.int64]:
    """First clusters ``[n]``: many merged (`icon.estimators.merging.merge`) by how pairs of points join them.

    Draws with torch's global generator.

    Args:
        phi: from numbers ``[b]`` of points to their probabilities ``[b, k]`` of many clusters; it is asked once for all
            points where they are few, else for parts of them as they are needed.
        n: number of points.
        pairs: draws the pairs of points.
        n_clusters: how many are left.
    """
    if n <= SUBSET:
        whole = phi(torch.arange(n))
        phi = whole.__getitem__
    drawn = (pairs.draw(SUBSET) for _ in range(DRAWS))
    joint = np.sum([phi(anchors).T @ phi(partners) for anchors, partners, _ in drawn], axis=0, dtype=np.float64)
    groups = merge((joint + joint.T) / (2 * joint.sum()), n_clusters)
    member = np.eye(n_clusters, dtype=np.float32)[groups]
    return np.concatenate([(phi(part) @ member).argmax(axis=1) for part in torch.split(torch.arange(n), SUBSET)])


def imitate(mapper: nn.Module, inputs: Any, labels: NDArray[np.int64], n_clusters: int) -> None:
    """Train a mapper to give first clusters, by cross-entropy with smoothed labels.

    Draws with torch's global generator.

    Args:
        mapper: from features to logits ``[b, n_clusters]``; it is changed in place.
        inputs: ``[n, ...]`` what it is called with.
        labels: ``[n]`` the first clusters.
        n_clusters: how many there are.
    """
    if isinstance(mapper, Lookup):
        with torch.no_grad():
            mapper.weight.copy_(3.0 * torch.eye(n_clusters)[torch.from_numpy(labels)])
        return
    fit(
        registry.method("cross-entropy", label_smoothing=0.1), nn.Sequential(mapper, _Corners(n_clusters)), inputs,
        torch.from_numpy(labels), steps=STEPS, learning_rate=RATE, batch_size=min(BATCH, len(labels)), seed=None,
    )  # fmt: skip


class _Corners(nn.Module):
    """Logits ``[b, k]`` beside the corners of the simplex ``[k, k]``, which stand still as the prototypes."""

    corners: Tensor

    def __init__(self, n_clusters: int) -> None:
        super().__init__()
        self.register_buffer("corners", torch.eye(n_clusters))

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return logits, self.corners.to(logits)


def k_means(x: Any, n_clusters: int, seed: int) -> NDArray[np.int64]:
    """First clusters ``[n]`` of features ``[n, f]``, which may be an array on disk."""
    from sklearn.cluster import KMeans

    known = x if len(x) <= SUBSET else x[np.sort(np.random.default_rng(seed).choice(len(x), SUBSET, replace=False))]
    known = known.cpu().numpy() if isinstance(known, Tensor) else np.asarray(known, dtype=np.float32)
    # Fewer distinct points than clusters leave clusters empty, which is no reason for a warning here.
    distinct = min(n_clusters, len(np.unique(known[: 50 * n_clusters], axis=0)))
    fitted = KMeans(max(1, distinct), n_init=3, random_state=seed).fit(known)
    if known is x or len(known) == len(x):
        return np.asarray(fitted.labels_, dtype=np.int64)
    parts = [
        fitted.predict(np.asarray(x[start : start + SUBSET], dtype=known.dtype)) for start in range(0, len(x), SUBSET)
    ]
    return np.concatenate(parts).astype(np.int64)
