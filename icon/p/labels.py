"""p from what belongs together: identity, instance ids, modalities, classes, labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from icon import _checks as check
from icon._scales import precise
from icon.p.base import Distribution, Sets, has_parts, is_between_sets, target_of
from icon.p.label_matrices import is_label_matrix, label_matrix, shared_labels
from icon.p.masses import Dense, Grouped, Listed
from icon.p.rows import Rows, WeightedRows
from icon.p.support import Support


@dataclass(frozen=True, repr=False)
class Identity(Distribution):
    """``p(j|i) = 1[i = j]``; self is in the support. No target (or the number of points, to prepare it alone).

    Args:
        exclude_self: None or False: the mass is on self.

    Raises:
        ValueError: ``exclude_self=True``, or another number of points than the input has.
        TypeError: a target that is not a number.
    """

    column: ClassVar[str] = "identity"
    made_from: ClassVar[str] = "nothing"

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
        return _aligned(n, sets.m or n, sets.device, None if sets.paired else 0)


@dataclass(frozen=True, repr=False, kw_only=True)
class _Members(Distribution):
    """Uniform over the other members of the anchor's group, from one integer per point.

    Within one set: ``keys [n]``. Between two: ``(keys_a, keys_b)``, or one vector that both share. The anchor itself
    is never its own positive within one set, nor between two that share their keys where ``exclude_self=True``. Where
    views are joined, the keys ``[n]`` are of the points; without any, each point is an instance of its own.
    """

    join: bool = False

    noun: ClassVar[str] = "keys"
    made_from: ClassVar[str] = "labels"

    def rows(self, target: Any, sets: Sets) -> Rows:
        if type(target) is not Tensor or target.ndim != 1:
            other = self._rows_without_keys(target, sets)
            if other is not None:
                return other
        if target is None:
            if self.may_be_aligned and sets.paired:
                return _aligned(sets.n, sets.m, sets.device)
            raise TypeError(f"target: got None, expected {self.noun} [n] for icon.p.{type(self).__name__}")
        two = type(target) is not Tensor and has_parts(target)
        if two and sets.n is not None and not sets.paired:
            raise ValueError(f"{self.noun}: got a pair for one set of points, expected one vector [n]")
        ka = check.integers(target[0] if two else target, self.noun, sets.n)
        kb = check.integers(target[1], f"{self.noun}[1]", sets.m) if two else ka
        if sets.n is None:  # prepared ahead, while a buffer of keys may be filled with those of the next batch
            ka = ka.clone()
            kb = kb.clone() if two else ka
        n, m = ka.shape[0], kb.shape[0]
        if not two and sets.m is not None and sets.m != n:
            raise ValueError(
                f"{self.noun}: got {n} for {sets.n} anchors and {sets.m} candidates, expected a pair of them"
            )
        one_set = not (sets.paired or two)
        exclude = one_set if self.exclude_self is None else self.exclude_self
        own = 0 if one_set or (exclude and not two) else None  # two sets that share their keys are the same points
        if m == 1 and own is not None:
            return _lone(ka.device)
        positives = Support(n, m, own is not None, own)
        support = positives if exclude == positives.exclude_self else Support(n, m, exclude, own)
        return Rows(Grouped(ka, kb, positives), support)

    def _rows_without_keys(self, target: Any, sets: Sets) -> Rows | None:
        """The rows of a target that is no vector of keys, where it may be another thing."""
        return None

    def joined(self, views: list[Tensor], target: Any) -> tuple[list[Tensor], Any]:
        n = len(views[0])
        if isinstance(target, Rows):
            if target.n == n * len(views):  # prepared from the keys of all views
                return [torch.cat(views)], target
            if is_between_sets(target) and (target.n, target.m) == (n, len(views[-1])):
                return views, target
            target = target_of(rows := target)
            if target is None:
                raise ValueError(f"target: got prepared rows of {rows.n} points, expected {n * len(views)}, all views")
        if any(len(view) != n for view in views):
            sizes = ", ".join(str(len(view)) for view in views)
            raise ValueError(f"input: got views of {sizes} points, expected the same points in each")
        if target is None and not self.may_be_aligned:
            return views, target
        keys = torch.arange(n, device=views[0].device) if target is None else check.as_tensor(target, self.noun)
        check.as_many(len(keys), n, self.noun, "entry", "point, for all its views")
        return [torch.cat(views)], torch.cat([keys] * len(views))


@dataclass(frozen=True, repr=False)
class Pairs(_Members):
    """Uniform over the other views of the same instance.

    >>> import icon
    >>> icon.p.Pairs()([0, 0, 1, 1]).to_dense()
    tensor([[0., 1., 0., 0.],
            [1., 0., 0., 0.],
            [0., 0., 0., 1.],
            [0., 0., 1., 0.]], dtype=torch.float64)

    The target is instance ids ``[n]`` (of one set, or ``(ids_a, ids_b)`` for queries and keys); without a target,
    queries and keys are aligned row by row.

    Args:
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
        join: take several views of the same points, ``[n, d]`` each, as one set, in which the views of a point are each
            other's positives, and not as anchors and candidates.
    """

    column: ClassVar[str] = "pairs"
    noun: ClassVar[str] = "ids"
    may_be_aligned: ClassVar[bool] = True

    def one_positive(self, target: Any, n: int, m: int, device: torch.device) -> Tensor | None:
        return torch.arange(n, device=device) if target is None and n == m else None


@dataclass(frozen=True, repr=False)
class CrossModal(Pairs):
    """Uniform over the matching items of the other modality; aligned rows, or ``(ids_a, ids_b)``.

    Args:
        symmetric: average both directions (a→b and b→a); otherwise a→b alone.
        graph: of more than two views: ``"core"`` pairs the first with each other one, ``"full"`` all with all.
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
        join: take several views of the same points, ``[n, d]`` each, as one set, in which the views of a point are each
            other's positives, and not as anchors and candidates.
    """

    symmetric: bool = True
    graph: str = "core"

    column: ClassVar[str] = "cross-modal"
    aligned: ClassVar[bool] = True
    made_from: ClassVar[str] = "two sets"
    one_positive = Pairs.one_positive

    def __post_init__(self) -> None:
        super().__post_init__()
        check.choice(self.graph, "graph", ("core", "full"))

    def rows(self, target: Any, sets: Sets) -> Rows:
        if sets.n is None and isinstance(target, int):
            return _aligned(target, target, None)
        return super().rows(target, replace(sets, paired=True))

    def directions(self, views: int, target: Any = None) -> list[tuple[int, int, Any]]:
        if views < 2:
            raise ValueError("input: got one set of points, expected a pair (za, zb) of modalities")
        each = target is not None and has_parts(target, views)
        prepared = isinstance(target, Rows)
        directions: list[tuple[int, int, Any]] = []
        for i in range(1 if self.graph == "core" else views - 1):
            for j in range(i + 1, views):
                directions.append((i, j, (target[i], target[j]) if each else target))
                if self.symmetric:
                    back = target.transpose() if prepared else target
                    directions.append((j, i, (target[j], target[i]) if each else back))
        return directions


@dataclass(frozen=True, repr=False)
class Classes(_Members):
    """Uniform over the other members of the same class; the target is labels ``[n]``.

    >>> import icon
    >>> icon.p.Classes()([0, 0, 0, 1, 1]).to_dense()
    tensor([[0.0000, 0.5000, 0.5000, 0.0000, 0.0000],
            [0.5000, 0.0000, 0.5000, 0.0000, 0.0000],
            [0.5000, 0.5000, 0.0000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000, 1.0000],
            [0.0000, 0.0000, 0.0000, 1.0000, 0.0000]], dtype=torch.float64)

    Soft or several labels per point are a target ``[n, L]`` of numbers >= 0: p is then proportional to their overlap.

    Args:
        overlap: of targets ``[n, L]``: ``"product"``, ``y_i·y_j`` (of soft labels the probability of the same class,
            of label sets the number of shared ones), or ``"jaccard"``, ``sum min / sum max`` of label sets.
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
        join: take several views of the same points, ``[n, d]`` each, as one set, in which the views of a point are each
            other's positives, and not as anchors and candidates.

    Source: Khosla et al. 2020 (SupCon); Kim et al. 2022 for soft labels, Lin et al. 2023 for label sets (Jaccard).
    """

    overlap: str = "product"

    column: ClassVar[str] = "classes"
    noun: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        super().__post_init__()
        check.choice(self.overlap, "overlap", ("product", "jaccard"))

    def _rows_without_keys(self, target: Any, sets: Sets) -> Rows | None:
        one = is_label_matrix(target)
        two = isinstance(target, (tuple, list)) and len(target) == 2 and all(map(is_label_matrix, target))
        if not (one or two):
            return None
        ya, yb = (target, target) if one else target
        a, b = label_matrix(ya, "labels", sets.n), label_matrix(yb, "labels[1]", sets.m)
        if a.shape[1] != b.shape[1]:
            raise ValueError(f"labels: got {a.shape[1]} and {b.shape[1]} columns, expected the same number")
        n, m = a.shape[0], b.shape[0]
        # Two sets that share their labels are the same points where self is excluded.
        paired = two or (sets.paired and not self.exclude_self)
        if m == 1 and not paired:
            return _lone(None)
        return Rows(shared_labels(a, b, self.overlap, not paired), self._support(n, m, paired))


@dataclass(frozen=True, repr=False)
class DataLabel(Distribution):
    """``p(c|i) = 1[y_i = c]`` over class prototypes, or soft targets ``[n, C]`` with rows that sum to one.

    The input of the loss is ``(z, prototypes)``.

    Args:
        n_classes: number of prototypes; needed only to prepare p without an input.
        class_weights: C numbers >= 0: the terms of class c count w_c times, ``-sum_c w_c p(c|i) log q(c|i)``. A mean
            is divided by the weights of the labels, or by the number of anchors where the labels are soft.
        ignore_index: a label that says that the anchor has none: it is left out. None: every label is a class.
        detach: False lets gradients reach soft targets.
        exclude_self: None or False: no point is among the prototypes.

    Raises:
        ValueError: class weights that are negative or not finite.
    """

    n_classes: int | None = None
    class_weights: Any = None
    ignore_index: int | None = None
    detach: bool = True

    column: ClassVar[str] = "data-label"
    made_from: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ignore_index is not None:
            object.__setattr__(self, "ignore_index", check.integer(self.ignore_index, "ignore_index"))
        if self.class_weights is None:
            return
        weights = check.as_tensor(self.class_weights, "class_weights").double()
        if weights.ndim != 1 or not bool((torch.isfinite(weights) & (weights >= 0)).all()):
            raise ValueError(f"class_weights: got {self.class_weights}, expected a finite number >= 0 per class")
        object.__setattr__(self, "class_weights", tuple(weights.tolist()))

    @property
    def leaves_out(self) -> bool:  # type: ignore[override]
        return self.ignore_index is not None

    def one_positive(self, target: Any, n: int, m: int, device: torch.device) -> Tensor | None:
        plain = self.class_weights is None and self.ignore_index is None
        if not plain or type(target) is not Tensor or target.ndim != 1:
            return None
        if target.is_cpu and device == target.device and target.dtype is torch.int64 and target.shape[0] == n:
            return target  # the cross-entropy of the CPU looks at its labels itself
        return check.integers(target, "labels", n, below=m).to(device)

    def rows(self, target: Any, sets: Sets) -> Rows:
        if sets.n is not None and not sets.paired:
            raise ValueError("input: got one set of points, expected a pair (z, prototypes)")
        tensor = target if type(target) is Tensor else check.as_tensor(target, "labels")
        if tensor.ndim == 2:
            return self._soft(check.matrix(tensor, "labels"), sets)
        known = sets.m or self.n_classes
        kept: float | Tensor = 1.0
        if self.ignore_index is not None:
            ignored = tensor == self.ignore_index
            tensor, kept = tensor.masked_fill(ignored, 0), (~ignored).to(precise(ignored))
        labels = check.integers(tensor, "labels", sets.n, below=known)
        if sets.n is None or tensor is not target:  # a buffer may be filled anew before p is used
            labels = labels.clone()
        support = Support(len(labels), known or int(labels.max()) + 1)
        return Rows(Listed(labels.unsqueeze(1), support.m, kept), support)

    def finish(self, rows: Rows) -> Rows:
        """Each anchor with the weight ``W_i = sum_c w_c p(c|i)`` and the distribution ``w_c p(c|i) / W_i``.

        Args:
            rows: of p, all operations applied.

        Raises:
            ValueError: another number of weights than of classes.
        """
        if self.class_weights is None:
            return rows
        if len(self.class_weights) != rows.m:
            raise ValueError(f"class_weights: got {len(self.class_weights)}, expected {rows.m} (one per class)")
        masses, own = rows.masses, rows.masses.own_part
        sums = masses.sums().detach()
        counts = (sums > 0).to(sums)
        # In two steps, without a wait for the device.
        of_classes = torch.tensor(self.class_weights, dtype=sums.dtype).to(sums.device, non_blocking=True)
        weights = masses.average(of_classes[:, None]).squeeze(1)
        if own.listed_pairs == rows.n:  # one label for each anchor, whose weight is what it counts
            counts = counts * of_classes[own.edges(0, rows.n).col]
        if own is not masses or own.listed_pairs != rows.n:
            dense, positive = rows.to_dense(), weights[:, None] > 0
            masses = Dense(torch.where(positive, dense * of_classes / weights[:, None].where(positive, 1), dense))
        share = weights.detach()
        marginal = share / share.sum().clamp_min(torch.finfo(share.dtype).tiny)
        return WeightedRows(masses, rows.support, rows.notes, weights=marginal, anchor_weights=weights, counts=counts)

    def _soft(self, targets: Tensor, sets: Sets) -> Rows:
        n, classes = targets.shape
        if (n, classes) != (sets.n or n, sets.m or classes):
            raise ValueError(f"labels: got shape {(n, classes)}, expected {(sets.n or n, sets.m or classes)}")
        tolerance = max(1e-3, 4 * torch.finfo(targets.dtype).eps)
        targets = (targets.detach() if self.detach else targets).to(precise(targets))
        sums = targets.sum(dim=1, keepdim=True)
        if check.values_matter(targets):
            wrong = ((targets < 0) | ((sums - 1).abs() > tolerance)).any(dim=1).nonzero().flatten().tolist()
            if wrong:
                raise ValueError(
                    f"labels: got rows {check.some(wrong)} that are not distributions, expected numbers >= 0 with sum 1"
                )
        return Rows(Dense(targets / sums.detach()), Support(n, classes))


def _lone(device: torch.device | None) -> Rows:
    """One point, its own candidate, since a row needs one, and without a positive all the same."""
    return Rows(Dense(torch.zeros(1, 1, device=device)), Support(1, 1, offset=0))


def _aligned(n: int | None, m: int | None, device: torch.device | None, offset: int | None = None) -> Rows:
    """Anchor i and candidate i belong together."""
    if n != m or n is None or m is None:
        raise ValueError(f"input: got {n} and {m} rows, expected equal numbers (aligned), or ids of both")
    return Rows(Listed(torch.arange(n, device=device).unsqueeze(1), m), Support(n, m, offset=offset))
