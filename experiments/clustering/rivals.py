"""SCAN, TEMI and contrastive clustering, with the head, the optimiser and the budget of our own."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import icon
from experiments.clustering.protocol import Clusters, Settings, batch_size, inputs, union
from experiments.datasets import Dataset
from icon import mappers
from icon.fit import Pairs, fit, seeded
from icon.rows import Rows

PROJECTION = 128  # dimensions of the instance head of contrastive clustering
INSTANCES = 256  # pairs that its instances are contrasted among: the batch of the paper


class ContrastiveClustering(nn.Module):
    """SimCLR of the instances, SimCLR of the clusters (columns of the probabilities), less the clusters' entropy.

    The input is a pair of views, ``[b, clusters + hidden]`` each: logits, then the hidden layer (`WithHidden`), which a
    layer of the loss projects for the instances.

    Source: Li, Hu, Liu, Peng, Zhou, Peng 2021, Contrastive Clustering, AAAI (arXiv 2009.09687).
    """

    def __init__(
        self, clusters: int, hidden: int, instance_temperature: float = 0.5, cluster_temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.clusters = clusters
        self.project = nn.Linear(hidden, PROJECTION)
        self.instance_temperature, self.cluster_temperature = instance_temperature, cluster_temperature

    def forward(self, views: tuple[Tensor, Tensor], target: Any = None) -> Tensor:
        phi = [view[:, : self.clusters].softmax(dim=1) for view in views]
        instances = [self.project(view[:INSTANCES, self.clusters :]) for view in views]
        value = nt_xent(instances[0], instances[1], self.instance_temperature)
        value = value + nt_xent(phi[0].mT, phi[1].mT, self.cluster_temperature)
        for p in phi:
            mean = p.mean(dim=0)
            value = value + math.log(self.clusters) + torch.xlogy(mean, mean).sum()
        return value


class WithHidden(nn.Module):
    """The logits of a head of `icon.mappers.build`, and its hidden layer beside them."""

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


def rival(name: str, dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """The start with the lowest final loss; all are random, as published."""
    x = torch.from_numpy(inputs(dataset, settings.directions))
    pairs = Pairs(_rows(dataset, settings.neighbors))
    found = [
        _trained(name, dataset, x, pairs, settings.starts * seed + number, settings)
        for number in range(settings.starts)
    ]
    return found[int(np.argmin([float(clusters.loss or 0) for clusters in found]))]


def _trained(name: str, dataset: Dataset, x: Tensor, pairs: Pairs, seed: int, settings: Settings) -> Clusters:
    """From one start. Its loss is the mean over the last tenth of the steps, where the rate is nearly zero."""
    with seeded(seed, x.device):
        head = mappers.build("mlp", x, dataset.classes, hidden=settings.hidden)
        contrastive = name == "contrastive"
        loss: Any = ContrastiveClustering(dataset.classes, settings.hidden) if contrastive else icon.method(name)
    done = fit(
        loss, WithHidden(head) if contrastive else head, x, pairs, steps=settings.steps, learning_rate=5e-3,
        batch_size=batch_size(dataset), decay=True, seed=seed,
    )  # fmt: skip
    with torch.no_grad():
        labels = head(x).argmax(dim=1).numpy()
    return Clusters(labels, float(np.mean(done.losses[-max(1, settings.steps // 10) :])))


@lru_cache(maxsize=2)
def _rows(dataset: Dataset, neighbors: int) -> Rows:
    """A neighbour in the union graph as the positive."""
    return icon.p.Graph()(union(dataset, neighbors))
