"""An estimate of the time and memory that a map takes, before it is made."""

from __future__ import annotations

import time
from functools import cache
from typing import NamedTuple

import torch

from icon.neighbors import EXACT_UP_TO

_GIB = 2**30


class Cost(NamedTuple):
    """What a fit takes on this machine, within a factor of two or three: seconds of p and of all steps, bytes of memory
    beside the features, and in words what is computed."""

    seconds: float
    bytes: int
    how: str

    def __str__(self) -> str:
        seconds = max(self.seconds, 1.0)
        units = [(1, "s"), (60, "min"), (3600, "h"), (86400, "days")]
        size, unit = next(((size, unit) for size, unit in reversed(units) if seconds >= 2 * size), units[0])
        return f"about {seconds / size:.0f} {unit} and {max(self.bytes / _GIB, 0.1):.1f} GiB: {self.how}"


#: All were measured with two threads of a machine whose `_probe` takes so many seconds.
_REFERENCE = 0.0027
_SEARCHED = (6e-9, 3.2e-11)  # seconds of an exact search for each pair of points, and for each of its features
_FOUND = 8.5e-9  # of an approximate one, for each point, feature and root of the number of points
_SOUGHT = 7e-8  # for each mass of a point whose bandwidth is sought
_ON_GRID = (3e-7, 5e-9)  # for each point and each edge of a step
_BY_PAIRS = 1.2e-8  # for each pair of a step


def cost(n: int, features: int, *, steps: int, batch: int, kept: int | None, edges: float, on_grid: bool) -> Cost:
    """What a map takes of n points that are laid out together, ``batch`` of them at a step.

    p keeps so many nearest neighbours, 0 where it is not made from distances, None where all points are kept; it has so
    many edges of each point.
    """
    pairs, of_a_step = float(n) * n, float(batch) * batch
    of_p, seconds, how = 45.0 * n * edges, 0.0, []
    if kept is None:
        how, of_p, seconds = [f"p of all {n:,} x {n:,} pairs"], 24 * pairs, pairs * _SOUGHT
    elif kept:
        exact = n <= EXACT_UP_TO
        how.append(f"p of {kept} neighbours each ({'exact' if exact else 'approximate'} search)")
        searched = n * (_SEARCHED[0] + features * _SEARCHED[1]) if exact else features * n**0.5 * _FOUND
        seconds = n * (searched + kept * _SOUGHT)
    if on_grid:
        seconds += steps * n * (_ON_GRID[0] + edges * _ON_GRID[1])
        how.append(f"{steps:,} steps on a grid")
    else:
        seconds += steps * of_a_step * _BY_PAIRS
        how.append(f"{steps:,} steps of exact sums over {batch:,} x {batch:,} pairs")
    memory = int(of_p + n * (16 * features + 200) + min(40 * of_a_step, 2**28))
    return Cost(seconds * _probe() / _REFERENCE, memory, ", ".join(how))


@cache
def _probe() -> float:
    """Seconds of a small piece of such work: the least of five."""
    a, b = torch.ones(384, 384), torch.linspace(1, 2, 2**20)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        (a @ a).sum(), b.log().sum()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
