"""The head of a clustering: how it is made, which clusters it gives first, and how it is trained."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from icon import nn as icon_nn
from icon.core import exchange
from icon.core.loss import Loss
from icon.estimators import initialization
from icon.estimators.base import check_output, inputs_of, learning_rate, on_device, some_of
from icon.nn.mappers import as_seen
from icon.p.rows import Rows
from icon.training.batches import rows_of
from icon.training.fit import fit
from icon.training.sampler import PairSampler
from icon.training.state import seeded

#: What a checkpoint is refused by, where it is of another run.
IDENTITY = ("n_clusters_", "column", "n_neighbors", "walks", "debias", "symmetrize", "mapper", "hidden", "init", "ema",
            "learning_rate", "balance")  # fmt: skip


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


def first_clusters(
    estimator: Any, kind: str, run: Run, balance: float | None
) -> tuple[NDArray[np.int64] | None, float]:
    """The clusters ``[n]`` that a head is trained to give first, None to leave it as it was drawn, and their balance.

    A balance that is not given is decided by merged clusters, and is 1 without them.
    """
    n, clusters = len(run.x), estimator.n_clusters_
    many = initialization.over(clusters, run.size or n)
    without = 1.0 if balance is None else balance
    if kind == "random" or clusters == 1:
        return None, without
    if kind == "k-means" or many == clusters:
        k_means = partial(initialization.k_means, run.x, clusters, run.seed)
        return exchange.from_first(k_means, estimator.group), without
    if kind == "merged-k-means":
        with seeded(run.seed, torch.device("cpu")):
            merging = partial(initialization.merged_k_means, run.x, run.pairs(0.0), clusters, balance, run.seed)
            return exchange.from_first(merging, estimator.group)
    # Clusters to be merged need neither the last digit nor debiasing; equal ones leave no class out.
    mapper, _ = trained(estimator, run, many, max(1, estimator.max_iter // 2), "over-clustering", suffix=".over")
    inputs, device = inputs_of(mapper, run.x), next(mapper.parameters()).device

    def phi(points: Tensor) -> NDArray[np.float32]:
        with torch.no_grad():
            z: Tensor = mapper(as_seen(mapper, rows_of(inputs, points, device)))
        return z.softmax(dim=1).cpu().numpy()

    with seeded(run.seed, torch.device("cpu")):
        merged = partial(initialization.merged, phi, n, run.pairs(0.0), clusters, balance)
        return exchange.from_first(merged, estimator.group)


def trained(
    estimator: Any, run: Run, clusters: int, steps: int, label: str, *, first: NDArray[np.int64] | None = None,
    alpha: float = 0.0, ema: float = 0.0, callback: Callable[..., object] | None = None, suffix: str = "",
) -> tuple[nn.Module, int]:  # fmt: skip
    """Train a head, which gives the ``first`` clusters ``[n]`` to begin with: the mapper and its number of steps;
    ``suffix`` is that of its checkpoint."""
    x, device = run.x, run.x.device if isinstance(run.x, Tensor) else on_device(np.zeros(1), estimator.device).device
    with seeded(run.seed, device):
        mapper = _made(estimator, run, clusters).to(device)
        inputs = inputs_of(mapper, x)
        check_output(mapper, inputs, clusters, device)
        if first is not None:
            initialization.imitate(mapper, inputs, first, estimator.n_clusters_)
    teacher, path = icon_nn.EMA(mapper, ema) if ema else None, estimator.checkpoint

    def report(step: int, value: float, logits: Tensor) -> object:
        return None if callback is None else callback(step, value, logits.cpu().numpy())

    loss = run.loss.to(device).replace(group=estimator.group)
    target = run.composed if run.size is None else run.pairs
    done = fit(
        loss, mapper, inputs, target(alpha), steps=steps, decay=True,
        learning_rate=learning_rate(estimator.learning_rate, 0.1 if isinstance(mapper, icon_nn.Lookup) else 5e-3),
        batch_size=run.size, seed=run.seed, callback=report, teacher=teacher, verbose=estimator.verbose,
        label=f"{label}, restart {run.restart + 1} of {estimator.n_init}",
        checkpoint=None if path is None else f"{os.fspath(path)}.{run.restart}{suffix}",
        identity={name.removesuffix("_"): getattr(estimator, name) for name in IDENTITY},
    )  # fmt: skip
    return (mapper if teacher is None else teacher.averaged.module.eval()), len(done.losses)


def _made(estimator: Any, run: Run, outputs: int) -> nn.Module:
    """A head as it is drawn."""
    x, mapper = run.x, estimator.mapper
    known = some_of(x)
    if isinstance(mapper, str) and mapper == "lookup":
        if not isinstance(x, Tensor):
            raise TypeError("mapper: got 'lookup' for an array on disk, expected 'mlp', 'linear' or a module")
        # A random projection and not independent draws: neighbours start together.
        scaled = icon_nn.Rescale(known)(known)
        projection = torch.randn(x.shape[1], outputs).to(scaled) / x.shape[1] ** 0.5
        return icon_nn.build("lookup", known, outputs, start=scaled @ projection)
    own = isinstance(mapper, nn.Module)
    kind = "mlp" if own and outputs != estimator.n_clusters_ else deepcopy(mapper)
    most, first = icon_nn.MAX_FEATURES, nn.Identity() if run.is_narrow else None
    head = icon_nn.build(kind, known, outputs, hidden=estimator.hidden, max_features=most, first=first)
    if run.restart > 0 and own:
        for layer in head.modules():
            if callable(reset := getattr(layer, "reset_parameters", None)):
                reset()
    return head
