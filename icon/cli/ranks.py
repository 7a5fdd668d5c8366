"""The command on several ranks: ``torchrun --nproc-per-node 2 -m icon cluster ...``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from icon.core.exchange import Group

PATIENCE = timedelta(hours=12)  # that ranks wait for each other, while the first one searches for neighbours, say


@contextmanager
def joined() -> Iterator[tuple[Group | None, bool]]:
    """The ranks that torchrun has started, which can exchange within it: their group, which is None for one process,
    and whether this one prints and writes."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield None, True
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    has_own = torch.cuda.is_available() and local < torch.cuda.device_count()
    if has_own:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if has_own else "gloo", timeout=PATIENCE)
    try:
        dist.barrier()  # or a rank that has nothing to exchange leaves while another still connects
        yield "world", dist.get_rank() == 0
    finally:
        dist.destroy_process_group()
