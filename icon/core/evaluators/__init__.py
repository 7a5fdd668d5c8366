"""Evaluators: how a problem is computed. `choose` takes one by what the loss is made of and by its size."""

from __future__ import annotations

from icon import _checks as check
from icon.core.evaluators.autograd import Autograd
from icon.core.evaluators.base import Evaluator
from icon.core.evaluators.fused import Fused
from icon.core.evaluators.grid import Grid
from icon.core.problem import Problem

__all__ = ["EVALUATORS", "Autograd", "Evaluator", "Fused", "Grid", "choose", "resolve"]

EVALUATORS: dict[str, type[Evaluator]] = {"autograd": Autograd, "fused": Fused, "grid": Grid}
#: Pairs below which ordinary PyTorch is as fast as the fused evaluator, and open to all transforms; on CUDA or not.
SMALL = {False: 2**17, True: 2**24}

#: Pairs from which a map is evaluated on a grid, within its tolerance, and not exactly.
MAP = 2**24

_AUTOGRAD, _FUSED, _GRID = Autograd(), Fused(), Grid()


def resolve(evaluator: str | Evaluator | None, matmul_precision: str | None = None) -> Evaluator | None:
    """The evaluator of a name, or that of products in a precision; None chooses for each call."""
    if matmul_precision is not None:
        if evaluator not in (None, "fused"):
            raise ValueError(
                f"matmul_precision: got {matmul_precision!r} with evaluator={evaluator!r}, expected evaluator='fused'"
            )
        return Fused(matmul_precision)
    if evaluator is None or isinstance(evaluator, Evaluator):
        return evaluator
    if not isinstance(evaluator, str):
        raise TypeError(f"evaluator: got {type(evaluator).__name__}, expected a name or an icon.Evaluator")
    return EVALUATORS[check.choice(evaluator, "evaluator", tuple(EVALUATORS))]()


def choose(problem: Problem) -> Evaluator:
    """Fused for large product scores with a softmax, a grid for maps of many points, autograd for all else and under
    transforms and compilers."""
    pairs = problem.support.n * problem.support.m
    if pairs < SMALL[problem.anchors.is_cuda]:
        return _AUTOGRAD
    if Fused.can(problem):
        return _FUSED
    on_a_grid = pairs >= MAP and not check.is_traced() and Grid.can(problem)
    return _GRID if on_a_grid else _AUTOGRAD
