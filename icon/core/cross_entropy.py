"""KL where p is one candidate of each anchor: the cross-entropy of the scores, which torch has as one operation."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from icon import _checks as check
from icon.core.evaluators import SMALL
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


def cross_entropy(p: Distribution, q: Kernel, input: Any, target: Any, *, both: bool) -> Tensor | None:
    """The mean over the anchors, and over both directions where p has two.

    None where the loss is more than that, and where an input or a label is wrong, which the evaluators then tell. To
    notice it takes no pass over them: an anchor that is not finite makes the value so, and on the CPU torch refuses
    labels out of range.
    """
    if type(target) is Tensor and target.ndim == 2 and p.may_be_aligned and target.is_floating_point():  # loss(z1, z2)
        input, target = (input, target), None
    if not isinstance(input, (tuple, list)) or len(input) != 2 or q.margin or type(q.partition) is not LogSumExp:
        return None
    anchors = check.matrix(input[0], "input[0]", finite=False)
    candidates = check.matrix(input[1], "input[1]", finite=False)
    (n, d), (m, width) = anchors.shape, candidates.shape
    alike = d == width and anchors.dtype is candidates.dtype and anchors.device == candidates.device
    if not alike or n * m >= SMALL[anchors.is_cuda]:
        return None
    matter = check.values_matter(anchors)
    targets = p.one_positive(target, n, m, anchors.device)
    may_be_masked = m == d and q.takes_logits and not matter
    differ = both and not q.is_symmetric  # the directions, since a part of q was changed
    if targets is None or may_be_masked or differ:
        return None
    a, c = anchors, candidates
    if both or not (q.keeps_points and a.itemsize > 2):
        a, c, _ = q.features(Batch(a, c, Support(n, m)))
    scores = a @ c.mT
    try:
        value = nn.functional.cross_entropy(scores, targets, ignore_index=_NO_LABEL)
    except IndexError:
        return None
    if both:
        value = (value + nn.functional.cross_entropy(scores.mT, targets)) / 2
    elif matter and not math.isfinite(candidates.detach().sum().item()):  # a candidate at infinity may have no mass
        return None
    return None if matter and not math.isfinite(value.item()) else value
