"""Pairs drawn from p: an anchor, and a partner j with probability p(j|i). Walks are walked and never computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from icon import _checks as check
from icon._cached import cached
from icon.core.loss import Loss
from icon.p.base import Distribution, Sets
from icon.p.masses import Debiased, Listed, Masses, Sparse, Uniform
from icon.p.operations import Composable, Debias, Operation, Walks
from icon.p.rows import Rows
from icon.p.support import Support

LARGE = 2**17  #: points beyond which a permutation of all of them takes longer than a step


def prepare(loss: Loss, target: Any, sets: Sets) -> Rows:
    """p, once, in the form in which the loss uses it at every step."""
    rows = loss.p(target, sets)
    if loss.normalization == "joint" and not rows.is_joint and not sets.paired:
        return rows.symmetrized
    return rows


@dataclass(frozen=True, eq=False)
class PairSampler(Composable):
    """Draws pairs (i, j) from a p on one set of points, with torch's global generator.

    It composes as p does (``PairSampler(rows).walks(3).debias(0.1)``), with the same refusals, but walks are drawn and
    uniform mass is spread over the batch; neither is computed for all points.

    Args:
        rows: p before any walk.
        weighted: draw anchors by p's marginal, with replacement, and not uniformly without.
        negatives: None spreads the uniform mass over the whole batch; a number over this many random ones.
        steps: K: j is where a walk of 1 to K steps from i ends, each length as probable, so that j follows the K-walk
            average of p. A walk that cannot go on is drawn anew, as the average leaves it out.
        alpha: uniform mass of debiasing, beside what the rows have.

    Raises:
        TypeError, ValueError: no prepared rows, p is between two sets, or an argument is not of its kind.
    """

    rows: Rows
    weighted: bool = False
    negatives: int | None = None
    steps: int = 1
    alpha: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.rows, Rows):
            raise TypeError(f"rows: got {type(self.rows).__name__}, expected prepared ones, such as icon.p.KNN(10)(x)")
        if self.rows.n != self.rows.m:
            raise ValueError(
                f"batch_size: got p between {self.rows.n} and {self.rows.m} points, expected one set of points, or "
                "batch_size=None"
            )
        if self.negatives is not None:
            check.count(self.negatives, "negatives")
        check.fraction(self.alpha, "alpha")
        check.flag(self.weighted, "weighted")

    @cached
    def _on_cpu(self) -> Rows:
        return self.rows.to(torch.device("cpu"), torch.float64)

    @cached
    def _own(self) -> Masses:
        return self._on_cpu.masses.own_part

    @cached
    def _uniform(self) -> Tensor | None:
        """``[n]`` the uniform mass of each anchor, that of the rows and that of `alpha` together."""
        spread = self._on_cpu.masses.uniform_mass
        if self.alpha == 0:
            return spread
        uniform: Tensor = Debias(self.alpha).onto(
            torch.zeros(self.rows.n, dtype=torch.float64, device="cpu") if spread is None else spread
        )
        return uniform

    @property
    def spreads_mass(self) -> bool:
        """Whether the rows have uniform mass."""
        return self._uniform is not None

    @cached
    def _anchors(self) -> Tensor:
        anchors = self._goes_on.nonzero().flatten()
        if not len(anchors):
            raise ValueError(
                "target: got a p in which no anchor has a positive of its own, expected at least one for batches"
            )
        return anchors

    @classmethod
    def of(
        cls, loss: Loss, target: Any, sets: Sets, weighted: bool = False, negatives: int | None = None
    ) -> PairSampler:
        """Pairs from the p of a loss. Prepared rows are taken as they are; of a target no walk is computed.

        Args:
            loss: whose p is sampled.
            target: what its p is made from, or prepared rows.
            sets: the sizes of the two sets that p relates.
            weighted: draw anchors by the weights that p gives them.
            negatives: how many points stand for the uniform mass of each anchor; None: no such sample.
        """
        p: Distribution = loss.p
        makes_rows_itself = p.finish is not None or type(p).__call__ is not Distribution.__call__
        if isinstance(target, Rows) or loss.normalization == "joint" or makes_rows_itself:
            return cls(prepare(loss, target, sets), weighted, negatives)
        sampler = cls(p.before_operations(target, sets), weighted, negatives)
        for operation in p.operations:
            sampler = sampler._after(operation, target, sets)
        return sampler

    def _then(self, operation: Operation) -> PairSampler:
        return self._after(operation, None, Sets(self.rows.n, self.rows.m))

    def _after(self, operation: Operation, target: Any, sets: Sets) -> PairSampler:
        if isinstance(operation, Debias):
            return replace(self, alpha=operation.onto(self.alpha))
        if isinstance(operation, Walks) and operation.average and operation.prune is None and self.steps == 1:
            operation.check(self.rows.debias(self.alpha))
            return replace(self, steps=operation.k)
        rows = self.rows.walks(self.steps).debias(self.alpha)
        rows = operation(rows, partial(Distribution.another, target=target, sets=sets))
        return replace(self, rows=rows, steps=1, alpha=0.0)

    @cached
    def _summed(self) -> Tensor:
        """``[n]`` p's marginal, of each point and all before it."""
        return self._on_cpu.marginal.cumsum(0)

    # -- drawing ------------------------------------------------------------------------------------------------------

    def draw(self, size: int) -> tuple[Tensor, Tensor, Rows]:
        """Anchors ``[b]``, partners ``[b]``, and p among them: partner k is the one positive of anchor k.

        Args:
            size: b, how many pairs; of fewer anchors all, unless they are weighted.

        Raises:
            ValueError, TypeError: no number of pairs.
        """
        anchors = self._some_anchors(size)
        b = len(anchors)
        negatives = None if self.negatives is None else min(self.negatives, b - 1)
        return anchors, self._walked(anchors), self._among(anchors, torch.arange(b, device="cpu"), b, negatives)

    def sample(self, size: int, negatives: int) -> tuple[Tensor, Rows]:
        """Anchors ``[s]`` (all, where there are no more) and sampled p between them and all points, the uniform mass of
        each over so many of them: an estimate of the loss over all points.

        Args:
            size: s, how many anchors.
            negatives: how many points stand for the uniform mass; 0 only where there is none, without debiasing.

        Raises:
            ValueError, TypeError: no number of anchors or of points.
        """
        check.count(negatives, "negatives", 1 if self.alpha else 0)
        anchors = self._some_anchors(size)
        return anchors, self._among(anchors, self._walked(anchors), self.rows.n, negatives)

    def _some_anchors(self, size: int) -> Tensor:
        check.count(size, "size")
        anchors = self._anchors
        if self.weighted:
            at = self._summed[-1] * torch.rand(size, dtype=torch.float64, device="cpu")
            return torch.searchsorted(self._summed, at, right=True)
        if len(anchors) < LARGE:
            return anchors[torch.randperm(len(anchors), device="cpu")[:size]]
        draws = np.random.default_rng(int(torch.randint(2**62, (), device="cpu")))
        return anchors[torch.from_numpy(draws.choice(len(anchors), min(size, len(anchors)), replace=False))]

    def _among(self, anchors: Tensor, partners: Tensor, m: int, negatives: int | None) -> Rows:
        """p between anchors ``[b]`` and m candidates: mass 1 - u on the anchor's own partner, and u spread over all of
        them, or over so many random ones, one of which may be the partner."""
        b, own, support = len(anchors), partners[:, None], Support(len(anchors), m)
        if self._uniform is None:
            return Rows(Listed(own, m), support)
        uniform = self._uniform[anchors]
        if negatives is None:
            return Rows(Debiased((Listed(own, m, 1 - uniform), Uniform(support, uniform))), support)
        columns = torch.cat([own, torch.randint(m, (b, negatives), device="cpu")], dim=1)
        values = torch.cat([1 - uniform[:, None], (uniform / negatives)[:, None].expand(b, negatives)], dim=1)
        starts = (negatives + 1) * torch.arange(b + 1, device="cpu")
        return Rows(Sparse(starts, columns.flatten(), values.flatten(), m), support)

    def _walked(self, anchors: Tensor) -> Tensor:
        """``[b]`` where walks from the anchors end."""
        here = self._own.draw(anchors)
        if self.steps > 1:
            length = torch.randint_like(anchors, 1, self.steps + 1)
            is_lost = torch.zeros_like(length, dtype=torch.bool)
            for step in range(2, self.steps + 1):
                going = (length >= step).nonzero().flatten()
                is_lost[going] |= ~self._goes_on[here[going]]
                here[going] = self._own.draw(here[going])
            if bool(is_lost.any()):
                here[is_lost] = self._walked(anchors[is_lost])
        return here

    @cached
    def _goes_on(self) -> Tensor:
        """``[n]`` whether a walk can leave each point."""
        return self._own.sums() > 0
