"""KL where p is one candidate of each anchor: the cross-entropy of the scores, which torch has as one operation."""

from __future__ import annotations

from torch import Tensor, nn

from icon.core.evaluators import SMALL
from icon.p.base import Distribution
from icon.p.support import Support
from icon.q.base import Kernel
from icon.q.partitions import LogSumExp


def suffices(p: Distribution, q: Kernel) -> bool:
    """Whether the loss is no more than that, as far as its parts tell: a softmax of a product, and p as it was made."""
    of_scores = q.is_product and type(q.partition) is LogSumExp and not q.margin
    of_points = q.needs_self or q.needs_marginal or q.has_factors or q.has_penalty or q.has_state
    as_made = p.has_one_positive and not p.operations and not p.exclude_self
    return of_scores and not of_points and as_made and (q.is_symmetric or len(p.directions(2)) == 1)


def cross_entropy(p: Distribution, q: Kernel, views: list[Tensor], target: object) -> Tensor | None:
    """The mean over the anchors, and over both directions where p has two; None where p or the size asks for more.

    Args:
        p: it `suffices` with q.
        q: as given.
        views: anchors ``[n, d]`` and candidates ``[m, d]``.
        target: what p is made from.
    """
    anchors, candidates = views
    n, m = anchors.shape[0], candidates.shape[0]
    targets = None if n * m >= SMALL else p.one_positive(target, n, m, anchors.device)
    if targets is None:
        return None
    a, c, _ = q.features(anchors, candidates, Support(n, m))
    scores = a @ c.mT
    value = nn.functional.cross_entropy(scores, targets)
    if len(p.directions(2)) == 1:
        return value
    return (value + nn.functional.cross_entropy(scores.mT, targets)) / 2
