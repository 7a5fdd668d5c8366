"""The training of the gallery: the map, the clusters or the encoder of a cell of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import icon
from experiments.datasets import Array, Dataset, scaled
from experiments.maps import neighbours
from experiments.record import Configuration, Fixed, labels_of
from icon.nn.mappers import MLP, Linear, Prototypes, Rescale
from icon.training import fit

CLUSTERS, WIDE = "clusters", "gaussian-wide"
FREE = ("gaussian", "student-t", "identity", "graph", "knn")  # columns whose maps have a free place for each point
LABELLED = ("classes", "data-label")
RATE, START = 5e-3, 1e-4  # of the encoders; the deviation of the map that a frame starts from


class Settings(Fixed):  # chosen beforehand and not tuned for any
    points: int = 2000
    directions: int = 50
    steps: int = 400
    frame_steps: int = 300
    encoder_steps: int = 200
    cluster_steps: int = 200
    near: int = 15
    kept: int = 90
    noise: float = 0.3


class Seen(NamedTuple):
    """A trained cell: places ``[n, d]`` or memberships ``[n, C]``, the loss of each step, and what was trained."""

    z: Array
    losses: list[float]
    mapper: str
    encoder: nn.Module | None = None


@lru_cache(maxsize=4)
def trained(dataset: Dataset, row: str, column: str, seed: int, settings: Settings) -> Seen:
    """A cell of the table."""
    free = column in FREE or (row, column) == (CLUSTERS, "classes")
    return (estimated if free else encoded)(dataset, row, column, seed, settings)


def framed(dataset: Dataset, configuration: Configuration, seed: int, settings: Settings) -> Seen:
    """A frame of a slider: an encoder is trained on from that of the cell; a map begins as that of the cell, shrunk."""
    knob, row, column, value = (configuration[name] for name in ("part", "row", "column", "value"))
    before = trained(dataset, row, column, seed, settings)
    hyper = {knob: int(value) if knob == "walks" else value}
    if before.encoder is not None:
        return encoded(dataset, row, column, seed, settings, hyper, deepcopy(before.encoder))
    return estimated(dataset, row, column, seed, settings, hyper, START * before.z / before.z.std())


def estimated(
    dataset: Dataset, row: str, column: str, seed: int, settings: Settings, hyper: Any = None, start: Any = "pca"
) -> Seen:
    """A map with a free place for each point, of the wide row, which has no minimum then, by orthonormal directions; or
    soft clusters, as many as there are classes, with p as the column has it: no walks, no debiasing.

    The Student-t of the features is as wide as the median distance to one of the nearest neighbours.
    """
    x, losses, y = scaled(dataset, settings.directions), list[float](), None
    own: dict[str, Any] = dict(hyper or {})
    options: dict[str, Any] = {"random_state": seed, "callback": lambda step, loss, z: losses.append(loss)}
    if column == "student-t":
        own["target_sigma"] = neighbours(dataset, settings.directions, settings.near)[1]
        if row != CLUSTERS:
            own["n_neighbors"] = min(settings.kept, dataset.n - 1)
    elif column == "graph":
        near = icon.p.KNN(min(settings.near, dataset.n - 1)).symmetrize("union")
        y = near(torch.from_numpy(x)).to_scipy() > 0
    elif column == "classes":
        y = labels_of(dataset)
    if row == CLUSTERS:
        options |= {"walks": 1, "debias": 0, "n_init": 1, "max_iter": settings.cluster_steps}
        clustering = icon.Clustering(dataset.classes, column, hyper=own, **options).fit(x, y)
        return Seen(clustering.probabilities_, losses, "mlp")
    mapper = "linear" if row == WIDE else "lookup"
    steps = settings.steps if hyper is None else settings.frame_steps
    options |= {"mapper": mapper, "init": start, "tol": 0, "max_iter": steps}
    return Seen(icon.Embedding(row=row, column=column, hyper=own, **options).fit(x, y).embedding_, losses, mapper)


def encoded(
    dataset: Dataset, row: str, column: str, seed: int, settings: Settings, hyper: Any = None, model: Any = None
) -> Seen:
    """A function of images ``[n, c, h, w]`` in [0, 1] or of features ``[n, f]``, trained by classes, labels, or two
    views of each point; all points at each step."""
    loss = loss_of(row, column, **(hyper or {}))
    x = torch.from_numpy(scaled(dataset, settings.directions))
    if dataset.shape is not None:
        x = torch.from_numpy(dataset.x.reshape(dataset.n, -1, *dataset.shape))
    if column == "pairs" and getattr(loss.p, "join", False):  # first views are anchors, second ones candidates
        loss = loss.replace(p=replace(loss.p, join=False))  # type: ignore[call-arg]
    y = torch.from_numpy(labels_of(dataset)) if column in LABELLED else None
    orthonormal = (row, column) == (WIDE, "pairs")
    if model is None:
        torch.manual_seed(seed)
        width = dataset.classes if row == CLUSTERS else 2
        model = encoder(x, column, width, dataset.classes, orthonormal, settings.noise)
    found = fit(loss, model, x, y, steps=settings.encoder_steps, learning_rate=RATE, seed=seed)
    with torch.no_grad():
        z = (model.eval().first if column == "pairs" else model.eval())(x)  # of the points and not of their views
    z = z if isinstance(z, Tensor) else z[0]
    if row == CLUSTERS:
        z = z.softmax(dim=1)
    elif getattr(loss.q, "metric", "") == "cosine":
        z = nn.functional.normalize(z)
    return Seen(z.numpy(), found.losses, "linear" if orthonormal else "mlp", model)


def loss_of(row: str, column: str, **hyper: Any) -> icon.Loss:
    """The loss of the first method that the table names in the cell, else the plain one."""
    named = [m.slug for m in icon.methods() if m.in_table and (m.row, m.column) == (row, column)]
    if (row, column) == (WIDE, "data-label"):  # with the dot product it has no minimum
        return icon.loss(row, column, metric="cosine", **hyper)
    return icon.method(named[0], **hyper) if named else icon.loss(row, column, **hyper)


def encoder(x: Tensor, column: str, width: int, classes: int, orthonormal: bool, noise: float) -> nn.Module:
    """What the loss of a column takes: embeddings, those of two views or of two halves, or those and prototypes."""

    def network(part: Tensor) -> nn.Module:
        flat = part.flatten(1)
        head = Linear(flat.shape[1], width, orthonormal=True) if orthonormal else MLP(flat.shape[1], width)
        return nn.Sequential(nn.Flatten(), Rescale(flat), head)

    if column == "cross-modal":
        return TwoViews(halves, *(network(half) for half in halves(x)))
    net = network(x)
    if column == "pairs":
        return TwoViews(icon.nn.RandomViews() if x.ndim == 4 else partial(noisy, deviation=noise), net, net)
    return nn.Sequential(net, Prototypes(classes, width)) if column == "data-label" else net


class TwoViews(nn.Module):
    """Embeddings of the two views that a function makes of each point."""

    def __init__(self, views: Callable[[Tensor], Sequence[Tensor]], first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.views, self.first, self.second = views, first, second

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.views(x)
        return self.first(a), self.second(b)


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """The upper and the lower half of images, the first and the second half of features."""
    across = 2 if x.ndim == 4 else 1
    if (size := x.shape[across]) < 2:
        raise ValueError(f"features: got {size} column, expected at least two, to make two modalities of them")
    return x.narrow(across, 0, size // 2), x.narrow(across, size // 2, size - size // 2)


def noisy(x: Tensor, deviation: float) -> tuple[Tensor, Tensor]:
    """Features twice, with normal noise of their own."""
    return x + deviation * torch.randn_like(x), x + deviation * torch.randn_like(x)
