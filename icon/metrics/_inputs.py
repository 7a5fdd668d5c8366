"""What the measures are given, checked and in double precision."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from icon import _checks as check


def double_matrix(value: Any, name: str) -> Tensor:
    """A finite matrix ``[n, d]`` in main memory and float64, without its gradient."""
    return check.with_numbers(check.matrix(value, name), name).detach().cpu().double()


def two_views(za: Any, zb: Any) -> tuple[Tensor, Tensor]:
    """Two aligned matrices of the same shape ``[n, d]``."""
    a, b = double_matrix(za, "za"), double_matrix(zb, "zb")
    if a.shape != b.shape:
        raise ValueError(f"zb: got shape {tuple(b.shape)}, expected {tuple(a.shape)} (that of za, aligned row by row)")
    return a, b
