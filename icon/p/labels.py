"""p from what belongs together: identity, instance ids, modalities, classes, labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from icon import _checks as check
from icon.edges import Csr, Groups
from icon.p.base import Distribution, Sets
from icon.rows import Rows, Support


@dataclass(frozen=True, repr=False)
class Identity(Distribution):
    """``p(j|i) = 1[i = j]``; self is in the support. No target (or the number of points, to prepare it alone)."""

    column: ClassVar[str] = "identity"
    needs_target: ClassVar[bool] = False

    def rows(self, target: Any, sets: Sets) -> Rows:
        if isinstance(target, (int, Tensor)) and sets.n is None:
            n = check.count(target if isinstance(target, int) else len(target), "target")
        elif target is not None:
            raise TypeError(f"target: got {type(target).__name__}, expected none for the identity column")
        elif sets.n is None:
            raise TypeError("target: got None, expected the number of points")
        else:
            n = sets.n
        if self.exclude_self:
            raise ValueError("exclude_self: got True, expected False: the identity is mass on self")
        return _aligned(n, sets.m or n)


@dataclass(frozen=True, repr=False, kw_only=True)
class _Members(Distribution):
    """Uniform over the other members of the anchor's group, from one integer per point.

    Within one set: ``keys [n]``. Between two: ``(keys_a, keys_b)``, or one vector that both share. The anchor itself
    is never its own positive within one set.
    """

    noun: ClassVar[str] = "keys"

    def rows(self, target: Any, sets: Sets) -> Rows:
        if target is None:
            raise TypeError(f"target: got None, expected {self.noun} [n] for icon.p.{type(self).__name__}")
        two = isinstance(target, (tuple, list)) and len(target) == 2 and all(hasattr(t, "__len__") for t in target)
        ka = check.integers(target[0] if two else target, self.noun, sets.n)
        kb = check.integers(target[1], f"{self.noun}[1]", sets.m) if two else ka
        if not two and sets.m is not None and sets.m != len(ka):
            raise ValueError(
                f"{self.noun}: got {len(ka)} for {sets.n} anchors and {sets.m} candidates, expected a pair"
            )
        support = self._support(len(ka), len(kb), replace(sets, paired=sets.paired or two))
        present, group_b = torch.unique(kb, return_inverse=True)
        place = torch.searchsorted(present, ka).clamp_max(len(present) - 1)
        group_a = torch.where(present[place] == ka, place, -1)
        return Rows(Groups.of(group_a, group_b, skip_self=not (sets.paired or two)), support)


@dataclass(frozen=True, repr=False)
class Pairs(_Members):
    """Uniform over the other views of the same instance.

    The target is instance ids ``[n]`` (of one set, or ``(ids_a, ids_b)`` for queries and keys); without a target,
    queries and keys are aligned row by row.
    """

    column: ClassVar[str] = "pairs"
    noun: ClassVar[str] = "ids"

    def rows(self, target: Any, sets: Sets) -> Rows:
        if target is None and sets.paired:
            return _aligned_sets(sets)
        return super().rows(target, sets)


@dataclass(frozen=True, repr=False)
class CrossModal(Pairs):
    """Uniform over the matching items of the other modality; aligned rows, or ``(ids_a, ids_b)``.

    Args:
        symmetric: average both directions (a→b and b→a); otherwise a→b alone.
        graph: of more than two views: ``"core"`` pairs the first with each other one, ``"full"`` all with all.
    """

    symmetric: bool = True
    graph: str = "core"

    column: ClassVar[str] = "cross-modal"

    def __post_init__(self) -> None:
        check.choice(self.graph, "graph", ("core", "full"))

    def rows(self, target: Any, sets: Sets) -> Rows:
        if sets.n is None and isinstance(target, int):
            return _aligned(target, target)
        return super().rows(target, replace(sets, paired=True))

    def directions(self, views: int) -> list[tuple[int, int]]:
        if views < 2:
            raise ValueError("input: got one set of points, expected a pair (za, zb) of modalities")
        last = 1 if self.graph == "core" else views - 1
        forward = [(i, j) for i in range(last) for j in range(i + 1, views)]
        return [way for i, j in forward for way in ((i, j), (j, i))] if self.symmetric else forward

    def direction_target(self, target: Any, anchors: int, candidates: int, views: int) -> Any:
        if isinstance(target, Rows):
            return target if anchors < candidates else target.transpose()
        if isinstance(target, (tuple, list)) and len(target) == views and all(hasattr(t, "__len__") for t in target):
            return (target[anchors], target[candidates])
        return target


@dataclass(frozen=True, repr=False)
class Classes(_Members):
    """Uniform over the other members of the same class; the target is labels ``[n]``."""

    column: ClassVar[str] = "classes"
    noun: ClassVar[str] = "labels"


@dataclass(frozen=True, repr=False)
class DataLabel(Distribution):
    """``p(c|i) = 1[y_i = c]`` over class prototypes, or soft targets ``[n, C]`` with rows that sum to one.

    The input of the loss is ``(z, prototypes)``.

    Args:
        n_classes: number of prototypes; needed only to prepare p without an input.
    """

    n_classes: int | None = None

    column: ClassVar[str] = "data-label"

    def rows(self, target: Any, sets: Sets) -> Rows:
        if sets.n is not None and not sets.paired:
            raise ValueError("input: got one set of points, expected a pair (z, prototypes)")
        tensor = check.as_tensor(target, "labels")
        if tensor.ndim == 2:
            return self._soft(check.matrix(tensor, "labels"), sets)
        labels = check.integers(tensor, "labels", sets.n)
        classes = sets.m or self.n_classes or int(labels.max()) + 1
        large = (labels >= classes).nonzero().flatten().tolist()
        if large:
            raise ValueError(f"labels: got labels >= {classes} in rows {check.some(large)}, expected 0..{classes - 1}")
        return _one_edge_each(labels, classes)

    def _soft(self, targets: Tensor, sets: Sets) -> Rows:
        n, classes = targets.shape
        if (n, classes) != (sets.n or n, sets.m or classes):
            raise ValueError(f"labels: got shape {(n, classes)}, expected {(sets.n or n, sets.m or classes)}")
        tolerance = max(1e-3, 4 * torch.finfo(targets.dtype).eps)
        targets = targets.detach().double()
        sums = targets.sum(dim=1, keepdim=True)
        wrong = ((targets < 0) | ((sums - 1).abs() > tolerance)).any(dim=1).nonzero().flatten().tolist()
        if wrong:
            raise ValueError(f"labels: got rows {check.some(wrong)} that are no distribution, expected >= 0 with sum 1")
        indptr = torch.arange(n + 1, device=targets.device) * classes
        indices = torch.arange(classes, device=targets.device).repeat(n)
        return Rows(Csr(indptr, indices, (targets / sums).flatten(), classes), Support(n, classes, False))


def _aligned_sets(sets: Sets) -> Rows:
    if sets.n != sets.m or sets.n is None or sets.m is None:
        raise ValueError(f"input: got {sets.n} and {sets.m} rows, expected as many of each (aligned), or ids of both")
    return _aligned(sets.n, sets.m)


def _aligned(n: int, m: int) -> Rows:
    if n != m:
        raise ValueError(f"input: got {n} and {m} rows, expected as many of each (aligned)")
    return _one_edge_each(torch.arange(n), m)


def _one_edge_each(candidate: Tensor, m: int) -> Rows:
    n = len(candidate)
    indptr = torch.arange(n + 1, device=candidate.device)
    values = torch.ones(n, dtype=torch.float64, device=candidate.device)
    return Rows(Csr(indptr, candidate, values, m), Support(n, m, False))
