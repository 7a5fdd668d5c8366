"""The seam between a loss and how it is computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor

from icon._values import arguments, called, content, parameters
from icon.core.problem import Problem


class Evaluator(ABC):
    """Computes the numbers of a `Problem`. One of your own is one method, `per_anchor`.

    Everything returned is differentiable in the features, in p and in every parameter. An evaluator with arguments
    keeps each of them in an attribute of that name: they make it again from a file.
    """

    @abstractmethod
    def per_anchor(self, problem: Problem) -> tuple[Float[Tensor, " n"], ...]:
        """``(A [n], E [n])`` for KL: partitions, and mean scores under p. ``(D [n],)`` for another divergence.

        Args:
            problem: what to evaluate.
        """

    def total(self, problem: Problem, weights: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """``sum_i w_i (A_i - E_i)``, or ``sum_i w_i D_i``: a scalar. ``weights [n]`` are constants.

        Args:
            problem: what to evaluate.
            weights: ``[n]`` of the anchors.
        """
        first, *rest = numbers_of(self, problem)
        return (first - rest[0] if rest else first) @ weights

    def total_of_both(
        self, forth: Problem, back: Problem, weights: Float[Tensor, " n"], back_weights: Float[Tensor, " m"]
    ) -> Float[Tensor, ""]:
        """The sum of the totals of two problems whose scores are each other's transpose.

        Args:
            forth: the problem of one direction.
            back: that of the other one.
            weights: ``[n]`` of the anchors.
            back_weights: ``[m]`` of the candidates, which are the anchors of the way back.
        """
        return self.total(forth, weights) + self.total(back, back_weights)

    def __repr__(self) -> str:
        return called(self)


def numbers_of(evaluator: Evaluator, problem: Problem) -> tuple[Tensor, ...]:
    """What `Evaluator.per_anchor` gives, a ValueError for anything but its numbers, one of each per anchor."""
    found = evaluator.per_anchor(problem)
    kind, count = ("(A, E)", 2) if problem.divergence is None else ("(D,)", 1)
    expected = [tuple(problem.anchors.shape[:1])] * count
    is_several = isinstance(found, (tuple, list))
    given = [tuple(getattr(x, "shape", ())) for x in found] if is_several else type(found).__name__
    if given != expected:
        raise ValueError(f"evaluator: got {given} from {evaluator!r}, expected {kind} of shapes {expected}")
    return found


@content.register
def _(value: Evaluator) -> Any:
    """Its arguments where all are known: what it notes while it runs makes no other evaluator of it."""
    are_known = all(hasattr(value, name) for name in parameters(type(value)))
    return arguments(value) if are_known else content.dispatch(object)(value)
