"""Encoders trained on one half of the points, with the training loop of the library, and measured on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from experiments.datasets import Array
from icon.nn import EMA
from icon.training import fit
from icon.training.state import seeded


class Halves(NamedTuple):
    """Indices of the points that train, and of those that are held out."""

    train: Array
    held: Array

    def score(self, model: Any, z: Array, y: Array) -> float:
        """Accuracy on the held-out half of a classifier that is fitted on the other one."""
        return float(model.fit(z[self.train], y[self.train]).score(z[self.held], y[self.held]))


def halves(y: Array, seed: int) -> Halves:
    """A stratified split: the labels shape the halves and score them, nothing else."""
    classes, members = np.unique(y, return_counts=True)
    if members.min() < 2:
        raise ValueError(f"labels: got class {classes[members.argmin()]} with one member, expected at least two")
    split = train_test_split(np.arange(len(y)), test_size=0.5, stratify=y, random_state=seed)
    return Halves(*map(np.sort, split))


def standardised(x: Array, train: Array) -> Array:
    """``[n, d]`` with the mean and the standard deviation of the training half taken out, feature by feature."""
    mean, std = x[train].mean(axis=0), x[train].std(axis=0)
    return np.asarray((x - mean) / np.where(std > 0, std, 1), dtype=np.float32)


def knn_accuracy(z: Array, y: Array, split: Halves, k: int) -> float:
    """Of k nearest neighbours (Euclidean) in the training half."""
    if k > len(split.train):
        raise ValueError(f"k: got {k}, expected at most {len(split.train)} (the points that train)")
    return split.score(KNeighborsClassifier(k), z, y)


def linear_accuracy(z: Array, y: Array, split: Halves) -> float:
    """Of logistic regression on the training half's standardised embedding."""
    return split.score(LogisticRegression(max_iter=1000), standardised(z, split.train), y)


class Epochs:
    """Draws every one of the points ``[n]`` once per epoch, in batches that are as equal as can be and no larger than
    asked, each point ``views`` times, and what the loss takes as its target for them."""

    def __init__(self, points: Array, target: Callable[[Tensor], Any] = lambda index: None, views: int = 1) -> None:
        self.points, self.target, self.views = torch.from_numpy(points), target, views
        self._left: list[Tensor] = []

    def draw(self, size: int) -> tuple[Tensor, Any]:
        if not self._left:
            self._left = list(self.points[torch.randperm(len(self.points))].chunk(self.batches(size)))
        index = self._left.pop(0).repeat(self.views)
        return index, self.target(index)

    def batches(self, size: int) -> int:
        """Batches of an epoch."""
        return -(-len(self.points) // size)


class WithTeacher(nn.Module):
    """What a mapper gives ``[b, d]``; while training, beside it what the moving average of its steps so far gives."""

    def __init__(self, mapper: nn.Module, decay: float) -> None:
        super().__init__()
        self.mapper, self.teacher = mapper, EMA(mapper, decay)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.teacher.update(self.mapper)
        z: Tensor = self.mapper(x)
        return torch.cat([z, self.teacher(x)], dim=1) if self.training else z


def trained(
    make: Callable[[], nn.Module], loss: Any, x: Array, points: Epochs, epochs: int, batch: int, rate: float, seed: int
) -> nn.Module:
    """A mapper, trained on features ``[n, d]``; with the same seed it starts the same and sees the same batches."""
    with seeded(seed, torch.device("cpu")):
        mapper = make().eval()
    if epochs:
        steps = epochs * points.batches(batch)
        fit(loss, mapper, torch.from_numpy(x), points, steps=steps, batch_size=batch, learning_rate=rate, seed=seed)
    return mapper


def embedded(mapper: nn.Module, x: Array, unit: bool) -> Array:
    """``[n, d]`` the embedding of all points, of unit length where the loss sees only the direction."""
    with torch.no_grad():
        z: Tensor = mapper(torch.from_numpy(x))
        return np.asarray(nn.functional.normalize(z, dim=1) if unit else z)
