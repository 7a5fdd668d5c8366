"""SCAN, TEMI and contrastive clustering, with the head, the optimiser and the budget of our own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import icon
from experiments.clustering.protocol import Clusters, Settings, inputs, union
from experiments.datasets import Dataset
from experiments.held_out import WithTeacher
from icon.nn import mappers
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
    x = torch.from_numpy(inputs(dataset, settings.directions))
    pairs = PairSampler(icon.p.Graph()(union(dataset, settings.neighbors)))  # a neighbour is the positive
    first = settings.restarts * seed
    found = [_trained(name, dataset, x, pairs, first + number, settings) for number in range(settings.restarts)]
    return found[int(np.argmin([float(clusters.loss or 0) for clusters in found]))]


def _trained(name: str, dataset: Dataset, x: Tensor, pairs: PairSampler, seed: int, settings: Settings) -> Clusters:
    """One restart. Its loss is the mean over the last tenth of the steps, where the rate is nearly zero."""
    with seeded(seed, x.device):
        head = mappers.build("mlp", x, dataset.classes, hidden=settings.hidden)
        loss: Any = None
        mapper: nn.Module = head  # with what the loss takes beside the logits
        if name == "contrastive":
            loss, mapper = ContrastiveClustering(dataset.classes, settings.hidden), WithHidden(head)
        elif name == "temi":
            loss = TEMI()
            mapper = WithTeacher(head, decay=max(0.0, 1 - MEMORIES / settings.total_steps))
    steps = settings.total_steps
    done = fit(
        loss or icon.method(name), mapper, x, pairs, steps=steps, learning_rate=5e-3,
        batch_size=settings.batch_size(dataset), decay=True, seed=seed,
    )  # fmt: skip
    with torch.no_grad():
        labels = head(x).argmax(dim=1).numpy()
    return Clusters(labels, float(np.mean(done.losses[-max(1, steps // 10) :])))
