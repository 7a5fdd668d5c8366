"""New points of a map: each is moved until its own loss against the map, which stays as it is, is lowest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from icon.core.loss import Loss
from icon.estimators.momentum import MomentumGains
from icon.p.base import Sets
from icon.training.fit import fit

STEPS, RATE = 100, 0.5
_PAIRS = 2**24  # of new and known points at a time


def placed(loss: Loss, x: Tensor, known_x: Tensor, start: Tensor, known: Tensor) -> Tensor:
    """``[b, d]`` where new points have come to lie. Each is placed by itself, whichever others there are.

    What is minimised is ``KL(p(.|i) ‖ q(.|i))`` of each new point i over the known ones, with p from the features and
    q from the map.

    Args:
        loss: of the map, with a p that is made from features.
        x: ``[b, f]`` features of the new points.
        known_x: ``[n, f]`` of the others.
        start: ``[b, d]``.
        known: ``[n, d]`` the map.

    Source: Poličar et al. 2023 (embedding into a reference t-SNE map), whose q has one normaliser for all new points.
    """
    own = loss.replace(normalization="row", reduction="sum", evaluator=None, anchor_weights=None)
    parts = []
    for start_part, x_part in zip(_blocks(start, len(known)), _blocks(x, len(known)), strict=True):
        against = _Against(start_part, known)
        rows = own.p((x_part, known_x), Sets(len(x_part), len(known), True))
        fit(own, against, torch.arange(len(x_part), device=x.device), rows, steps=STEPS, seed=0,
            optimizer=lambda ps: MomentumGains(ps, RATE, momentum=0.5))  # fmt: skip
        parts.append(against.weight.detach())
    return torch.cat(parts)


def _blocks(x: Tensor, n: int) -> tuple[Tensor, ...]:
    return torch.split(x, max(1, _PAIRS // n))


class _Against(nn.Module):
    """Free points beside known ones: ``forward(indices) -> (points, known)``."""

    def __init__(self, start: Tensor, known: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.clone())
        self.register_buffer("known", known)

    def forward(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.weight[index], self.known  # type: ignore[return-value]
