"""Features in blocks of rows, wherever they lie: in memory, on a device, or on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from icon import _checks as check
from icon._scales import precise

Array = NDArray[Any]

QUERIES, CANDIDATES = 2048, 8192  # rows in memory
TILE = 256  # queries at a time, whose scores (8 MiB) stay near the cache of a CPU
GATHERED = 2**18  # entries of gathered neighbours in float64: 2 MiB


def parts(n: int, size: int) -> Iterator[slice]:
    """So many numbers at a time, from 0 to n."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def rows_of(x: Tensor | Array, at: slice | Tensor, device: torch.device) -> Tensor:
    """Some rows in double precision, in single where the device has no other."""
    wide = precise(device)
    if isinstance(x, Tensor):
        return x.detach()[at].to(device, wide)
    block = x[at if isinstance(at, slice) else at.cpu().numpy()]
    return torch.from_numpy(np.array(block, dtype=np.float64)).to(device, wide)


def centre_and_scale(x: Tensor | Array, device: torch.device) -> tuple[Tensor, Tensor]:
    """The mean of the rows ``[d]``, which keeps rounding small, and the largest entry; all numbers are to be finite."""
    total, largest = [], []
    for part in parts(len(x), CANDIDATES):
        rows = rows_of(x, part, device)
        total.append(rows.sum(dim=0))
        largest.append(rows.abs().amax())
        if not bool(torch.isfinite(total[-1]).all()):
            bad = ((~torch.isfinite(rows)).any(dim=1).nonzero().flatten() + part.start).tolist()
            if not bad:
                raise ValueError(f"features: got numbers up to {largest[-1]:g}, expected sums of them that are finite")
            raise ValueError(f"features: got NaN or infinity in rows {check.some(bad)}, expected finite numbers")
    scale = torch.stack(largest).amax()
    return torch.stack(total).sum(dim=0) / len(x), torch.where(scale > 0, 2 * scale, 1.0)
