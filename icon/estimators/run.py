"""One restart of a clustering: what its training sees, and what is computed of it and of weighted points."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from icon.core.loss import Loss
from icon.metrics.clustering import ari
from icon.p.rows import Rows
from icon.q.base import WHOLE
from icon.training.sampler import PairSampler
from icon.training.state import seeded

SAMPLED, SAMPLED_NEGATIVES = 50_000, 8  # anchors and partners each, of the sampled loss


class Run(NamedTuple):
    """What is clustered, and by which restart.

    Args:
        x: features as heads see them; ``is_narrow`` where they are principal directions, in one unit.
        whole: the loss of all points, with their weights, and ``loss`` that of a step.
        composed: from α to p with walks and debiasing, and ``pairs`` to what draws from it.
        size: of a batch; None for all points.
        is_exact: whether the loss over all points is computed and not sampled.
        seed: of the restart.
        restart: its number.
    """

    x: Any
    is_narrow: bool
    whole: Loss
    loss: Loss
    composed: Callable[[float], Rows]
    pairs: Callable[[float], PairSampler]
    size: int | None
    is_exact: bool
    seed: int = 0
    restart: int = 0


def weighted(loss: Loss, weights: Tensor) -> Loss:
    """The loss with weights ``[n]`` of the points, as anchors and in the sizes of the clusters."""
    given = loss.q.hyper_parameters()
    for name in ("weights", "marginals", "exponent"):
        if name in given:
            raise ValueError(f"sample_weight: got weights with hyper={{{name!r}: ...}}, expected only one of them")
    q = type(loss.q)(**{**given, "weights": weights})
    return loss.replace(q=q, anchor_weights=weights)


def balanced(loss: Loss, balance: float) -> Loss:
    """The loss with another balance of the clusters' sizes."""
    q = type(loss.q)(**{**loss.q.hyper_parameters(), "balance": balance})
    return loss.replace(q=q)


def of_weighted(rows: Rows, weights: Tensor) -> Rows:
    """p of points that weigh ``[n]``: a neighbour counts as often as it weighs, and so does an anchor."""
    edges = rows.to_scipy() @ sp.diags_array(weights.numpy())
    marginal = weights / weights.sum()
    support = rows.support
    return Rows.from_scipy(edges, support.exclude_self, offset=support.offset, marginal=marginal, notes=rows.notes)


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


def agreement(restarts: NDArray[np.int64]) -> float | None:
    """The mean adjusted Rand index between pairs of restarts, ``[s, n]`` clusters; None with fewer than two."""
    pairs = [ari(a, b) for a, b in combinations(restarts, 2)]
    return float(np.mean(pairs)) if pairs else None
