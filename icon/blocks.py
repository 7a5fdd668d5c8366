"""Blocked evaluation: the only loop over tiles.

A loss needs, per anchor, the partition ``A_i`` of its scores and their mean ``E_i = sum_j p_ij s_ij`` under p (or, for
divergences other than KL, one sum over the row). `evaluate` computes them a block of anchors at a time, value and
gradient in one pass, and frees the block before the next: nothing of size n x m is held.

`Evaluator` is the seam: another evaluator of the same `Problem` (a grid and FFT for 2-D maps, an exchange over ranks)
can take its place without touching p, q or `Loss`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from icon.divergence import Divergence
from icon.edges import Block, Csr, Groups
from icon.q.base import Kernel
from icon.q.partitions import Competition, LogSumExp
from icon.rows import Rows

TILE_ENTRIES = 2**22
EDGE_ENTRIES = 2**22


@dataclass(frozen=True)
class Problem:
    """What an evaluator is given.

    Args:
        q: gives the score of a block and the partition of a row.
        rows: p, on the device and in the dtype of the features, on the support that p and q share.
        anchors, candidates: prepared features ``[n, r]`` and ``[m, r]``.
        weights: ``[n]`` the weight each anchor will have in the loss: a promise that lets value and gradient be
            computed in one pass. Any other use of the result is right too, at the price of a second pass.
        divergence: None for KL, which needs scores on p's edges only.
        normalizer: None for A_i of each row; a scalar for joint normalisation (divergences other than KL).
        block: anchors per block; None fits a tile into the cache.
    """

    q: Kernel
    rows: Rows
    anchors: Tensor
    candidates: Tensor
    weights: Tensor | None = None
    divergence: Divergence | None = None
    normalizer: Tensor | None = None
    block: int | None = None

    @property
    def block_size(self) -> int:
        return block_size(self.rows.n, self.rows.m, self.block)


def block_size(n: int, m: int, block: int | None) -> int:
    """Anchors per tile: as asked, or as many as keep a tile of ``m`` candidates in the cache."""
    return min(n, max(64, TILE_ENTRIES // m) if block is None else block)


class Evaluator(Protocol):
    """Per-anchor results, differentiable in everything: ``(A, E)`` for KL, ``(D,)`` for another divergence."""

    def __call__(self, problem: Problem) -> tuple[Tensor, ...]: ...


def evaluate(problem: Problem) -> tuple[Tensor, ...]:
    """The blocked `Evaluator`.

    For KL, ``A [n]`` and ``E [n]`` with ``CE_i = A_i - E_i``. For another divergence, ``D [n]``.
    """
    edges, partition = problem.rows.edges, problem.q.partition
    if partition.needs_positives and problem.rows.uniform is not None:
        raise ValueError(
            f"p: got one mixed with the uniform distribution, expected a plain one: {type(partition).__name__} tells "
            "positives from negatives"
        )
    averages = (
        problem.q.is_product and problem.q.means_are_exact and not (problem.q.margin or partition.needs_positives)
    )
    if isinstance(edges, Groups) and averages and problem.divergence is None:
        return _evaluate_groups(problem, edges)
    values = edges.values if isinstance(edges, Csr) else problem.anchors.new_zeros(0)
    if problem.divergence is not None and values.requires_grad:
        raise ValueError("detach: got a p with gradient and a divergence other than KL, expected a detached p")
    normalizer = problem.normalizer if problem.normalizer is not None else problem.anchors.new_zeros(())
    parameters = [p for p in problem.q.parameters() if p.requires_grad]
    inputs = (problem.anchors, problem.candidates, values, normalizer, *parameters)
    outputs: tuple[Tensor, ...] = _Blocked.apply(problem, *inputs)  # type: ignore[no-untyped-call]
    return outputs


def _evaluate_groups(problem: Problem, groups: Groups) -> tuple[Tensor, ...]:
    """KL where p is uniform over a group and the score a product: the mean score is the score of the mean member.

    O(n r) instead of O(edges), which with ten classes is a tenth of all pairs.
    """
    a, c = problem.anchors, problem.candidates
    rest = replace(problem, rows=replace(problem.rows, edges=groups.without_edges(), _cache={}))
    partition, uniform_part = evaluate(rest)
    member_of = torch.repeat_interleave(groups.indptr.diff())
    sums = c.new_zeros(len(groups.indptr) - 1, c.shape[1]).index_add(0, member_of, c.index_select(0, groups.members))
    others = sums.index_select(0, groups.group.clamp_min(0))
    if groups.skip_self:
        others = others - c
    expected = (a * others).sum(dim=1) * (groups.each * (groups.counts > 0))
    return partition, uniform_part + expected


class _Blocked(torch.autograd.Function):
    """Per-anchor outputs of all blocks. With promised weights the forward pass also sums the gradients."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.problem, ctx.needed = problem, ctx.needs_input_grad[1:]
        ctx.promise = _promise(problem) if any(ctx.needed) else None
        ctx.save_for_backward(*inputs)
        outputs, ctx.gradients = _sweep(problem, inputs, ctx.needed, ctx.promise)
        return outputs

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("create_graph: got True, expected False: the loss has no second derivatives")
        factor = None if ctx.promise is None else _common_factor(ctx.promise, upstream)
        if factor is None:
            _, gradients = _sweep(ctx.problem, ctx.saved_tensors, ctx.needed, upstream)
            return (None, *gradients)
        return (None, *(None if g is None else g * factor.to(g.dtype) for g in ctx.gradients))


def _promise(problem: Problem) -> tuple[Tensor, ...] | None:
    """The upstream gradients that a weighted mean of the outputs will send."""
    if problem.weights is None:
        return None
    return (problem.weights,) if problem.divergence is not None else (problem.weights, -problem.weights)


def _common_factor(promise: tuple[Tensor, ...], upstream: tuple[Tensor, ...]) -> Tensor | None:
    """The number by which the upstream gradients exceed the promised ones; None where there is no such number."""
    promised, sent = torch.cat(promise), torch.cat(upstream)
    at = promised.abs().argmax()
    factor = sent[at] / promised[at]
    kept = torch.allclose(sent, factor * promised, rtol=8 * torch.finfo(sent.dtype).eps, atol=0.0)
    return factor if kept else None


class _Visit(NamedTuple):
    """One block of anchors: its scores (a tile, or of the edges alone), and what is sent back to its outputs."""

    scores: Tensor
    start: int
    stop: int
    block: Block
    normalizer: Tensor
    sent: tuple[Tensor, ...] | None
    bound: float


class _Reduced(NamedTuple):
    """One block's per-anchor outputs and, where asked for, their derivatives times the upstream gradients."""

    outputs: tuple[Tensor, ...]
    scores: Tensor | None = None
    factor: Tensor | None = None  # [b, 1] of the rows of `scores`
    values: Tensor | None = None
    normalizer: Tensor | None = None


def _sweep(
    problem: Problem, inputs: tuple[Tensor, ...], needed: tuple[bool, ...], upstream: tuple[Tensor, ...] | None
) -> tuple[tuple[Tensor, ...], list[Tensor | None]]:
    """All blocks once: the per-anchor outputs and, given upstream gradients, the gradients of the inputs."""
    gradients = [
        torch.zeros_like(t) if n and upstream is not None else None for t, n in zip(inputs, needed, strict=True)
    ]
    by_value, by_normalizer = gradients[2:4]
    edges_only = _edges_suffice(problem)
    reduce = _reduce_edges if edges_only else _reduce_kl if problem.divergence is None else _reduce_divergence
    block_size = _edge_block(problem) if edges_only else problem.block_size
    if problem.q.is_product and not edges_only:
        scores: _Products | _Scores = _Products(inputs, gradients, block_size)
    else:
        scores = _Scores(problem.q, inputs, gradients, edges_only)
    # Only the softmax has a use for the bound, and only of KL.
    bound = scores.bound() + abs(problem.q.margin) if isinstance(problem.q.partition, LogSumExp) else math.inf
    pieces: list[tuple[Tensor, ...]] = []
    for start, stop, block in problem.rows.blocks(block_size):
        sent = None if upstream is None else tuple(u[start:stop] for u in upstream)
        visit = _Visit(scores.forward(start, stop, block), start, stop, block, inputs[3], sent, bound)
        reduced = reduce(problem, visit)
        pieces.append(reduced.outputs)
        if reduced.scores is not None:
            scores.backward(reduced.scores, reduced.factor)
        if by_value is not None and reduced.values is not None and isinstance(problem.rows.edges, Csr):
            by_value[problem.rows.edges.span(start, stop)] = reduced.values
        if by_normalizer is not None and reduced.normalizer is not None:
            by_normalizer += reduced.normalizer
    return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True)), gradients


class _Products:
    """Scores that are a matrix product: one product forward, two back, in buffers that are used again."""

    def __init__(self, inputs: tuple[Tensor, ...], gradients: list[Tensor | None], block_size: int) -> None:
        self.anchors, self.candidates = (t.detach() for t in inputs[:2])
        self.by_anchor, self.by_candidate = gradients[:2]
        self.tile = self.anchors.new_empty(block_size, len(self.candidates))

    def forward(self, start: int, stop: int, block: Block) -> Tensor:
        self.span = slice(start, stop)
        return torch.mm(self.anchors[self.span], self.candidates.mT, out=self.tile[: stop - start])

    def bound(self) -> float:
        """No score is larger in size (Cauchy-Schwarz)."""
        longest = (torch.linalg.vecdot(x, x).amax() for x in (self.anchors, self.candidates))
        return math.sqrt(math.prod(float(square) for square in longest))

    def backward(self, grad: Tensor, factor: Tensor | None) -> None:
        """``factor [b, 1]``: of the rows of ``grad``; applied to the narrow features and not to the wide tile."""
        anchors = self.anchors[self.span] if factor is None else self.anchors[self.span] * factor
        if self.by_anchor is not None:
            by_anchor = torch.mm(grad, self.candidates, out=self.by_anchor[self.span])
            if factor is not None:
                by_anchor.mul_(factor)
        if self.by_candidate is not None:
            self.by_candidate.addmm_(grad.mT, anchors)


class _Scores:
    """Scores of any other kind, of a tile or of edges alone; autograd carries their derivatives back."""

    def __init__(self, q: Kernel, inputs: tuple[Tensor, ...], gradients: list[Tensor | None], edges_only: bool) -> None:
        self.q, self.edges_only = q, edges_only
        self.anchors, self.candidates, _, _, *self.parameters = inputs
        self.by_anchor, self.by_candidate, _, _, *self.by_parameter = gradients

    def forward(self, start: int, stop: int, block: Block) -> Tensor:
        self.span = slice(start, stop)
        self.a = self.anchors[self.span].detach().requires_grad_(self.by_anchor is not None)
        self.c = self.candidates.detach().requires_grad_(self.by_candidate is not None)
        with torch.set_grad_enabled(
            any(g is not None for g in (self.by_anchor, self.by_candidate, *self.by_parameter))
        ):
            if self.edges_only:
                pairs = self.a[block.row].unsqueeze(1), self.c[block.col].unsqueeze(1)
                self.scores = self.q.block_score(*pairs).reshape(-1)
            else:
                self.scores = self.q.block_score(self.a, self.c)
        tile = self.scores.detach()
        return tile if self.q.fresh_scores else tile.clone(memory_format=torch.contiguous_format)

    def bound(self) -> float:
        return math.inf

    def backward(self, grad: Tensor, factor: Tensor | None) -> None:
        if not self.scores.requires_grad:
            return
        if factor is not None:
            grad = grad * factor
        leaves = [self.a, self.c, *self.parameters]
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(self.scores, wanted, grad, allow_unused=True))
        by_anchor, *others = [next(found) if leaf.requires_grad else None for leaf in leaves]
        if self.by_anchor is not None and by_anchor is not None:
            self.by_anchor[self.span] = by_anchor
        for total, part in zip([self.by_candidate, *self.by_parameter], others, strict=True):
            if total is not None and part is not None:
                total.add_(part)


# -- what is computed from the scores of one block ----------------------------------------------------------------


def _edges_suffice(problem: Problem) -> bool:
    """Whether the scores of p's edges are all that is needed: a known partition, and p neither uniform nor full.

    Where fewer numbers than scores of all pairs are gathered for them, that is: a product is faster than many gathers.
    """
    rows = problem.rows
    plain = rows.uniform is None and not rows.edges.is_full
    if not (problem.q.edges_suffice and plain and problem.divergence is None):
        return False
    return int(rows.edges.counts.sum()) * problem.anchors.shape[1] < rows.n * rows.m


def _edge_block(problem: Problem) -> int:
    """Anchors per block where scores are computed on edges only: bounded by the features gathered for them."""
    if problem.block is not None:
        return min(problem.block, problem.rows.n)
    widest = max(1, int(problem.rows.edges.counts.max())) * problem.anchors.shape[1]
    return max(1, min(problem.rows.n, EDGE_ENTRIES // widest))


def _reduce_edges(problem: Problem, visit: _Visit) -> _Reduced:
    """A = 0 and E from the scores of the edges alone."""
    scores, block, sent = visit.scores, visit.block, visit.sent
    expected = scores.new_zeros(visit.stop - visit.start).index_add_(0, block.row, block.value * scores)
    outputs = (torch.zeros_like(expected), expected)
    if sent is None:
        return _Reduced(outputs)
    upstream = sent[1][block.row]
    return _Reduced(outputs, scores=upstream * block.value, values=upstream * scores)


def _reduce_kl(problem: Problem, visit: _Visit) -> _Reduced:
    """A and E of a tile; its derivative is ``(dA/ds) upstream_A + p upstream_E``."""
    tile, start, block, sent = visit.scores, visit.start, visit.block, visit.sent
    support, density = problem.rows.support, problem.rows.uniform_density()
    hide = partial(support.fill_self, start=start)
    at = _Edges(tile, block, problem.rows.edges.is_full)
    _add_margin(problem.q.margin, tile, at, block.value)
    hide(tile, value=0.0)  # E first: minus infinity times no mass would be NaN
    expected = at.mean(tile)
    edge_scores = at.get(tile) if problem.rows.requires_grad and sent is not None else None
    spread = None if density is None else density[start : start + len(tile)]
    if spread is not None:
        expected = expected + spread * tile.sum(dim=1)
    row = Competition(support.size, lambda t, v: hide(t, value=v), at.masses, visit.bound)
    partition, weight, factor = problem.q.partition(tile, row)
    outputs = (partition, expected)
    if sent is None:
        return _Reduced(outputs)
    factor = factor * sent[0][:, None]
    if spread is None and not len(block.value):
        return _Reduced(outputs, scores=weight, factor=factor)
    grad = weight.mul_(factor)
    at.add(grad, block.value, sent[1])
    if spread is not None:
        grad.add_((sent[1] * spread)[:, None])
        hide(grad, value=0.0)
    return _Reduced(outputs, scores=grad, values=None if edge_scores is None else at.scaled(edge_scores, sent[1]))


def _reduce_divergence(problem: Problem, visit: _Visit) -> _Reduced:
    """``sum_j f(p_ij, q_ij)`` of a tile, with q normalised by the row, by a given constant, or already."""
    assert problem.divergence is not None
    tile, start, block, sent = visit.scores, visit.start, visit.block, visit.sent
    support, density = problem.rows.support, problem.rows.uniform_density()
    at = _Edges(tile, block, problem.rows.edges.is_full)
    _add_margin(problem.q.margin, tile, at, block.value)
    p = at.masses()
    if density is not None:
        p += density[start : start + len(tile), None]
    support.fill_self(p, start, 0.0)
    support.fill_self(tile, start, -math.inf)
    by_row = problem.normalizer is None and isinstance(problem.q.partition, LogSumExp)
    log_q = tile.log_softmax(dim=1) if by_row else tile - visit.normalizer
    q = log_q.exp()
    log_p = _log_p(problem, p, start)
    if problem.rows.n_empty:  # an anchor without a positive has weight 0; let nothing else of it matter
        empty = problem.rows.empty[start : start + len(tile), None]
        p, log_p = torch.where(empty, q, p), torch.where(empty, log_q, log_p)
    terms, slope = problem.divergence(p, q, log_p, log_q.masked_fill_(q == 0, 0.0))  # slope: by log q
    outputs = (terms.sum(dim=1),)
    if sent is None:
        return _Reduced(outputs)
    grad = slope * sent[0][:, None]
    if by_row:
        return _Reduced(outputs, scores=grad - q * grad.sum(dim=1, keepdim=True))
    return _Reduced(outputs, scores=grad, normalizer=-grad.sum())


def _log_p(problem: Problem, p: Tensor, start: int) -> Tensor:
    """The logarithm of a tile of p, from p's own logarithms where it has them."""
    edges = problem.rows.edges
    if isinstance(edges, Csr) and edges.log_values is not None and edges.is_full and problem.rows.uniform is None:
        return edges.log_values[edges.span(start, start + len(p))].view(p.shape)
    return p.log()


class _Edges:
    """Reads and writes a tile at p's edges; where every pair is an edge, as a plain tile."""

    def __init__(self, tile: Tensor, block: Block, is_full: bool) -> None:
        self.shape, self.full = tile.shape, is_full
        self.row, self.values = block.row, block.value
        if not is_full:
            self.flat = block.row * tile.shape[1] + block.col

    def get(self, tile: Tensor) -> Tensor:
        """One number per edge, a copy: the partition writes over the tile afterwards."""
        return tile.flatten().clone() if self.full else tile.view(-1)[self.flat]

    def mean(self, tile: Tensor) -> Tensor:
        """``[b]`` sums of a tile weighted by p."""
        if self.full:
            sums: Tensor = torch.linalg.vecdot(tile, self.values.view(self.shape))
            return sums
        weighted = self.values * tile.view(-1)[self.flat]
        return tile.new_zeros(self.shape[0]).index_add_(0, self.row, weighted)

    def masses(self) -> Tensor:
        """The edges of p as a tile ``[b, m]``."""
        p = self.values.new_zeros(self.shape)
        self.add(p, self.values, torch.ones_like(p[:, 0]))
        return p

    def add(self, tile: Tensor, values: Tensor, factor: Tensor) -> None:
        """Add one number per edge times one per row ``[b]``."""
        if self.full:
            tile.addcmul_(values.view(self.shape), factor[:, None])
        else:
            tile.view(-1).index_add_(0, self.flat, values * factor[self.row])

    def scaled(self, values: Tensor, factor: Tensor) -> Tensor:
        """One number per edge times one per row ``[b]``."""
        return (values.view(self.shape) * factor[:, None]).flatten() if self.full else values * factor[self.row]


def _add_margin(margin: float, tile: Tensor, at: _Edges, values: Tensor) -> None:
    """The margin goes to every candidate that is not a positive."""
    if margin:
        tile += margin
        at.add(tile, (values > 0).to(tile.dtype), torch.full_like(tile[:, 0], -margin))
