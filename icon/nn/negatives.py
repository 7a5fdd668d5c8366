"""Negatives of an anchor's own: candidates that nobody else is compared with."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icon import _checks as check
from icon._precision import without_autocast
from icon._scales import unit_rows


def own_negatives(
    anchors: Float[Tensor, "n d"],
    positives: Float[Tensor, "n d"],
    negatives: Float[Tensor, "n k d"],
    *,
    metric: str = "cosine",
) -> tuple[tuple[Float[Tensor, "n k1"], Float[Tensor, "k1 k1"]], Int[Tensor, " n"]]:
    """Input and target of a loss whose anchor i is compared with its positive and k negatives of its own.

    The scores of an anchor are taken for its coordinates, and the corners ``e_0, ..., e_k`` for the prototypes, so that
    ``<scores_i, e_j>`` is the score of candidate j; the positive is class 0. With cross-entropy it is InfoNCE over
    hard negatives: ``-log e^(s_i0/τ) / sum_j e^(s_ij/τ)``. Gradients reach all three.

    >>> hard = torch.stack([z.roll(1, 0), z.roll(2, 0)], dim=1)     # two negatives of each point: [n, 2, d]
    >>> input, target = icon.nn.own_negatives(z, z + 0.1, hard)
    >>> value = icon.method("cross-entropy", temperature=0.1)(input, target)

    Args:
        anchors: ``[n, d]``. A rank may have n = 0.
        positives: ``[n, d]``, one of each anchor.
        negatives: ``[n, k, d]``, k >= 1 of each anchor; ``candidates[index]`` of numbers ``[n, k]`` into a set.
        metric: ``"cosine"`` or ``"dot"``.

    Raises:
        ValueError, TypeError: other shapes, or numbers that are not finite.
    """
    check.choice(metric, "metric", ("cosine", "dot"))
    z = check.matrix(anchors, "anchors", may_be_empty=True)
    positive = check.matrix(positives, "positives", may_be_empty=True)
    if positive.shape != z.shape:
        raise ValueError(f"positives: got shape {tuple(positive.shape)}, expected {tuple(z.shape)} as the anchors")
    others = check.as_tensor(negatives, "negatives")
    if others.ndim != 3 or others.shape[::2] != z.shape or others.shape[1] < 1:
        expected = f"({len(z)}, k, {z.shape[1]}), k of each anchor"
        raise ValueError(f"negatives: got shape {tuple(others.shape)}, expected {expected}")
    check.matrix(others.flatten(0, 1), "negatives", may_be_empty=True)
    candidates = torch.cat([positive[:, None], others], dim=1)
    dtype = torch.promote_types(torch.promote_types(z.dtype, candidates.dtype), torch.float32)
    z, candidates = z.to(dtype), candidates.to(dtype)
    if metric == "cosine":
        z, candidates = unit_rows(z), unit_rows(candidates)
    with without_autocast(z):  # as in a loss
        scores = torch.einsum("nd,nkd->nk", z, candidates)
    corners = torch.eye(scores.shape[1], dtype=scores.dtype, device=scores.device)
    return (scores, corners), torch.zeros(len(z), dtype=torch.int64, device=scores.device)
