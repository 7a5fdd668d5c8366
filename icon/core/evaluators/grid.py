"""Maps of many points in one or two dimensions: sums over all pairs by FFT on a grid, in O(n)."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from icon import _checks as check
from icon.core.evaluators.autograd import Autograd
from icon.core.evaluators.base import Evaluator
from icon.core.evaluators.edges import Links, mean_scores
from icon.core.evaluators.groups import Groups
from icon.core.evaluators.nodes import Pairs, compiled
from icon.core.evaluators.spacing import EXACT_ROWS, MOST_NODES, Errors, Points, Spaced, law_of, log_sums
from icon.core.problem import Problem
from icon.p.masses import Masses
from icon.q.base import Kernel
from icon.q.partitions import LogSumExp

MOST_EDGES = 2**8  # of a point, on average: beyond, p is as good as dense
EVERY = 50  # calls, after which the grid is checked again
_FINER, _MORE = 40, 3  # grids that are tried, each a fifth finer than the last or more; and after one that will do
_AFFORDABLE = 2**24  # pairs that may be summed one by one at each step
_COARSER, _FINEST = 1.3, 0.4  # at most, from one check to the next, and from one try to the next


class Grid(Evaluator):
    """Evaluates maps: a radial score in one or two dimensions, a softmax over all points, and a p with few edges.

    ``sum_k K(z_i - z_k)`` is interpolated on a grid and convolved by FFT. The edges of p are summed exactly; where p is
    made of groups of many points, such as classes, each has a grid. Points so far from others that the grid tells too
    little of their sum, and maps of too few points for the space that they take, are summed exactly.

    Args:
        tolerance: what `error` is kept below, > 0: the grid is made finer where a sample of exact sums, at the first
            call and every fiftieth, tells that it is too coarse. Of more than 4,096 points whose forces cancel, the
            error of the gradient may be larger than this share of them, where it moves no point by more than this
            share of the kernel's width and of the map's.

    Raises:
        ValueError: a tolerance that is not > 0.
    """

    def __init__(self, tolerance: float = 1e-3) -> None:
        self.tolerance = check.positive(tolerance, "tolerance")
        #: What the last sample told; None before the first call.
        self.error: Errors | None = None
        self._of: WeakKeyDictionary[Kernel, Spaced] = WeakKeyDictionary()
        self._attraction: WeakKeyDictionary[Masses, Links | Groups] = WeakKeyDictionary()

    @staticmethod
    def can(problem: Problem) -> bool:
        """Whether a grid can evaluate it."""
        support, q, own = problem.support, problem.q, problem.p.own_part
        if not (q.is_radial and type(q.partition) is LogSumExp and problem.divergence is None):
            return False
        whole = support.offset is None or (support.offset == 0 and support.n == support.m)
        if not whole or problem.p.requires_grad or not own.is_listed:
            return False
        if own.grouping is None and not _are_few(own):
            return False
        return q.coordinates(problem.anchors, problem.candidates)[1].shape[1] <= 2

    def per_anchor(self, problem: Problem) -> tuple[Float[Tensor, " n"], ...]:
        if not self.can(problem):
            raise ValueError(
                "evaluator: got 'grid', expected points in at most two dimensions, a score of the distance with fixed "
                f"parameters, and a p of groups, or of at most {MOST_EDGES} edges a point, without gradient"
            )
        q, support, own = problem.q, problem.support, problem.p.own_part
        points = Points.of(problem)
        z, n = points.z, support.n
        spaced = self._of.get(q)
        if spaced is None or spaced.law != law_of(q):  # a bandwidth may be set anew
            spaced = self._of[q] = Spaced(q)
        few = _are_few(own)
        of_scores = problem.p.uniform_mass is not None or not few
        spaced.calls *= spaced.of_scores or not of_scores  # what is new is checked at once
        spaced.of_scores = of_scores
        if not self._fits(spaced, points):
            return Autograd().per_anchor(problem)
        itself = float(support.exclude_self)
        sums = points.sums(spaced, spaced.kernel) - itself
        partition = spaced.top + self._logs(spaced, points, sums, support.exclude_self)
        if own not in self._attraction:
            self._attraction[own] = Links(own, z, two_sets=len(z) > n) if few else Groups(own)
        attraction = self._attraction[own]
        if isinstance(attraction, Links):
            expected = mean_scores(z, attraction, q)[:n]
        else:
            expected = attraction.mean_scores(z, q, spaced.spacing)
        if problem.p.uniform_mass is not None:
            of_all = points.sums(spaced, q.radial) - itself * spaced.top
            expected = expected + (problem.p.uniform_mass.to(z) / support.size) * of_all.to(z)
        return partition.to(z), expected

    def _fits(self, spaced: Spaced, points: Points) -> bool:
        """Lay the grid about the points, as fine as it must be; whether that is worth it."""
        if spaced.given_up and spaced.n == len(points.z):  # what no grid told a moment ago none will now
            spaced.given_up -= 1
            return False
        coarser = spaced.coarsen(points)
        if not spaced.place(points):
            return False
        if isinstance(spaced.nodes, Pairs):
            self.error, spaced.n = Errors(0.0, 0.0, 0.0), 0  # a grid that follows is tried before it is used
        elif coarser or spaced.calls % EVERY == 0 or spaced.n != len(points.z) or not spaced.error.gradient:
            errors, spaced.n = self._fine_enough(spaced, points), len(points.z)
            if errors is None:
                spaced.given_up = EVERY
                if points.pairs > MOST_NODES:
                    check.warn(
                        f"evaluator: got a map of {points.n} points, for which no grid that fits into memory "
                        f"reaches tolerance={self.tolerance:g}; its sums are computed exactly, which is slow"
                    )
                return False
            spaced.error, self.error = errors, errors
        spaced.calls += 1
        return True

    def _fine_enough(self, spaced: Spaced, points: Points) -> Errors | None:
        """Make the grid finer until a sample of exact sums agrees with it; None where that is not worth it.

        One that is finer than it need be is made coarser for the next calls, of which some will have smaller maps.
        Where forces cancel, so that no grid tells them within the tolerance, and points are many, one will do that
        moves no point by more than that share of the kernel's width and of the map's.
        """
        spacing, truth, usable, tries = spaced.spacing, spaced.truth(points), None, _FINER
        while True:
            error, moved = spaced.errors(points, *truth, self.tolerance)
            largest = max(*error[:2], 1e-30)
            # The error grows with the sixth power of the spacing; points that all coincide have no forces to tell it.
            wanted = (self.tolerance / 5 / largest) ** (1 / 6) if error.gradient else 1.0
            if largest <= self.tolerance:
                spaced.spacing *= min(_COARSER, max(1.0, wanted))
                return error
            if usable is None and max(error.value, moved) <= self.tolerance and points.pairs > _AFFORDABLE:
                usable, tries = (error, spaced.spacing), _MORE
            tries -= 1
            if tries == 0:
                break
            spaced.spacing *= max(_FINEST, min(0.8, wanted))
            if not spaced.place(points):
                break
        if usable is None:
            spaced.spacing = spacing
            return None
        error, spaced.spacing = usable
        spaced.place(points)
        return error

    def _logs(self, spaced: Spaced, points: Points, sums: Tensor, exclude_self: bool) -> Tensor:
        """The logarithms of the sums, exact where these are too small for what the grid tells."""
        least = spaced.least(spaced.error.sparse, self.tolerance)
        lonely = (sums.detach() < least).nonzero().flatten()
        logs = sums.clamp_min(least).log()
        if len(lonely) == 0:
            return logs
        z, candidates = points.z.to(sums), points.candidates.to(sums)
        step = max(1, EXACT_ROWS // len(candidates))
        exact = [
            checkpoint(log_sums, z, candidates, rows, spaced, exclude_self, use_reentrant=False)
            for rows in torch.split(lonely, step)
        ]
        return logs.index_put((lonely,), torch.cat(exact))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tolerance,)  # what it learned of other objects is no part of a copy

    def __repr__(self) -> str:
        return f"Grid(tolerance={self.tolerance:g}, {'PyTorch' if compiled() is None else 'numba'})"


def _are_few(p: Masses) -> bool:
    """Whether the pairs of p are listed one by one."""
    pairs = p.listed_pairs
    return pairs is not None and pairs <= MOST_EDGES * p.n
