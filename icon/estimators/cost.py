"""What a map will take, about: told before it is made."""

from __future__ import annotations

import time
from functools import cache
from typing import NamedTuple

import torch

from icon.neighbors import EXACT_UP_TO

_GIB = 2**30


class Cost(NamedTuple):
    """What a fit takes on this machine, within a factor of two or three.

    Args:
        seconds: of p and of all steps.
        bytes: of memory, beside the features.
        how: in words, what is computed.
    """

    seconds: float
    bytes: int
    how: str

    def __str__(self) -> str:
        minutes = self.seconds / 60
        time = (
            f"{self.seconds:.0f} s"
            if minutes < 2
            else f"{minutes:.0f} min"
            if minutes < 120
            else f"{minutes / 60:.0f} h"
        )
        return f"about {time} and {max(self.bytes / _GIB, 0.1):.1f} GiB: {self.how}"


#: Measured with two threads of a machine whose `_probe` takes so many seconds.
_REFERENCE = 0.0063
_SEARCHED = 2.6e-10  # seconds for each pair of points and feature of an exact search
_FOUND = 9.8e-9  # for each point, feature and root of the number of points, of an approximate one
_SOUGHT = 2e-8  # for each neighbour of a point whose bandwidth is sought
_ON_GRID = (3e-7, 5e-9)  # for each point and each edge of a step
_BY_PAIRS = 2.5e-9  # for each pair of a step


def cost(n: int, features: int, *, dims: int, steps: int, kept: int | None, edges: float, on_grid: bool) -> Cost:
    """What a map of free points takes.

    Args:
        n: points that are laid out together.
        features: columns of X.
        dims: of the map.
        steps: in all.
        kept: nearest neighbours in p; 0 where p is not made from distances, None where all points are kept.
        edges: of each point in p.
        on_grid: whether sums over all pairs are.
    """
    pairs = float(n) * n
    of_p = n * edges * 60
    how = [f"p of {kept} neighbours each ({'exact' if n <= EXACT_UP_TO else 'approximate'} search)"] if kept else []
    if kept is None:
        how, of_p, seconds = [f"p of all {n:,} x {n:,} pairs"], 24 * pairs, pairs * (features * _SEARCHED + _SOUGHT)
    elif n <= EXACT_UP_TO:
        seconds = pairs * features * _SEARCHED * bool(kept) + n * kept * _SOUGHT
    else:
        seconds = n * features * n**0.5 * _FOUND * bool(kept) + n * kept * _SOUGHT
    if on_grid:
        each = n * (_ON_GRID[0] + edges * _ON_GRID[1])
        how.append(f"{steps:,} steps on a grid")
    else:
        each = pairs * _BY_PAIRS * max(dims, 2) / 2
        how.append(f"{steps:,} steps of exact sums over all pairs, which grow with the square of the points")
    memory = int(of_p + n * (16 * features + 200) + min(40 * pairs, 2**28))
    return Cost((seconds + steps * each) * _probe() / _REFERENCE, memory, ", ".join(how))


@cache
def _probe() -> float:
    """Seconds of a small piece of such work: the least of five."""
    a, b = torch.ones(384, 384), torch.linspace(1, 2, 2**20)
    found = []
    for _ in range(5):
        start = time.perf_counter()
        (a @ a).sum(), b.log().sum()
        found.append(time.perf_counter() - start)
    return min(found)
