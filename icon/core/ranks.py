"""A loss over the batches of all ranks of a process group: each evaluates its own anchors against all candidates.

Ranks exchange raw embeddings and targets, and then the few sums that `icon.q.totals` names. The value on a rank is
W times its share of the whole loss: the average over ranks, which is what distributed training takes of gradients, is
then the loss of the whole batch, and its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from icon import _checks as check
from icon._lazy import sp
from icon.core import exchange
from icon.core.evaluators.ring import Ring
from icon.p.rows import Rows
from icon.q.totals import WHOLE, Totals


class Ranks:
    """The evaluation of a loss on the batches of all ranks of a group.

    Where values are checked, the ranks tell each other before each exchange whether one has failed. Its error is then
    raised on all of them, and nobody waits for ever.

    Args:
        group: ``"world"``, or a process group.
        by_ring: whether candidates travel from rank to rank, and are not gathered.
        replicated: whether each rank has the whole second set (prototypes), and not a part of it.
    """

    def __init__(self, group: exchange.Group, by_ring: bool = False, replicated: bool = False) -> None:
        self.given = exchange.check_group(group)
        self.replicated, self.by_ring = replicated, by_ring and not replicated
        self.inside = False  # whether a loss is evaluated on the batches of all ranks
        self.sizes: list[list[int]] = []  # of each view, what each rank has of it
        self._device = torch.device("cpu")

    @property
    def group(self) -> Any:
        """As torch.distributed takes it."""
        return exchange.process_group(self.given)

    def together(
        self,
        evaluate: Callable[..., Any],
        own: Callable[[int], tuple[Any, Any, Any]],
        parameters: Iterable[tuple[str, Tensor]] = (),
    ) -> Any:
        """W times what ``evaluate(input, target, weights=weights)`` gives of the part of this rank.

        ``own`` gives, from the number of this rank, its input, its target, and what its anchors weigh.

        Raises:
            ValueError, TypeError: bad input of any rank, on each of them; a parameter that is not the same.
        """
        input, target, weights = self._of_all(own, parameters)
        self.inside = True
        try:
            value = exchange.checked(partial(evaluate, input, target, weights=weights), self.group, self._device)
        finally:
            self.inside = False
        return self._scaled(value)

    def own(self, target: Any) -> Any:
        """Of a target of all points what belongs to those of this rank, where these stay here (with prototypes)."""
        if not self.replicated:
            return target
        part = _View(self, 0).part
        return target.part(part.start, part.stop) if isinstance(target, Rows) else target[part]

    def share(self, anchors: int, candidates: int) -> Share:
        """What this rank does of the anchors of one view against the candidates of another."""
        if not self.by_ring:  # each rank has all candidates
            view = _View(self, anchors)
            return Share(view.part, view, sum(view.sizes) if self.replicated else None, None, view.is_empty)
        view = _View(self, anchors, _View(self, candidates))
        ring = Ring(self.sizes[candidates], self.group, self.agree)
        return Share(view.part, view, sum(view.sizes), ring, view.is_empty)

    def agree(self, error: Exception | None = None) -> None:
        """Raise the error of any rank on all of them."""
        exchange.agree(error, self._device, self.group)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _of_all(
        self, own: Callable[[int], tuple[Any, Any, Any]], parameters: Iterable[tuple[str, Tensor]]
    ) -> list[Any]:
        """The input, the target and the weights of all ranks, from those of this one; points that travel stay here."""
        group, error, mine, replicated = self.group, None, _Known([], {}, {}), self.replicated
        views: list[Any] = []
        local: list[Any] = []
        given: list[Any] = []
        shared = 0
        try:
            input, target, weights = own(dist.get_rank(group))
            views = list(input) if isinstance(input, (tuple, list)) else [input]
            shared = len(views) - replicated if len(views) == 2 else len(views)
            for k, view in enumerate(views):
                # Logits of prototypes may be masked by minus infinity, which is looked at when all are together.
                name = f"input[{k}]" if len(views) > 1 else "input"
                views[k] = check.matrix(view, name, finite=not replicated, may_be_empty=True)
            local = _local(target, [len(view) for view in views[:shared]])
            given = [] if weights is None else _local(weights, [len(views[0])], "weights")
            self._device = views[0].device
            learned = {name: float(x.detach().sum()) for name, x in parameters if check.values_matter(x)}
            parts = {"input": views[:shared], "target": local, "weights": given}
            kinds = {name: " and ".join(map(_kind, part)) or "None" for name, part in parts.items()}
            mine = _Known([_number(x) for part in parts.values() for x in part], kinds, learned)
        except Exception as failure:
            error = failure
        numbers = exchange.alike(mine.numbers, None if error else f"{mine.kinds} {mine.learned}", group)
        if numbers is None:
            every = exchange.agreed(mine, error, group)
            _refuse_others(every)
            numbers = [each.numbers for each in every]
        self.sizes = [[each[k] // 2 for each in numbers] for k in range(shared)]
        if not any(self.sizes[0]):
            raise ValueError("input: got no point on any rank, expected some")
        # Prototypes that each rank has compete for its own points alone, whichever way points are exchanged.
        if self.by_ring or replicated:
            for k, x in enumerate(views[:shared]):
                x = torch.cat([x, x.new_ones(1, x.shape[1])]) if len(x) == 0 else x  # noqa: PLW2901
                views[k] = _learning_as_others(x, [each[k] for each in numbers])
            targets = self._gathered(local + given, [each[shared:] for each in numbers])
        else:
            whole = self._gathered(views[:shared] + local + given, numbers)
            views[:shared], targets = whole[:shared], whole[shared:]
        weights = targets.pop() if given else None
        target = targets[0] if len(targets) == 1 else tuple(targets) if targets else None
        return [views[0] if len(views) == 1 else tuple(views), target, weights]

    def _gathered(self, mine: list[Any], numbers: list[list[int]]) -> list[Any]:
        """The rows of all ranks, of which each has a `_number`; with a gradient where any of them has one."""
        joined: list[Any] = list(mine)
        tensors: dict[int, Tensor] = {}
        for k, x in enumerate(mine):
            if isinstance(x, Rows):
                continue
            if sp.issparse(x):
                joined[k] = sp.vstack(exchange.objects(sp.csr_array(x), self.group))
                continue
            tensors[k] = _learning_as_others(x, [each[k] for each in numbers]).to(self._device)
        sizes = [[each[k] // 2 for each in numbers] for k in tensors]
        for k, rows in zip(tensors, exchange.rows(list(tensors.values()), sizes, self.group), strict=True):
            joined[k] = rows.to(mine[k].device)
        return joined

    def _scaled(self, value: Any) -> Any:
        """One number is W times the share of this rank; one per anchor stays as it is."""
        if isinstance(value, tuple):
            return type(value)(*map(self._scaled, value))
        return value if value.ndim else value * dist.get_world_size(self.group)


class Share(NamedTuple):
    """Which anchors of a direction of the loss are evaluated here.

    Args:
        part: where they are in their view; None: all of it.
        totals: sums over the other anchors.
        n: how many anchors there are in all, where only those of this rank are here.
        ring: what evaluates them against candidates that travel; None where these are all here.
        is_empty: whether the one anchor stands in for none, and counts nothing.
    """

    part: slice | None
    totals: Totals
    n: int | None = None
    ring: Ring | None = None
    is_empty: bool = False


class _View:
    """`Totals` over ranks of what each has of a view. One without points takes part as if it had the first one."""

    def __init__(self, ranks: Ranks, view: int, candidates: Totals = WHOLE) -> None:
        self.ranks, self.sizes, rank = ranks, ranks.sizes[view], dist.get_rank(ranks.group)
        self.is_empty = self.sizes[rank] == 0
        start = 0 if self.is_empty else sum(self.sizes[:rank])
        self.part = slice(start, start + (self.sizes[rank] or 1))
        self.candidates = candidates

    def sum(self, x: Tensor) -> Tensor:
        self.ranks.agree()
        return exchange.total(x * (0.0 if self.is_empty else 1.0), self.ranks.group)

    def max(self, x: Tensor) -> Tensor:
        self.ranks.agree()
        return exchange.largest(torch.full_like(x, -torch.inf) if self.is_empty else x, self.ranks.group)


class _Known(NamedTuple):
    """What ranks know of each other's tensors before they exchange them, and of the parameters of the loss."""

    numbers: list[int]
    kinds: dict[str, str]
    learned: dict[str, float]


def _number(x: Any) -> int:
    """How many rows there are, and whether they learn."""
    if isinstance(x, Rows):
        return 2 * x.n
    return 2 * int(x.shape[0]) + (not sp.issparse(x) and x.requires_grad)


def _kind(x: Any) -> str:
    """What is to be the same on all ranks."""
    if isinstance(x, Rows):
        return f"prepared rows {x.n} x {x.m}"
    shape = ", ".join(["n", *map(str, x.shape[1:])])
    return f"[{shape}] of {x.dtype}"


def _learning_as_others(x: Tensor, numbers: list[int]) -> Tensor:
    """A tensor with a gradient where that of any rank has one: each takes part in each exchange of gradients."""
    return x if x.requires_grad or not any(k % 2 for k in numbers) else x.detach().requires_grad_()


def _local(target: Any, sizes: list[int], name: str = "target") -> list[Any]:
    """The parts of a target ``[n, ...]`` of this rank: none, one, or two of a pair; or prepared rows."""
    if target is None:
        if len(set(sizes)) > 1:
            counts = " and ".join(map(str, sizes))
            raise ValueError(f"input: got {counts} rows, expected equal numbers (aligned), or ids of both")
        return []
    if isinstance(target, Rows):  # of the points of all ranks already
        return [target]
    pair = target if isinstance(target, tuple) and len(target) == 2 else (target,)
    parts = [part if sp.issparse(part) else check.as_tensor(part, name) for part in pair]
    for part, n in zip(parts, (sizes[0], sizes[-1]), strict=False):
        check.as_many(part.shape[0], n, name, "row", "point of this rank")
    return parts


def _refuse_others(every: list[_Known]) -> None:
    """Raise on all ranks where a parameter of the loss has come apart, or what they have cannot be put together."""
    first = every[0]
    for rank, each in enumerate(every):
        for name, value in first.learned.items():
            if each.learned[name] != value:
                raise ValueError(
                    f"{name}: got {value:.6g} on rank 0 and {each.learned[name]:.6g} on rank {rank}, expected the same "
                    "on all: wrap the loss in DistributedDataParallel, which averages the gradients of its parameters"
                )
    for rank, each in enumerate(every):
        for name, kind in first.kinds.items():
            if each.kinds[name] != kind:
                raise ValueError(
                    f"{name}: got {kind} on rank 0 and {each.kinds[name]} on rank {rank}, expected the same on each"
                )
