"""SCAN, TEMI, contrastive clustering and PRCut, with the head, the optimiser and the budget of our own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import icon
from experiments.clustering.protocol import Clusters, Settings, assigned, inputs, lowest, union
from experiments.datasets import Array, Dataset
from experiments.held_out import WithTeacher
from icon.estimators.base import on_disk, some_of
from icon.estimators.initialization import imitate
from icon.training import PairSampler
from icon.training.fit import fit
from icon.training.state import seeded

PROJECTION = 128  # dimensions of the instance head of contrastive clustering
INSTANCES = 256  # pairs of a batch whose instances are contrasted: the batch of the paper
MEMORIES = 20  # times that TEMI's teacher is renewed in a run, as with 0.996 in the authors' 100 epochs of CIFAR-10


class ContrastiveClustering(nn.Module):
    """SimCLR of the instances, SimCLR of the clusters (columns of the probabilities), less the clusters' entropy.

    The input is a pair of views, ``[b, clusters + hidden]`` each: logits, then the hidden layer (`WithHidden`), which a
    layer of the loss projects for the instances.

    Source: Li, Hu, Liu, Peng, Zhou, Peng 2021, Contrastive Clustering, AAAI (arXiv 2009.09687).
    """

    def __init__(self, clusters: int, hidden: int) -> None:
        super().__init__()
        self.clusters, self.project = clusters, nn.Linear(hidden, PROJECTION)

    def forward(self, views: tuple[Tensor, Tensor], target: Any = None) -> Tensor:
        phi = [view[:, : self.clusters].softmax(dim=1) for view in views]
        instances = [self.project(view[:INSTANCES, self.clusters :]) for view in views]
        value = nt_xent(instances[0], instances[1], 0.5) + nt_xent(phi[0].mT, phi[1].mT, 1.0)
        for p in phi:
            mean = p.mean(dim=0)
            value = value + math.log(self.clusters) + torch.xlogy(mean, mean).sum()
        return value


class TEMI(nn.Module):
    """`icon.method("temi")` of pairs of views, ``[b, 2 clusters]`` each: the student's logits, then the teacher's."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = icon.method("temi")

    def forward(self, views: tuple[Tensor, Tensor], target: Any = None) -> Tensor:
        student, teacher = torch.cat(views).chunk(2, dim=1)
        value: Tensor = self.loss((student, teacher), torch.arange(len(views[0])).repeat(2))
        return value


class PRCut(nn.Module):
    """An upper bound of the expected ratio cut, less the entropy of the clusters' sizes: pairs of views, ``[b, k]``.

    An edge is cut off cluster c with probability ``φ_ic + φ'_ic - 2 φ_ic φ'_ic``. The mean over the edges of a batch is
    divided by the size of c, a moving average over the batches whose gradient is that of the batch at hand.

    Source: Ghriss, Monteleoni 2025, Deep Clustering via Probabilistic Ratio-Cut Optimization (arXiv
    2502.03405), with the entropy's weight 100 and the average's 0.8 of the newest batch, as in the authors' code.
    """

    sizes: Tensor

    def __init__(self, clusters: int) -> None:
        super().__init__()
        self.register_buffer("sizes", torch.full((clusters,), 1 / clusters))

    def forward(self, views: tuple[Tensor, Tensor], target: Any = None) -> Tensor:
        phi, partner = (view.softmax(dim=1) for view in views)
        mean = phi.mean(dim=0)  # of the anchors, which are uniform over the points
        self.sizes.lerp_(mean.detach(), 0.8)
        cut = (phi + partner - 2 * phi * partner).mean(dim=0)
        sizes = self.sizes + mean - mean.detach()
        value: Tensor = (cut / sizes).sum() + 100 * torch.xlogy(mean, mean).sum()
        return value


class WithHidden(nn.Module):
    """The logits of a head of `icon.nn.build`, and its hidden layer beside them."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        rescale, (*below, last) = head
        self.below, self.last = nn.Sequential(rescale, *below), last

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.below(x)
        return torch.cat([self.last(hidden), hidden], dim=1)


def nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """SimCLR of two views ``[n, d]``; the table's cell, in fewer steps than the engine needs for so few points."""
    z = nn.functional.normalize(torch.cat([a, b]), dim=1)
    scores = (z @ z.mT / temperature).fill_diagonal_(-math.inf)
    return nn.functional.cross_entropy(scores, torch.arange(len(z)).roll(len(a)))


def deep_baseline(name: str, dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """The restart with the lowest final loss; all begin from random heads, as published."""
    seeds = range(settings.restarts * seed, settings.restarts * (seed + 1))
    return lowest(deep_restart(name, dataset, number, settings) for number in seeds)


def deep_restart(name: str, dataset: Dataset, seed: int, settings: Settings, first: Array | None = None) -> Clusters:
    """From a random head, or from one that gives first clusters ``[n]``, with the steps that ours then takes."""
    seen = inputs(dataset, settings.directions)
    x: Any = seen if on_disk(seen) else torch.from_numpy(seen)
    pairs = PairSampler(icon.p.Graph()(union(dataset, settings.neighbors)))  # a neighbour is the positive
    steps = settings.total_steps if first is None else settings.steps
    with seeded(seed, torch.device("cpu")):
        head = settings.head(some_of(x), dataset.classes)
        if first is not None:
            imitate(head, x, first, dataset.classes)
        loss: Any = None
        mapper: nn.Module = head  # with what the loss takes beside the logits
        if name == "contrastive":
            mapper = with_hidden = WithHidden(head)
            loss = ContrastiveClustering(dataset.classes, with_hidden.last.in_features)
        elif name == "temi":
            loss = TEMI()
            mapper = WithTeacher(head, decay=max(0.0, 1 - MEMORIES / steps))
        elif name == "prcut":
            loss = PRCut(dataset.classes)
    done = fit(
        loss or icon.method(name), mapper, x, pairs, steps=steps, learning_rate=settings.learning_rate,
        batch_size=settings.batch_size(dataset), decay=True, seed=seed,
    )  # fmt: skip
    test = None if dataset.test is None else assigned(head, dataset.test.x)
    return Clusters(assigned(head, x), final(done.losses), test)


def final(losses: list[float]) -> float:
    """The mean over the last tenth of the steps, where the rate is nearly zero."""
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))
