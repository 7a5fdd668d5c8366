"""A loss under autocast: NaN where half precision was not enough."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from icon import _checks as check
from icon._precision import can_autocast


def lost_in_half_precision(input: Any) -> Tensor | None:
    """NaN where a network under float16 autocast has overflowed: `torch.amp.GradScaler` then skips the step."""
    views = [view for view in (input if isinstance(input, (tuple, list)) else (input,)) if isinstance(view, Tensor)]
    if not views or not can_autocast(views[0]) or torch.get_autocast_dtype(views[0].device.type) != torch.float16:
        return None
    if not all(map(check.values_matter, views)) or all(bool(torch.isfinite(view).all()) for view in views):
        return None
    return torch.stack([view.float().sum() for view in views]).sum() * torch.nan
