"""What ranks of `torch.distributed` exchange: sums and rows of all of them, with gradients, and plain objects.

Where nothing else is said, a group is what `process_group` makes of the one that a user gives.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from hashlib import blake2b
from math import prod
from typing import Any, TypeAlias, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.checkpoint import _StopRecomputationError

from icon import _checks as check

T = TypeVar("T")
Group: TypeAlias = Any  # "world", or a process group of torch.distributed
_NUMBERS = 16  # that ranks tell each other at once
KINDS = (ValueError, TypeError, MemoryError, FloatingPointError)  # of errors that tell of bad input


def check_group(group: Any) -> Group:
    """``"world"``, or a process group; another thing is refused."""
    is_group = dist.is_available() and isinstance(group, dist.ProcessGroup)
    if not is_group and group != "world":
        raise TypeError(f"group: got {group!r}, expected None, 'world', or a process group of torch.distributed")
    return group


def copied(module: Any, memo: dict[int, Any]) -> Any:
    """A deep copy of a module over ranks: a process group cannot be copied and stays the same."""
    memo[id(module.group)] = module.group
    other = memo[id(module)] = copy(module)
    other.__dict__.update(deepcopy(module.__dict__, memo))
    return other


def process_group(group: Group) -> Any:
    """What torch.distributed takes for it, where None is the world."""
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError(
            f"group: got {group!r} where torch.distributed is not initialised, expected a call of init_process_group "
            "first (torchrun starts the ranks)"
        )
    return None if isinstance(group, str) else group


def objects(mine: Any, group: Any) -> list[Any]:
    """What each rank gives, in their order."""
    every: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(every, mine, group=group)
    return every


def alike(numbers: list[int], kind: str | None, group: Any) -> list[list[int]] | None:
    """The few numbers >= 0 of each rank, where all tell of the same kind; None on all where one does not.

    One exchange of one small tensor, where objects would take two and be pickled. A rank that has failed has no kind.
    """
    own = torch.full((_NUMBERS,), -1, dtype=torch.int64)
    if kind is not None and len(numbers) < _NUMBERS:
        own[0] = int.from_bytes(blake2b(kind.encode(), digest_size=7).digest(), "big")
        own[1 : 1 + len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
    if "nccl" in dist.get_backend(group):
        own = own.cuda()
    every = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    dist.all_gather(every, own, group=group)
    rows: list[list[int]] = torch.stack(every).tolist()
    if rows[0][0] < 0 or any(row[0] != rows[0][0] for row in rows):
        return None
    return [row[1 : 1 + len(numbers)] for row in rows]


def agreed(mine: Any, error: Exception | None, group: Any) -> list[Any]:
    """What each rank gives, in their order; an error that any of them tells of is raised on all."""
    told = None if error is None else (next((k for k in KINDS if isinstance(error, k)), RuntimeError), str(error))
    every = objects((told, mine), group)
    for rank, (failed, _) in enumerate(every):
        if failed is not None:
            raised = failed[0](f"{failed[1]} (on rank {rank} of {len(every)})")
            raised.is_known_to_all = True
            raise raised
    return [said for _, said in every]


def agree(error: Exception | None, device: torch.device, group: Any) -> None:
    """Raise the error of any rank on all of them, where values are checked, by a number on a device."""
    flag = torch.tensor(float(error is not None), device=device)
    if check.values_matter(flag) and bool(largest(flag, group) > 0):
        agreed(None, error, group)


def checked(given: Callable[[], T], group: Any, device: torch.device | None = None) -> T:
    """What this rank is given, where all ranks find that theirs is right; the error of any is raised on all.

    With a device they `agree`, which is one number, and none where values are not checked.
    """
    value, error = None, None
    try:
        value = given()
    except _StopRecomputationError:  # by which activation checkpointing ends a recomputation, on each rank here
        raise
    except Exception as failed:
        if device is not None and getattr(failed, "is_known_to_all", False):
            raise
        error = failed
    if device is None:
        agreed(None, error, group)
    else:
        agree(error, device, group)
    if error is not None:  # values are not checked, and the other ranks not told
        raise error
    return value  # type: ignore[return-value] # an error has been raised


def from_first(given: Callable[[], T], group: Group | None) -> T:
    """What the first rank is given, on all of them; its error is raised on all. Without a group, what is given here."""
    if group is None:
        return given()
    ranks = process_group(group)
    told: list[Any] = [None]
    if dist.get_rank(ranks) == 0:
        try:
            told = [(given(), None)]
        except Exception as error:
            told = [(None, error)]
    dist.broadcast_object_list(told, 0 if ranks is None else dist.get_global_rank(ranks, 0), group=ranks)
    value, failed = told[0]
    if failed is not None:
        failed.is_known_to_all = True
        raise failed
    return value  # type: ignore[no-any-return]


def on_all(given: Callable[[], T], group: Group | None) -> T:
    """What is given here; where that fails on any rank, its error is raised on all. Without a group, as it is."""
    return given() if group is None else checked(given, process_group(group))


def rows_of_all(x: Tensor, group: Any) -> tuple[Tensor, slice]:
    """The rows of all ranks, as in `rows`, and where those of this rank are."""
    sizes = objects(x.shape[0], group)
    start = sum(sizes[: dist.get_rank(group)])
    return rows([x], [sizes], group)[0], slice(start, start + sizes[dist.get_rank(group)])


def largest(x: Tensor, group: Any) -> Tensor:
    """The largest over ranks, entry by entry, without gradient."""
    largest = x.detach().clone()
    dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=group)
    return largest


def total(x: Tensor, group: Any) -> Tensor:
    """The sum over ranks, the same on each. Its gradient is summed over ranks as well."""
    total: Tensor = _Sum.apply(x, group)  # type: ignore[no-untyped-call]
    return total


def rows(mine: list[Tensor], sizes: list[list[int]], group: Any) -> list[Tensor]:
    """The rows ``[N, ...]`` of all ranks, in their order, of each ``[n, ...]``. Their gradient is summed over ranks.

    All travel in one message, since small ones take as long as their number. The sizes are how many rows of each there
    are, rank by rank.
    """
    return list(_Rows.apply(sizes, group, *mine)) if mine else []  # type: ignore[no-untyped-call]


class _Sum(torch.autograd.Function):
    """The sum of torch.distributed.nn would do, but now and then a process that has used it aborts as it ends."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        whole = x.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole, group=group)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return total(gradient, ctx.group), None


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, ...]:
        sizes, group, *mine = given  # with a name for each, torch.compile takes two tensors for a call without ctx
        ctx.sizes, ctx.group, ctx.rank = sizes, group, dist.get_rank(group)
        widths = [x.element_size() * prod(x.shape[1:]) for x in mine]
        # Of each tensor, the message has room for the most rows of any rank, to bytes at which any dtype may begin.
        lengths = [-(-width * max(of_ranks) // 16) * 16 for width, of_ranks in zip(widths, sizes, strict=True)]
        message = torch.zeros(sum(lengths), dtype=torch.uint8, device=mine[0].device)
        for part, x in zip(torch.split(message, lengths), mine, strict=True):
            if x.numel():  # of an empty one the strides may be any, and then it is not seen as bytes
                part[: x.nbytes] = x.detach().contiguous().view(-1).view(torch.uint8)
        received = [torch.empty_like(message) for _ in sizes[0]]
        dist.all_gather(received, message, group=group)
        every, gathered = [torch.split(whole, lengths) for whole in received], []
        for k, (x, width) in enumerate(zip(mine, widths, strict=True)):
            parts = [each[k][: width * n].view(x.dtype) for each, n in zip(every, sizes[k], strict=True)]
            gathered.append(torch.cat(parts).view(-1, *x.shape[1:]))
        needed = ctx.needs_input_grad[2:]
        ctx.mark_non_differentiable(*(x for x, n in zip(gathered, needed, strict=True) if not n))
        return tuple(gathered)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        learned = [k for k, needed in enumerate(ctx.needs_input_grad[2:]) if needed]
        whole = total(torch.cat([gradients[k].reshape(-1) for k in learned]), ctx.group)
        own_gradients: list[Tensor | None] = [None] * len(gradients)
        for k, part in zip(learned, torch.split(whole, [gradients[k].numel() for k in learned]), strict=True):
            start = sum(ctx.sizes[k][: ctx.rank])
            own = part.view_as(gradients[k])[start : start + ctx.sizes[k][ctx.rank]]
            own_gradients[k] = own.to(gradients[k].dtype)
        return None, None, *own_gradients
