"""A prepared supervisory distribution: the masses, the support, and what each anchor weighs."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.compiler import is_compiling, is_dynamo_compiling

from icon._cached import cached, keep, mode_without_numbers, of_ordinary_tensors
from icon._lazy import sp
from icon._scales import precise
from icon.p.masses import Masses, Sparse
from icon.p.operations import Composable, Operation
from icon.p.support import Support


@dataclass(frozen=True, eq=False, repr=False)
class Rows(Composable):
    """A supervisory distribution p, to be computed once and used at every step.

    Args:
        masses: p(j|i), one structure of `icon.p.masses`.
        support: the candidates of each anchor.
        notes: what was done on the way and changes the numbers (pruning), in words.
    """

    masses: Masses
    support: Support
    notes: tuple[str, ...] = ()

    #: Whether rows and `marginal` together are a distribution over pairs of its own.
    is_joint: ClassVar[bool] = False
    #: Whether the rows with a positive sum to one.
    is_distribution: ClassVar[bool] = True
    #: The fields that have a number for each anchor.
    of_anchors: ClassVar[tuple[str, ...]] = ()

    # -- construction -------------------------------------------------------------------------------------------------

    @staticmethod
    def from_scipy(
        matrix: sp.spmatrix | sp.sparray,
        exclude_self: bool,
        *,
        offset: int | None = None,
        marginal: Tensor | None = None,
        notes: tuple[str, ...] = (),
    ) -> Rows:
        """Rows from a sparse matrix ``[n, m]`` of non-negative weights, each row scaled to sum to one.

        Args:
            matrix: the weights.
            exclude_self: whether the anchor itself is outside its support.
            offset: where the anchors stand among the candidates; None where they are two sets.
            marginal: ``[n]`` weights of the anchors, where they and the rows are a joint distribution.
            notes: see the class.
        """
        masses = Sparse.normalized(matrix)
        return Rows.of(masses, Support(masses.n, masses.m, exclude_self, offset), marginal, notes)

    @staticmethod
    def of(masses: Masses, support: Support, marginal: Tensor | None, notes: tuple[str, ...]) -> Rows:
        """Rows, joint with weights of the anchors where there are some.

        Args:
            masses: see the class.
            support: see the class.
            marginal: ``[n]`` weights of the anchors, or None.
            notes: see the class.
        """
        return Rows(masses, support, notes) if marginal is None else JointRows(masses, support, notes, weights=marginal)

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what is known from them is found anew, and a weak reference to a target cannot be saved."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | self._of_a_lost_target

    def __repr__(self) -> str:
        debiased = "" if self.masses.uniform_mass is None else ", debiased"
        with_self = "" if self.support.exclude_self else ", self included"
        kind = type(self.masses.own_part).__name__
        return f"{type(self).__name__}({self.n} x {self.m}, {kind}{debiased}{with_self})"

    # -- what it says of itself ---------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Anchors."""
        return self.support.n

    @property
    def m(self) -> int:
        """Candidates."""
        return self.support.m

    @property
    def n_edges(self) -> int:
        """The number of pairs that carry mass, the uniform mass of debiasing apart."""
        return self.masses.n_edges

    @cached
    def marginal(self) -> Float[Tensor, " n"]:
        """``[n]`` the weights ``P_i`` of the anchors, summing to one; equal for those with a positive."""
        kept = (~self.empty).to(precise(self.empty))
        return kept / kept.sum().clamp_min(1)

    @property
    def anchor_marginal(self) -> Float[Tensor, " n"]:
        """``[n]``: another name of `marginal`."""
        return self.marginal

    @cached
    def empty(self) -> Bool[Tensor, " n"]:
        """``[n]`` bool: the anchors to which p gives no mass at all (nothing positive)."""
        return self.masses.presence() <= 0

    @cached
    def n_empty(self) -> int:
        """How many anchors are without a positive."""
        if not self.masses.may_be_empty:
            return 0
        return self.support.n - int(torch.count_nonzero(self.masses.presence()))

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow through p to what it was made from."""
        return self.masses.requires_grad

    def entropy(self) -> Float[Tensor, " n"]:
        """``[n]`` entropies ``H_i = - sum_j p_ij log p_ij`` in nats, with ``0 log 0 = 0``; empty rows have 0."""
        if not is_compiling() and torch.is_inference_mode_enabled():
            return of_ordinary_tensors(self.entropy)
        entropy: Tensor | None = self.__dict__.get("_entropy")
        if entropy is None:
            entropy = self.masses.entropy()
            if not self.masses.requires_grad and (is_dynamo_compiling() or mode_without_numbers() is None):
                object.__setattr__(self, "_entropy", entropy)  # in a graph, a tensor can be kept
        return entropy

    def to_dense(self) -> Float[Tensor, "n m"]:
        """p as a matrix ``[n, m]``, for inspection and tests: the one place where a sparse p is dense."""
        spread = self.masses.uniform_mass
        like = next(iter(self.masses.leaves), self.masses.sums() if spread is None else spread)
        return self.masses.tile(0, self.n, like)

    def to_scipy(self) -> sp.csr_array:
        """The edges as a sparse matrix ``[n, m]``, without the uniform mass."""
        return self.masses.own_part.to_scipy()

    def has_self_mass(self) -> bool:
        """Whether some anchor is its own neighbour."""
        offset = self.support.offset if self.n != self.m else 0
        if offset is None:
            return False
        own = self.masses.own_part
        if own.leaves_self_out:
            return False  # known without a look at the keys, which a compiler may not take
        return any(bool(own.positives(start, stop).diagonal(offset + start).any()) for start, stop in own.spans())

    # -- the same p elsewhere -----------------------------------------------------------------------------------------

    def to(self, device: torch.device, dtype: torch.dtype) -> Rows:
        """p on a device and in a precision; the copy is kept, so that the second use costs nothing.

        Args:
            device: where to.
            dtype: of the masses, floating-point.
        """
        if not is_compiling() and torch.is_inference_mode_enabled():
            return of_ordinary_tensors(partial(self.to, device, dtype))
        copies: dict[Any, Rows] = self.__dict__.get("_copies", {})
        copy = copies.get((device, dtype))
        if copy is None:
            masses = self.masses.to(device, dtype)
            if masses is self.masses and not self.is_joint:
                return self  # not kept: rows that hold themselves would be freed by the garbage collector only
            own = {name: getattr(self, name).to(device, dtype) for name in self.of_anchors}
            if masses is self.masses and all(x is getattr(self, name) for name, x in own.items()):
                return self
            copy = replace(self, masses=masses, **own)
            if "_made_from" in self.__dict__:
                object.__setattr__(copy, "_made_from", self.__dict__["_made_from"])
            if not self.masses.requires_grad:
                # The entropies are those of the more precise masses.
                object.__setattr__(copy, "_entropy", self.entropy().to(device))
                keep(self, "_copies", {**copies, (device, dtype): copy})
        return copy

    def on(self, support: Support) -> Rows:
        """The same p on another support (for example with self as a candidate); uniform mass spreads over it.

        Args:
            support: of as many anchors and candidates.

        Raises:
            ValueError: another shape, or mass on the anchor itself where it is excluded.
        """
        if support == self.support:
            return self
        if (support.n, support.m) != (self.n, self.m):
            raise ValueError(f"support: got {(support.n, support.m)}, expected {(self.n, self.m)} as in p")
        elsewhere: dict[Support, Rows] = self.__dict__.get("_elsewhere", {})
        there = elsewhere.get(support)
        if there is None:
            if support.exclude_self and self.has_self_mass():
                raise ValueError("p: got mass on the anchor itself, expected none where self is outside the support")
            there = replace(self, masses=self.masses.on(support), support=support)
            keep(self, "_elsewhere", {**elsewhere, support: there})
        return there

    def part(self, start: int, stop: int) -> Rows:
        """p of the anchors ``start`` to ``stop``, against the same candidates; they keep their weights.

        Args:
            start: the first anchor.
            stop: the one after the last.
        """
        if (start, stop) == (0, self.n):
            return self
        masses, support = self.masses.part(start, stop), self.support.part(start, stop)
        own = {name: getattr(self, name)[start:stop] for name in self.of_anchors}
        return replace(self, masses=masses, support=support, **own)

    def transpose(self) -> Rows:
        """The conditional of the other direction, ``p(i|j)``, from the same edges; a debiased p stays as debiased."""
        return self._transposed

    @cached
    def _transposed(self) -> Rows:
        return self._changed(Rows(self.masses.transposed(), self.support.flipped(), self.notes))

    @property
    def symmetrized(self) -> Rows:
        """`symmetrize` by average, kept for the next use."""
        return self.symmetrize() if self.masses.requires_grad else self._symmetrized

    @cached
    def _symmetrized(self) -> Rows:
        return self.symmetrize()

    def _then(self, operation: Operation) -> Rows:
        return self._changed(operation(self, lambda other: other))

    def _changed(self, rows: Rows) -> Rows:
        """Other rows made of these, whose target is not known."""
        vars(rows).update(self._of_a_lost_target)
        return rows

    @property
    def _of_a_lost_target(self) -> dict[str, Any]:
        """What other rows made of these note, where a pair would have other rows: that their target is not known."""
        return {"_made_from": (None, type(None))} if "_made_from" in vars(self) else {}

    def exaggerated(self, factor: float) -> Rows:
        """The edges times a number: t-SNE's early exaggeration, which pulls the positives together.

        Args:
            factor: what the masses are multiplied with.
        """
        masses = self.masses.exaggerated(factor)
        return self._changed(Exaggerated(masses, self.support, self.notes, weights=self.marginal))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class JointRows(Rows):
    """Rows that are joint with weights of the anchors: of a graph, a matrix over all pairs, a symmetrised p.

    Args:
        weights: ``[n]`` the weight ``P_i`` of each anchor, summing to one over all anchors.
    """

    weights: Tensor

    is_joint = True
    of_anchors: ClassVar[tuple[str, ...]] = ("weights",)

    @property
    def marginal(self) -> Float[Tensor, " n"]:
        return self.weights


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class WeightedRows(JointRows):
    """Rows of weighted classes: what an anchor weighs is not scaled to a sum of one, and a mean has its own divisor.

    Args:
        anchor_weights: ``[n]`` what the divergence of each anchor is multiplied with.
        counts: ``[n]`` what each anchor adds to the divisor of the mean.
    """

    anchor_weights: Tensor
    counts: Tensor

    of_anchors = ("weights", "anchor_weights", "counts")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Exaggerated(JointRows):
    """Rows whose masses were multiplied by a number and sum to it."""

    is_distribution = False
