"""What every supervisory distribution is: a recipe from a target to `Rows`, and the operations that compose on it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from icon import _checks as check
from icon.p import operations as ops
from icon.rows import Rows, Support

D = TypeVar("D", bound="Distribution")


@dataclass(frozen=True)
class Sets:
    """The sizes of the two sets that p relates, and whether they are two (a pair) or one.

    ``n`` and ``m`` are None where the target alone must tell.
    """

    n: int | None = None
    m: int | None = None
    paired: bool = False


ONE_SET = Sets()
_RECIPE = "recipe"  # where prepared rows remember what they were made from


@dataclass(frozen=True, kw_only=True)
class Distribution(ABC):
    """A supervisory distribution. Call it with a target to get `Rows`; chain operations left to right.

    Args:
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
    """

    exclude_self: bool | None = None
    operations: tuple[ops.Operation, ...] = field(default=(), repr=False)

    column: ClassVar[str | None] = None
    #: Whether p is made from anything beyond the number of points.
    needs_target: ClassVar[bool] = True
    #: Hyper-parameters that `repr` shows even where they are the default.
    shown: ClassVar[tuple[str, ...]] = ()

    def __call__(self, target: Any = None, sets: Sets = ONE_SET) -> Rows:
        """Prepare the rows of p from a target, once; a prepared `Rows` passes through.

        Raises:
            TypeError, ValueError: the target is not what this distribution needs.
        """
        if isinstance(target, Rows):
            if sets.paired and target.support.exclude_self and not self.exclude_self:
                return self._for_a_pair(target, sets)
            expected = (sets.n or target.n, sets.m or target.m)
            if (target.n, target.m) != expected:
                raise ValueError(f"target: got prepared rows of shape {(target.n, target.m)}, expected {expected}")
            return target
        if self.exclude_self and sets.paired and sets.n != sets.m:
            raise ValueError(f"exclude_self: got True for {sets.n} anchors and {sets.m} candidates, expected one set")
        rows = self.rows(target, sets)
        if self.exclude_self and sets.paired:
            if rows.has_self_mass():
                raise ValueError("exclude_self: got True where i matches i of the other set, expected no mass there")
            rows = rows.on(Support(rows.n, rows.m, True))
        for operation in self.operations:
            rows = operation(rows, target, Sets(rows.n, rows.m, sets.paired), self._plain_call)
        if rows.support.exclude_self and self.exclude_self is None:
            rows._cache[_RECIPE] = (self, target)
        return rows

    @staticmethod
    def _for_a_pair(prepared: Rows, sets: Sets) -> Rows:
        """Rows that were prepared as of one set, prepared again as of two, once."""
        if _RECIPE not in prepared._cache:
            raise ValueError("target: got rows that exclude self, expected rows of two sets (exclude_self=False)")
        p, target = prepared._cache[_RECIPE]
        again: Rows = prepared._once("pair", lambda: p(target, sets))
        return again

    @abstractmethod
    def rows(self, target: Any, sets: Sets) -> Rows:
        """The rows before any operation."""

    def directions(self, views: int) -> list[tuple[int, int]]:
        """Which view's points are the anchors and which the candidates, for each evaluation of the loss."""
        if views > 2:
            raise ValueError(f"input: got {views} views, expected a tensor or a pair for icon.p.{type(self).__name__}")
        return [(0, views - 1)]

    def direction_target(self, target: Any, anchors: int, candidates: int, views: int) -> Any:
        """The part of the target that belongs to one of the `directions`."""
        return target

    # -- operations, composing left to right ----------------------------------------------------------------------

    def walks(self: D, k: int, average: bool = True, prune: int | None = None) -> D:
        """The K-walk average ``(P + ... + P^k)/k`` (or ``P^k`` alone); see `Rows.walks`."""
        return self._then(ops.Walks(check.count(k, "walks"), average, prune))

    def debias(self: D, alpha: float) -> D:
        """``(1-α) p + α u``; see `Rows.debias`."""
        return self._then(ops.Debias(check.fraction(alpha, "alpha")))

    def symmetrize(self: D, how: str = "average") -> D:
        """Symmetric weights; see `Rows.symmetrize`."""
        return self._then(ops.Symmetrize(check.choice(how, "how", ("average", "union", "intersection"))))

    def mix(self: D, other: Distribution | Rows, weight: float) -> D:
        """``(1 - weight) p + weight p'``; both from the same target unless ``other`` is prepared."""
        if not isinstance(other, (Distribution, Rows)):
            raise TypeError(f"other: got {type(other).__name__}, expected a distribution or prepared rows")
        return self._then(ops.Mix(other, check.fraction(weight, "weight")))

    # -- helpers ----------------------------------------------------------------------------------------------------

    def hyper_parameters(self) -> dict[str, Any]:
        """What makes this p, as constructor arguments (operations apart)."""
        own = {f.name: (getattr(self, f.name), f.default) for f in dataclasses.fields(self) if f.name != "operations"}
        return {name: value for name, (value, default) in own.items() if value != default or name in self.shown}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.hyper_parameters().items())
        return f"{type(self).__name__}({arguments})" + "".join(f".{operation}" for operation in self.operations)

    def _then(self: D, operation: ops.Operation) -> D:
        return replace(self, operations=(*self.operations, operation))

    def _support(self, n: int, m: int, sets: Sets) -> Support:
        exclude = self.exclude_self if self.exclude_self is not None else not sets.paired
        if exclude and n != m and not sets.paired:
            exclude = False  # a rectangular target names two sets
        return Support(n, m, exclude)

    @staticmethod
    def _plain_call(p: Any, target: Any, sets: Sets) -> Rows:
        rows: Rows = p if isinstance(p, Rows) else p(target if p.needs_target else None, sets)
        return rows
