"""Any score, partition and divergence, a block of anchors at a time; the derivatives are autograd's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from icon.core.evaluators.base import Evaluator
from icon.core.problem import Problem


class Autograd(Evaluator):
    """Evaluates everything that is differentiable.

    Where one block holds all anchors it is ordinary PyTorch. Where there are several, value and gradient of a block are
    computed in one pass and its memory is freed before the next.
    """

    def per_anchor(self, problem: Problem) -> tuple[Tensor, ...]:
        if problem.step >= problem.support.n:
            return problem.per_anchor(problem.anchors, 0)
        numbers: tuple[Tensor, ...] = _PerAnchor.apply(problem, problem.anchors, *problem.tensors)  # type: ignore[no-untyped-call]
        return numbers

    def total(self, problem: Problem, weights: Tensor) -> Tensor:
        if problem.step >= problem.support.n:
            return problem.values(problem.anchors, 0) @ weights
        total: Tensor = _Total.apply(problem, weights, problem.anchors, *problem.tensors)  # type: ignore[no-untyped-call]
        return total

    def total_of_both(self, forth: Problem, back: Problem, weights: Tensor, back_weights: Tensor) -> Tensor:
        if forth.step < forth.support.n or not forth.is_softmax:
            return super().total_of_both(forth, back, weights, back_weights)
        scores = forth.scores(forth.anchors, 0)
        there, here = forth.softmax_cross_entropy(scores, 0), back.softmax_cross_entropy(scores.mT, 0)
        return there @ weights + here @ back_weights


class _Total(torch.autograd.Function):
    """`Evaluator.total` with the gradients summed in the forward pass: the upstream gradient is one number."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, weights: Tensor, anchors: Tensor, *tensors: Tensor) -> Tensor:
        needed = ctx.needs_input_grad[2:]
        total, gradients = anchors.new_zeros(()), _Gradients(anchors, tensors, needed)
        for start, stop in problem.blocks():
            with torch.set_grad_enabled(any(needed)):
                block, leaves = gradients.leaves(start, stop)
                value = problem.with_tensors(leaves).values(block, start) @ weights[start:stop]
            gradients.add(value, None, start, stop)
            total += value.detach()
        ctx.problem = problem
        ctx.save_for_backward(weights, anchors, *tensors)
        ctx.gradients = gradients.found
        return total

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # a second derivative is wanted
            weights, anchors, *tensors = ctx.saved_tensors
            needed = ctx.needs_input_grad[2:]
            return (None, None, *second_order(ctx.problem, weights, anchors, tensors, needed, upstream))
        return (None, None, *(None if g is None else g * upstream for g in ctx.gradients))


class _PerAnchor(torch.autograd.Function):
    """`Evaluator.per_anchor`; the backward pass visits the blocks again, with what was sent to each anchor."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, anchors: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.problem = problem
        ctx.save_for_backward(anchors, *tensors)
        here = problem.with_tensors(tensors)
        wholes: list[Tensor] = []
        for start, stop in problem.blocks():
            block = here.per_anchor(anchors[start:stop], start)
            # Small tensors that stay among large ones that go would leave holes, in which no later one has room.
            wholes = wholes or [x.new_empty(problem.support.n) for x in block]
            for whole, part in zip(wholes, block, strict=True):
                whole[start:stop] = part
        return tuple(wholes)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        anchors, *tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return (None, *second_order(ctx.problem, None, anchors, tensors, needed, upstream))
        return (None, *first_order(ctx.problem, anchors, tensors, needed, upstream))


class _Gradients:
    """Gradients by the anchors ``[n, r]`` and by everything else, summed over blocks."""

    def __init__(self, anchors: Tensor, tensors: Sequence[Tensor], needed: Sequence[bool]) -> None:
        self.anchors, self.tensors, self.needed = anchors, tensors, needed
        self.found = [torch.zeros_like(t) if n else None for t, n in zip((anchors, *tensors), needed, strict=True)]

    def leaves(self, start: int, stop: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """A block of anchors and the other tensors, cut off from whatever they were made from."""
        block = self.anchors[start:stop].detach().requires_grad_(self.needed[0])
        self.wanted = [block]
        for tensor, needed in zip(self.tensors, self.needed[1:], strict=True):
            # The module computes with its own parameters: they cannot be exchanged for others.
            own = isinstance(tensor, torch.nn.Parameter)
            self.wanted.append(tensor if own else tensor.detach().requires_grad_(needed))
        return block, tuple(self.wanted[1:])

    def add(self, outputs: Any, upstream: Any, start: int, stop: int) -> None:
        wanted = [leaf for leaf, needed in zip(self.wanted, self.needed, strict=True) if needed]
        if not wanted:
            return
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        upstream = upstream if upstream is not None else tuple(torch.ones_like(o) for o in outputs)
        sent = [(o, u) for o, u in zip(outputs, upstream, strict=True) if o.requires_grad]
        if not sent:
            return
        outputs, upstream = zip(*sent, strict=True)
        gradients = iter(torch.autograd.grad(outputs, wanted, upstream, allow_unused=True))
        for k, total in enumerate(self.found):
            if total is None:
                continue
            part = next(gradients)
            if part is None:
                continue
            if k == 0:
                total[start:stop] = part
            else:
                total.add_(part)


def first_order(
    problem: Problem, anchors: Tensor, tensors: Sequence[Tensor], needed: Sequence[bool], upstream: Sequence[Tensor]
) -> list[Tensor | None]:
    """The gradients by the anchors and all else of `Problem.per_anchor`, block by block.

    Args:
        problem: as given.
        anchors: ``[n, r]``.
        tensors: all else that it is computed from.
        needed: whether a gradient is wanted, for each of them.
        upstream: the gradient by each of its numbers ``[n]``.
    """
    gradients = _Gradients(anchors, tuple(tensors), needed)
    for start, stop in problem.blocks():
        with torch.enable_grad():
            block, leaves = gradients.leaves(start, stop)
            outputs = problem.with_tensors(leaves).per_anchor(block, start)
        gradients.add(outputs, tuple(u[start:stop] for u in upstream), start, stop)
    return gradients.found


def second_order(
    problem: Problem,
    weights: Tensor | None,
    anchors: Tensor,
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    upstream: Any,
) -> list[Tensor | None]:
    """The gradients once more, as differentiable functions of everything: all anchors in one block.

    Args:
        problem: as given.
        weights: of a total; None for the numbers of each anchor.
        anchors: the anchors it was computed from, with their history.
        tensors: all else that it was computed from, likewise.
        needed: whether a gradient is wanted, for each of them.
        upstream: the gradient by the result.

    Raises:
        RuntimeError: the score itself has parameters.
    """
    if problem.q.score_parameters:
        raise RuntimeError(
            "create_graph: got True for a score with parameters of its own in several blocks, expected one block: "
            f"pass block={problem.support.n}"
        )
    # Views, so that the same tensor as anchors and as candidates counts once in each place.
    inputs = [t.view_as(t) for t in (anchors, *tensors)]
    numbers = problem.with_tensors(tuple(inputs[1:])).per_anchor(inputs[0], 0)
    if weights is not None:
        first, *rest = numbers
        numbers, upstream = ((first - rest[0] if rest else first) @ weights,), (upstream,)
    sent = [(f, u) for f, u in zip(numbers, upstream, strict=True) if f.requires_grad]
    wanted = [t for t, n in zip(inputs, needed, strict=True) if n]
    outputs, upstream = zip(*sent, strict=True)
    gradients = iter(torch.autograd.grad(outputs, wanted, upstream, create_graph=True, allow_unused=True))
    return [next(gradients) if n else None for n in needed]
