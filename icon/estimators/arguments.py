"""Whether the arguments of a clustering are as they may be, and what they mean for n points."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from icon import _checks as check
from icon.core.loss import Loss
from icon.estimators import base, initialization
from icon.estimators.counting import check_auto
from icon.estimators.neighborhood import NEIGHBOURS, Neighborhood
from icon.estimators.spaces import read_spaces
from icon.labels import Labels, classes_of
from icon.neighbors import SEARCHES
from icon.p.operations import HOW

OWN = ("n_neighbors", "walks", "debias", "symmetrize", "balance")  # arguments that are no hyper-parameters
BATCH, PER_CLUSTER = 512, 8  # pairs of a step, and at least so many for each cluster


def checked(
    estimator: Any, near: Neighborhood, X: Any, y: Any, sample_weight: Any
) -> tuple[list[Any], Labels | None, Tensor | None, tuple[str, ...], Loss]:
    """What a fit of an `icon.Clustering` begins with, where all arguments are right: the features of each space, the
    known classes and the weights ``[n]``, the kinds of first clusters, and the loss."""
    base.check_no_arrays(estimator)
    spaces = [base.placed(x, estimator.device) for x in read_spaces(estimator, X, least=2)]
    n = spaces[0].shape[0]
    weights = None if sample_weight is None else base.sample_weights(sample_weight, n)
    if weights is not None and not bool((weights > 0).all()):
        raise ValueError("sample_weight: got zero for a point, expected numbers > 0 (leave such points out of X)")
    if weights is not None and estimator.group is not None:
        raise ValueError("sample_weight: got weights with group=, expected None")
    if weights is not None and estimator.balance not in ("auto", 1):
        raise ValueError(f"sample_weight: got weights with balance={estimator.balance!r}, expected balance='auto' or 1")
    kinds = kinds_of(estimator, near.metric, n)
    loss = near.loss(n)
    known = classes_of(y, "y", n) if estimator.column == "classes" and y is not None else None
    if known is not None and (classes := len(known.names)) > near.n_clusters:
        raise ValueError(f"n_clusters: got {estimator.n_clusters}, expected at least {classes}, the classes in y")
    if batch_size(estimator, n, near.n_clusters) is None and base.on_disk(spaces[0]):  # every step sees all points
        if estimator.batch_size is None:
            raise ValueError("batch_size: got None for an array on disk, expected the number of points of a step")
        spaces = [base.placed(base.validated(estimator, np.array(spaces[0])), estimator.device)]
    if estimator.column == "knn" and isinstance(estimator.n_neighbors, str) and (k := near.k(n)) < NEIGHBOURS:
        few = f"{n} points" if estimator.n_clusters == "auto" else f"{n} points and {estimator.n_clusters} clusters"
        check.warn(f"n_neighbors: lowered from {NEIGHBOURS} to {k} for {few}")
    return spaces, known, weights, kinds, loss


def kinds_of(estimator: Any, metric: Any, n: int) -> tuple[str, ...]:
    """The kinds of first clusters, where all arguments are as they may be for n points and this metric."""
    base.check_hyper(estimator.hyper, OWN if estimator.metric == "auto" else (*OWN, "metric"))
    check.function(estimator.callback, "callback")
    check.path(estimator.checkpoint, "checkpoint")
    check.choice(estimator.neighbors, "neighbors", SEARCHES)
    if estimator.symmetrize is not None:
        check.choice(estimator.symmetrize, "symmetrize", HOW)
    if isinstance(estimator.n_clusters, str):
        check_auto(estimator, metric)
    elif check.count(estimator.n_clusters, "n_clusters") > n:
        raise ValueError(f"n_clusters: got {estimator.n_clusters}, expected at most {n}, the number of points")
    kinds = tuple(estimator.init) if isinstance(estimator.init, (list, tuple)) else (estimator.init,)
    for kind in kinds or (estimator.init,):
        check.choice(kind, "init", initialization.KINDS)
    if "auto" in kinds:
        is_of_features = base.made_from(estimator.column) == "features" and metric != "precomputed"
        kinds = initialization.OF_FEATURES if is_of_features else ("over-clustering",)
    check.count(estimator.max_iter, "max_iter")
    check.count(estimator.n_init, "n_init")
    check.fraction(estimator.ema, "ema")
    if isinstance(estimator.balance, str):
        check.choice(estimator.balance, "balance", ("auto",))
    else:
        check.fraction(estimator.balance, "balance")
    return kinds


def batch_size(estimator: Any, n: int, clusters: int) -> int | None:
    """How many pairs a step sees; None for all points."""
    given: int | str | None = estimator.batch_size
    if isinstance(given, str):
        check.choice(given, "batch_size", ("auto",))
        return automatic(n, clusters)
    if given is not None and not clusters <= check.count(given, "batch_size", 2) <= n:
        expected = f"from {clusters} (n_clusters) to {n} (points)"
        raise ValueError(f"batch_size: got {given}, expected {expected}")
    return given


def automatic(n: int, clusters: int, least: int = BATCH) -> int | None:
    """The size of a batch where none is given: at least so many pairs, or 8 for each cluster; None for all points."""
    size = max(least, PER_CLUSTER * clusters)
    return None if n <= max(initialization.WHOLE, size) else size
