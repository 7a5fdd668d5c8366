"""What every learned distribution is: features prepared once, a score of two blocks of them, a partition."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from icon import _checks as check
from icon._values import as_numbers, changed, with_names
from icon.p.masses import Masses
from icon.p.support import Support
from icon.q.arguments import buffer_or_plain
from icon.q.partitions import AlreadyNormalized, Constant, LogSumExp, Partition, as_partition
from icon.q.totals import WHOLE, Totals

#: The methods that decide on the scores, and what is known of these without a look at them.
_MAKES_SCORES = frozenset({"features", "prepare", "weighted_score", "score"})
_KNOWN_OF_SCORES = frozenset({"is_radial", "law", "is_symmetric", "largest_score", "means_are_exact"})
_HALF = (torch.float16, torch.bfloat16)
Statistics = Mapping[str, Tensor]
#: What `Kernel.prepare` makes of anchors and candidates, and what `Kernel.score` makes of blocks of both.
Pair = tuple[Float[Tensor, "n r"], Float[Tensor, "m r"]]
Scores = Float[Tensor, "*batch b m"]


class Features(NamedTuple):
    """What scores are made from: features ``[n, r]`` and ``[m, r]``, and what all points together decided in them."""

    anchors: Tensor
    candidates: Tensor
    statistics: Statistics


class Batch(NamedTuple):
    """What features are made from.

    Args:
        anchors: ``[n, d]``.
        candidates: ``[m, d]``; the same tensor where both are one set.
        support: where the anchors stand among the candidates.
        weights: ``[m]`` stationary weights of the candidates, for distributions that use them.
        totals: sums over the other parts of the anchors, where there are some.
        over_candidates: sums over the candidates of all parts; each part holds all of them unless it says otherwise.
    """

    anchors: Float[Tensor, "n d"]
    candidates: Float[Tensor, "m d"]
    support: Support
    weights: Float[Tensor, " m"] | None = None
    totals: Totals = WHOLE
    over_candidates: Totals = WHOLE


def exchanged(statistics: Statistics) -> Statistics:
    """Statistics of the other direction, where the anchors are the candidates."""
    other = {"anchor": "candidate", "candidate": "anchor"}
    return {" ".join(other.get(word, word) for word in name.split()): x for name, x in statistics.items()}


class Kernel(nn.Module):
    """Base of the learned distributions. A score of your own is one method:

    >>> import icon, torch
    >>> class Laplacian(icon.q.Kernel):
    ...     def score(self, anchors, candidates):
    ...         return -torch.cdist(anchors, candidates, p=1)

    `prepare` is ordinary differentiable PyTorch that runs once per call; `score` runs on blocks of what it returns and
    must broadcast over leading dimensions (``[..., b, r]`` and ``[..., m, r]`` to ``[..., b, m]``). What `prepare`
    needs of all points together is named by `statistics`.

    Args:
        partition: an object of a class in `icon.q.PARTITIONS` or of one of your own, or a function ``(scores [b, m],
            row) -> A [b]``, with which the loss is the cross-entropy form; ``row.hide(scores, value)`` hides who does
            not compete. None: the softmax.
        margin: added to every score that is not a positive (triplet margin, additive-margin softmax).
        log_weights: ``[m]`` logarithms of candidate weights, added to the scores of each candidate
            (sampled-softmax correction, stationary weights).
        detach_candidates: stop the gradient into the candidates (momentum keys, targets).

    Raises:
        ValueError: a margin or log-weights that are not finite.
        TypeError: a partition that is none, or log-weights that require a gradient.
    """

    row: ClassVar[str | None] = None
    #: Whether the anchor is always its own candidate (clusters).
    needs_self: ClassVar[bool] = False
    #: The setting by which the score of a point with itself is infinite, so that no point may be its own candidate.
    refuses_self: str = ""
    #: Whether `statistics` uses p's marginal as weights of the candidates.
    needs_marginal: bool = False
    #: Whether the score is the product of the prepared features and nothing more.
    is_product: ClassVar[bool] = True
    #: Whether there are `anchor_factors`, a `penalty`, and a state to `advance`.
    has_factors: bool = False
    #: Whether a candidate whose score is lower than all others by far is as good as none.
    takes_logits: bool = False
    has_penalty: ClassVar[bool] = False
    has_state: ClassVar[bool] = False
    #: Whether `statistics` sums over the parts of the candidates (`Batch.over_candidates`), where there are some.
    joins_candidates: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # What one class knows of its statistics and scores does not hold for those that another puts in their place.
        if "statistics" in vars(cls):
            cls.joins_candidates = vars(cls).get("joins_candidates", False)
        place = {name: k for k, kind in reversed([*enumerate(cls.__mro__)]) for name in vars(kind)}
        first = min(place[name] for name in _MAKES_SCORES)
        for name in _KNOWN_OF_SCORES:
            if place[name] > first:
                setattr(cls, name, vars(Kernel)[name])
        cls.is_product = cls.score is Kernel.score and cls.weighted_score is Kernel.weighted_score
        cls.has_penalty = cls.penalty is not Kernel.penalty
        cls.has_state = cls.advance is not Kernel.advance

    def __init__(
        self,
        partition: Partition | Callable[..., Tensor] | None = None,
        margin: float = 0.0,
        log_weights: Any = None,
        detach_candidates: bool = False,
    ) -> None:
        super().__init__()
        self.partition: Partition = LogSumExp() if partition is None else as_partition(partition)
        self.margin = check.number(margin, "margin")
        self.detach_candidates = check.flag(detach_candidates, "detach_candidates")
        self.log_weights: Tensor | None
        weights = None if log_weights is None else check.constant(log_weights, "log_weights")
        if weights is not None and (weights.ndim != 1 or not bool(torch.isfinite(weights).all())):
            raise ValueError(f"log_weights: got shape {tuple(weights.shape)}, expected finite numbers (m,)")
        buffer_or_plain(self, "log_weights", weights)

    def features(self, batch: Batch) -> Features:
        """Features ``[n, r]`` and ``[m, r]`` for `score`, in float32 at least, and the statistics they rest on.

        Args:
            batch: the points, of any type.

        Raises:
            ValueError: log-weights of another number of candidates.
        """
        anchors, candidates = batch.anchors, batch.candidates
        one = anchors is candidates
        if anchors.dtype in _HALF:
            anchors = anchors.float()
            candidates = anchors if one else candidates.float()
        if self.detach_candidates:
            candidates = candidates.detach()
        if anchors is not batch.anchors or candidates is not batch.candidates:
            batch = batch._replace(anchors=anchors, candidates=candidates)
        statistics = self.statistics(batch)
        a, c = self.prepare(anchors, candidates, statistics)
        if self.log_weights is None:
            return Features(a, c, statistics)
        if len(self.log_weights) != len(c):
            raise ValueError(f"log_weights: got {len(self.log_weights)}, expected {len(c)} (one per candidate)")
        extra = self.log_weights.to(c)
        a, c = torch.cat([a, torch.ones_like(a[:, :1])], 1), torch.cat([c, extra[:, None]], 1)
        return Features(a, c, statistics)

    def statistics(self, batch: Batch) -> Statistics:
        """What `prepare` needs of all points together, by name: sizes of clusters, a centre, a scale.

        Args:
            batch: the points, in float32 at least; with weights where `needs_marginal`.
        """
        return {}

    def prepare(self, anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "m d"], statistics: Statistics) -> Pair:
        """Features of the anchors and of the candidates; one and the same tensor where both are.

        Args:
            anchors: ``[n, d]``.
            candidates: ``[m, d]``.
            statistics: what `statistics` gave.
        """
        return anchors, candidates

    def weighted_score(self, a: Tensor, c: Tensor) -> Tensor:
        """`score` plus the candidates' log-weights, which travel as one more feature.

        Args:
            a: ``[..., b, r]`` prepared anchors.
            c: ``[..., m, r]`` prepared candidates.
        """
        if self.log_weights is None or self.is_product:
            return self.score(a, c)
        return self.score(a[..., :-1], c[..., :-1]) + c[..., None, :, -1]

    def score(self, anchors: Float[Tensor, "*batch b r"], candidates: Float[Tensor, "*batch m r"]) -> Scores:
        """Scores ``[..., b, m]`` of a block of prepared anchors; the base is the dot product.

        Args:
            anchors: ``[..., b, r]`` as `prepare` made them.
            candidates: ``[..., m, r]`` likewise.
        """
        return anchors @ candidates.mT

    @property
    def keeps_points(self) -> bool:
        """Whether the features are the points themselves, in float32 at least."""
        return False

    # -- scores that depend on the distance alone ---------------------------------------------------------------------

    @property
    def is_radial(self) -> bool:
        """Whether the score is `radial` of the squared distance of `coordinates`, and nothing of it is learned."""
        return False

    def radial(self, squared: Float[Tensor, "*k"]) -> Float[Tensor, "*k"]:
        """The score of points at a squared distance, finite at 0, where `is_radial`.

        Args:
            squared: squared distances >= 0, of any shape.
        """
        raise NotImplementedError

    def coordinates(
        self, anchors: Float[Tensor, "n r"], candidates: Float[Tensor, "m r"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]]:
        """The points, all moved by the same, from their prepared features, where `is_radial`.

        Args:
            anchors: ``[n, r]`` as `prepare` made them.
            candidates: ``[m, r]`` likewise.
        """
        # Of features whose product is a squared distance, or a multiple of it, the last column of the anchors is that.
        return anchors[:, :-2] / (-2 * anchors[0, -1].detach()), candidates[:, :-2]

    @property
    def law(self) -> tuple[str, tuple[float, ...]] | None:
        """A name and numbers of the form that `radial` has: ``("power", (e, b, c))`` is ``-e log(b + c r²)``, and
        ``("gaussian", (a,))`` is ``-a r²``; None: another form."""
        return None

    @property
    def _is_bare(self) -> bool:
        return not (self.margin or self.detach_candidates) and self.log_weights is None

    # -- what else belongs to a distribution --------------------------------------------------------------------------

    def penalty(self, anchors: Float[Tensor, "n d"], totals: Totals) -> Float[Tensor, " n"] | None:
        """``[n]`` a term beside the divergence (a prior), or None.

        Args:
            anchors: ``[n, d]``.
            totals: sums over the other parts of the anchors.
        """
        return None

    def anchor_factors(self, p: Masses, support: Support, statistics: Statistics) -> Float[Tensor, " n"]:
        """``[n]`` what the divergence of each anchor is multiplied with, where `has_factors`; without gradient.

        Args:
            p: the masses.
            support: where the anchors stand among the candidates.
            statistics: what `statistics` gave.
        """
        raise NotImplementedError

    def advance(self) -> None:
        """Called once per evaluated loss in training mode: where q has a running state, it moves here."""

    @property
    def edges_suffice(self) -> bool:
        """Whether a row's partition is known without its scores, so that only p's edges need one."""
        return type(self.partition) in (Constant, AlreadyNormalized)

    @property
    def score_parameters(self) -> tuple[Tensor, ...]:
        """The parameters that `score` and the partition compute with, those that only `prepare` reads apart."""
        return tuple(p for p in self.parameters() if p.requires_grad)

    @property
    def is_symmetric(self) -> bool:
        """Whether the scores of two sets are the transposed ones of the sets exchanged, from the same features."""
        return False

    @property
    def largest_score(self) -> float:
        """A number that no score exceeds in size, known without looking; infinity where there is none."""
        return math.inf

    @property
    def means_are_exact(self) -> bool:
        """Whether a product score may be averaged over candidates first: unit rows, where no long one hides others."""
        return False

    def hyper_parameters(self) -> dict[str, Any]:
        """What differs from the defaults, as constructor arguments."""
        given = {"margin": self.margin, "detach_candidates": self.detach_candidates}
        weights = {} if self.log_weights is None else {"log_weights": as_numbers(self.log_weights)}
        return {name: value for name, value in given.items() if value} | weights

    def _arguments(self) -> dict[str, Any]:
        """The same as `changed` tells them, but for the partition."""
        given = {name: value for name, value in changed(self).items() if name != "partition"}
        return {name: as_numbers(value) for name, value in given.items()}

    def extra_repr(self) -> str:
        return with_names(self.hyper_parameters())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"
