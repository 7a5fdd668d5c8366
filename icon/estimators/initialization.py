"""Where clustering starts: many clusters merged, clusters of the features, or nothing."""

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
from icon.training.fit import rows_of
from icon.training.sampler import PairSampler

KINDS = ("over-clustering", "k-means", "random")
OVER, MOST = 3, 500  # clusters for each one wanted, of a start by over-clustering; at most so many more
SUBSET = 50_000  # points beyond which k-means and the merging see a subset
DRAWS = 8  # partners of each of them
STEPS, BATCH, RATE = 150, 1024, 5e-3


def over(n_clusters: int, points: int) -> int:
    """How many clusters a start by over-clustering has, where a step sees so many points."""
    return min(OVER * n_clusters, n_clusters + MOST, points)


def merged(
    phi: Callable[[Tensor], NDArray[np.float32]], n: int, pairs: PairSampler, n_clusters: int
) -> NDArray[np.int64]:
    """First clusters ``[n]``: many merged (`icon.estimators.merging.merge`) by how pairs of points join them.

    Draws with the generator of the moment.

    Args:
        phi: from numbers ``[b]`` of points to their probabilities ``[b, k]`` of many clusters; it is asked once for all
            points where they are few, else for parts of them as they are needed.
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
    """Train a mapper to give first clusters: the cross-entropy cell, clusters as their own prototypes, smoothed."""
    if isinstance(mapper, Lookup):
        with torch.no_grad():
            mapper.weight.copy_(3.0 * torch.eye(n_clusters)[torch.from_numpy(labels)])
        return
    device = next(mapper.parameters()).device
    loss = registry.method("cross-entropy", label_smoothing=0.1)
    prototypes, target = torch.eye(n_clusters, device=device), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(mapper.parameters(), lr=RATE)
    mapper.train()
    for _ in range(STEPS):
        batch = torch.randint(len(labels), (min(BATCH, len(labels)),))
        optimizer.zero_grad()
        loss((mapper(rows_of(inputs, batch, device)), prototypes), target[batch].to(device)).backward()
        optimizer.step()


def k_means(x: Any, n_clusters: int, seed: int) -> NDArray[np.int64]:
    """First clusters ``[n]`` of features ``[n, f]``, which may be an array on disk."""
    from sklearn.cluster import KMeans

    known = x if len(x) <= SUBSET else x[np.sort(np.random.default_rng(seed).choice(len(x), SUBSET, replace=False))]
    known = known.cpu().numpy() if isinstance(known, Tensor) else np.asarray(known, dtype=np.float32)
    # Fewer distinct points than clusters leave clusters empty: no reason to warn of a start.
    distinct = min(n_clusters, len(np.unique(known[: 50 * n_clusters], axis=0)))
    fitted = KMeans(max(1, distinct), n_init=3, random_state=seed).fit(known)
    if known is x or len(known) == len(x):
        return np.asarray(fitted.labels_, dtype=np.int64)
    parts = [
        fitted.predict(np.asarray(x[start : start + SUBSET], dtype=known.dtype)) for start in range(0, len(x), SUBSET)
    ]
    return np.concatenate(parts).astype(np.int64)
