"""p in proportion to what the labels of two points share: soft labels, and sets of labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icon._scales import precise
from icon.p.masses.base import Masses, OnSupport, drawn_of
from icon.p.masses.dense import Dense
from icon.p.support import Support


@dataclass(frozen=True, eq=False)
class Overlap(OnSupport):
    """The product ``y_i · y_j`` of two labels, times a number of each.

    The products are computed for a block of anchors at a time: of ``n`` points with ``L`` labels only ``n L`` numbers
    are kept.

    Args:
        labels: ``[n, L]`` >= 0 of the anchors.
        candidate_labels: ``[m, L]`` >= 0 of the candidates.
        support: who may be a positive.
        scale: ``[n]`` what the row of an anchor is multiplied with, 0 where nothing is shared.
        candidate_scale: ``[m]`` what the column of a candidate is multiplied with.
    """

    labels: Tensor
    candidate_labels: Tensor
    support: Support
    scale: Tensor
    candidate_scale: Tensor

    is_compact = True

    @classmethod
    def of(cls, labels: Tensor, candidate_labels: Tensor, support: Support, candidate_scale: Tensor) -> Overlap:
        """Rows that sum to one where anything is shared."""
        raw = cls(labels, candidate_labels, support, labels.new_ones(len(labels)), candidate_scale)
        sums = raw.sums()
        return replace(raw, scale=torch.where(sums > 0, 1 / sums, 0.0))

    def _shared(self, labels: Float[Tensor, "b L"]) -> Float[Tensor, "b m"]:
        """What some labels share with those of each candidate."""
        return labels @ self.candidate_labels.T

    def tile(self, start: int, stop: int, like: Tensor) -> Float[Tensor, "b m"]:
        masses = self._shared(self.labels[start:stop]) * self.scale[start:stop, None] * self.candidate_scale
        return self.support.hide_(masses, start, 0.0).to(like)

    def sums(self) -> Float[Tensor, " n"]:
        return self.by_blocks(lambda start, stop: self.tile(start, stop, self.scale).sum(dim=1))

    def presence(self) -> Float[Tensor, " n"]:
        return self.scale

    def scaled(self, factor: float | Float[Tensor, " n"]) -> Overlap:
        return replace(self, scale=self.scale * factor)

    def part(self, start: int, stop: int) -> Overlap:
        some, support = slice(start, stop), self.support.part(start, stop)
        return replace(self, labels=self.labels[some], support=support, scale=self.scale[some])

    def columns(self, start: int, stop: int) -> Overlap:
        some, is_alone = slice(start, stop), self.support.is_alone(start, stop)
        support = Support(1, 1) if is_alone else self.support.columns(start, stop)
        labels, scale = self.candidate_labels[some], self.candidate_scale[some]
        masses = replace(self, candidate_labels=labels, support=support, candidate_scale=scale)
        return masses.scaled(0.0 if is_alone else (masses.sums() > 0).to(scale))

    def transposed(self) -> Masses:
        if self.leaves_self_out and self.n != self.m:  # the anchors are some of the candidates
            return Dense(self.tile(0, self.n, self.scale)).transposed()
        return self.of(self.candidate_labels, self.labels, self.support.flipped(), self.scale)

    def to(self, device: torch.device, dtype: torch.dtype) -> Overlap:
        """On a device; the labels stay in double precision, since less does not hold what two points hardly share."""
        if self.scale.device == device:
            return self
        tensors = self.labels, self.candidate_labels, self.scale, self.candidate_scale
        labels, candidate_labels, *others = (x.to(device, precise(device)) for x in tensors)
        return type(self)(labels, candidate_labels, self.support, *others)

    def draw(self, anchors: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        masses = self._shared(self.labels[anchors]) * self.candidate_scale
        if (own := self.support.own) is not None:
            masses.scatter_(1, (anchors + own).long()[:, None], 0)
        return drawn_of(masses, anchors)


@dataclass(frozen=True, eq=False)
class Jaccard(Overlap):
    """`Overlap` of sets of labels, 0 or 1, by the share of the labels of both that both have: ``sum min / sum max``."""

    def _shared(self, labels: Float[Tensor, "b L"]) -> Float[Tensor, "b m"]:
        both = super()._shared(labels)
        sizes = labels.sum(dim=1)[:, None] + self.candidate_labels.sum(dim=1)
        return both / (sizes - both).clamp_min(1)
