"""The restarts of a clustering: each trained from its first clusters, compared with the others, and told about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from icon import _checks as check
from icon.core.loss import Loss
from icon.estimators import heads
from icon.estimators.base import apply, draw_seed, inputs_of
from icon.estimators.heads import Run
from icon.metrics.clustering import agreement
from icon.p.rows import Rows
from icon.q.totals import WHOLE
from icon.training.sampler import PairSampler
from icon.training.state import seeded

SAMPLED, SAMPLED_NEGATIVES = 50_000, 8  # anchors and partners each, of the sampled loss
AGREE = 0.25  # restarts that agree less are told
LEAST = 0.8  # balance of the loss where none is given: with less, small clusters died in trials


class Restart(NamedTuple):
    """``value`` is lower for better clusters; ``labels [n]`` are those of highest probability."""

    value: float
    steps: int
    mapper: nn.Module
    labels: NDArray[np.int64]


def trained(
    estimator: Any, run: Run, kinds: Sequence[str], balance: float | None, random: Any
) -> tuple[list[Restart], int, NDArray[np.float32], float]:
    """The restarts of an `icon.Clustering`, the number of the best one and its probabilities ``[n, C]``, and the
    balance while training; where none is given, the clusters that the first restart merges decide."""
    run = run._replace(composed=cache(run.composed), pairs=cache(run.pairs))
    restarts: list[Restart] = []
    best = 0
    chosen, is_given = balance, not isinstance(estimator.balance, str)
    for restart in range(estimator.n_init):
        run = run._replace(seed=draw_seed(random), restart=restart)
        first, chosen = heads.first_clusters(estimator, kinds[restart % len(kinds)], run, chosen)
        while_training = chosen if is_given else max(chosen, LEAST)
        mapper, steps = heads.trained(
            estimator, run._replace(loss=balanced(run.loss, while_training)), estimator.n_clusters_,
            estimator.max_iter, "clustering", first=first, alpha=estimator.debias, ema=estimator.ema,
            callback=estimator.callback,
        )  # fmt: skip
        logits = apply(mapper, inputs_of(mapper, run.x))
        judged = run.composed if run.is_exact else run.pairs
        value = value_of(balanced(run.whole, chosen), torch.from_numpy(logits), judged(estimator.debias))
        restarts.append(Restart(value, steps, mapper, logits.argmax(axis=1)))
        if restart == 0 or _rank(restarts[restart], chosen) < _rank(restarts[best], chosen):
            best, probabilities = restart, softmax(logits, axis=1)
    return restarts, best, probabilities, while_training


def balanced(loss: Loss, balance: float) -> Loss:
    """The loss with another balance of the clusters' sizes."""
    q = type(loss.q)(**{**loss.q.hyper_parameters(), "balance": balance})
    return loss.replace(q=q)


def value_of(loss: Loss, logits: Tensor, target: Rows | PairSampler) -> float:
    """The loss over all points, or a sample of it that is the same for all restarts on the same points."""
    with torch.no_grad():
        if isinstance(target, Rows):
            return float(loss(logits, target))
        with seeded(0, logits.device):
            anchors, sampled = target.sample(SAMPLED, SAMPLED_NEGATIVES)
        if target.weighted:  # the anchors were drawn by their weights
            loss = loss.replace(anchor_weights=None)
        value = loss.terms((logits[anchors], logits), sampled).cross_entropy
        penalty = loss.q.penalty(logits, WHOLE)
        return float(value if penalty is None else value + penalty.mean())


def _rank(restart: Restart, balance: float) -> tuple[int, float]:
    """Lower is better: the loss, but with b < 1, where it falls when clusters die, first how many are left."""
    return 0 if balance == 1 else -len(np.unique(restart.labels)), restart.value


def tell(restarts: NDArray[np.int64], n_clusters: int, n_empty: int) -> None:
    """Warn of what the user should know of the clusters that were found, ``[n_init, n]``."""
    if n_empty:
        check.warn(f"n_clusters: got {n_clusters}, of which {n_empty} stayed empty", ConvergenceWarning)
    agree = agreement(restarts)
    if agree is not None and agree < AGREE:
        little = f"agree little (mean adjusted Rand index {agree:.2f}), so the clusters depend on the restart"
        hint = "other features, another number of clusters or more restarts may help"
        check.warn(f"restarts: {little}; {hint}", ConvergenceWarning)
