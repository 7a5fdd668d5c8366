"""Sums over all parts of a batch whose anchors are evaluated in parts, such as by several ranks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Totals(Protocol):
    """Sums over all parts of a batch whose anchors are evaluated in parts (by several ranks, say).

    Where no part holds all candidates either, ``candidates`` are the sums over their parts.
    """

    def sum(self, x: Tensor) -> Tensor:
        """The sum of what each part gives, differentiable; the same on every part."""

    def max(self, x: Tensor) -> Tensor:
        """The largest of what each part gives, entry by entry, without gradient."""


class Whole:
    """The totals of a batch that is evaluated in one part."""

    def sum(self, x: Tensor) -> Tensor:
        return x

    def max(self, x: Tensor) -> Tensor:
        return x.detach()


WHOLE = Whole()


def mean_of(x: Float[Tensor, "n d"], totals: Totals) -> Float[Tensor, " d"]:
    """``[d]`` the mean row of all parts."""
    if isinstance(totals, Whole):
        return x.mean(dim=0)
    return totals.sum(x.sum(dim=0)) / totals.sum(x.new_full((), float(len(x))))


def log_sum_of(x: Float[Tensor, " n *d"], totals: Totals) -> Float[Tensor, "*d"]:
    """The logarithm of the sum of ``exp`` over the first dimension, of all parts."""
    if isinstance(totals, Whole):
        return x.logsumexp(dim=0)
    highest = totals.max(x.amax(dim=0))
    return highest + totals.sum((x - highest).exp().sum(dim=0)).log()
