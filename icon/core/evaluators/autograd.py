"""Any score, partition and divergence, a block of anchors at a time; the derivatives are autograd's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from icon.core.evaluators.base import Evaluator
from icon.core.problem import Problem

#: From what is sent to each number to the gradients.
Gradients: TypeAlias = Callable[..., Sequence[Tensor | None]]


class Autograd(Evaluator):
    """Evaluates everything that is differentiable.

    Where one block holds all anchors it is ordinary PyTorch. Where there are several, value and gradient of a block are
    computed in one pass and its memory is freed before the next.
    """

    def per_anchor(self, problem: Problem) -> tuple[Tensor, ...]:
        if problem.step >= problem.support.n:
            return problem.per_anchor(problem.anchors, 0)
        again = _in_one_block(problem, lambda here, anchors: here.per_anchor(anchors, 0))
        return derived(partial(_numbers, problem), again, problem.anchors, *problem.tensors)

    def total(self, problem: Problem, weights: Tensor) -> Tensor:
        if problem.step >= problem.support.n:
            return problem.values(problem.anchors, 0) @ weights
        again = _in_one_block(problem, lambda here, anchors: (here.values(anchors, 0) @ weights,))
        return derived(partial(_total, problem, weights), again, problem.anchors, *problem.tensors)[0]

    def total_of_both(self, forth: Problem, back: Problem, weights: Tensor, back_weights: Tensor) -> Tensor:
        if forth.step < forth.support.n or not forth.is_softmax:
            return super().total_of_both(forth, back, weights, back_weights)
        scores = forth.scores(forth.anchors, 0)
        there, here = forth.softmax_cross_entropy(scores, 0), back.softmax_cross_entropy(scores.mT, 0)
        return there @ weights + here @ back_weights


def derived(
    evaluate: Callable[[Sequence[bool]], tuple[tuple[Tensor, ...], Gradients]],
    again: Callable[..., tuple[Tensor, ...]],
    *tensors: Tensor,
) -> tuple[Tensor, ...]:
    """Numbers made from some tensors, whose gradients are not left to autograd.

    ``evaluate`` is told of which tensors a gradient is wanted, and gives the numbers and their `Gradients`; ``again``
    makes the numbers of tensors by ordinary PyTorch, for second derivatives.
    """
    numbers: tuple[Tensor, ...] = _Derived.apply(evaluate, again, *tensors)  # type: ignore[no-untyped-call]
    return numbers


class _Derived(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, evaluate: Any, again: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        numbers, ctx.gradients = evaluate(ctx.needs_input_grad[2:])
        ctx.again = again
        ctx.save_for_backward(*tensors)
        return numbers  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        if not torch.is_grad_enabled():
            return None, None, *ctx.gradients(*upstream)
        # Views, so that the same tensor as anchors and as candidates counts once in each place.
        inputs, needed = [t.view_as(t) for t in ctx.saved_tensors], ctx.needs_input_grad[2:]
        wanted = [t for t, n in zip(inputs, needed, strict=True) if n]
        gradients = iter(_gradients(ctx.again(*inputs), wanted, upstream, create_graph=True))
        return None, None, *(next(gradients) if n else None for n in needed)


def once_only(argument: str, given: str, expected: str) -> Callable[..., Any]:
    """Of `derived`, what refuses second derivatives."""

    def again(*tensors: Tensor) -> Any:
        raise RuntimeError(f"create_graph: got True with {argument}={given!r}, expected {argument}={expected!r}")

    return again


def in_proportion(gradients: Sequence[Tensor | None]) -> Gradients:
    """The gradients of one number, by which what is sent to it is multiplied."""
    return lambda upstream: [None if g is None else g * upstream for g in gradients]


def first_order(problem: Problem, needed: Sequence[bool], upstream: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients of `Problem.per_anchor`, block by block, from what is sent to each of its numbers ``[n]``."""

    def of_block(here: Problem, anchors: Tensor, start: int, stop: int) -> tuple[Any, Any]:
        return here.per_anchor(anchors, start), [u[start:stop] for u in upstream]

    return _by_blocks(problem, needed, of_block)


def _numbers(problem: Problem, needed: Sequence[bool]) -> tuple[tuple[Tensor, ...], Gradients]:
    """`Evaluator.per_anchor`; for the gradients the blocks are visited again, with what was sent to each anchor."""
    wholes: list[Tensor] = []
    for start, stop in problem.blocks():
        block = problem.per_anchor(problem.anchors[start:stop], start)
        # Small tensors that stay among large ones that go would leave holes, in which no later one has room.
        wholes = wholes or [x.new_empty(problem.support.n) for x in block]
        for whole, part in zip(wholes, block, strict=True):
            whole[start:stop] = part
    return tuple(wholes), lambda *upstream: first_order(problem, needed, upstream)


def _total(problem: Problem, weights: Tensor, needed: Sequence[bool]) -> tuple[tuple[Tensor, ...], Gradients]:
    """`Evaluator.total` with the gradients summed on the way: what is sent to it is one number."""
    total = problem.anchors.new_zeros(())

    def of_block(here: Problem, anchors: Tensor, start: int, stop: int) -> tuple[Any, Any]:
        value = here.values(anchors, start) @ weights[start:stop]
        total.add_(value.detach())
        return (value,), (torch.ones_like(value),)

    gradients = _by_blocks(problem, needed, of_block)
    return (total,), in_proportion(gradients)


def _by_blocks(
    problem: Problem, needed: Sequence[bool], of_block: Callable[[Problem, Tensor, int, int], tuple[Any, Any]]
) -> list[Tensor | None]:
    """The gradients by the anchors and by `Problem.tensors`, where they are needed, summed over the blocks.

    ``of_block`` gives the numbers of some anchors, and what is sent to each of them.
    """
    given = (problem.anchors, *problem.tensors)
    found = [torch.zeros_like(t) if n else None for t, n in zip(given, needed, strict=True)]
    # Cut off from what they were made from; but a module computes with its own parameters and no others.
    others = zip(given[1:], needed[1:], strict=True)
    leaves = tuple(t if isinstance(t, torch.nn.Parameter) else t.detach().requires_grad_(n) for t, n in others)
    here = problem.with_tensors(leaves)
    for start, stop in problem.blocks():
        with torch.set_grad_enabled(any(needed)):
            block = problem.anchors[start:stop].detach().requires_grad_(needed[0])
            numbers, upstream = of_block(here, block, start, stop)
        if start == 0:
            _refuse_other_leaves(numbers, (block, *leaves), problem.support.n)
        wanted = [leaf for leaf, n in zip((block, *leaves), needed, strict=True) if n]
        parts = iter(_gradients(numbers, wanted, upstream))
        for k, whole in enumerate(found):
            part = None if whole is None else next(parts)
            if whole is not None and part is not None:
                (whole if k else whole[start:stop]).add_(part)
    return found


def _refuse_other_leaves(numbers: Any, known: Sequence[Tensor], n: int) -> None:
    """Raise ValueError where numbers depend on a tensor that would not get its gradient, since nobody has named it."""
    nodes, seen = [x.grad_fn for x in numbers], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [earlier for earlier, _ in node.next_functions]
        leaf = getattr(node, "variable", None)
        if leaf is not None and all(leaf is not each for each in known):
            raise ValueError(
                f"q, divergence: got a part with a tensor of shape {tuple(leaf.shape)} that requires a gradient, "
                f"expected a parameter of an nn.Module, or one block: pass block={n}"
            )


def _gradients(numbers: Any, wanted: list[Tensor], upstream: Any, **settings: bool) -> Sequence[Tensor | None]:
    """The gradients of those of some numbers that have one."""
    sent = [(x, u) for x, u in zip(numbers, upstream, strict=True) if x.requires_grad]
    if not (sent and wanted):
        return [None] * len(wanted)
    outputs, upstream = zip(*sent, strict=True)
    return torch.autograd.grad(outputs, wanted, upstream, allow_unused=True, **settings)


def _in_one_block(problem: Problem, numbers: Callable[[Problem, Tensor], tuple[Tensor, ...]]) -> Callable[..., Any]:
    """Of `derived`, what makes numbers of a problem again; parameters of a part cannot be others."""

    def again(anchors: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        if problem.parameters:
            raise RuntimeError(
                "create_graph: got True for a part with parameters of its own in several blocks, expected one block: "
                f"pass block={problem.support.n}"
            )
        return numbers(problem.with_tensors(tensors), anchors)

    return again
