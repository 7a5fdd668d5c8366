"""Value and gradient of four losses, by every contender: each builds a function that does one step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

TEMPERATURE = 0.1
CLASSES = 10
PROTOTYPES = 100

Step = Callable[[], None]


def embeddings(n: int, d: int = 128, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(n + seed), requires_grad=True)


def labels(task: str, n: int) -> Tensor:
    """Two views of each instance (SimCLR), ten classes (SupCon), a hundred prototypes (cross-entropy)."""
    return torch.arange(n) % {"simclr": n // 2, "supcon": CLASSES, "cross-entropy": PROTOTYPES}.get(task, n)


def leaves(task: str, n: int) -> list[Tensor]:
    """The embeddings, and the other modality or the prototypes."""
    others = {"clip": n, "cross-entropy": PROTOTYPES}
    return [embeddings(n)] + ([embeddings(others[task], seed=1)] if task in others else [])


def products(task: str, n: int) -> Step:
    """The yardstick: the three matrix products that value and gradient cannot do without (all pairs at once)."""
    unit = [normalize(leaf.detach(), dim=1) for leaf in leaves(task, n)]
    a, c = unit[0], unit[-1]

    def step() -> None:
        tile = a @ c.T
        tile @ c
        tile.T @ a

    return step


def of_icon(task: str, n: int) -> tuple[list[Tensor], Callable[[], Tensor]]:
    """The leaves and the loss; ids are given afresh at each call."""
    import icon

    inputs, y = leaves(task, n), labels(task, n)
    loss = icon.method(task) if task == "cross-entropy" else icon.method(task, temperature=TEMPERATURE)
    if task == "clip":
        return inputs, lambda: loss(tuple(inputs))
    if task == "cross-entropy":
        return inputs, lambda: loss(tuple(inputs), y.clone())
    return inputs, lambda: loss(inputs[0], y.clone())


def icon_step(task: str, n: int) -> Step:
    return _backward(*of_icon(task, n))


def plain_dense(task: str, n: int) -> Step:
    """What one writes by hand: full similarity and mask, log-softmax."""
    inputs, given = leaves(task, n), labels(task, n)
    z, other = inputs[0], inputs[-1]
    own, eye = torch.arange(n), torch.eye(n, dtype=torch.bool) if task in ("simclr", "supcon") else None

    def simclr() -> Tensor:
        scores = normalize(z, dim=1) @ normalize(z, dim=1).T / TEMPERATURE
        return cross_entropy(scores.masked_fill(eye, -math.inf), (own + n // 2) % n)

    def supcon() -> Tensor:
        scores = normalize(z, dim=1) @ normalize(z, dim=1).T / TEMPERATURE
        log_q = scores.masked_fill(eye, -math.inf).log_softmax(dim=1)
        y = given.clone()
        positive = (y[:, None] == y) & ~eye
        return -(log_q.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)).mean()

    def clip() -> Tensor:
        scores = normalize(z, dim=1) @ normalize(other, dim=1).T / TEMPERATURE
        return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2

    def prototypes() -> Tensor:
        return cross_entropy(z @ other.T, given.clone())

    losses = {"simclr": simclr, "supcon": supcon, "clip": clip, "cross-entropy": prototypes}
    return _backward(inputs, losses[task])


def checked_by_hand(task: str, n: int) -> Step:
    """The same module without a library: the checks of icon (finite numbers, ids in range, anchors without a positive),
    the true KL and weights of the anchors, in straight PyTorch. What a general engine cannot be faster than."""
    inputs, given = leaves(task, n), labels(task, n)

    def refuse_unless(good: bool) -> None:
        if not good:
            raise ValueError("input: expected finite numbers and ids in range")

    def mean_cross_entropy(scores: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(scores, y, reduction="none") @ scores.new_full((len(y),), 1 / len(y))

    def one_set(z: Tensor, y: Tensor) -> Tensor:
        unit = normalize(z, dim=1)
        positive = (y[:, None] == y).to(z.dtype).fill_diagonal_(0)
        counts = positive.sum(dim=1)
        refuse_unless(int(counts.count_nonzero()) == len(y))
        weights = z.new_full((len(y),), 1 / len(y))
        scores = (unit @ unit.T / TEMPERATURE).diagonal_scatter(z.new_full((len(y),), -1e30))
        expected = (scores.log_softmax(dim=1) * positive).sum(dim=1) / counts
        return -(expected @ weights) - counts.log() @ weights

    class Checked(torch.nn.Module):
        def forward(self) -> Tensor:
            for each in inputs:
                refuse_unless(math.isfinite(float(each.detach().sum())))
            z, other, y = inputs[0], inputs[-1], given.clone()
            if task == "clip":
                scores, y = normalize(z, dim=1) @ normalize(other, dim=1).T / TEMPERATURE, torch.arange(n)
                return (mean_cross_entropy(scores, y) + mean_cross_entropy(scores.T, y)) / 2
            least, most = torch.aminmax(y)
            refuse_unless(int(least) >= 0 and int(most) < max(n, PROTOTYPES))
            return mean_cross_entropy(z @ other.T, y) if task == "cross-entropy" else one_set(z, y)

    return _backward(inputs, Checked())


def lightly(task: str, n: int) -> Step:
    from table.peers import lightly_ntxent

    z, criterion = embeddings(n), lightly_ntxent()(temperature=TEMPERATURE)
    return _backward([z], lambda: criterion(z[: n // 2], z[n // 2 :]))


def metric_learning(task: str, n: int) -> Step:
    from pytorch_metric_learning.losses import NTXentLoss, SupConLoss

    z, y = embeddings(n), labels(task, n)
    criterion = (NTXentLoss if task == "simclr" else SupConLoss)(temperature=TEMPERATURE)
    return _backward([z], lambda: criterion(z, y))


def _backward(inputs: list[Tensor], loss: Callable[[], Tensor]) -> Step:
    def step() -> None:
        for leaf in inputs:
            leaf.grad = None
        loss().backward()

    return step


#: The name of icon without the checks of values, which are switched off around its rounds.
UNCHECKED = "icon, unchecked"

_OURS = {"icon": (icon_step, 2**16), UNCHECKED: (icon_step, 4096)}
_PLAIN = {
    "three products": (products, 16384),
    "plain dense PyTorch": (plain_dense, 16384),
    "checked by hand": (checked_by_hand, 4096),
}

#: Contenders of each task, with the largest n at which a step fits in memory and patience here.
CONTENDERS: dict[str, dict[str, tuple[Callable[[str, int], Step], int]]] = {
    "simclr": {
        **_PLAIN,
        **_OURS,
        "lightly NTXentLoss": (lightly, 16384),
        "pytorch-metric-learning NTXentLoss": (metric_learning, 1024),
    },
    "supcon": {**_PLAIN, **_OURS, "pytorch-metric-learning SupConLoss": (metric_learning, 16384)},
    "clip": {**_PLAIN, **_OURS},
    "cross-entropy": {**_PLAIN, **_OURS},
}
