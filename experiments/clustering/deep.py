"""SCAN, TEMI, contrastive clustering, PRCut and TURTLE: with the head, the optimiser and the budget of our own, and the
latter two also with their authors'."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import icon
from experiments.clustering.protocol import Clusters, Settings, assigned, nearest, union
from experiments.datasets import Array, Dataset, inputs
from experiments.held_out import Epochs, WithTeacher
from icon.estimators.base import on_disk, some_of
from icon.estimators.initialization import imitate
from icon.nn import Rescale
from icon.nn.mappers import build
from icon.training import PairSampler
from icon.training.fit import fit
from icon.training.state import seeded

PROJECTION = 128  # dimensions of the instance head of contrastive clustering
INSTANCES = 256  # pairs of a batch whose instances are contrasted: the batch of the paper
MEMORIES = 20  # times that TEMI's teacher is renewed in a run, as with 0.996 in the authors' 100 epochs of CIFAR-10
INNER = 10  # steps of TURTLE's classifiers
TURTLE_PLAN: dict[str, Any] = {"steps": 6000, "learning_rate": 1e-3}
PRCUT_PLAN: dict[str, Any] = {"steps": 3000, "learning_rate": 1e-3}
TURTLE_BATCH, PRCUT_BATCH, PRCUT_NEIGHBORS = 10_000, 2048, 100


class ContrastiveClustering(nn.Module):
    """SimCLR of the instances, SimCLR of the clusters (columns of the probabilities), less the clusters' entropy.

    The input is a pair of views, ``[b, clusters + hidden]`` each: logits, then the hidden layer (`WithHidden`), which a
    layer of the loss projects for the instances.

    Source: Li, Hu, Liu, Peng, Zhou, Peng 2021, Contrastive Clustering, AAAI (arXiv 2009.09687).
    """

    def __init__(self, clusters: int, hidden: int) -> None:
        super().__init__()
        self.clusters, self.project = clusters, nn.Linear(hidden, PROJECTION)

    def forward(self, views: tuple[Tensor, Tensor], target: Any = None) -> Tensor:
        phi = [view[:, : self.clusters].softmax(dim=1) for view in views]
        instances = [self.project(view[:INSTANCES, self.clusters :]) for view in views]
        value = nt_xent(instances[0], instances[1], 0.5) + nt_xent(phi[0].mT, phi[1].mT, 1.0)
        for p in phi:
            mean = p.mean(dim=0)
            value = value + math.log(self.clusters) + torch.xlogy(mean, mean).sum()
        return value


def nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """SimCLR of two views ``[n, d]``; the table's cell, in fewer steps than the engine needs for so few points."""
    z = nn.functional.normalize(torch.cat([a, b]), dim=1)
    scores = (z @ z.mT / temperature).fill_diagonal_(-math.inf)
    return nn.functional.cross_entropy(scores, torch.arange(len(z)).roll(len(a)))


class WithHidden(nn.Module):
    """The logits of a head of `icon.nn.build`, and its hidden layer beside them."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        rescale, (*below, last) = head
        self.below, self.last = nn.Sequential(rescale, *below), last

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.below(x)
        return torch.cat([self.last(hidden), hidden], dim=1)


class TEMI(nn.Module):
    """`icon.method("temi")` of pairs of views, ``[b, 2 clusters]`` each: the student's logits, then the teacher's."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = icon.method("temi")

    def forward(self, views: tuple[Tensor, Tensor], target: Any = None) -> Tensor:
        student, teacher = torch.cat(views).chunk(2, dim=1)
        value: Tensor = self.loss((student, teacher), torch.arange(len(views[0])).repeat(2))
        return value


class PRCut(nn.Module):
    """An upper bound of the expected ratio cut, less the entropy of the clusters' sizes: pairs of views, ``[b, k]``.

    An edge is cut off cluster c with probability ``φ_ic + φ'_ic - 2 φ_ic φ'_ic``. The mean over the edges of a batch is
    divided by the size of c, a moving average over the batches whose gradient is that of the batch at hand.

    Source: Ghriss, Monteleoni 2025, Deep Clustering via Probabilistic Ratio-Cut Optimization (arXiv
    2502.03405), with the entropy's weight 100 and the average's 0.8 of the newest batch, as in the authors' code.
    """

    sizes: Tensor

    def __init__(self, clusters: int) -> None:
        super().__init__()
        self.register_buffer("sizes", torch.full((clusters,), 1 / clusters))

    def forward(self, views: tuple[Tensor, Tensor], target: Any = None) -> Tensor:
        phi, partner = (view.softmax(dim=1) for view in views)
        mean = phi.mean(dim=0)  # of the anchors, which are uniform over the points
        self.sizes.lerp_(mean.detach(), 0.8)
        cut = (phi + partner - 2 * phi * partner).mean(dim=0)
        value: Tensor = (cut / (self.sizes + mean - mean.detach())).sum() + 100 * torch.xlogy(mean, mean).sum()
        return value


def deep_restart(name: str, dataset: Dataset, seed: int, settings: Settings, first: Array | None = None) -> Clusters:
    """From a random head, or from one that gives first clusters ``[n]``, with the steps that ours then takes."""
    seen = inputs(dataset, settings.directions)
    x: Any = seen if on_disk(seen) else torch.from_numpy(seen)
    pairs = PairSampler(icon.p.Graph()(union(dataset, settings.neighbors)))  # a neighbour is the positive
    steps = settings.total_steps if first is None else settings.steps
    with seeded(seed, torch.device("cpu")):
        head = settings.head(some_of(x), dataset.classes)
        if first is not None:
            imitate(head, x, first, dataset.classes)
        loss: Any = None
        mapper: nn.Module = head  # with what the loss takes beside the logits
        if name == "contrastive":
            mapper = with_hidden = WithHidden(head)
            loss = ContrastiveClustering(dataset.classes, with_hidden.last.in_features)
        elif name == "temi":
            loss, mapper = TEMI(), WithTeacher(head, decay=max(0.0, 1 - MEMORIES / steps))
        elif name == "prcut":
            loss = PRCut(dataset.classes)
    done = fit(
        loss or icon.method(name), mapper, x, pairs, steps=steps, learning_rate=settings.learning_rate,
        batch_size=settings.batch_size(dataset), decay=True, seed=seed,
    )  # fmt: skip
    return Clusters(
        assigned(head, x), final(done.losses), None if dataset.test is None else assigned(head, dataset.test.x)
    )


def final(losses: list[float]) -> float:
    """The mean over the last tenth of the steps, where the rate is nearly zero."""
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def prcut(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """`PRCut` of a linear head on the graph of the 100 nearest neighbours, as in the authors' code.

    There a batch is two sets of 2,048 points and the edges between them, here 2,048 edges, as probable as each other:
    the same in the mean, without the search for the few edges of a block of the graph. And there 25,000 steps of 1e-4
    are taken, here 3,000 of 1e-3, as by the authors' later package (pgcuts).
    """
    x, n = torch.from_numpy(inputs(dataset, settings.directions)), dataset.n
    pairs = PairSampler(icon.p.Graph()(nearest(dataset, min(PRCUT_NEIGHBORS, n - 1))))
    with seeded(seed, x.device):
        head = build("linear", x, dataset.classes)
    loss: Any = PRCut(dataset.classes)
    done = fit(loss, head, x, pairs, batch_size=min(n, PRCUT_BATCH), seed=seed, **PRCUT_PLAN)
    return Clusters(assigned(head, x), final(done.losses))


def turtle(
    dataset: Dataset, seed: int, settings: Settings, first: Array | None = None, views: bool = False
) -> Clusters:
    """`Turtle` as in the authors' code, or from first clusters ``[n]`` with our optimiser, steps and batches.

    The features, or with ``views`` those of each view, are centred and divided by their root mean square: the authors
    take theirs as they are, whose scale is about that, and choose rates by cross-validation, for which ours stay fixed.
    """
    given = dataset.views if views else (inputs(dataset, settings.directions),)
    spaces = [Rescale(space)(space) for space in map(torch.from_numpy, given)]
    x, size, plan = torch.cat(spaces, dim=1), min(dataset.n, TURTLE_BATCH), TURTLE_PLAN
    with seeded(seed, x.device):
        encoder = TaskEncoder([space.shape[1] for space in spaces], dataset.classes)
        if first is not None:
            plan, size = {"steps": settings.steps, "learning_rate": 5e-3, "decay": True}, settings.batch_size(dataset)
            for linear, space in zip(encoder.linear, spaces, strict=True):
                imitate(linear, space, first, dataset.classes)
    loss: Any = Turtle(encoder, seed)
    done = fit(loss, encoder, x, Epochs(np.arange(dataset.n)), batch_size=size, seed=seed, **plan)
    with torch.no_grad():
        return Clusters(encoder(x)[0].softmax(dim=2).mean(dim=1).argmax(dim=1).numpy(), final(done.losses))


class TaskEncoder(nn.Module):
    """A linear layer with weight normalisation for each of V spaces, which lie side by side in the input: their logits
    ``[b, V, k]``, and with them the features."""

    def __init__(self, widths: list[int], clusters: int) -> None:
        super().__init__()
        self.widths = widths
        layers = (nn.Linear(width, clusters) for width in widths)
        self.linear = nn.ModuleList(nn.utils.parametrizations.weight_norm(layer) for layer in layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = zip(self.linear, torch.split(x, self.widths, dim=1), strict=True)
        return torch.stack([linear(part) for linear, part in parts], dim=1), x


class Turtle(nn.Module):
    """How well linear classifiers learn a labelling, less ten times the entropy of its clusters' sizes.

    The labelling is the mean of the softmax of the `TaskEncoder` over spaces. In each space a classifier begins anew,
    takes `INNER` steps of Adam (1e-3) towards the labelling as it is, and its cross-entropy is then a loss of the
    labelling alone.

    Source: Gadetsky, Jiang, Brbić 2024, Let Go of Your Labels with Unsupervised Transfer, ICML (arXiv 2406.07236).
    """

    def __init__(self, encoder: TaskEncoder, seed: int) -> None:
        super().__init__()
        self.widths, self.draws = encoder.widths, torch.Generator().manual_seed(seed)

    def forward(self, both: tuple[Tensor, Tensor], target: Any = None) -> Tensor:
        phi = both[0].softmax(dim=2)
        labels, mean = phi.mean(dim=1), phi.mean(dim=0)
        value = 10 * torch.xlogy(mean, mean).sum()
        for space in torch.split(both[1], self.widths, dim=1):
            value = value - (labels * self._learned(space, labels.detach())).sum(dim=1).mean()
        return value

    @torch.no_grad()
    def _learned(self, x: Tensor, labels: Tensor) -> Tensor:
        """``[b, k]`` the classifier's logarithms of probabilities."""
        x = nn.functional.pad(x, (0, 1), value=1.0)
        turned, wanted = x.mT.contiguous(), labels.mT @ x / len(x)
        reach = (x.shape[1] - 1) ** -0.5  # of the first weights, as in `nn.Linear`
        weight = reach * (2 * torch.rand(wanted.shape, generator=self.draws) - 1)
        mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
        for step in range(1, INNER + 1):  # Adam, in a third of the time of torch's
            gradient = (weight @ turned).softmax(dim=0) @ x / len(x) - wanted
            mean, square = mean.lerp(gradient, 0.1), square.lerp(gradient.square(), 0.001)
            size = (square / (1 - 0.999**step)).sqrt() + 1e-8
            weight = weight - 1e-3 * mean / (1 - 0.9**step) / size
        found: Tensor = (x @ weight.mT).log_softmax(dim=1)
        return found
