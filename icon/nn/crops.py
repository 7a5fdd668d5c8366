"""Targets of views of other kinds: codes of the global ones, predicted from every other one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from icon import _checks as check


def multi_crop(
    views: Sequence[Float[Tensor, "n d"]], codes: Sequence[Float[Tensor, "n c"]]
) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m c"], Float[Tensor, " m"]]:
    """The points ``[V n, d]``, targets ``[V n, C]`` and weights ``[V n]`` of V views whose first G have codes.

    Each view is to predict the codes of every global view but itself (SwAV and DINO with multi-crop):
    ``1 / (G (V-1)) sum_g sum_{v != g} CE(code_g, z_v)``. The cross-entropy is linear in its target, so that this is one
    loss: a view's target is the mean of the codes that it predicts, and it counts as often as there are some.
    The papers' number is ``loss.terms(...).cross_entropy``; the loss has the same gradient.

    >>> views = [z, other_view, z + 0.1]        # two global views and a local crop
    >>> codes = [icon.sinkhorn(view @ prototypes.T) for view in views[:2]]
    >>> crops, targets, weights = icon.nn.multi_crop(views, codes)
    >>> value = icon.method("swav")((crops, prototypes), targets, weights=weights)

    Args:
        views: ``[n, d]`` of the same n images each, the global views first; at least two. A rank may have n = 0.
        codes: ``[n, C]`` of each global view, rows that sum to one.

    Raises:
        ValueError, TypeError: no codes, views or codes of other shapes, or fewer views than codes.

    Source: Caron et al. 2020 (SwAV, arXiv 2006.09882); Caron et al. 2021 (DINO, arXiv 2104.14294).
    """
    every, stacked = _alike(views, "views"), _alike(codes, "codes")
    if len(every) < max(2, len(stacked)):
        raise ValueError(f"views: got {len(every)}, expected at least {max(2, len(stacked))}")
    check.as_many(len(stacked[0]), len(every[0]), "codes", "row", "point of a view")
    total = torch.stack(stacked).sum(dim=0)
    predicted = [len(stacked) - (v < len(stacked)) for v in range(len(every))]
    # One global view alone predicts nothing: its target is any, and counts nothing.
    targets = [(total - stacked[v]) / count if v < len(stacked) and count else total / len(stacked)
               for v, count in enumerate(predicted)]  # fmt: skip
    weights = [total.new_full((len(total),), float(count)) for count in predicted]
    return torch.cat(every), torch.cat(targets), torch.cat(weights)


def _alike(given: Sequence[Tensor], name: str) -> list[Tensor]:
    """Matrices of one shape."""
    if not isinstance(given, Sequence):
        raise TypeError(f"{name}: got {type(given).__name__}, expected a list of matrices")
    matrices = [check.matrix(x, f"{name}[{k}]", may_be_empty=True) for k, x in enumerate(given)]
    if not matrices:
        raise ValueError(f"{name}: got none, expected those of at least one global view")
    if any(x.shape != matrices[0].shape for x in matrices):
        shapes = ", ".join(str(tuple(x.shape)) for x in matrices)
        raise ValueError(f"{name}: got shapes {shapes}, expected the same in each")
    return matrices
