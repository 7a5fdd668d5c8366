"""The views that a loss is called with, and logits of -inf among them: classes that do not compete for an anchor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from icon import _checks as check
from icon.p.base import Distribution
from icon.p.rows import Rows
from icon.q.base import Kernel


def views_of(input: Sequence[Any], target: Any, p: Distribution, q: Kernel) -> list[Tensor]:
    """Several views as matrices ``[n, d]`` of as many columns and one type, on one device.

    Raises:
        ValueError, TypeError: a lone view, or one that is no such matrix.
    """
    views = list(input)
    if len(views) < 2:
        raise ValueError(f"input: got {check.counted(len(views), 'view')}, expected a tensor or at least two")
    may_be_logits = p.column == "data-label" and q.takes_logits
    for k, view in enumerate(views):
        try:
            views[k] = check.matrix(view, f"input[{k}]")
        except ValueError:
            if k > 0 or not may_be_logits:
                raise
            views[k] = masked_logits(view, views[1], target, p)
    if may_be_logits and views[1].shape[0] == views[1].shape[1] and not check.values_matter(views[0]):
        views[0] = lowered_where_masked(views[0], views[1])
    shape, dtype = views[0].shape, views[0].dtype
    for view in views[1:]:
        if view.shape[1] != shape[1]:
            shapes = ", ".join(str(tuple(v.shape)) for v in views)
            raise ValueError(f"input: got shapes {shapes}, expected the same number of columns")
        if view.device != views[0].device:
            devices = ", ".join(str(v.device) for v in views)
            raise ValueError(f"input: got tensors on {devices}, expected all on one device")
        if view.dtype != dtype:
            dtype = torch.promote_types(dtype, view.dtype)
    for k, view in enumerate(views):
        if view.dtype != dtype:
            views[k] = view.to(dtype)
    return views


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
        raise ValueError("input[0]: got -inf for every class of an anchor, expected at least one finite logit")
    if p.operations and bool(hidden.any()):
        raise ValueError(f"input[0]: got -inf for a class to which {p!r} gives mass, expected a p without operations")
    mass = given > 0 if given.ndim == 2 else torch.zeros_like(hidden)
    if given.ndim == 1:
        known = (given >= 0) & (given < logits.shape[1])
        mass[known.nonzero().flatten(), given[known].long()] = True
    wrong = (mass & hidden).any(dim=1).nonzero().flatten().tolist()
    if wrong:
        raise ValueError(
            f"labels: got classes with a logit of -inf in rows {check.some(wrong)}, expected finite logits there"
        )
    return _lowered(logits, hidden)


def lowered_where_masked(logits: Tensor, prototypes: Tensor) -> Tensor:
    """The same where a transform or a compiler looks on, who may not ask what the values are: nothing is refused."""
    identity = torch.eye(len(prototypes), dtype=prototypes.dtype, device=prototypes.device)
    return _lowered(logits, (logits.detach() == -math.inf) & (prototypes.detach() == identity).all())


def _lowered(logits: Tensor, hidden: Tensor) -> Tensor:
    """Far below any logit, also where those are of half precision, and far from what a temperature makes infinite."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits.masked_fill(hidden, -math.sqrt(torch.finfo(logits.dtype).max))
