"""Batches in which every class has a few points, so that no anchor is without a positive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from icon import _checks as check


class MPerClassBatchSampler(Sampler[list[int]]):
    """Row numbers of batches with m points of each of ``batch_size / m`` classes: each anchor has m - 1 positives.

    >>> sampler = icon.training.MPerClassBatchSampler(labels, per_class=2, batch_size=8)
    >>> loader = torch.utils.data.DataLoader(torch.as_tensor(x), batch_sampler=sampler)

    Each class is as probable as any other, whatever its size. A point of a class comes again when all others of it have
    come as often. An epoch has as many batches as the points fill, at least one, and each epoch draws anew.

    On several ranks, each takes another part of every batch. The m points of a class are on one rank, so that positives
    are guaranteed on each rank by itself, with or without ``group=`` of the loss; another rank may have further points
    of the class. No point is on two ranks at once unless its class has fewer points than the ranks take of it.

    Args:
        labels: ``[n]`` integers >= 0. A class of fewer than m points is left out, with a warning.
        per_class: m, how many points of a class, >= 2.
        batch_size: of this rank, a multiple of m; at most m times the number of classes.
        generator: what draws; None is torch's global one. With several ranks, one that is seeded alike on all.
        rank: whose part of each batch this is, 0 to world - 1.
        world: the number of ranks, >= 1.

    Raises:
        ValueError, TypeError: numbers out of their range, no class that has m points, or ranks without a generator.

    Source: Hermans et al. 2017 (arXiv 1703.07737), section 2, batches of P classes with K images each.
    """

    def __init__(
        self,
        labels: Any,
        per_class: int,
        batch_size: int,
        *,
        generator: torch.Generator | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.per_class = check.count(per_class, "per_class", 2)
        self.batch_size = check.count(batch_size, "batch_size", self.per_class)
        self.world, self.generator = check.count(world, "world"), generator
        self.rank = check.count(rank, "rank", 0)
        if self.rank >= self.world:
            raise ValueError(f"rank: got {rank}, expected 0..{self.world - 1}, one of world={self.world}")
        if not (generator is None or isinstance(generator, torch.Generator)):
            raise TypeError(f"generator: got {generator!r}, expected a torch.Generator or None")
        if self.world > 1 and generator is None:
            raise ValueError(f"generator: got None with world={world}, expected one that is seeded alike on all ranks")
        if self.batch_size % self.per_class:
            raise ValueError(f"batch_size: got {batch_size}, expected a multiple of per_class={self.per_class}")
        self._members = self._large_enough(check.integers(labels, "labels"))
        most = len(self._members) * self.per_class
        if self.batch_size > most:
            raise ValueError(
                f"batch_size: got {batch_size}, expected at most {most}, per_class={self.per_class} of each of the "
                f"{check.counted(len(self._members), 'class')} (a greater per_class allows more)"
            )

    def _large_enough(self, labels: Tensor) -> list[list[int]]:
        """The points of each class that has m of them."""
        given = labels.cpu().numpy()
        names, sizes = np.unique(given, return_counts=True)
        members = [each.tolist() for each in np.split(np.argsort(given, kind="stable"), sizes.cumsum()[:-1])]
        m, small = self.per_class, names[sizes < self.per_class].tolist()
        if len(small) == len(members):
            raise ValueError(f"labels: got at most {sizes.max()} points of a class, expected {m} of some")
        if small:
            check.warn(f"labels: got fewer than per_class={m} points of classes {check.some(small)}: they are left out")
        return [each for each in members if len(each) >= m]

    def __len__(self) -> int:
        return max(1, sum(map(len, self._members)) // (self.world * self.batch_size))

    def __iter__(self) -> Iterator[list[int]]:
        classes = [_Rounds(members, self.generator) for members in self._members]
        for _ in range(len(self)):
            # All ranks draw all parts, and each keeps its own.
            of_ranks = [_shuffled(range(len(classes)), self.generator)[: self.batch_size // self.per_class]
                        for _ in range(self.world)]  # fmt: skip
            drawn = {c: classes[c].draw(sum(c in part for part in of_ranks), self.per_class)
                     for c in sorted(set().union(*of_ranks))}  # fmt: skip
            parts = [[i for c in part for i in drawn[c].pop()] for part in of_ranks]
            yield parts[self.rank]


class _Rounds:
    """The points of a class, in rounds in which each comes once."""

    def __init__(self, members: list[int], generator: torch.Generator | None) -> None:
        self.members, self.generator = members, generator
        self.left = _shuffled(members, generator)

    def draw(self, groups: int, size: int) -> list[list[int]]:
        """So many groups of distinct points, which have none in common as long as there are enough."""
        drawn: list[list[int]] = []
        while len(drawn) < groups:
            number = size * min(groups - len(drawn), len(self.members) // size)
            points, self.left = self.left[:number], self.left[number:]
            if missing := number - len(points):  # of the next round, others than these
                others = _shuffled([i for i in self.members if i not in {*points}], self.generator)
                self.left = _shuffled([*others[missing:], *points], self.generator)
                points = [*points, *others[:missing]]
            drawn += [points[k : k + size] for k in range(0, number, size)]
        return drawn


def _shuffled(items: Any, generator: torch.Generator | None) -> list[int]:
    device = "cpu" if generator is None else generator.device  # whatever torch's default is
    return [items[k] for k in torch.randperm(len(items), generator=generator, device=device).tolist()]
