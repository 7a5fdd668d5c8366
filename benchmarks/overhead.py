"""What one call costs on any machine: calls into the package, hops between its files, tensor operations."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import icon

ROOT = str(Path(icon.__file__).parent)


class Overhead(NamedTuple):
    """Python calls into the package and hops between its files (forward); operations (forward and backward); looks at
    values, each of which waits for an accelerator; bytes that operations wrote to new memory."""

    calls: int
    hops: int
    operations: int
    looks: int
    bytes: int


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        found = func(*args, **(kwargs or {}))
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        for x in tree_leaves(found):
            if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in given:
                self.bytes += x.nbytes
        return found


def overhead(loss: Callable[[], Tensor]) -> Overhead:
    """Of one call after the first."""
    loss()
    files: list[str] = []

    def seen(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(ROOT):
            files.append(frame.f_code.co_filename)

    sys.setprofile(seen)
    try:
        loss()
    finally:
        sys.setprofile(None)
    with _Operations() as operations:
        loss().backward()
    hops = sum(a != b for a, b in itertools.pairwise(files))
    looks = sum("_local_scalar_dense" in name for name in operations.names)
    return Overhead(len(files), hops, len(operations.names), looks, operations.bytes)
