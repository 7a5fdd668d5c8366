"""What a loss takes of memory."""

from __future__ import annotations

from functools import lru_cache

import torch

from icon import _checks as check
from icon.core.problem import block_size

MANY = 2**20  # pairs up to which a loss fits, and nobody asks how much memory there is


def bytes_needed(block: int | None, is_product: bool, n: int, d: int, m: int) -> int:
    """Of value and gradient: one buffer that is used again for a product, autograd's copies of a tile else."""
    tile = block_size(n, m, block, torch.device("cpu")) * m
    return 4 * ((2 if is_product else 5) * tile + 4 * (n + m) * (d + 2))


@lru_cache(maxsize=256)
def refuse_if_too_large(block: int | None, is_product: bool, n: int, d: int, m: int) -> None:
    """Raise MemoryError where a loss of this shape does not fit; asked once per shape."""
    needed = bytes_needed(block, is_product, n, d, m)
    check.refuse_if_too_large(needed, f"a loss of {n} x {m} points", "give block= a smaller number, or use minibatches")
