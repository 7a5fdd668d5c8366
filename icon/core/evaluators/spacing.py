"""The spacing of a grid: how far apart its nodes are for a score, and how far sums on them are from exact ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from icon.core.evaluators.nodes import Nodes, Pairs, field_sums, shape_of, squared_distances
from icon.core.problem import Problem
from icon.q.base import Kernel

Law = Callable[[Tensor], Tensor]  # of the squared distance

MOST_NODES = 2**25  # of a grid, or as many as make 64 for each point
PAIRS = 6  # that take as long as a node
SAMPLE, SPARSE = 32, 8  # points whose sums are computed exactly
EXACT_ROWS = 2**22  # pairs of exact sums at a time
_LEAST = 1e-15  # of an error: sums of double precision have no smaller one


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


@dataclass(frozen=True)
class Points:
    """The points of a problem in one array, in two dimensions.

    Args:
        z: of one set; or the anchors, and after them the candidates.
        n: anchors.
        charges: of two sets, 0 for anchors and 1 for candidates; 1 where all are both.
        moves: whether a gradient of the candidates is wanted.
    """

    z: Tensor
    n: int
    charges: Tensor
    moves: bool

    @classmethod
    def of(cls, problem: Problem) -> Points:
        anchors, candidates = problem.q.coordinates(problem.anchors, problem.candidates)
        z, n, charges = candidates, problem.support.n, torch.ones_like(candidates[:, 0])
        if problem.support.offset is None:
            z, charges = torch.cat([anchors, z]), torch.cat([z.new_zeros(n), charges])
        return cls(torch.nn.functional.pad(z, (0, 2 - z.shape[1])), n, charges, candidates.requires_grad)

    @property
    def candidates(self) -> Tensor:
        return self.z[self.n :] if len(self.z) > self.n else self.z

    @property
    def pairs(self) -> int:
        return self.n * len(self.candidates)

    def sums(self, spaced: Spaced, law: Law) -> Tensor:
        """``[n]`` sums over the candidates, an anchor that is one of them included; differentiable."""
        spectrum = spaced.spectrum(law)
        return field_sums(self.z, spaced.nodes, spectrum, self.charges, self.moves)[: self.n]


class Spaced:
    """The grid of a score: how far apart its nodes are, and its kernels on them."""

    def __init__(self, q: Kernel) -> None:
        self.q, self.law = q, law_of(q)
        self.top = float(q.radial(torch.zeros((), dtype=torch.float64, device="cpu")))
        if not math.isfinite(self.top):
            raise ValueError(f"radial: got {self.top} at the distance 0, expected a finite score for evaluator='grid'")
        self.width = _width(q, self.top)
        self.spacing = 0.5 * self.width
        self.n = self.calls = 0
        self.given_up = 0  # calls for which no grid is tried
        self.error = Errors(0.0, 0.0, 0.0)
        self.of_scores = False  # whether the scores are summed, too
        self.nodes: Nodes | Pairs
        self._spectra: dict[Any, Tensor] = {}

    def kernel(self, squared: Tensor) -> Tensor:
        """What a distance counts, over what the distance 0 does."""
        return (self.q.radial(squared) - self.top).exp()

    def coarsen(self, points: Points) -> bool:
        """Whether nodes had to be laid farther apart, so that a wide map has no more of them than memory takes."""
        z, most, before = points.z.detach(), _most_nodes(points.n), self.spacing
        while points.pairs > most and math.prod(shape_of(z, self.spacing)) > most:
            self.spacing *= 1.25
        return self.spacing != before

    def place(self, points: Points) -> bool:
        """Lay the nodes about the points; False where exact sums take less, or memory would not do."""
        z, pairs = points.z.detach(), points.pairs
        first, second = shape_of(z, self.spacing)
        law = None if self.of_scores else Pairs.law_of(self.q.law, z)
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

    def truth(self, points: Points) -> tuple[Tensor, list[Tensor]]:
        """Anchors that are evenly spaced by their number, then those with the smallest sums, and for each law the exact
        sums ``[r, 3]`` there, with their gradients."""
        n = points.n
        spaced = torch.linspace(0, n - 1, min(SAMPLE, n), dtype=torch.float64, device="cpu").round().long()
        alone = self._sums(points, self.kernel)[:n, 0].topk(min(SPARSE, n), largest=False).indices
        rows = torch.cat([spaced.to(points.z.device), alone])
        return rows, [_exact(points, law, rows) for law in self._laws]

    def errors(self, points: Points, rows: Tensor, sums: list[Tensor], tolerance: float) -> tuple[Errors, float]:
        """How far the grid's sums are from the exact ones of `truth`; and how far that may move a point, as a share of
        the kernel's width and of the map's."""
        pairs = zip(self._laws, sums, strict=True)
        off, *off_scores = (self._sums(points, law)[rows].double() - true for law, true in pairs)
        exact, value, moved = sums[0][:, 0], 0.0, 0.0
        noise = float(off[min(SAMPLE, points.n) :, 0].abs().max())  # of the smallest sums
        told = exact >= self.least(noise, tolerance)  # the others are computed exactly
        if bool(told.any()):
            value = float((off[:, 0].abs() / exact)[told].amax())
            # A point stands where its log-sum's slope is that of the attraction, whose own slope is about 1/width².
            slopes = off[:, 1:] / torch.minimum(exact, exact.mean())[:, None]
            extent = float(points.z.detach().std(dim=0).norm()) or self.width  # points may all coincide
            moved = self.width**2 * float(slopes[told].norm(dim=1).amax()) / min(self.width, extent)
        errors = [Errors(value, _share(off, sums[0]), noise)]
        for each in off_scores:
            value = float(each[:, 0].abs().max()) / len(points.candidates)
            errors.append(Errors(value, _share(each, sums[1]), 0.0))
        value, gradient, noise = (max(each) for each in zip(*errors, strict=True))
        return Errors(value, gradient, noise), moved

    def _sums(self, points: Points, law: Law) -> Tensor:
        return self.nodes.sums(points.charges, self.spectrum(law))

    @property
    def _laws(self) -> list[Law]:
        return [self.kernel, self.q.radial] if self.of_scores else [self.kernel]


def _most_nodes(n: int) -> int:
    return max(MOST_NODES, 64 * n)


def law_of(q: Kernel) -> Any:
    """What tells whether a score is still the same."""
    return q.law or repr(q)


def _share(off: Tensor, true: Tensor) -> float:
    """The error of gradients over their size."""
    size = true[:, 1:].norm()
    return float(off[:, 1:].norm() / size) if bool(size > 0) else 0.0


def _exact(points: Points, law: Law, rows: Tensor) -> Tensor:
    """``[r, 3]`` sums of a law over all candidates, and their gradients."""
    z, candidates, sums_and_slopes = points.z.detach(), points.candidates.detach().double(), []
    for some in torch.split(rows, max(1, EXACT_ROWS // len(candidates))):
        with torch.enable_grad():
            anchors = z[some].double().requires_grad_()
            sums = law(squared_distances(anchors, candidates)).sum(dim=1)
            (slopes,) = torch.autograd.grad(sums.sum(), anchors)
        sums_and_slopes.append(torch.cat([sums.detach()[:, None], slopes], dim=1))
    return torch.cat(sums_and_slopes)


def log_sums(z: Tensor, candidates: Tensor, rows: Tensor, spaced: Spaced, exclude_self: bool) -> Tensor:
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
        fallen = top - float(q.radial(torch.tensor(middle**2, dtype=torch.float64, device="cpu")))
        low, high = (middle, high) if fallen < 0.5 else (low, middle)
        if high / low < 1.01:
            break
    return high
