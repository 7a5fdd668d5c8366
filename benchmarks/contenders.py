"""Value and gradient of SimCLR and SupCon, by every contender: each builds a function that does one step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

TEMPERATURE = 0.1
CLASSES = 10

Step = Callable[[], None]


def embeddings(n: int, d: int = 128) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(n), requires_grad=True)


def labels(task: str, n: int) -> Tensor:
    """Two views of each instance (SimCLR), or ten classes (SupCon)."""
    return torch.arange(n) % (n // 2 if task == "simclr" else CLASSES)


def products(task: str, n: int) -> Step:
    """The yardstick: the three matrix products that value and gradient cannot do without (``n x n``, all at once)."""
    z = normalize(embeddings(n).detach(), dim=1)

    def step() -> None:
        tile = z @ z.T
        tile @ z
        tile.T @ z

    return step


def icon_blocked(task: str, n: int) -> Step:
    import icon

    z, y = embeddings(n), labels(task, n)
    loss = icon.method(task, temperature=TEMPERATURE)
    return lambda: _backward(z, lambda: loss(z, y))


def plain_dense(task: str, n: int) -> Step:
    """What one writes by hand: full similarity and mask, log-softmax."""
    z, y = embeddings(n), labels(task, n)

    def loss() -> Tensor:
        unit = normalize(z, dim=1)
        scores = unit @ unit.T / TEMPERATURE
        scores = scores.masked_fill(torch.eye(n, dtype=torch.bool), float("-inf"))
        log_q = scores.log_softmax(dim=1)
        if task == "simclr":
            return -log_q.gather(1, ((torch.arange(n) + n // 2) % n)[:, None]).mean()
        positive = (y[:, None] == y).fill_diagonal_(False)
        return -(log_q.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)).mean()

    return lambda: _backward(z, loss)


def lightly(task: str, n: int) -> Step:
    from table.witnesses import lightly_ntxent

    z, criterion = embeddings(n), lightly_ntxent()(temperature=TEMPERATURE)
    return lambda: _backward(z, lambda: criterion(z[: n // 2], z[n // 2 :]))


def metric_learning(task: str, n: int) -> Step:
    from pytorch_metric_learning.losses import NTXentLoss, SupConLoss

    z, y = embeddings(n), labels(task, n)
    criterion = (NTXentLoss if task == "simclr" else SupConLoss)(temperature=TEMPERATURE)
    return lambda: _backward(z, lambda: criterion(z, y))


def _backward(z: Tensor, loss: Callable[[], Tensor]) -> None:
    z.grad = None
    loss().backward()


#: Contenders of each task, with the largest n at which a step fits in memory and patience here.
CONTENDERS: dict[str, dict[str, tuple[Callable[[str, int], Step], int]]] = {
    "simclr": {
        "three products": (products, 16384),
        "icon": (icon_blocked, 2**16),
        "plain dense PyTorch": (plain_dense, 16384),
        "lightly NTXentLoss": (lightly, 16384),
        "pytorch-metric-learning NTXentLoss": (metric_learning, 1024),
    },
    "supcon": {
        "three products": (products, 16384),
        "icon": (icon_blocked, 2**16),
        "plain dense PyTorch": (plain_dense, 16384),
        "pytorch-metric-learning SupConLoss": (metric_learning, 16384),
    },
}
