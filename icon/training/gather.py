"""Rows of all ranks, with gradient."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor

from icon import _checks as check
from icon.core import exchange


def gather(x: Tensor, group: exchange.Group = "world", *, sharded: bool = False) -> Tensor:
    """The rows ``[N, d]`` of all ranks of a group, in their order, of ``x [n, d]`` with any n.

    A loss with ``group=`` gathers its input itself. This is for what it takes as the same on every rank, and what is
    not: prototypes of which each rank holds some classes,
    ``loss((z, icon.training.gather(shard, sharded=True)), labels)``.

    Args:
        x: the rows of this rank.
        group: ``"world"`` or a process group.
        sharded: False: the gradient is summed over ranks, as for embeddings, whose parameters
            `DistributedDataParallel` averages. True: it is averaged over ranks, as for parameters that one rank alone
            holds and nobody averages.

    Raises:
        TypeError, ValueError: no matrix with a row and a column, on any rank; or sharded is neither True nor False.
    """
    check.flag(sharded, "sharded")
    ranks = exchange.process_group(exchange.check_group(group))
    rows, _ = exchange.rows_of_all(exchange.checked(lambda: check.matrix(x, "x"), ranks), ranks)
    if not sharded:
        return rows
    share = 1 / dist.get_world_size(ranks)
    return rows.detach() + (rows - rows.detach()) * share
