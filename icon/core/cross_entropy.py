"""KL where p is one candidate of each anchor: the cross-entropy of the scores, which torch has as one operation."""

from __future__ import annotations

import math

from torch import Tensor, nn

from icon import _checks as check
from icon.core.evaluators import CPU_SMALL, SMALL
from icon.p.base import Distribution
from icon.p.support import Support
from icon.q.base import Batch, Kernel
from icon.q.partitions import LogSumExp

_NO_LABEL = -(2**62)  # which torch leaves out; by default it is -100, which people use


def cross_entropies(p: Distribution, q: Kernel) -> int:
    """How many directions the loss is the mean cross-entropy of, as far as its parts tell: a score that is a product,
    and p as it was made. 0 where it is more than that."""
    of_points = q.needs_self or q.needs_marginal or q.has_factors or q.has_penalty or q.has_state
    known = type(p).one_positive is not Distribution.one_positive
    if not (known and q.is_product) or of_points or p.operations or p.exclude_self or p.join:
        return 0
    directions = len(p.directions(2, None))
    return directions if directions == 1 or q.is_symmetric else 0


def cross_entropy(p: Distribution, q: Kernel, views: list[Tensor], target: object, *, both: bool) -> Tensor | None:
    """The mean over the anchors, and over both directions where p has two.

    None where the loss is more than that, and where an input or a label is wrong, which the evaluators then tell. To
    notice it takes no pass over them: an anchor that is not finite makes the value so, and on the CPU torch refuses
    labels out of range.
    """
    if q.margin or type(q.partition) is not LogSumExp:
        return None
    anchors, candidates = views
    n, m = anchors.shape[0], candidates.shape[0]
    is_small = n * m < SMALL.get(anchors.device.type, CPU_SMALL)
    targets = p.one_positive(target, n, m, anchors.device) if is_small else None
    if targets is None:
        return None
    if not both:  # a candidate at infinity may have no mass
        check.matrix(candidates, "input[1]")
    a, c, _ = q.features(Batch(anchors, candidates, Support(n, m)))
    scores = a @ c.mT
    try:
        value = nn.functional.cross_entropy(scores, targets, ignore_index=_NO_LABEL)
    except IndexError:
        return None
    if both:
        value = (value + nn.functional.cross_entropy(scores.mT, targets)) / 2
    if check.values_matter(value) and not math.isfinite(float(value.detach())):
        return None
    return value
