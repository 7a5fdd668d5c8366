"""What an evaluator is given: prepared features, p, the support, and what is to be computed from a tile of scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from icon import _checks as check
from icon._values import shown
from icon.core.divergence import Divergence, takes_log_p
from icon.p.masses import Masses
from icon.p.support import Support
from icon.q.base import Kernel, Statistics, exchanged
from icon.q.partitions import Competition, LogSumExp

TILE_ENTRIES = {"cuda": 2**26}  # of a tile that keeps the device busy
CPU_TILE_ENTRIES = 2**22  # of a tile that stays near the cache
EDGE_ENTRIES = 2**22  # of features gathered for single edges


@dataclass(eq=False)  # not frozen: its thirteen fields would take 10 µs of a small step
class Problem:
    """One direction of a loss: anchors against candidates.

    What is global in a row's loss is named here: what all points together decided in the features (sizes of clusters,
    a centre, a scale), what the anchors weigh and which of them count, the entropies of p, and the normaliser of all
    pairs. All of it is of all parts of a batch.

    Args:
        q: gives the scores of a block and the partition of a row.
        p: the masses, on the device of the features.
        support: the candidates of each anchor, which p and q share.
        anchors: prepared features ``[n, r]``.
        candidates: prepared features ``[m, r]``; the same tensor where both are one set.
        weights: ``[n]`` what the divergence of each anchor is multiplied with.
        entropy: ``[n]`` of p, in nats; None where all are 0.
        counted: ``[n]`` bool, the anchors with a positive; None where all have one.
        statistics: what of all points is in the features already, by name; see `Kernel.statistics`.
        divergence: None is KL, which needs the scores on p's edges only.
        log_normalizer: of a divergence over all pairs, a scalar: ``log sum_i exp A_i``; None normalises each row.
        block: anchors to evaluate at a time; None fits a tile to the device.
        is_distribution: whether the rows of p with a positive sum to one (exaggerated rows do not).
    """

    q: Kernel
    p: Masses
    support: Support
    anchors: Tensor
    candidates: Tensor
    weights: Tensor
    entropy: Tensor | None = None
    counted: Tensor | None = None
    statistics: Statistics = field(default_factory=dict)
    divergence: Divergence | None = None
    log_normalizer: Tensor | None = None
    block: int | None = None
    is_distribution: bool = True

    @property
    def step(self) -> int:
        """Anchors per block."""
        n, m = self.support.n, self.support.m
        if self.block is None and n * m <= CPU_TILE_ENTRIES:
            return n
        if self.block is None and self.only_edges:
            gathered = max(1, (self.p.listed_pairs or 0) // n) * self.anchors.shape[1]
            return max(1, min(n, EDGE_ENTRIES // gathered))
        return block_size(n, m, self.block, self.anchors.device)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Where each block of anchors starts and stops."""
        step = self.step
        for start in range(0, self.support.n, step):
            yield start, min(start + step, self.support.n)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that gradients may be asked of: candidates, the normaliser, p's leaves, `parameters`."""
        normalizer = () if self.log_normalizer is None else (self.log_normalizer,)
        return (self.candidates, *normalizer, *self.p.leaves, *self.parameters)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The parameters of the score, of the partition and of the divergence, each once."""
        of_q = self.q.score_parameters
        of_divergence = self.divergence.parameters() if isinstance(self.divergence, nn.Module) else ()
        return of_q + tuple(x for x in of_divergence if x.requires_grad and all(x is not other for other in of_q))

    def with_tensors(self, tensors: tuple[Tensor, ...]) -> Problem:
        """The same problem of other `tensors`; `parameters` stay as they are.

        Args:
            tensors: in the order of `tensors`.
        """
        candidates, *rest = tensors
        normalizer = None if self.log_normalizer is None else rest.pop(0)
        p = self.p.with_leaves(tuple(rest[: len(self.p.leaves)]))
        return replace(self, candidates=candidates, log_normalizer=normalizer, p=p)

    def exchanged(self) -> Problem:
        """The candidates against the anchors, of a score that is symmetric and a p that is its own transpose."""
        statistics = self.statistics and exchanged(self.statistics)
        return replace(self, anchors=self.candidates, candidates=self.anchors, statistics=statistics)

    @property
    def only_edges(self) -> bool:
        """Whether scores are computed on p's edges alone: the partition is known, and the edges are few."""
        if not self.q.edges_suffice or self.divergence is not None:
            return False
        pairs = self.p.listed_pairs
        return pairs is not None and pairs * self.anchors.shape[1] < self.support.n * self.support.m

    def without_edges(self) -> Problem:
        """The problem of the partitions alone: E is 0."""
        return replace(self, p=self.p.scaled(0.0))

    def scores(self, anchors: Float[Tensor, "b r"], start: int) -> Float[Tensor, "b m"]:
        """Scores ``[b, m]`` of the anchors from ``start`` on, the margin included; self is not hidden.

        Args:
            anchors: ``[b, r]`` features of a block of anchors.
            start: the number of the block's first anchor.

        Raises:
            ValueError: the score of q has another shape.
        """
        q = self.q
        scores = anchors @ self.candidates.mT if q.is_product else q.weighted_score(anchors, self.candidates)
        expected = anchors.shape[0], self.candidates.shape[0]
        if not q.is_product and (shape := tuple(getattr(scores, "shape", ()))) != expected:
            raise ValueError(f"score: got shape {shape} from {type(q).__name__}, expected {expected}")
        if not q.margin:
            return scores
        others = ~self.p.positives(start, start + len(scores))
        return scores + q.margin * others.to(scores.dtype)

    def partition(self, scores: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        """``[b]`` the partitions of a block of `scores`.

        Args:
            scores: ``[b, m]`` of a block of anchors.
            start: the number of the block's first anchor.
        """
        masses = partial(self._masses, start, start + len(scores))
        found = self.q.partition(scores, Competition(self.support, start, masses))
        if getattr(found, "shape", None) != scores.shape[:1]:
            _refuse_shape("partition", self.q.partition, found, scores)
        return found

    def per_anchor(self, anchors: Float[Tensor, "b r"], start: int) -> tuple[Float[Tensor, " b"], ...]:
        """The numbers of a block of anchors: ``(A [b], E [b])`` for KL, ``(D [b],)`` for another divergence.

        Args:
            anchors: ``[b, r]`` features of a block of anchors.
            start: the number of the block's first anchor.
        """
        if self.only_edges:
            row, col, mass = self.p.edges(start, start + len(anchors))
            scores = self.q.weighted_score(anchors[row].unsqueeze(1), self.candidates[col].unsqueeze(1)).reshape(-1)
            expected = scores.new_zeros(len(anchors)).index_add(0, row, mass.to(scores) * scores)
            return torch.zeros_like(expected), expected
        scores = self.scores(anchors, start)
        if self.divergence is not None:
            return (self._divergence(scores, start, self.divergence),)
        expected = self.p.expectation(scores, start)
        return self.partition(scores, start), expected

    def values(self, anchors: Float[Tensor, "b r"], start: int) -> Float[Tensor, " b"]:
        """``[b]`` what is summed over the anchors of a block: ``A_i - E_i``, or the divergence.

        Args:
            anchors: ``[b, r]`` features of a block of anchors.
            start: the number of the block's first anchor.
        """
        if self.is_softmax:
            return self.softmax_cross_entropy(self.scores(anchors, start), start)
        first, *rest = self.per_anchor(anchors, start)
        return first - rest[0] if rest else first

    @property
    def is_softmax(self) -> bool:
        """Whether it is KL from the softmax of the scores."""
        return self.divergence is None and self.is_distribution and type(self.q.partition) is LogSumExp

    def softmax_cross_entropy(self, scores: Float[Tensor, "b m"], start: int) -> Float[Tensor, " b"]:
        """``[b]``: ``A_i - E_i`` of a softmax as ``- sum_j p_ij log q_ij``: one operation forward and one back.

        Args:
            scores: ``[b, m]`` of a block of anchors.
            start: the number of the block's first anchor.
        """
        if self.support.exclude_self:
            # Finite where self is hidden: p has no mass there, and none times infinity would be NaN.
            lowest = torch.finfo(scores.dtype).min / 2
            if self.q.is_product:  # a tile of its own; q is 0 there, and so is the gradient without a word to autograd
                self.support.hide_(scores.detach(), start, lowest)
            else:
                scores = self.support.hide(scores, start, lowest)
        log_q, targets = scores.log_softmax(dim=1), self.p.hard_targets
        if self.p.requires_grad:
            log_q = self.support.hide(log_q, start, 0.0)  # the gradient of p where it has no candidate
        if targets is None:
            return -self.p.expectation(log_q, start)
        b = scores.shape[0]
        targets = targets if b == targets.shape[0] else targets[start : start + b]
        return nll_loss(log_q, targets, reduction="none")

    def _divergence(self, scores: Tensor, start: int, divergence: Divergence) -> Tensor:
        stop = start + len(scores)
        normalizer = self.partition(scores, start)[:, None] if self.log_normalizer is None else self.log_normalizer
        hidden = self.support.hide(scores, start, -torch.inf)
        log_q = hidden - normalizer
        q, log_q = log_q.exp(), self.support.hide(log_q, start, 0.0)
        p = self.p.tile(start, stop, scores)
        extra = {"log_p": self.p.log_tile(start, stop, scores)} if takes_log_p(divergence) else {}
        if self.counted is not None:  # an anchor without a positive has weight 0; let nothing else of it matter
            empty = ~self.counted[start:stop, None]
            p = torch.where(empty, q.detach(), p)
            extra = {name: torch.where(empty, log_q.detach(), log_p) for name, log_p in extra.items()}
        found = divergence(p, q, log_q, **extra)
        if getattr(found, "shape", None) != p.shape[:1]:
            _refuse_shape("divergence", divergence, found, p)
        return found

    def _masses(self, start: int, stop: int) -> Tensor:
        if self.p.uniform_mass is not None:
            raise ValueError(
                "p: got one mixed with the uniform distribution, expected a plain one: "
                f"{type(self.q.partition).__name__} tells positives from negatives"
            )
        return self.p.tile(start, stop, self.anchors)


def _refuse_shape(what: str, part: Any, found: Tensor, tile: Tensor) -> None:
    shape, expected = tuple(getattr(found, "shape", ())), tuple(tile.shape[:1])
    raise ValueError(
        f"{what}: got shape {shape} from {shown(part)} for a tile {tuple(tile.shape)}, expected {expected}: one number "
        "per row"
    )


def block_size(n: int, m: int, block: int | None, device: torch.device) -> int:
    """Anchors per block: as asked, or as many as make a tile of the size that suits the device.

    Where a transform or a compiler looks on, all of them: it sees ordinary PyTorch and cuts it up itself.
    """
    if check.is_traced():
        return n
    entries = TILE_ENTRIES.get(device.type, CPU_TILE_ENTRIES)
    return min(n, max(64, entries // m) if block is None else block)
