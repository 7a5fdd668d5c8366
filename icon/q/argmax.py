"""The arg-max of the scores as a distribution: its cross-entropy with labels counts errors."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from icon import _checks as check
from icon.q.base import Batch, Kernel, Pair, Scores, Statistics
from icon.q.partitions import AlreadyNormalized
from icon.q.scores import METRICS, Gaussian


class Argmax(Kernel):
    """The σ → 0 distribution itself, one-hot at the highest score, leaked so that its logarithm is finite.

    ``q_ij = λ/m + (1 - λ) 1[j = argmax_k z_i·z_k]``; its cross-entropy with labels is affine in the error rate. It is
    piecewise constant: the gradient is zero.

    Args:
        leak: λ in (0, 1].
        metric: ``"dot"``, ``"cosine"`` or ``"sqeuclidean"``.

    Raises:
        ValueError: a leak of 0, or an unknown metric.
    """

    row: ClassVar[str] = "gaussian-narrow"

    def __init__(self, leak: float = 0.01, metric: str = "dot") -> None:
        super().__init__(AlreadyNormalized())
        self.leak = check.fraction(leak, "leak")
        if self.leak == 0:
            raise ValueError("leak: got 0, expected a number in (0, 1]: without a leak an error costs infinity")
        self._scores = Gaussian(check.choice(metric, "metric", METRICS))
        self.takes_logits = self._scores.takes_logits

    def statistics(self, batch: Batch) -> Statistics:
        if batch.support.offset is not None:
            raise ValueError("input: got one set of points, expected a pair (z, prototypes) where q is an arg-max")
        return self._scores.statistics(batch)

    def prepare(self, anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "m d"], statistics: Statistics) -> Pair:
        return self._scores.prepare(anchors, candidates, statistics)

    @property
    def edges_suffice(self) -> bool:
        return False  # the arg-max needs the whole row

    def score(self, anchors: Float[Tensor, "*batch b r"], candidates: Float[Tensor, "*batch m r"]) -> Scores:
        scores = anchors @ candidates.mT
        m = scores.shape[-1]
        best = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, scores.argmax(dim=-1, keepdim=True), True)
        low = scores.masked_fill(~best, math.log(self.leak / m))
        return low.masked_fill(best, math.log1p(-self.leak + self.leak / m))

    def hyper_parameters(self) -> dict[str, Any]:
        return {"leak": self.leak, "metric": self._scores.metric}
