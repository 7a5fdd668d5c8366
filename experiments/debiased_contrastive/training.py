"""Minibatches: a mapper trained on a loss of batches of points."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from experiments.datasets import Array

BatchLoss = Callable[[Tensor, torch.Generator], Tensor]


def train(
    make: Callable[[], nn.Module],
    loss: Callable[[nn.Module], BatchLoss],
    points: Array,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    seed: int,
) -> nn.Module:
    """A trained mapper. With the same seed it starts the same and sees the same minibatches: differences are paired.

    Args:
        make: the mapper, drawn with the seed.
        loss: from the mapper to the loss of a batch ``[b]`` of points, which draws with the generator it is given.
        points: ``[n]`` numbers of the points that train.
        batch: points of a step, at most; the batches of an epoch are as equal as can be.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mapper = make()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(mapper.parameters(), lr=learning_rate)
    value = loss(mapper)
    train_points = torch.from_numpy(points)
    parts = -(-len(points) // batch)
    for _ in range(epochs):
        for some in train_points[torch.randperm(len(points), generator=generator)].chunk(parts):
            optimizer.zero_grad()
            value(some, generator).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return mapper.eval()


def embed(mapper: nn.Module, x: Array, unit: bool) -> Array:
    """``[n, d]`` the embedding of all points, of unit length where the loss sees only the direction."""
    with torch.no_grad():
        z: Tensor = mapper(torch.from_numpy(x))
    found: Array = (nn.functional.normalize(z, dim=1) if unit else z).numpy()
    return found
