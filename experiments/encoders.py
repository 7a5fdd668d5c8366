"""Encoders trained by epochs over the points of one half, with the training loop of the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import icon
from experiments.datasets import Array
from icon.training import fit
from icon.training.fit import seeded


class Epochs:
    """Draws every point once per epoch, in batches that are as equal as can be and no larger than asked.

    Args:
        points: ``[n]`` the row numbers of the points.
        target: from the row numbers ``[b]`` of a batch to what the loss takes as its target.
    """

    def __init__(self, points: Array, target: Callable[[Tensor], Any] = lambda index: None) -> None:
        self.points, self.target = torch.from_numpy(points), target
        self._left: list[Tensor] = []

    def draw(self, size: int) -> tuple[Tensor, Any]:
        if not self._left:
            order = torch.randperm(len(self.points))
            self._left = list(self.points[order].chunk(self.batches(size)))
        index = self._left.pop(0)
        return index, self.target(index)

    def batches(self, size: int) -> int:
        """Batches of an epoch."""
        return -(-len(self.points) // size)


class TwoViews(Epochs):
    """Draws every point twice; the target is the number of the point within its batch."""

    def draw(self, size: int) -> tuple[Tensor, Any]:
        index, _ = super().draw(size)
        return index.repeat(2), torch.arange(len(index)).repeat(2)


def trained(
    make: Callable[[], nn.Module],
    loss: icon.Loss,
    x: Array,
    points: Epochs,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    seed: int,
) -> nn.Module:
    """A trained mapper. With the same seed it starts the same and sees the same batches: differences are paired.

    Args:
        make: the mapper, which draws with torch's global generator.
        loss: what is minimised.
        x: ``[n, d]`` the features of all points.
        points: which points train, and what their targets are.
        epochs: times that every point is seen; 0 leaves the mapper as it was made.
        batch: points of a step, at most.
        learning_rate: of Adam.
        seed: of the mapper, the batches and the views.
    """
    with seeded(seed, torch.device("cpu")):
        mapper = make().eval()
    if epochs:
        fit(
            loss, mapper, torch.from_numpy(x), points, steps=epochs * points.batches(batch), batch_size=batch,
            learning_rate=learning_rate, seed=seed,
        )  # fmt: skip
    return mapper


def embedded(mapper: nn.Module, x: Array, unit: bool) -> Array:
    """``[n, d]`` the embedding of all points, of unit length where the loss sees only the direction."""
    with torch.no_grad():
        z: Tensor = mapper(torch.from_numpy(x))
    found: Array = (nn.functional.normalize(z, dim=1) if unit else z).numpy()
    return found
