"""The command on several ranks: ``torchrun --nproc-per-node 2 -m icon cluster ...``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from icon.core import exchange

T = TypeVar("T")
PATIENCE = timedelta(hours=12)  # that ranks wait for each other, while the first one searches for neighbours, say


@dataclass(frozen=True)
class Ranks:
    """The ranks that torchrun has started, or one process.

    Args:
        group: ``"world"``, or None in one process.
        is_first: whether this rank prints and writes.
    """

    group: str | None = None
    is_first: bool = True

    def on_all(self, given: Callable[[], T]) -> T:
        """What is given here; an error of any rank is raised on all."""
        return exchange.on_all(given, self.group)


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks of this command, which can exchange within it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield Ranks()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    has_own = torch.cuda.is_available() and local < torch.cuda.device_count()
    if has_own:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if has_own else "gloo", timeout=PATIENCE)
    try:
        dist.barrier()  # or a rank that has nothing to exchange leaves while another still connects
        yield Ranks("world", dist.get_rank() == 0)
    finally:
        dist.destroy_process_group()
