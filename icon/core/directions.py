"""What one call of a loss evaluates: one direction, or a→b and b→a, or all pairs of views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icon.core import evaluators
from icon.core.divergence import Divergence
from icon.core.evaluators import Evaluator
from icon.core.memory import MANY, refuse_if_too_large
from icon.core.problem import Problem
from icon.core.ranks import Ranks, Share
from icon.core.reduction import Direction
from icon.core.weights import AnchorWeights
from icon.p.base import Distribution, Sets
from icon.p.rows import Rows
from icon.q.arguments import proportions
from icon.q.base import Batch, Features, Kernel
from icon.q.totals import WHOLE, Totals

Given = tuple[str, Tensor]  # the argument that weights of the anchors are, and the weights


@dataclass(frozen=True, eq=False)
class Directions:
    """The evaluations of a call, by the parts and the settings of a loss (`icon.Loss`)."""

    p: Distribution
    q: Kernel
    is_joint: bool
    is_mean: bool
    divergence: Divergence | None
    block: int | None
    evaluator: Evaluator | None
    totals: Totals
    ranks: Ranks | None
    weigh: AnchorWeights

    def __call__(self, views: list[Tensor], target: Any, part: slice | None, given: Given | None) -> list[Direction]:
        """Each direction of a call, of views that are checked and joined."""
        every: list[Direction] = []
        ranks = self.ranks if self.ranks is not None and self.ranks.inside else None
        is_whole, share = part is None and ranks is None, Share(part, self.totals)
        for i, j, made_from in self.p.directions(len(views), target):
            if every and (i, j) == (1, 0) and is_whole and self.q.is_symmetric and not self.q.has_penalty:
                every.append(self._back(every[0], views, made_from, given))
            else:
                share = share if ranks is None else ranks.share(i, j)
                every.append(self._direction(views, i, j, made_from, share, given))
        return every

    def _back(self, forth: Direction, views: list[Tensor], target: Any, given: Given | None) -> Direction:
        """The direction from the second set to the first, from the same features."""
        problem = forth.problem.exchanged()
        if target is None and self.p.aligned and not self.p.operations:  # p is the same both ways
            return forth._replace(problem=problem)
        features = Features(problem.anchors, problem.candidates, problem.statistics)
        return self._direction(views, 1, 0, target, Share(None, self.totals), given, features)

    def _direction(
        self,
        views: list[Tensor],
        i: int,
        j: int,
        target: Any,
        share: Share,
        given: Given | None,
        features: Features | None = None,
    ) -> Direction:
        """The anchors of view i against the candidates of view j."""
        anchors, candidates, paired = views[i], views[j], len(views) > 1
        (n, d), m, q = anchors.shape, candidates.shape[0], self.q
        part, totals, anchors_of_all, ring, is_empty = share
        n = anchors_of_all or n
        m = m if ring is None else sum(ring.sizes)
        if m < 2 and not paired and self.p.made_from not in ("labels", "nothing"):
            raise ValueError("input: got 1 point, expected at least two")
        rows = self.p(target, Sets(n, m, paired, anchors.device))
        if self.is_joint and not rows.is_joint and not paired:
            rows = rows.symmetrized
        if q.needs_self or q.refuses_self:
            rows = _with_self(rows, q)
        of_candidates = rows.marginal if q.needs_marginal else None
        own = None if given is None else self._of_anchors(given, n)
        whole = rows  # what its anchors weigh is known of all ranks without an exchange
        if part is not None:
            start, stop = _span(part, n)
            rows, n = rows.part(start, stop), stop - start
            if self.ranks is None:
                whole, own = rows, None if own is None else own[start:stop]
            anchors = anchors[start:stop] if anchors_of_all is None else anchors
            if ring is not None and of_candidates is not None:
                of_candidates = ring.own(of_candidates)
        if n * m > MANY and anchors.is_cpu and not torch.compiler.is_compiling():
            refuse_if_too_large(self.block, q.is_product, n, d, m)
        parts = totals, getattr(totals, "candidates", WHOLE)
        a, c, statistics = features or q.features(Batch(anchors, candidates, rows.support, of_candidates, *parts))
        moved = rows.to(a.device, a.dtype)
        counted, weights = self.weigh(whole, rows, own, a)
        if whole is not rows:
            weights, counted = weights[start:stop], None if counted is None else counted[start:stop]
        if ring is not None and moved.masses.requires_grad:
            raise ValueError("exchange: got 'ring' for a p with gradient, expected detach=True or exchange='gather'")
        if self.divergence is not None and moved.masses.requires_grad:
            raise ValueError("detach: got a p with gradient and a divergence other than KL, expected a detached p")
        p, support = moved.masses, rows.support
        entropy = None if p.hard_targets is not None else moved.entropy()
        if q.has_factors:
            weights = weights * q.anchor_factors(p, support, statistics).to(weights)
        settings = (self.divergence, None, self.block, rows.is_distribution)
        problem = Problem(q, p, support, a, c, weights, entropy, counted, statistics, *settings)
        penalty = q.penalty(anchors, totals) if q.has_penalty else None
        evaluator = ring or self.evaluator or evaluators.choose(problem)
        return Direction(problem, evaluator, moved, penalty, totals, is_empty)

    def _of_anchors(self, given: Given, n: int) -> Tensor:
        """The weights ``[n]``, for a mean their proportions."""
        name, weights = given
        if len(weights) != n:
            raise ValueError(f"{name}: got {len(weights)}, expected {n} (one per anchor)")
        return proportions(weights) if self.is_mean else weights


def _with_self(rows: Rows, q: Kernel) -> Rows:
    """p on a support with the anchor itself where q needs it, and none where its score would be infinite."""
    if q.refuses_self and rows.support.offset is not None and not rows.support.exclude_self:
        raise ValueError(f"{q.refuses_self} for a p with self as a candidate, expected > 0: its score is infinite")
    return rows.on(rows.support.including_self()) if q.needs_self and rows.support.exclude_self else rows


def _span(part: slice, n: int) -> tuple[int, int]:
    """The first and the last point of a part, which must be one piece of the input."""
    if not isinstance(part, slice):
        raise TypeError(f"anchors: got {part!r}, expected a slice of the input, as slice(0, 32)")
    start, stop, step = part.indices(n)
    if step != 1 or stop <= start or (part.stop is not None and part.stop > n):
        raise ValueError(f"anchors: got {part}, expected some of the {n} points, next to each other")
    return start, stop
