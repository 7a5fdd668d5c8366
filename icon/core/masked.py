"""Logits of -inf: classes that do not compete for an anchor."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from icon import _checks as check
from icon.p.base import Distribution
from icon.p.rows import Rows


def masked_logits(logits: Any, prototypes: Any, target: Any, p: Distribution) -> Tensor:
    """Logits ``[n, C]`` whose entries of -inf are low, finite numbers: an infinity times 0 would be NaN.

    Args:
        logits: the first of a pair ``(logits, prototypes)``.
        prototypes: the identity ``[C, C]``.
        target: labels ``[n]``, soft targets ``[n, C]`` or rows, without mass where a logit is -inf.
        p: what the target is given to; it may leave labels out, and no operation is to give mass to other classes.

    Raises:
        ValueError: not such logits, or a target that is masked.
    """
    logits = check.matrix(logits, "input[0]", finite=False)
    hidden = logits.detach() == -math.inf
    rest_is_finite = bool((torch.isfinite(logits.detach()) | hidden).all())
    identity = torch.eye(logits.shape[1], dtype=torch.float64)
    if not rest_is_finite or not torch.equal(check.as_tensor(prototypes, "input[1]").detach().to(identity), identity):
        return check.matrix(logits, "input[0]")  # which says what is wrong
    if isinstance(target, Rows):
        target = target.to_dense()
    given = check.as_tensor(target, "labels").to(logits.device)
    if given.ndim == 1 and p.leaves_out:
        hidden = hidden & (given != p.ignore_index)[:, None]  # type: ignore[attr-defined]
        logits = logits.masked_fill(given.eq(p.ignore_index)[:, None], 0.0)  # type: ignore[attr-defined]
    if bool(hidden.all(dim=1).any()):
        raise ValueError("input[0]: got -inf for every class of an anchor, expected some class that competes")
    if p.operations and bool(hidden.any()):
        raise ValueError(f"input[0]: got -inf for a class, to which {p!r} gives mass, expected a p without operations")
    mass = given > 0 if given.ndim == 2 else torch.zeros_like(hidden)
    if given.ndim == 1:
        known = (given >= 0) & (given < logits.shape[1])
        mass[known.nonzero().flatten(), given[known].long()] = True
    wrong = (mass & hidden).any(dim=1).nonzero().flatten().tolist()
    if wrong:
        raise ValueError(f"labels: got rows {check.some(wrong)} whose class has a logit of -inf, expected another one")
    return _lowered(logits, hidden)


def lowered_where_masked(logits: Tensor, prototypes: Tensor) -> Tensor:
    """The same where a transform or a compiler looks on, who may not ask what the values are: nothing is refused."""
    if prototypes.shape[0] != prototypes.shape[1]:
        return logits
    identity = torch.eye(len(prototypes), dtype=prototypes.dtype, device=prototypes.device)
    return _lowered(logits, (logits.detach() == -math.inf) & (prototypes.detach() == identity).all())


def _lowered(logits: Tensor, hidden: Tensor) -> Tensor:
    """Far below any logit, also where those are of half precision, and far from what a temperature makes infinite."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits.masked_fill(hidden, -math.sqrt(torch.finfo(logits.dtype).max))
