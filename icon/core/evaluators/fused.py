"""Product scores with a softmax, at the speed of their matrix products: few passes over a tile, in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from icon import _checks as check
from icon._precision import float32_products
from icon.core.evaluators.autograd import Autograd, Gradients, derived, in_proportion
from icon.core.evaluators.base import Evaluator
from icon.core.problem import Problem
from icon.q.partitions import LogSumExp

#: Sums of exponentials of numbers up to this size neither overflow nor vanish in float32.
SAFE_EXPONENT = 40.0
#: Pairs up to which the mean score under p is read off the tile; beyond, it is the score of the mean candidate.
FROM_TILE = 2**20
PRECISIONS = {"tf32": "high", "bfloat16": "medium"}


class Fused(Evaluator):
    """Evaluates KL with scores that are products and a softmax as the partition; anything else is `Autograd`'s.

    The derivative of the softmax is written into the tile of scores, so that a block takes one product forward and two
    back. Two directions over the same scores share them: four products instead of six, three where one tile holds all.

    Args:
        matmul_precision: ``"tf32"`` or ``"bfloat16"`` rounds the factors of the products to that precision, where the
            hardware can, and sums them in float32; None leaves torch's own setting. On an H100 the gradient of SimCLR
            is then off by 2e-5 of its length (1024 and 8192 points, temperature 0.1), with either: torch runs both in
            TF32 on CUDA. Factors rounded to bfloat16 put it off by 2e-3 (an emulation in float64).

    Raises:
        ValueError: another precision.
    """

    def __init__(self, matmul_precision: str | None = None) -> None:
        if matmul_precision is not None and matmul_precision not in PRECISIONS:
            raise ValueError(f"matmul_precision: got {matmul_precision!r}, expected 'tf32', 'bfloat16' or None")
        self.matmul_precision = matmul_precision

    @staticmethod
    def can(problem: Problem) -> bool:
        """Whether a problem is of the kind that is fused."""
        q = problem.q
        return (
            q.is_product
            and type(q.partition) is LogSumExp  # one derived from it may be anything
            and not q.margin
            and problem.divergence is None
            and not problem.p.requires_grad
            and not check.is_traced()  # its derivatives are written by hand
        )

    def per_anchor(self, problem: Problem) -> tuple[Tensor, ...]:
        return Autograd().per_anchor(problem)

    def total(self, problem: Problem, weights: Tensor) -> Tensor:
        if not self.can(problem):
            return Autograd().total(problem, weights)
        averages = _averages(problem, FROM_TILE)
        kept = problem.without_edges() if averages else problem

        def again(anchors: Tensor, candidates: Tensor) -> tuple[Tensor, ...]:
            partition, expected = replace(kept, candidates=candidates).per_anchor(anchors, 0)
            return ((partition - expected) @ weights,)

        with self._rounded_products():
            evaluate = partial(_softmax, problem, weights, not averages)
            (value,) = derived(evaluate, again, problem.anchors, problem.candidates)
        return value - _expected(problem, weights) if averages else value

    def total_of_both(self, forth: Problem, back: Problem, weights: Tensor, back_weights: Tensor) -> Tensor:
        both = self.can(forth) and self.can(back) and _averages(forth, 0) and _averages(back, 0)
        if not both or forth.q.largest_score > SAFE_EXPONENT:
            return self.total(forth, weights) + self.total(back, back_weights)

        def again(anchors: Tensor, candidates: Tensor) -> tuple[Tensor, ...]:
            scores = forth.support.hide(anchors @ candidates.mT, 0, -math.inf)
            return (scores.logsumexp(dim=1) @ weights + scores.logsumexp(dim=0) @ back_weights,)

        with self._rounded_products():
            evaluate = partial(_both_softmaxes, forth, weights, back_weights)
            (value,) = derived(evaluate, again, forth.anchors, forth.candidates)
        return value - _expected(forth, weights) - _expected(back, back_weights)

    def _rounded_products(self) -> AbstractContextManager[None]:
        rounded = self.matmul_precision
        return nullcontext() if rounded is None else float32_products.set(PRECISIONS[rounded])


def _averages(problem: Problem, least: int) -> bool:
    """Whether the mean score under p is computed as the score of the mean candidate.

    It is where that is exact enough and takes less than reading the tile.
    """
    if problem.support.n * problem.support.m < least or not problem.q.means_are_exact:
        return False
    return problem.p.averages_cheaply(problem.anchors.shape[1])


def _expected(problem: Problem, weights: Tensor) -> Tensor:
    """``sum_i w_i sum_j p_ij a_i·c_j``."""
    means: Tensor = torch.linalg.vecdot(problem.anchors, problem.p.average(problem.candidates))
    return means @ weights


def _softmax(
    problem: Problem, weights: Tensor, with_mean: bool, needed: Sequence[bool]
) -> tuple[tuple[Tensor, ...], Gradients]:
    """``sum_i w_i (A_i - E_i)``, or ``sum_i w_i A_i``, with its gradients, in one pass."""
    wants_anchors, wants_candidates = needed
    anchors, candidates, p, support = problem.anchors, problem.candidates, problem.p, problem.support
    shift = problem.q.largest_score > SAFE_EXPONENT
    by_anchor = torch.empty_like(anchors) if wants_anchors else None
    by_candidate = total = tile = None
    for start, stop in problem.blocks():
        a, w = anchors[start:stop], weights[start:stop]
        tile = torch.mm(a, candidates.mT, out=None if tile is None else tile[: stop - start])
        expected = p.expectation(tile, start) if with_mean else None
        support.hide_(tile, start, -math.inf)
        highest = tile.amax(dim=1, keepdim=True) if shift else None
        if highest is not None:
            tile.sub_(highest)
        mass = tile.exp_().sum(dim=1)
        partition = mass.log()
        if highest is not None:
            partition += highest.squeeze(1)
        value = (partition if expected is None else partition - expected) @ w
        total = value if total is None else total + value
        if not any(needed):
            continue
        factor = (w / mass)[:, None]
        if with_mean:
            p.add_to(tile.mul_(factor), start, -w)
        if by_anchor is not None:
            torch.mm(tile, candidates, out=by_anchor[start:stop])
            if not with_mean:
                by_anchor[start:stop].mul_(factor)
        if wants_candidates:
            a = a if with_mean else a * factor
            by_candidate = torch.mm(tile.mT, a) if by_candidate is None else by_candidate.addmm_(tile.mT, a)
    assert total is not None
    return (total,), in_proportion([by_anchor, by_candidate])


def _both_softmaxes(
    problem: Problem, rows: Tensor, columns: Tensor, needed: Sequence[bool]
) -> tuple[tuple[Tensor, ...], Gradients]:
    """``sum_i w_i A_i + sum_j v_j A'_j`` of the partitions of rows and of columns, with gradients.

    One sweep sums rows and columns; a second one makes the scores again, now that both sums are known.
    """
    anchors, candidates, blocks = problem.anchors, problem.candidates, list(problem.blocks())
    buffer = anchors.new_empty(blocks[0][1], len(candidates))

    def exponentials(start: int, stop: int) -> Tensor:
        tile = torch.mm(anchors[start:stop], candidates.mT, out=buffer[: stop - start])
        return problem.support.hide_(tile, start, -math.inf).exp_()

    row_mass, column_mass = torch.empty_like(rows), torch.zeros_like(columns)
    for start, stop in blocks:
        tile = exponentials(start, stop)
        torch.sum(tile, dim=1, out=row_mass[start:stop])
        column_mass += tile.sum(dim=0)
    by_anchor, by_candidate = torch.empty_like(anchors), torch.zeros_like(candidates)
    row_factor, column_factor = (rows / row_mass)[:, None], columns / column_mass
    if any(needed):
        for start, stop in blocks:
            tile = tile if len(blocks) == 1 else exponentials(start, stop)
            tile.mul_(row_factor[start:stop] + column_factor)
            torch.mm(tile, candidates, out=by_anchor[start:stop])
            by_candidate.addmm_(tile.mT, anchors[start:stop])
    return (row_mass.log() @ rows + column_mass.log() @ columns,), in_proportion([by_anchor, by_candidate])
