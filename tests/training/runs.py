"""What the tests of training have in common: losses, mappers, and the state of a module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import icon

N = 30


def sne() -> icon.Loss:
    return icon.loss("gaussian", "gaussian", perplexity=5)


def clusters(debias: float = 0.0) -> icon.Loss:
    return icon.Loss(icon.p.KNN(n_neighbors=4).symmetrize("union").walks(2).debias(debias), icon.q.Clusters())


def state(module: nn.Module) -> list[Tensor]:
    return [v.clone() for v in module.state_dict().values()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(u, v) for u, v in zip(a, b, strict=True))


def noisy() -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(5, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 3))
