"""What every structure of p can do: the verbs that the evaluators, the operations and the sampler are written in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from icon import _checks as check
from icon._cached import cached
from icon._lazy import sp
from icon.p.support import Support

TILE_ENTRIES = 2**22


class Edges(NamedTuple):
    """Single edges: anchor, candidate and mass of each, all ``[e]``."""

    row: Tensor
    col: Tensor
    mass: Tensor


class Masses(ABC):
    """A matrix ``[n, m]`` of masses >= 0, row i of which is p(.|i); a row of zeros is an anchor without a positive.

    Nothing here holds a matrix of all pairs unless it was given as one: a block of rows is asked for as a tile.
    """

    #: Whether some row may be without mass; False only where the structure rules it out.
    may_be_empty: ClassVar[bool] = True
    #: Whether the pairs with mass can be listed (`edges`) without all others.
    is_listed: ClassVar[bool] = False
    #: Whether far fewer numbers are kept than there may be pairs with mass.
    is_compact: ClassVar[bool] = False

    n: int
    m: int

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what is known from them is found anew."""
        names = [each.name for each in fields(self)] if is_dataclass(self) else vars(self)
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Masses of a pickle, whose fields may have been others in another version, and have meant other things."""
        if is_dataclass(self) and state.keys() != {each.name for each in fields(self)}:
            raise ValueError(
                f"pickle: got {type(self).__name__} of another version of icon, expected one of this version"
            )
        vars(self).update(state)

    # -- what a loss asks for -----------------------------------------------------------------------------------------

    def expectation(self, tile: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        """``[b]`` sums ``sum_j p_ij t_ij`` of a tile ``[b, m]`` whose first row is that of anchor ``start``."""
        expected: Tensor = torch.linalg.vecdot(tile, self.tile(start, start + len(tile), tile))
        return expected

    @abstractmethod
    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        """Rows ``start`` to ``stop`` as a tile ``[b, m]`` of the dtype and on the device of ``like``."""

    def positives(self, start: int, stop: int) -> Bool[Tensor, "b m"]:
        """``[b, m]`` bool: where p itself has mass, the uniform mass of debiasing apart."""
        return self.tile(start, stop, self.presence()) > 0

    @abstractmethod
    def sums(self) -> Float[Tensor, " n"]:
        """``[n]`` the sum of each row, without gradient."""

    def entropy(self, density: Float[Tensor, " n"] | None = None, size: int = 0) -> Float[Tensor, " n"]:
        """``[n]`` entropies ``-sum_j p_ij log p_ij``, with ``0 log 0 = 0``.

        Args:
            density: ``[n]`` a mass that every one of the ``size`` candidates of a row has beside p (debiasing).
        """
        like = self.presence()

        def of_block(start: int, stop: int) -> Tensor:
            masses = self.tile(start, stop, like)
            if density is None:
                return -x_log_x(masses).sum(dim=1)
            # A candidate without mass of its own still has the density; the excluded self, a stored zero, does not.
            on, each = masses > 0, density[start:stop]
            rest = (size - on.sum(dim=1)) * torch.xlogy(each, each)
            return -torch.where(on, x_log_x(masses + each[:, None]), 0.0).sum(dim=1) - rest

        return self.by_blocks(of_block)

    def presence(self) -> Real[Tensor, " n"]:
        """``[n]`` a number that is above 0 for the anchors with a positive, and 0 for the others."""
        return self.sums()

    def average(self, features: Float[Tensor, "m r"]) -> Float[Tensor, "n r"]:
        """``[n, r]`` the mean ``sum_j p_ij f_j`` of features ``[m, r]``."""
        return self.by_blocks(lambda start, stop: self.tile(start, stop, features) @ features)

    def averages_cheaply(self, width: int) -> bool:
        """Whether `average` of features ``[m, width]`` takes fewer numbers than there are pairs."""
        return False

    def add_to(self, tile: Float[Tensor, "b m"], start: int, factor: Float[Tensor, " b"]) -> None:
        """Add ``factor_i p_ij`` to a tile in place; ``factor [b]``."""
        tile.addcmul_(self.tile(start, start + len(tile), tile), factor[:, None])

    def log_tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        """The logarithm of `tile`."""
        return self.tile(start, stop, like).log()

    def expectation_of_all(self, tile: Float[Tensor, "n m"]) -> Float[Tensor, " n"]:
        """`expectation` of a tile of all anchors, where `is_filled`: a pass over all pairs is faster than a look-up of
        each edge."""
        expected: Tensor = torch.linalg.vecdot(tile, self._whole.to(tile))
        return expected

    @cached
    def _whole(self) -> Float[Tensor, "n m"]:
        return self.tile(0, self.n, self.sums())

    @property
    def listed_pairs(self) -> int | None:
        """How many pairs `edges` lists, or None where they are not listed or it cannot be known without looking."""
        return self.n_edges if self.is_listed else None

    def edges(self, start: int, stop: int) -> Edges:
        """The pairs with mass of some anchors; ``row`` counts from ``start``."""
        raise NotImplementedError(f"{type(self).__name__} does not list its pairs")

    def to_scipy(self) -> sp.csr_array:
        """The pairs with mass as a sparse matrix ``[n, m]`` of its own.

        Raises:
            MemoryError: it would not fit.
        """
        check.refuse_if_too_large(36 * self.n_edges, f"p of {self.n} x {self.m} points as a matrix", "use minibatches")
        if self.is_listed:
            row, col, mass = map(check.array, self.edges(0, self.n))
            return sp.csr_array((mass, (row, col)), shape=(self.n, self.m))
        like = self.sums()
        parts = [check.array(self.tile(start, stop, like)) for start, stop in self.spans()]
        return sp.csr_array(sp.vstack([sp.csr_array(part) for part in parts], format="csr"))

    # -- the same masses otherwise ------------------------------------------------------------------------------------

    @abstractmethod
    def scaled(self, factor: float | Float[Tensor, " n"]) -> Masses:
        """Every row times a number, or times its own ``[n]``."""

    def exaggerated(self, factor: float) -> Masses:
        """The edges times a number; the uniform mass of debiasing is no edge, and stays."""
        return self.scaled(factor)

    @abstractmethod
    def part(self, start: int, stop: int) -> Masses:
        """The rows ``start`` to ``stop``."""

    @abstractmethod
    def columns(self, start: int, stop: int) -> Masses:
        """The candidates ``start`` to ``stop``: ``[n, stop - start]``, each row with the mass that it has there.

        Raises:
            ValueError: the anchors are candidates without mass of their own, and only some of them are among these.
        """

    @abstractmethod
    def transposed(self) -> Masses:
        """The conditional of the other direction: ``[m, n]``, each row with mass scaled to sum to one."""

    @abstractmethod
    def to(self, device: torch.device, dtype: torch.dtype) -> Masses:
        """The masses on a device and in a precision; itself where nothing changes."""

    def symmetrized(self, marginal: Float[Tensor, " n"]) -> tuple[Masses, Tensor] | None:
        """``(P + Pᵀ)/2`` of ``P_ij = marginal_i p_ij`` as rows that sum to one and new marginals ``[n]``, where the
        structure gives it directly; None where it takes the sparse matrix."""
        return None

    def on(self, support: Support) -> Masses:
        """The masses on another support: uniform mass spreads over it."""
        return self

    # -- sampling -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """``[b]`` for each anchor one candidate drawn in proportion to its mass, with torch's global generator."""

    # -- derived ------------------------------------------------------------------------------------------------------

    @property
    def n_edges(self) -> int:
        """How many pairs have mass (the uniform mass of debiasing apart)."""
        return sum(int(self.positives(*span).count_nonzero()) for span in self.spans())

    @property
    def own_part(self) -> Masses:
        """The masses without the uniform part of debiasing."""
        return self

    def with_leaves(self, leaves: tuple[Tensor, ...]) -> Masses:
        """The same masses from other `leaves`."""
        return self

    #: ``[n]`` the one candidate that has all the mass of each anchor, one, where p is of that kind; else None.
    hard_targets: Tensor | None = None
    #: ``[n]`` the mass of each row that debiasing spread over the support, or None.
    uniform_mass: Tensor | None = None
    #: Where p is groups of one set of points, in which all pairs but those of a point with itself have mass: the number
    #: of the group of each point ``[n]``, and the mass of each other member in its row ``[n]``; else None.
    grouping: tuple[Tensor, Tensor] | None = None
    #: Whether a matrix of all pairs is small, hardly larger than what is kept here, and may be kept beside it.
    is_filled: bool = False
    #: The tensors through which gradients reach what p was made from.
    leaves: tuple[Tensor, ...] = ()
    #: Whether gradients flow through `leaves`.
    requires_grad: bool = False
    #: Whether it is known that no anchor has mass on itself.
    leaves_self_out: bool = False

    def spans(self) -> Iterator[tuple[int, int]]:
        """Blocks of anchors whose tile is small."""
        step = max(1, TILE_ENTRIES // self.m)
        for start in range(0, self.n, step):
            yield start, min(start + step, self.n)

    def by_blocks(self, compute: Callable[[int, int], Tensor]) -> Tensor:
        """What is computed of the anchors of each of the `spans`, as one tensor of all.

        Small tensors that stay among tiles that go would leave holes, in which no later tile has room.
        """
        first, *others = self.spans()
        part = compute(*first)
        if not others:
            return part
        whole = part.new_empty(self.n, *part.shape[1:])
        for start, stop in (first, *others):
            whole[start:stop] = part if start == 0 else compute(start, stop)
        return whole


class Valued(Masses):
    """Masses that are kept as ``values``, through which gradients reach what p was made from."""

    values: Tensor

    @property
    def n_edges(self) -> int:
        return int(torch.count_nonzero(self.values))

    @property
    def leaves(self) -> tuple[Tensor, ...]:  # type: ignore[override]
        return (self.values,)

    def with_leaves(self, leaves: tuple[Tensor, ...]) -> Masses:
        return replace(self, values=leaves[0])  # type: ignore[type-var] # each of its classes is a dataclass

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]
        return self.values.requires_grad


class OnSupport(Masses):
    """Masses of which a `Support` says who is a candidate of whom."""

    support: Support

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.support.n

    @property
    def m(self) -> int:  # type: ignore[override]
        return self.support.m

    @property
    def leaves_self_out(self) -> bool:  # type: ignore[override]
        return self.support.exclude_self


def x_log_x(x: Tensor) -> Tensor:
    """``x log x`` with value and gradient 0 at 0, where xlogy's gradient would be NaN."""
    if not (x.requires_grad or check.is_traced()):
        return torch.xlogy(x, x)
    return x * torch.where(x > 0, x, 1.0).log()


def entropy_of_equals(count: int | Tensor, each: Tensor, density: Tensor | None, size: int) -> Float[Tensor, " n"]:
    """`Masses.entropy` of rows with so many equal masses."""
    if density is None:
        return -count * torch.xlogy(each, each)
    each = each + density
    return -count * torch.xlogy(each, each) - (size - count) * torch.xlogy(density, density)


def drawn_of(masses: Float[Tensor, "b m"], anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """`Masses.draw` from the rows of some anchors; one without mass stays where it is."""
    stuck = masses.sum(dim=1) <= 0
    return torch.where(stuck, anchors, torch.multinomial(masses + stuck[:, None], 1).squeeze(1))


def per_row(factor: float | Tensor, start: int, stop: int) -> float | Tensor:
    """The part of a number per row that belongs to some rows; a number for all of them stays itself."""
    return factor[start:stop] if isinstance(factor, Tensor) else factor
