"""From the evaluations of a call to its value: one number of all anchors, or one of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from icon.core.divergence import Divergence
from icon.core.evaluators import Evaluator
from icon.core.evaluators.base import numbers_of
from icon.core.problem import Problem
from icon.core.weights import marginal
from icon.p.rows import Rows
from icon.q.totals import Totals, log_sum_of


class Terms(NamedTuple):
    """``kl = cross_entropy - entropy``: scalars, or one per anchor with ``reduction="none"``.

    >>> import icon, torch
    >>> loss = icon.Loss(icon.p.Classes(), icon.q.Gaussian("cosine", temperature=1.0))
    >>> loss.terms(torch.eye(3), [0, 0, 0])  # p and q are uniform over the two others
    Terms(kl=tensor(0.), cross_entropy=tensor(0.6931), entropy=tensor(0.6931))

    Where q is not a distribution (the rescaled limits ``mean``, ``second-order``, ``max``, ``constant``; ``decoupled``,
    ``debiased``; clusters with marginals or an exponent) the loss is the cross-entropy form and ``kl`` equals
    ``cross_entropy``; the entropy of p is reported beside it.

    Attributes:
        kl: what the loss is by default.
        cross_entropy: ``-sum_j p_ij log q_ij``.
        entropy: of p.
    """

    kl: Float[Tensor, "*n"]
    cross_entropy: Float[Tensor, "*n"]
    entropy: Float[Tensor, "*n"]


class Direction(NamedTuple):
    """One evaluation of the loss: the problem, what evaluates it, p, a penalty ``[n]``, and sums over other parts of
    the anchors. One that is empty has a point that stands in for none and counts nothing."""

    problem: Problem
    evaluator: Evaluator
    rows: Rows
    penalty: Tensor | None
    totals: Totals
    is_empty: bool


@dataclass(frozen=True, eq=False)
class Reduction:
    """How the anchors of an evaluation become a value, by the settings of a loss (`icon.Loss`)."""

    joint: bool
    per_anchor: bool
    divergence: Divergence | None

    def value(self, directions: Sequence[Direction]) -> Tensor:
        """The loss of a call, a scalar or ``[n]``."""
        if self.per_anchor:
            return torch.cat([self._own(d, self._of_each_anchor(d)) for d in directions])
        first, last = directions[0], directions[-1]
        if first is not last and not (len(directions) == 2 and self._share_scores(first, last)):
            return torch.stack([self.value([d]) for d in directions]).mean()
        problem, weights = first.problem, first.problem.weights
        if self.joint:
            value = self._terms(first).kl if self.divergence is None else self._joint_divergence(first)
            return self._own(first, value if first.penalty is None else value + first.penalty @ weights)
        if first is last:
            value = first.evaluator.total(problem, weights)
        else:
            value = first.evaluator.total_of_both(problem, last.problem, weights, last.problem.weights)
        for d in directions:
            entropy, weights = d.problem.entropy, d.problem.weights
            # KL from the cross-entropy, where that is what the loss is.
            if entropy is not None and problem.divergence is None and problem.q.partition.is_normalizer:
                value = value - entropy.to(value.dtype) @ weights
            if d.penalty is not None:
                value = value + d.penalty @ weights
        if first.is_empty:
            return value * 0.0
        return value if first is last else value / 2

    def terms(self, directions: Sequence[Direction]) -> Terms:
        """The terms of a call, scalars or ``[n]``."""
        parts = [self._own(d, torch.stack(self._terms(d))) for d in directions]
        joined = torch.cat(parts, dim=-1) if self.per_anchor else torch.stack(parts).mean(dim=0)
        return Terms(*joined.unbind())

    def _of_each_anchor(self, d: Direction) -> Tensor:
        if self.divergence is None:
            values = self._terms(d).kl
        else:
            (values,) = numbers_of(d.evaluator, d.problem)
            values = values * d.problem.weights
        return values if d.penalty is None else values + d.penalty * d.problem.weights

    def _terms(self, d: Direction) -> Terms:
        problem = replace(d.problem, divergence=None)
        weights = problem.weights
        entropy = torch.zeros_like(weights) if problem.entropy is None else problem.entropy.to(problem.anchors.dtype)
        if self.joint:
            partition, expected = numbers_of(d.evaluator, problem)
            weights = marginal(d.rows, problem.counted, partition, d.totals)
            cross_entropy = self._log_normalizer(d, partition) * weights.sum() - weights @ expected
            entropy = weights @ entropy - torch.xlogy(weights, weights).sum()
        elif self.per_anchor:
            partition, expected = numbers_of(d.evaluator, problem)
            if problem.p.requires_grad:  # sums of one, whose gradient makes that of p the one of -log q
                partition = partition * problem.p.average(problem.candidates.new_ones(problem.support.m, 1)).squeeze(1)
            cross_entropy, entropy = (partition - expected) * weights, entropy * weights
        else:
            cross_entropy = d.evaluator.total(problem, weights)
            entropy = entropy @ weights
        kl = cross_entropy - entropy if problem.q.partition.is_normalizer else cross_entropy
        return Terms(kl, cross_entropy, entropy)

    def _joint_divergence(self, d: Direction) -> Tensor:
        partition, _ = numbers_of(d.evaluator, replace(d.problem, divergence=None))
        weights = marginal(d.rows, d.problem.counted, partition, d.totals)
        some = (d.totals.sum(weights.detach().sum()) > 0).expand(len(weights))
        # q has mass on the pairs of all anchors, also of those without a positive, so that these count as well,
        # but where nobody has one: there the loss is 0.
        pairs, normalizer = d.problem.p.scaled(weights), self._log_normalizer(d, partition)
        return d.evaluator.total(replace(d.problem, p=pairs, log_normalizer=normalizer, counted=some), some.to(weights))

    def _own(self, d: Direction, x: Tensor) -> Tensor:
        if not d.is_empty:
            return x
        return x[..., :0] if self.per_anchor else x * 0.0

    @staticmethod
    def _log_normalizer(d: Direction, partition: Tensor) -> Tensor:
        # Whether a partition that is known has a (zero) gradient depends on the blocks, but all ranks go one way back.
        return log_sum_of(partition.detach() if d.problem.q.edges_suffice else partition, d.totals)

    def _share_scores(self, d: Direction, e: Direction) -> bool:
        """Whether two directions are the same scores, seen from both sides."""
        there, here = d.problem, e.problem
        same = there.anchors is here.candidates and there.candidates is here.anchors and there.q.is_symmetric
        return same and d.totals is e.totals and self.divergence is None and not self.joint
