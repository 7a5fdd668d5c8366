"""Scores that are a function of the distance alone, such as those of maps."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from icon.q.base import Batch, Kernel, Pair, Scores, Statistics
from icon.q.totals import mean_of


class Radial(Kernel):
    """A score of the squared Euclidean distance, written as one method:

    >>> import icon, torch
    >>> class Rational(icon.q.Radial):
    ...     def radial(self, squared):
    ...         return -torch.log1p(squared + squared**2)

    Where nothing of it is learned, maps of many points are evaluated on a grid (`icon.core.evaluators.Grid`). For that
    it must be finite at 0 and fall with the distance.

    Args:
        partition: see `icon.q.PARTITIONS`.
        margin: as in `icon.q.Kernel`.
        log_weights: as in `icon.q.Kernel`.
        detach_candidates: as in `icon.q.Kernel`.
    """

    joins_candidates: ClassVar[bool] = True

    @property
    def is_radial(self) -> bool:
        return self._is_bare and not any(x.requires_grad for x in self.parameters())

    @abstractmethod
    def radial(self, squared: Float[Tensor, "*k"]) -> Float[Tensor, "*k"]: ...

    def statistics(self, batch: Batch) -> Statistics:
        return {"centre": mean_of(batch.candidates.detach(), batch.over_candidates)}

    def prepare(self, anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "m d"], statistics: Statistics) -> Pair:
        return squared_distance_features(anchors, candidates, statistics["centre"])

    def score(self, anchors: Float[Tensor, "*batch b r"], candidates: Float[Tensor, "*batch m r"]) -> Scores:
        return self.radial((anchors @ candidates.mT).clamp_min(0))


def squared_distance_features(a: Tensor, c: Tensor, centre: Tensor | float) -> tuple[Tensor, Tensor]:
    """Features whose product is the squared distance: ``[-2a, ‖a‖², 1] · [c, 1, ‖c‖²]``.

    Both sets are first moved by the same centre, which changes no distance and keeps rounding small.
    """
    one_set = a is c
    a = a - centre
    c = a if one_set else c - centre
    a_square, c_square = ((x * x).sum(dim=1, keepdim=True) for x in (a, c))
    one_a, one_c = torch.ones_like(a_square), torch.ones_like(c_square)
    return torch.cat([-2 * a, a_square, one_a], dim=1), torch.cat([c, one_c, c_square], dim=1)
