"""What every supervisory distribution is: a recipe from a target to `Rows`, and the operations that compose on it."""

from __future__ import annotations

import copy
import weakref
from abc import abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from icon import _checks as check
from icon._cached import keep
from icon._values import called, changed, same
from icon.p.operations import Composable, Operation, Symmetrize, Walks, refuse_two_sets
from icon.p.rows import Rows
from icon.p.support import Support

D = TypeVar("D", bound="Distribution")

#: The methods of a distribution that decide on the numbers of its rows, and on which rows a loss has.
_MAKES_ROWS = frozenset({"rows", "before_operations", "finish", "directions", "__call__"})


@dataclass(frozen=True)
class Sets:
    """The sizes of the two sets that p relates, whether they are two (a pair) or one, and the device they are on.

    ``n`` and ``m`` are None where the target alone must tell.

    Args:
        n: number of anchors.
        m: number of candidates.
        paired: whether the sets are two.
        device: that of the input; None: any.
    """

    n: int | None = None
    m: int | None = None
    paired: bool = False
    device: torch.device | None = None


ONE_SET = Sets()


@dataclass(frozen=True, kw_only=True)
class Distribution(Composable):
    """A supervisory distribution. Call it with a target to get `Rows`; chain operations left to right.

    One of your own keeps each argument of its ``__init__`` in an attribute of that name, which a frozen dataclass does
    by itself, or else names them in `hyper_parameters`.

    Args:
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
    """

    exclude_self: bool | None = None
    operations: tuple[Operation, ...] = field(default=(), repr=False)

    column: ClassVar[str | None] = None
    #: What p is made from: "features", "labels", a "graph", "two sets", or "nothing" beyond the number of points.
    made_from: ClassVar[str] = "features"
    #: Whether two sets without a target are matched row by row; a p of your own that makes other rows says so again.
    aligned: ClassVar[bool] = False
    #: Whether the target itself says which anchors have no positive, so that nobody need be told.
    leaves_out: ClassVar[bool] = False
    #: A method ``(rows) -> rows`` that comes last, after all operations, where there is one.
    finish: ClassVar[Any] = None
    #: Whether several views are taken as one set of points; see `joined`.
    join = False
    #: Whether two sets without a target are aligned row by row.
    may_be_aligned: ClassVar[bool] = False
    #: Hyper-parameters that `repr` shows even where they are the default.
    shown: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check.choice(cls.made_from, "made_from", ("features", "labels", "graph", "two sets", "nothing"))
        if not _MAKES_ROWS.isdisjoint(cls.__dict__):  # another p knows only what it says that it knows
            cls.aligned = cls.__dict__.get("aligned", False)
            cls.one_positive = cls.__dict__.get("one_positive", Distribution.one_positive)  # type: ignore[method-assign]
        for name in ("__repr__", "__eq__", "__hash__"):  # of a dataclass, these would be those of its fields alone
            if name not in cls.__dict__:
                setattr(cls, name, getattr(cls, name))

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.type == "bool" or (each.type == "bool | None" and value is not None):
                check.flag(value, each.name)

    def __call__(self, target: Any = None, sets: Sets = ONE_SET) -> Rows:
        """Prepare the rows of p from a target, once; a prepared `Rows` passes through.

        Raises:
            TypeError, ValueError: the target is not what this distribution needs.
        """
        if type(target) is not Tensor and isinstance(target, Rows):
            return self._prepared(target, sets)
        rows = self.rows(target, sets) if not self.exclude_self else self.before_operations(target, sets)
        if not isinstance(rows, Rows):
            raise TypeError(f"rows: got {type(rows).__name__} from {type(self).__name__}, expected icon.Rows")
        shape = n, m = rows.support.n, rows.support.m
        if shape != (expected := (sets.n or n, sets.m or m)):
            raise ValueError(f"rows: got shape {shape} from {type(self).__name__}, expected {expected}")
        for operation in self.operations:
            if isinstance(operation, (Walks, Symmetrize)) and rows.support.offset is None:
                two = has_parts(target) and target[0] is not target[1]
                refuse_two_sets(rows, type(operation).__name__.lower(), two)
            rows = operation(rows, partial(self.another, target=target, sets=Sets(rows.n, rows.m, sets.paired)))
        if self.finish is not None:
            rows = self.finish(rows)
        if sets.n is None and rows.support.offset is not None and not self.exclude_self:
            _remember(rows, self, target)
        return rows

    def before_operations(self, target: Any, sets: Sets) -> Rows:
        """The rows before any operation, on their support.

        Args:
            target: what p is made from: see the class.
            sets: the sizes of the two sets that p relates.

        Raises:
            ValueError: self is excluded and there are two sets, or i matches i of the other one.
        """
        if not self.exclude_self or not (sets.paired or has_parts(target)):
            return self.rows(target, sets)
        if sets.n != sets.m:
            raise ValueError(f"exclude_self: got True for {sets.n} anchors and {sets.m} candidates, expected one set")
        rows = self.rows(target, sets)
        if rows.has_self_mass():
            raise ValueError(
                "exclude_self: got True where i matches i of the other set, expected no mass there; if both sets are "
                "the same points, give the target once, for both"
            )
        support = Support(rows.n, rows.m, True)
        return replace(rows, masses=rows.masses.on(support), support=support)

    @staticmethod
    def another(p: Any, target: Any, sets: Sets) -> Rows:
        """The rows of a second p that is mixed in: prepared already, or made from the same target.

        Args:
            p: prepared rows, or a distribution.
            target: what p is made from: see the class.
            sets: the sizes of the two sets that p relates.
        """
        if isinstance(p, Rows):
            return p
        rows: Rows = p(None if p.made_from == "nothing" else target, sets)
        return rows

    def kept(self, support: Support) -> int | None:
        """How many candidates of each anchor have mass, where p is made from features; None where all may.

        Args:
            support: which pairs there are.
        """
        return None

    @abstractmethod
    def rows(self, target: Any, sets: Sets) -> Rows:
        """The rows before any operation.

        Args:
            target: what p is made from: see the class.
            sets: the sizes of the two sets that p relates.

        Raises:
            ValueError, TypeError: the target is not what this distribution needs.
        """

    def one_positive(self, target: Any, n: int, m: int, device: torch.device) -> Tensor | None:
        """``[n]`` the candidate, of another set ``[m]``, that has all mass of each anchor before any operation.

        None where it takes `rows` to know, also because the target is wrong.

        Args:
            target: what p is made from.
            n: number of anchors.
            m: number of candidates.
            device: of the result.
        """
        return None

    def joined(self, views: list[Tensor], target: Any) -> tuple[list[Tensor], Any]:
        """Several views ``[n, d]`` as one set of points with its target, where p asks for it by ``join``.

        Args:
            views: ``[n, d]`` each, of the same points.
            target: of the points.

        Raises:
            TypeError: this p does not join views.
            ValueError: views of other numbers of points, or a target of another length.
        """
        raise TypeError(f"input: got several views, expected a tensor or a pair for icon.p.{type(self).__name__}")

    def directions(self, views: int, target: Any = None) -> list[tuple[int, int, Any]]:
        """The evaluations of the loss: the view of the anchors, that of the candidates, their part of the target.

        Args:
            views: how many there are.
            target: of the whole input.

        Raises:
            ValueError: a number of views that this p does not take.
        """
        if views > 2:
            raise ValueError(f"input: got {views} views, expected a tensor or a pair for icon.p.{type(self).__name__}")
        return [(0, views - 1, target)]

    # -- helpers ------------------------------------------------------------------------------------------------------

    def hyper_parameters(self) -> dict[str, Any]:
        """What makes this p, as constructor arguments (operations apart): those that differ from their defaults."""
        return {name: value for name, value in changed(self, self.shown).items() if name != "operations"}

    def replace(self: D, **changes: Any) -> D:
        """This p with other arguments, and the same operations after it.

        Args:
            changes: by the names of the arguments.
        """
        return type(self)(**(self.hyper_parameters() | changes)).with_operations(self.operations)

    def with_operations(self: D, operations: Iterable[Operation]) -> D:
        """This p with other operations after it."""
        found = copy.copy(self)
        object.__setattr__(found, "operations", tuple(operations))
        return found

    def __repr__(self) -> str:
        return called(self) + "".join(f".{operation}" for operation in self.operations)

    def __eq__(self, other: object) -> bool:
        return same(self, other)

    def __hash__(self) -> int:
        return hash((type(self), len(self.operations)))

    def _then(self: D, operation: Operation) -> D:
        return self.with_operations((*self.operations, operation))

    def _support(self, n: int, m: int, paired: bool) -> Support:
        one_set = not paired and n == m  # a rectangular target names two sets
        exclude = self.exclude_self if self.exclude_self is not None else one_set
        return Support(n, m, exclude and (one_set or paired), 0 if one_set else None)

    def _prepared(self, rows: Rows, sets: Sets) -> Rows:
        """Rows that were prepared before, checked against the input of this call."""
        if (rows.n, rows.m) != (expected := (sets.n or rows.n, sets.m or rows.m)):
            raise ValueError(f"target: got prepared rows of shape {(rows.n, rows.m)}, expected {expected}")
        one_set = rows.n == rows.m and rows.support.offset is not None  # not a part of one, against the whole
        if not (sets.paired and one_set) or (self.exclude_self and rows.support.exclude_self):
            return rows
        return _as_a_pair(rows, sets)


def has_parts(target: Any, views: int = 2) -> bool:
    """Whether a target has a part for each of several views, such as for the anchors and for the candidates."""
    return (
        isinstance(target, (tuple, list)) and len(target) == views and all(hasattr(each, "__len__") for each in target)
    )


def _remember(rows: Rows, p: Distribution, target: Any) -> None:
    """Note what rows of one set were made from, in case the input turns out to be a pair.

    A list of labels is copied, as it is within the rows. Nothing else is kept alive; and of features and graphs, rows
    that have self as a candidate, where no walk comes home, are the same for a pair.
    """
    of_labels = p.made_from == "labels"
    if of_labels and getattr(target, "ndim", 1) == 1:
        may_nest = isinstance(target, (list, tuple)) and not set(map(type, target)) <= {int, str}
        copied = copy.deepcopy if may_nest else copy.copy
        kept = target.clone() if isinstance(target, Tensor) else copied(target)
        object.__setattr__(rows, "_made_from", (p, lambda: kept))
        return
    walked = p.made_from == "features" and bool(p.operations)
    if of_labels or (p.exclude_self is None and (rows.support.exclude_self or walked)):
        with suppress(TypeError):  # of a number
            object.__setattr__(rows, "_made_from", (p, weakref.ref(target)))


def target_of(rows: Rows) -> Any:
    """What prepared rows were made from, or None where it is gone or was never known."""
    _, made_from = rows.__dict__.get("_made_from", (None, lambda: None))
    return made_from()


def is_between_sets(rows: Rows) -> bool:
    """Whether prepared rows are p between two sets, made from no target: a sampler of pairs makes them so."""
    return rows.support.offset is None and target_of(rows) is None


def _as_a_pair(rows: Rows, sets: Sets) -> Rows:
    """Rows that were prepared as of one set, prepared again as of two, once."""
    of_a_pair: Rows | None = rows.__dict__.get("_of_a_pair")
    if of_a_pair is not None:
        return of_a_pair
    target = target_of(rows)
    if target is not None:
        of_a_pair = rows.__dict__["_made_from"][0](target, sets)
        keep(rows, "_of_a_pair", of_a_pair)
        return of_a_pair
    if rows.support.exclude_self or "_made_from" in rows.__dict__:
        raise ValueError(
            "target: got rows of one set for a pair, whose own target is gone or not known, expected the target itself "
            "or rows of two sets"
        )
    return rows.on(Support(rows.n, rows.m))  # self is nowhere among the candidates
