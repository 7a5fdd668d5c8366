"""Losses without a group where there are several ranks: they are local, and say so once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch.distributed as dist
from torch.compiler import is_compiling

from icon import _checks as check

HAS_RANKS = dist.is_available()
_told: list[str] = []  # what is said once per process
_is_meant: ContextVar[bool] = ContextVar("whether losses without a group are meant to be local", default=False)


@contextmanager
def meant_to_be_local() -> Iterator[None]:
    """Within it, a loss without a group is that of this rank on purpose, and says nothing of it."""
    token = _is_meant.set(True)
    try:
        yield
    finally:
        _is_meant.reset(token)


def warn_of_other_ranks() -> None:
    """Warn once that a loss without a group is that of this rank alone, where there are others; a graph cannot warn."""
    if not (_told or is_compiling() or _is_meant.get()) and dist.get_world_size() > 1:
        _told.append("local")
        check.warn(
            f"group: got None on one of {dist.get_world_size()} ranks, so that the loss is that of this rank's batch; "
            "pass group='world' for the loss of all ranks"
        )
