"""The first clusters of a restart: many clusters merged, those of k-means, or none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from icon._scales import unit_of
from icon.estimators.base import Beside
from icon.estimators.merging import balance_of, merge
from icon.methods import registry
from icon.neighbors.blocks import parts as blocks_of
from icon.nn.mappers import Lookup
from icon.training.fit import fit
from icon.training.sampler import PairSampler

KINDS = ("auto", "merged-k-means", "over-clustering", "k-means", "random")
OF_FEATURES = ("merged-k-means", "over-clustering")  # in turn, where p is made from the features
OVER, MOST = 3, 500  # clusters for each one wanted, when over-clustering; at most so many more
PARTS, FEW, MANY, POINTS = 6, 100, 200, 8  # k-means clusters to be merged, where that is not too many; points of each
SUBSET = 50_000  # points beyond which k-means and the merging see a subset
DRAWS = 8  # partners of each of them
STEPS, BATCH, RATE = 150, 512, 5e-3
WHOLE = 1024  # points up to which a step sees all: a batch might hold a few of a small cluster only


def over(n_clusters: int, points: int) -> int:
    """How many clusters over-clustering begins with, where a step sees so many points."""
    return min(OVER * n_clusters, n_clusters + MOST, points)


def parts(n_clusters: int, n: int) -> int:
    """How many k-means clusters of n points are merged: six times as many as wanted, and 100, if the points suffice."""
    wanted = max(OVER * n_clusters, FEW, min(PARTS * n_clusters, MANY))
    return min(wanted, n_clusters + MOST, max(OVER * n_clusters, n // POINTS), n)


def merged_k_means(
    x: Any, pairs: PairSampler, n_clusters: int, balance: float | None, seed: int
) -> tuple[NDArray[np.int64], float]:
    """First clusters ``[n]``, many of k-means merged by how pairs of points join them, and their balance; see `merged`.

    Draws with torch's global generator; features may lie on disk.
    """
    n, k = len(x), parts(n_clusters, len(x))
    member = sp.csr_array((np.ones(n), k_means(x, k, seed, n_init=1), np.arange(n + 1)), shape=(n, k))
    return merged(lambda points: member[points.numpy()], n, pairs, n_clusters, balance)


def merged(
    phi: Callable[[Tensor], Any], n: int, pairs: PairSampler, n_clusters: int, balance: float | None
) -> tuple[NDArray[np.int64], float]:
    """First clusters ``[n]``: many merged (`icon.estimators.merging.merge`) by how pairs of points join them.

    With them comes their balance, which the pairs decide where it is None (`icon.estimators.merging.balance_of`). Draws
    with torch's global generator. ``phi`` gives the probabilities ``[b, k]``, dense or sparse, of points by their
    numbers; where there are few points, it is asked once for all.
    """
    whole = phi(torch.arange(n)) if n <= SUBSET else None

    def of(points: Tensor) -> Any:
        return phi(points) if whole is None else whole[points.numpy()]

    drawn = (pairs.draw(SUBSET) for _ in range(DRAWS))
    joint: Any = sum((of(anchors).T @ of(partners)).astype(np.float64) for anchors, partners, _ in drawn)
    joint = joint.toarray() if sp.issparse(joint) else joint
    joint = (joint + joint.T) / (2 * joint.sum())
    balance = balance_of(joint, n_clusters) if balance is None else balance
    groups = merge(joint, n_clusters, balance)
    member = np.eye(n_clusters, dtype=np.float32)[groups]
    clusters = [(of(part) @ member).argmax(axis=1) for part in torch.split(torch.arange(n), SUBSET)]
    return np.concatenate(clusters), balance


def imitate(mapper: nn.Module, inputs: Any, labels: NDArray[np.int64], n_clusters: int) -> None:
    """Train a mapper in place to give the first clusters ``[n]``, by cross-entropy with smoothed labels.

    Draws with torch's global generator.
    """
    if isinstance(mapper, Lookup):
        with torch.no_grad():
            mapper.weight.copy_(3.0 * torch.eye(n_clusters)[torch.from_numpy(labels)])
        return
    n, corners = len(labels), Beside(torch.eye(n_clusters))  # of the simplex: prototypes that stand still
    fit(
        registry.method("cross-entropy", label_smoothing=0.1), nn.Sequential(mapper, corners), inputs,
        torch.from_numpy(labels), steps=STEPS, learning_rate=RATE, batch_size=n if n <= WHOLE else BATCH, seed=None,
    )  # fmt: skip


def k_means(x: Any, n_clusters: int, seed: int, n_init: int = 3) -> NDArray[np.int64]:
    """Clusters ``[n]`` of features ``[n, f]``, which may be an array on disk; the best of ``n_init`` runs."""
    from sklearn.cluster import KMeans

    def rows(part: Any) -> NDArray[np.floating[Any]]:
        given = x[part]
        array = given.cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
        # In the precision of the features: far from zero, single precision would lose what they differ in.
        return array.astype(np.result_type(array.dtype, np.float32), copy=False)

    n = len(x)
    some: Any = slice(None)
    if n > SUBSET:
        some = np.sort(np.random.default_rng(seed).choice(n, SUBSET, replace=False))
    known = rows(some)
    unit = unit_of(torch.tensor(np.array([known.min(), known.max()])))
    known = known if unit == 1 else known / unit
    centre = known.mean(axis=0)
    known = known if n <= SUBSET else known - centre  # KMeans centres what it is fitted to, and not what it predicts
    # Fewer distinct points than clusters leave clusters empty, which is no reason for a warning here.
    distinct: set[bytes] = set()
    for row in known:
        distinct.add((row + 0.0).tobytes())  # in which -0.0 is 0.0
        if len(distinct) == n_clusters:
            break
    with warnings.catch_warnings():  # points that differ by rounding alone leave some empty, too
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = KMeans(len(distinct), n_init=n_init, random_state=seed).fit(known)
    if n <= SUBSET:
        return np.asarray(fitted.labels_, dtype=np.int64)
    blocks = (rows(part) / unit - centre for part in blocks_of(n, SUBSET))
    return np.concatenate([fitted.predict(block) for block in blocks]).astype(np.int64)
