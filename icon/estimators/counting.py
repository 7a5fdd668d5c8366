"""How many clusters there are, told without labels by how much more p keeps within groups than chance would."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from icon._scales import unit_of
from icon.core import exchange
from icon.estimators.base import draw_seed, made_from
from icon.estimators.initialization import k_means
from icon.estimators.merging import Array, grouped, merges, modularity, normalized_cut
from icon.nn.mappers import MAX_FEATURES, Principal
from icon.p.knn import knn_rows

SUBSET = 20_000  # points that are looked at; of more, so many are drawn
PARTS, FEW, POINTS = 200, 50, 8  # k-means clusters that are merged: at most, at least, and points of each
BALANCES = (1.0, 0.6)  # of the merging: groups of about equal sizes, and of any
METRICS = ("auto", "sqeuclidean", "euclidean", "cosine")  # for which points without clusters can be drawn


class Count(NamedTuple):
    """How many clusters there are, and what says so.

    Args:
        n_clusters: the smaller one of the two that follow.
        modular: the number of groups with the highest modularity.
        distinct: the number of groups that p stays in most, compared with points without clusters.
        stays: how probable p stays in a group, in the mean of ``n_clusters`` groups.
        without: the same for points without clusters.
        walk: ``D^-½ J D^-½ [k, k]`` of the k-means clusters; an eigenvalue of 1 for each part of p that is apart.
    """

    n_clusters: int
    modular: int
    distinct: int
    stays: float
    without: float
    walk: Array


def count_clusters(
    x: Any, n_neighbors: int = 10, walks: int = 3, metric: str = "sqeuclidean", seed: int = 0, most: int | None = None
) -> Count:
    """The number of clusters of features ``[n, f]``: from 2 to half of the k-means clusters (to all of them, where they
    are the distinct points), or 1 where all are equal.

    Many k-means clusters are merged (`icon.estimators.merging.merges`, with each of `BALANCES`, the better of the two
    counts), and two scores are followed over the number of groups, with J their table under p. The modularity
    ``sum_a (J_aa - J_a²)`` has a maximum, but splits a cluster of few dimensions, in which neighbours stay together
    wherever it is cut. As many points without clusters, drawn from a Gaussian with the same covariance, tell what such
    a split is worth: how probable p stays in its group, ``mean_a J_aa / J_a``, less the same for them. This splits what
    lies on a manifold of fewer dimensions than the Gaussian. Both err towards more, and the smaller one is taken. There
    are no more clusters than leave each 2k points on average, or two.

    Source: Newman & Girvan 2004, Finding and evaluating community structure in networks; Tibshirani, Walther & Hastie
    2001, Estimating the number of clusters in a data set via the gap statistic, for the points without clusters.
    """
    random = np.random.default_rng(seed)
    points = _some(x, metric, random)
    joint = _joint(points, n_neighbors, walks, seed)
    bound = len(joint) if len(joint) < _parts(len(points)) else len(joint) // 2  # fewer are all distinct points
    gaussian = (random.normal(size=points.shape) * points.std(dim=0).numpy()).astype(np.float32)  # without clusters
    without = _joint(torch.from_numpy(gaussian), n_neighbors, walks, seed)
    last = min(bound, len(points) // (2 * n_neighbors), len(joint) if most is None else most)
    q, stays = _scores(joint, max(2, last))
    _, stays_without = _scores(without, len(stays))
    first, compared = min(1, len(q) - 1), len(stays_without)
    modular = first + int(q[first:].argmax())
    distinct = first + int((stays[:compared] - stays_without)[first:].argmax())
    best = min(modular, distinct)
    scale = np.sqrt(np.maximum(joint.sum(axis=1), np.finfo(np.float64).tiny))
    walk = joint / np.outer(scale, scale)
    return Count(best + 1, modular + 1, distinct + 1, float(stays[best]), float(stays_without[best]), walk)


def number_of_clusters(estimator: Any, x: Any, n_neighbors: int, metric: str, random: np.random.RandomState) -> int:
    """``n_clusters`` of an `icon.Clustering`, given or found in features ``[n, f]``, by the first of all ranks."""
    if not isinstance(estimator.n_clusters, str):
        return int(estimator.n_clusters)
    seed = draw_seed(random)  # on all ranks, so that they go on alike
    count = partial(count_clusters, x, n_neighbors, estimator.walks, metric, seed)
    return exchange.from_first(lambda: count().n_clusters, estimator.group)


def check_auto(estimator: Any, metric: Any) -> None:
    """Whether the number of clusters can be found with this metric, and nothing has to know it before."""
    if estimator.n_clusters != "auto":
        raise ValueError(f"n_clusters: got {estimator.n_clusters!r}, expected a number or 'auto'")
    if made_from(estimator.column) != "features" or metric == "precomputed":
        what = "metric='precomputed'" if metric == "precomputed" else f"column={estimator.column!r}"
        raise ValueError(f"n_clusters: got 'auto' with {what}, expected a number: 'auto' finds it in features")
    if isinstance(estimator.mapper, nn.Module):
        expected = "a number, that of its outputs, or mapper='mlp', 'linear' or 'lookup'"
        raise ValueError(f"n_clusters: got 'auto' with a mapper of your own, expected {expected}")
    if not isinstance(metric, str) or metric not in METRICS:
        expected = ", ".join(map(repr, METRICS))
        raise ValueError(f"metric: got {metric!r} with n_clusters='auto', expected one of {expected}")


def walked(graph: Any, parts: NDArray[np.int64], walks: int) -> Array:
    """``[k, k]``, symmetric, sums to one: how probable it is that a pair of p joins two of k parts, numbered ``[n]``.

    p is exact, the mean of 1, 2, ... walks on the weights of a graph from every point alike; a point without edges has
    no pairs.
    """
    steps = sp.diags_array(1 / np.maximum(graph.sum(axis=1), np.finfo(np.float64).tiny)) @ graph
    member = np.eye(int(parts.max()) + 1)[parts]
    reached, joint = member, np.zeros((member.shape[1],) * 2)
    for _ in range(walks):
        reached = steps @ reached
        joint += member.T @ reached
    return np.asarray((joint + joint.T) / (2 * joint.sum()))


def _some(x: Any, metric: str, random: np.random.Generator) -> Tensor:
    """At most `SUBSET` points in their leading principal directions, where Euclidean distances are by the metric."""
    n = len(x)
    kept = slice(None) if n <= SUBSET else np.sort(random.choice(n, SUBSET, replace=False))
    part = (x[kept].detach().cpu() if isinstance(x, Tensor) else torch.from_numpy(np.array(x[kept]))).double()
    if metric == "cosine":  # in whatever unit: by default rows shorter than 1e-12 stay as short as they are
        part = nn.functional.normalize(part / unit_of(part), eps=1e-150)
    projected: Tensor = Principal(part, MAX_FEATURES)(part)
    return projected


def _joint(x: Tensor, n_neighbors: int, walks: int, seed: int) -> Array:
    """The table under p of k-means clusters."""
    parts = np.unique(k_means(x, _parts(len(x)), seed, n_init=1), return_inverse=True)[1]
    graph = knn_rows(x, n_neighbors, "exact")[0].symmetrize("union").to_scipy()
    return walked(graph, parts, walks)


def _parts(n: int) -> int:
    """How many k-means clusters are sought in n points."""
    return min(n, PARTS, max(2, n // POINTS, min(FEW, n // 2)))


def _scores(joint: Array, last: int) -> tuple[Array, Array]:
    """The modularity and how probable p stays in its group, of 1, 2, ... up to ``last`` groups."""
    equal, any_sizes = (
        [grouped(joint, groups) for groups in merges(joint, 1, balance)][::-1][:last] for balance in BALANCES
    )
    stays = [[1 - normalized_cut(table) / len(table) for table in tables] for tables in (equal, any_sizes)]
    return np.array([modularity(table) for table in equal]), np.max(stays, axis=0)
