"""Candidates that travel from rank to rank: each rank has its own and those of one other, and never all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from icon.core.evaluators.autograd import Autograd, Gradients, derived, first_order, once_only
from icon.core.evaluators.base import Evaluator
from icon.core.problem import Problem
from icon.q.base import Kernel
from icon.q.partitions import Competition, Mergeable

TILE_ENTRIES = 2**20


class Ring(Evaluator):
    """Evaluates the anchors of this rank against the candidates of all, of a problem that has those of this rank alone.

    Going round once, the candidates of each rank are summed up in the few numbers on which the partition depends;
    they go round a second time for the gradients, which come home with them.

    Args:
        sizes: how many candidates each rank has.
        group: as torch.distributed takes it.
        agree: raises the error that it is given, on any rank, on all of them.
    """

    def __init__(self, sizes: list[int], group: Any, agree: Callable[[Exception | None], None]) -> None:
        self.sizes, self.group, self.agree = sizes, group, agree
        self.rank, self.world = dist.get_rank(group), dist.get_world_size(group)

    def per_anchor(self, problem: Problem) -> tuple[Tensor, ...]:
        tensors = problem.anchors, problem.candidates, *problem.q.score_parameters
        evaluate, again = partial(_around, problem, self), once_only("exchange", "ring", "gather")
        *summaries, expected = derived(evaluate, again, *tensors)
        partition = problem.q.partition
        assert isinstance(partition, Mergeable)
        return partition.merged(*summaries), expected

    def span(self, source: int) -> tuple[int, int]:
        """Where the candidates of a rank begin and end among those of all."""
        stop = sum(self.sizes[: source + 1])
        return stop - self.sizes[source], stop

    def own(self, x: Tensor) -> Tensor:
        """Of one number per candidate of all ranks, those of this rank; one of a point that counts nothing if none."""
        start, stop = self.span(self.rank)
        return x[start:stop] if stop > start else x.new_ones(1)

    def tile(self, problem: Problem, source: int, guest: Tensor) -> _Tile | None:
        """The problem of the candidates of one rank; None where it has none for the anchors here."""
        (start, stop), support = self.span(source), problem.support
        if stop == start or support.is_alone(start, stop):
            return None
        here = {"p": problem.p.columns(start, stop), "support": support.columns(start, stop), "candidates": guest}
        return _Tile(**vars(problem) | here)

    def hops(self) -> list[int]:
        """Whose candidates are here at each step: the own ones first."""
        return [(self.rank - step) % self.world for step in range(self.world)]

    def start_passing(self, step: int, mine: list[Tensor]) -> tuple[list[Tensor], list[Any]]:
        """Give tensors to the next rank: what comes from the one before, once its works are waited for."""
        if self.world == 1:
            return mine, []
        after, before = (self.rank + 1) % self.world, (self.rank - 1) % self.world
        if self.group is not None:
            after, before = (dist.get_global_rank(self.group, each) for each in (after, before))
        count = self.sizes[(self.rank - step - 1) % self.world]  # of the candidates that the rank before has now
        coming, works = [x.new_empty(count, *x.shape[1:]) for x in mine], []
        for k, (x, buffer) in enumerate(zip(mine, coming, strict=True)):
            if x.numel():
                works.append(dist.P2POp(dist.isend, x.contiguous(), after, self.group, tag=k))
            if buffer.numel():
                works.append(dist.P2POp(dist.irecv, buffer, before, self.group, tag=k))
        return coming, dist.batch_isend_irecv(works) if works else []


def refuse_without_all(q: Kernel, divergence: str, evaluator: Evaluator | None) -> None:
    """Raise ValueError where a loss of these parts needs all candidates at once."""
    per_candidate = {"a temperature per candidate": getattr(q, "scale", 1.0), "log_weights": q.log_weights}
    per_candidate["weights"] = getattr(q, "weights", None)
    why = next((name for name, x in per_candidate.items() if isinstance(x, Tensor) and x.ndim), None)
    if divergence != "kl":
        why = f"divergence={divergence!r}"
    elif not isinstance(q.partition, Mergeable):
        why = f"the partition {type(q.partition).__name__}, which has no summary and merged"
    elif not q.joins_candidates:
        why = f"{type(q).__name__}, whose statistics are of all candidates"
    elif q.has_factors:
        why = "agreement=True"
    elif evaluator is not None and type(evaluator) is not Autograd:
        why = f"evaluator={evaluator!r}"
    if why is not None:
        raise ValueError(f"exchange: got 'ring' with {why}, expected 'gather': it needs all candidates at once")


class _Tile(Problem):
    """A problem of some of the candidates, of which the partition is summed up."""

    @property
    def step(self) -> int:
        """Anchors per block: of smaller tiles than elsewhere, since autograd keeps several copies of one."""
        return min(super().step, max(64, TILE_ENTRIES // self.support.m))

    def per_anchor(self, anchors: Tensor, start: int) -> tuple[Tensor, ...]:
        if self.only_edges:
            return super().per_anchor(anchors, start)
        scores, partition = self.scores(anchors, start), self.q.partition
        assert isinstance(partition, Mergeable)
        masses = partial(self._masses, start, start + len(scores))
        summary = partition.summary(scores, Competition(self.support, start, masses))
        return *summary, self.p.expectation(scores, start)


def _around(problem: Problem, ring: Ring, needed: Sequence[bool]) -> tuple[tuple[Tensor, ...], Gradients]:
    """The summaries of all tiles, each ``[t, n]``, and the mean scores under p ``[n]``."""
    guest, of_tiles, error = problem.candidates[: ring.sizes[ring.rank]], [], None
    for step, source in enumerate(ring.hops()):
        last = step == ring.world - 1
        coming, works = ring.start_passing(step, [] if last else [guest])
        try:
            tile = None if error else ring.tile(problem, source, guest)
            if tile is not None:
                of_tiles.append(Autograd().per_anchor(tile))
        except Exception as failed:  # told when all have been served
            error = failed
        for work in works:
            work.wait()
        guest = guest if last else coming[0]
    ring.agree(error)
    *summaries, expected = (torch.stack(number) for number in zip(*of_tiles, strict=True))
    return (*summaries, expected.sum(dim=0)), partial(_back_around, problem, ring, needed)


def _back_around(problem: Problem, ring: Ring, needed: Sequence[bool], *upstream: Tensor) -> list[Tensor | None]:
    total = [torch.zeros_like(x) for x in (problem.anchors, problem.candidates, *problem.q.score_parameters)]
    own = problem.candidates[: ring.sizes[ring.rank]]
    guest, carried, seen = own, torch.zeros_like(own), 0
    *of_summaries, of_mean = upstream
    for step, source in enumerate(ring.hops()):
        last = step == ring.world - 1
        tile = ring.tile(problem, source, guest)
        if tile is not None:
            sent = [*(each[seen] for each in of_summaries), of_mean]
            wanted = (*needed[:2], *[False] * len(tile.p.leaves), *needed[2:])
            gradients = first_order(tile, wanted, sent)
            by_anchor, by_guest, *others = gradients[:2] + gradients[2 + len(tile.p.leaves) :]
            seen += 1
            for k, part in ((0, by_anchor), *enumerate(others, start=2)):
                if part is not None:
                    total[k] += part
            if by_guest is not None:
                carried = carried + by_guest
        # The gradient takes the last hop home as well; the candidates need not.
        coming, works = ring.start_passing(step, [carried] if last else [carried, guest])
        for work in works:
            work.wait()
        carried, guest = coming[0], guest if last else coming[1]
    total[1][: len(carried)] = carried
    return [x if wanted else None for x, wanted in zip(total, needed, strict=True)]
