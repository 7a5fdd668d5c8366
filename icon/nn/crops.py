"""Targets of views of other kinds: codes of the global ones, predicted from every other one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from icon import _checks as check


def multi_crop(codes: Sequence[Float[Tensor, "n c"]], n_views: int) -> tuple[Float[Tensor, "m c"], Float[Tensor, " m"]]:
    """Targets ``[V n, C]`` and weights ``[V n]`` of V views whose first G have codes (SwAV and DINO with multi-crop).

    Each view is to predict the codes of every global view but itself:
    ``1 / (G (V-1)) sum_g sum_{v != g} CE(code_g, z_v)``. The cross-entropy is linear in its target, so that this is one
    loss: a view's target is the mean of the codes that it predicts, and it counts as often as there are some.
    The papers' number is ``loss.terms(...).cross_entropy``; the loss has the same gradient.

    >>> global_codes = [icon.sinkhorn(z @ prototypes.T), icon.sinkhorn(other_view @ prototypes.T)]
    >>> targets, weights = icon.nn.multi_crop(global_codes, n_views=3)
    >>> crops = torch.cat([z, other_view, z + 0.1])        # the last one stands for a local crop
    >>> value = icon.method("swav")((crops, prototypes), targets, weights=weights)

    Args:
        codes: ``[n, C]`` of each global view, rows that sum to one.
        n_views: V, the global views first; at least two.

    Raises:
        ValueError, TypeError: no codes, of other shapes, or fewer views than codes.

    Source: Caron et al. 2020 (SwAV, arXiv 2006.09882); Caron et al. 2021 (DINO, arXiv 2104.14294).
    """
    if not codes:
        raise ValueError("codes: got none, expected those of at least one global view")
    stacked = [check.matrix(code, f"codes[{g}]") for g, code in enumerate(codes)]
    if any(code.shape != stacked[0].shape for code in stacked):
        shapes = ", ".join(str(tuple(code.shape)) for code in stacked)
        raise ValueError(f"codes: got shapes {shapes}, expected the same points and prototypes in each")
    views = check.count(n_views, "n_views", max(2, len(stacked)))
    total = torch.stack(stacked).sum(dim=0)
    predicted = [len(stacked) - (v < len(stacked)) for v in range(views)]
    # One global view alone predicts nothing: its target is any, and counts nothing.
    targets = [(total - stacked[v]) / count if v < len(stacked) and count else total / len(stacked)
               for v, count in enumerate(predicted)]  # fmt: skip
    n = len(total)
    return torch.cat(targets), torch.cat([total.new_full((n,), float(count)) for count in predicted])
