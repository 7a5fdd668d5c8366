"""Maps of many points in one or two dimensions: sums over all pairs by FFT on a grid, in O(n)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple
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
from icon.core.evaluators.nodes import Nodes, Pairs, compiled, field_sums, shape_of, squared_distances
from icon.core.problem import Problem
from icon.p.masses import Masses
from icon.q.base import Kernel
from icon.q.partitions import LogSumExp

Law = Callable[[Tensor], Tensor]  # of the squared distance

MOST_NODES = 2**25  # of a grid, or as many as make 64 for each point
PAIRS = 6  # that take as long as a node
MOST_EDGES = 2**8  # of a point, on average: beyond, p is as good as dense
SAMPLE, SPARSE, EVERY = 32, 8, 50  # points whose sums are computed exactly, at so many calls
_EXACT_ROWS = 2**22  # pairs of exact sums at a time
_FINER, _MORE = 40, 3  # grids that are tried, each a fifth finer than the last or more; and after one that will do
_AFFORDABLE = 2**24  # pairs that may be summed one by one at each step
_LEAST = 1e-15  # of an error: sums of double precision have no smaller one
_COARSER, _FINEST = 1.3, 0.4  # at most, from one check to the next, and from one try to the next


class Errors(NamedTuple):
    """How far sums on the grid were from exact ones, at a sample of points.

    Args:
        value: the largest error of a partition ``A_i``.
        gradient: the error of the partitions' derivatives, over their size (root mean squares); or of the sums of
            scores, where these are on a grid, too.
        sparse: the largest error of a sum at the points with the smallest ones.
    """

    value: float
    gradient: float
    sparse: float


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

    name: ClassVar[str] = "grid"

    def __init__(self, tolerance: float = 1e-3) -> None:
        self.tolerance = check.positive(tolerance, "tolerance")
        #: What the last sample told; None before the first call.
        self.error: Errors | None = None
        self._of: WeakKeyDictionary[Kernel, _Spaced] = WeakKeyDictionary()
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
        points = _Points.of(problem)
        z, n = points.z, support.n
        spaced = self._of.get(q)
        if spaced is None or spaced.law != _law(q):  # a bandwidth may be set anew
            spaced = self._of[q] = _Spaced(q)
        few = _are_few(own)
        of_scores = problem.p.uniform_mass is not None or not few
        spaced.calls *= spaced.of_scores or not of_scores  # what is new is checked at once
        spaced.of_scores = of_scores
        spaced.by_pairs = not spaced.of_scores and Pairs.law_of(q.law, z) is not None
        if not self._fits(spaced, points):
            return Autograd().per_anchor(problem)
        itself = float(support.exclude_self)
        sums = points.sums(spaced, spaced.kernel) - itself
        partition = spaced.top + self._logs(spaced, points, sums, support.exclude_self)
        if own not in self._attraction:
            self._attraction[own] = Links(own, z, two_sets=points.charges is not None) if few else Groups(own)
        attraction = self._attraction[own]
        if isinstance(attraction, Links):
            expected = mean_scores(z, attraction, q)[:n]
        else:
            expected = attraction.mean_scores(z, q, spaced.spacing)
        if problem.p.uniform_mass is not None:
            of_all = points.sums(spaced, q.radial) - itself * spaced.top
            expected = expected + (problem.p.uniform_mass.to(z) / support.size) * of_all.to(z)
        return partition.to(z), expected

    def _fits(self, spaced: _Spaced, points: _Points) -> bool:
        """Lay the grid about the points, as fine as it must be; whether that is worth it."""
        if spaced.given_up and spaced.n == len(points.z):  # what no grid told a moment ago none will now
            spaced.given_up -= 1
            return False
        coarser = spaced.coarsen(points)
        if not spaced.place(points):
            return False
        if isinstance(spaced.nodes, Pairs):
            self.error, spaced.n = Errors(0.0, 0.0, 0.0), 0  # a grid that follows is tried before it is used
        elif coarser or spaced.calls % EVERY == 0 or spaced.n != len(points.z):
            found, spaced.n = self._fine_enough(spaced, points), len(points.z)
            if found is None:
                spaced.given_up = EVERY
                if points.pairs > MOST_NODES:
                    warnings.warn(
                        f"evaluator: got a map of {points.n} points whose sums no grid in memory tells within "
                        f"tolerance={self.tolerance:g}; they are computed exactly, which is slow",
                        stacklevel=2,
                    )
                return False
            spaced.error, self.error = found, found
        spaced.calls += 1
        return True

    def _fine_enough(self, spaced: _Spaced, points: _Points) -> Errors | None:
        """Make the grid finer until a sample of exact sums agrees with it; None where that is not worth it.

        One that is finer than it need be is made coarser for the next calls, of which some will have smaller maps.
        Where forces cancel, so that no grid tells them within the tolerance, and points are many, one will do that
        moves no point by more than that share of the kernel's width and of the map's.
        """
        spacing, truth, usable, tries = spaced.spacing, spaced.truth(points), None, _FINER
        while True:
            error, moved = spaced.errors(points, truth, self.tolerance)
            largest = max(*error[:2], 1e-30)
            # The error grows with the sixth power of the spacing.
            wanted = (self.tolerance / 5 / largest) ** (1 / 6)
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
        found, spaced.spacing = usable
        spaced.place(points)
        return found

    def _logs(self, spaced: _Spaced, points: _Points, sums: Tensor, exclude_self: bool) -> Tensor:
        """The logarithms of the sums, exact where these are too small for what the grid tells."""
        least = spaced.least(spaced.error.sparse, self.tolerance)
        lonely = (sums.detach() < least).nonzero().flatten()
        logs = sums.clamp_min(least).log()
        if len(lonely) == 0:
            return logs
        z, candidates = points.z.to(sums), points.candidates.to(sums)
        step = max(1, _EXACT_ROWS // len(candidates))
        exact = [
            checkpoint(_log_sums, z, candidates, rows, spaced, exclude_self, use_reentrant=False)
            for rows in torch.split(lonely, step)
        ]
        return logs.index_put((lonely,), torch.cat(exact))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tolerance,)  # what it learned of other objects is no part of a copy

    def __repr__(self) -> str:
        return f"Grid(tolerance={self.tolerance:g}, {'PyTorch' if compiled() is None else 'numba'})"


class _Spaced:
    """The grid of a score: how far apart its nodes are, and its kernels on them."""

    def __init__(self, q: Kernel) -> None:
        self.q, self.law = q, _law(q)
        self.top = float(q.radial(torch.zeros((), dtype=torch.float64)))
        if not math.isfinite(self.top):
            raise ValueError(f"radial: got {self.top} at the distance 0, expected a finite score for evaluator='grid'")
        self.width = _width(q, self.top)
        self.spacing = 0.5 * self.width
        self.n = self.calls = 0
        self.given_up = 0  # calls for which no grid is tried
        self.error = Errors(0.0, 0.0, 0.0)
        self.by_pairs = False  # whether sums by the pair are there to be chosen
        self.of_scores = False  # whether the scores are summed, too
        self.nodes: Nodes | Pairs
        self._spectra: dict[Any, Tensor] = {}

    def kernel(self, squared: Tensor) -> Tensor:
        """What a distance counts, over what the distance 0 does."""
        return (self.q.radial(squared) - self.top).exp()

    def coarsen(self, points: _Points) -> bool:
        """Whether nodes had to be laid farther apart, so that a wide map has no more of them than memory takes."""
        z, most, before = points.z.detach(), _most_nodes(points.n), self.spacing
        while points.pairs > most and math.prod(shape_of(z, self.spacing)) > most:
            self.spacing *= 1.25
        return self.spacing != before

    def place(self, points: _Points) -> bool:
        """Lay the nodes about the points; False where exact sums take less, or memory would not do."""
        z, pairs = points.z.detach(), points.pairs
        first, second = shape_of(z, self.spacing)
        law = Pairs.law_of(self.q.law, z) if self.by_pairs else None
        if law is not None and len(z) ** 2 < PAIRS * first * second:
            self.nodes = Pairs(z, law)
            return True
        if first * second > min(pairs, _most_nodes(points.n)):
            return False
        self.nodes = Nodes(z, self.spacing)
        return True

    def spectrum(self, law: Law) -> Tensor:
        """The spectrum of a function of the squared distance on these nodes; that of a like grid is kept."""
        nodes = self.nodes
        key = law.__name__, nodes.shape, nodes.spacing, nodes.dtype, nodes.z.device
        if key not in self._spectra:
            self._spectra = {k: v for k, v in self._spectra.items() if k[1:] == key[1:]}
            self._spectra[key] = nodes.spectrum(law)
        return self._spectra[key]

    @staticmethod
    def least(noise: float, tolerance: float) -> float:
        """The smallest sum that a grid tells."""
        return max(2 * noise, _LEAST) / tolerance

    def truth(self, points: _Points) -> _Truth:
        """Exact sums at anchors that are evenly spaced by their number, and at those with the smallest sums."""
        n = points.n
        spaced = torch.linspace(0, n - 1, min(SAMPLE, n), dtype=torch.float64).round().long().to(points.z.device)
        alone = self._sums(points, self.kernel)[:n, 0].topk(min(SPARSE, n), largest=False).indices
        rows = torch.cat([spaced, alone])
        laws = [self.kernel, self.q.radial] if self.of_scores else [self.kernel]
        return _Truth(rows, len(spaced), [_exact(points, law, rows) for law in laws])

    def errors(self, points: _Points, truth: _Truth, tolerance: float) -> tuple[Errors, float]:
        """How far the grid's sums are from the exact ones; and how far that may move a point, as a share of the
        kernel's width and of the map's."""
        exact, off = truth.sums[0][:, 0], self._off(points, self.kernel, truth.rows, truth.sums[0])
        noise = float(off[truth.spaced :, 0].abs().max())
        told = exact >= self.least(noise, tolerance)  # the others are computed exactly
        value = float((off[:, 0].abs() / exact)[told].amax()) if bool(told.any()) else 0.0
        errors = [Errors(value, _share(off, truth.sums[0]), noise)]
        # A point stands where its log-sum's slope is that of the attraction, whose own slope is about 1/width².
        slopes = off[:, 1:] / torch.minimum(exact, exact.mean())[:, None]
        extent = float(points.z.detach().std(dim=0).norm())
        moved = (
            self.width**2 * float(slopes[told].norm(dim=1).amax()) / min(self.width, extent)
            if bool(told.any())
            else 0.0
        )
        if self.of_scores:
            off, true = self._off(points, self.q.radial, truth.rows, truth.sums[1]), truth.sums[1]
            errors.append(Errors(float(off[:, 0].abs().max()) / len(points.candidates), _share(off, true), 0.0))
        value, gradient, noise = (max(each) for each in zip(*errors, strict=True))
        return Errors(value, gradient, noise), moved

    def _sums(self, points: _Points, law: Law) -> Tensor:
        z = points.z.detach()
        charges = z.new_ones(len(z)) if points.charges is None else points.charges
        return self.nodes.sums(charges, self.spectrum(law))

    def _off(self, points: _Points, law: Law, rows: Tensor, true: Tensor) -> Tensor:
        """``[r, 3]`` how far the grid's sums and gradients are from the exact ones."""
        return self._sums(points, law)[rows].double() - true


class _Truth(NamedTuple):
    """Exact sums of some anchors and their gradients ``[r, 3]``, for each law; the first anchors are evenly spaced."""

    rows: Tensor
    spaced: int
    sums: list[Tensor]


@dataclass(frozen=True)
class _Points:
    """The points of a problem in one array, in two dimensions.

    Args:
        z: of one set; or the anchors, and after them the candidates.
        n: anchors.
        charges: of two sets, 0 for anchors and 1 for candidates; None where all are both.
        moves: whether a gradient of the candidates is wanted.
    """

    z: Tensor
    n: int
    charges: Tensor | None
    moves: bool

    @classmethod
    def of(cls, problem: Problem) -> _Points:
        anchors, candidates = problem.q.coordinates(problem.anchors, problem.candidates)
        one_set, n, charges = problem.support.offset is not None, problem.support.n, None
        z = candidates if one_set else torch.cat([anchors, candidates])
        if not one_set:
            charges = torch.cat([z.new_zeros(n), z.new_ones(len(candidates))])
        return cls(torch.nn.functional.pad(z, (0, 2 - z.shape[1])), n, charges, candidates.requires_grad)

    @property
    def candidates(self) -> Tensor:
        return self.z if self.charges is None else self.z[self.n :]

    @property
    def pairs(self) -> int:
        return self.n * len(self.candidates)

    def sums(self, spaced: _Spaced, law: Law) -> Tensor:
        """``[n]`` sums over the candidates, an anchor that is one of them included; differentiable."""
        spectrum = spaced.spectrum(law)
        return field_sums(self.z, spaced.nodes, spectrum, self.charges, self.moves)[: self.n]


def _most_nodes(n: int) -> int:
    return max(MOST_NODES, 64 * n)


def _are_few(p: Masses) -> bool:
    """Whether the pairs of p are listed one by one."""
    pairs = p.listed_pairs
    return pairs is not None and pairs <= MOST_EDGES * p.n


def _law(q: Kernel) -> Any:
    """What tells whether a score is still the same."""
    return q.law or repr(q)


def _share(off: Tensor, true: Tensor) -> float:
    """The error of gradients over their size."""
    size = true[:, 1:].norm()
    return float(off[:, 1:].norm() / size) if bool(size > 0) else 0.0


def _exact(points: _Points, law: Law, rows: Tensor) -> Tensor:
    """``[r, 3]`` sums of a law over all candidates, and their gradients."""
    z, candidates, found = points.z.detach(), points.candidates.detach().double(), []
    for some in torch.split(rows, max(1, _EXACT_ROWS // len(candidates))):
        with torch.enable_grad():
            anchors = z[some].double().requires_grad_()
            sums = law(squared_distances(anchors, candidates)).sum(dim=1)
            (slopes,) = torch.autograd.grad(sums.sum(), anchors)
        found.append(torch.cat([sums.detach()[:, None], slopes], dim=1))
    return torch.cat(found)


def _log_sums(z: Tensor, candidates: Tensor, rows: Tensor, spaced: _Spaced, exclude_self: bool) -> Tensor:
    """The logarithms of the sums of some rows, by the pair; without the point itself where that is excluded."""
    scores = spaced.q.radial(squared_distances(z[rows], candidates)) - spaced.top
    if exclude_self:
        scores = scores.scatter(1, rows[:, None], -torch.inf)
    return scores.logsumexp(dim=1)


def _width(q: Kernel, top: float) -> float:
    """The distance at which a score has fallen by a half: the scale of its kernel."""
    low, high = 1e-150, 1e150
    for _ in range(1000):
        middle = (low * high) ** 0.5
        fallen = top - float(q.radial(torch.tensor(middle**2, dtype=torch.float64)))
        low, high = (middle, high) if fallen < 0.5 else (low, middle)
        if high / low < 1.01:
            break
    return high
