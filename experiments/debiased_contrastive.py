"""SimCLR and t-SimCLR against false negatives: plain p, debiased p, and Chuang's debiased partition."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from torch import Tensor, nn

import icon
from experiments import held_out
from experiments.datasets import Dataset, at_most
from experiments.plots import label, lines, panels
from experiments.record import Configuration, Experiment, Fixed, Measures, labels_of
from experiments.statistics import long, ordered, percent
from icon.nn.mappers import MLP
from icon.training import Queue

RAW, UNTRAINED = "raw features", "untrained encoder"
METHODS = SIMCLR, T_SIMCLR, CHUANG = "SimCLR", "t-SimCLR", "SimCLR, Chuang's estimator"
ALPHAS = (0.0, 0.1, 0.2, 0.4, 0.6)
ENCODER, AVERAGE = "encoder", "moving average"
#: Points of a batch, what gives its keys, and length of the queue: 64 + 448 candidates are as many as 2 · 256 views.
SIZES = {
    "batch 64": (64, ENCODER, 0),
    "batch 256": (256, ENCODER, 0),
    "batch 64, moving-average keys": (64, AVERAGE, 0),
    "batch 64, moving-average keys, queue 448": (64, AVERAGE, 448),
}


class Settings(Fixed):  # chosen beforehand and not tuned for any
    points: int = 2000
    epochs: int = 12
    learning_rate: float = 3e-3
    temperature: float = 0.5
    decay: float = 0.99
    channels: int = 8
    hidden: int = 128
    dimensions: int = 32
    neighbors: int = 10
    noise: float = 0.1
    gain: float = 0.4
    vector_noise: float = 0.5


def configurations(dataset: Dataset) -> list[Configuration]:
    """All methods, sizes and α; at α = 0 Chuang's estimator is SimCLR itself, and is not run."""
    cells = [*product((RAW, UNTRAINED), ((0, ENCODER, 0),), (0.0,)), *product(METHODS, SIZES.values(), ALPHAS)]
    return [
        {"method": method, "alpha": alpha, "batch": batch, "keys": keys, "queue": queue}
        for method, (batch, keys, queue), alpha in cells
        if alpha > 0 or method != CHUANG
    ]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Accuracies on the held-out half, both fitted on the other half: ``knn`` and ``linear``."""
    dataset = at_most(dataset, settings.points)
    y, method, average = labels_of(dataset), configuration["method"], configuration["keys"] == AVERAGE
    split = held_out.halves(y, seed)
    z = dataset.views[0] if dataset.views else dataset.x
    z = held_out.standardised(z, split.train) if dataset.shape is None else z  # pixels stay as they are
    if method != RAW:
        make = partial(encoder_of, z.shape[1], dataset.shape, average, settings)
        points = held_out.Epochs(split.train, lambda index: index, 1 if average else 2)
        epochs, batch = 0 if method == UNTRAINED else settings.epochs, configuration["batch"]
        loss = loss_of(configuration, settings)
        encoder = held_out.trained(make, loss, z, points, epochs, batch, settings.learning_rate, seed)
        z = held_out.embedded(encoder, z, unit=method != T_SIMCLR)
    return {
        "knn": held_out.knn_accuracy(z, y, split, settings.neighbors),
        "linear": held_out.linear_accuracy(z, y, split),
    }


def encoder_of(width: int, shape: tuple[int, int] | None, average: bool, settings: Settings) -> nn.Module:
    """Random views, of images two convolutions that halve height and width, and a network with one hidden layer."""
    layers: list[nn.Module] = [View(settings)]
    if shape is not None:
        few, channels = settings.channels, width // (shape[0] * shape[1])
        layers = [
            nn.Unflatten(1, (channels, *shape)), *layers, nn.Conv2d(channels, few, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(few, 2 * few, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        ]  # fmt: skip
        width = 2 * few * -(-shape[0] // 4) * -(-shape[1] // 4)
    encoder = nn.Sequential(*layers, MLP(width, settings.dimensions, settings.hidden))
    return held_out.WithTeacher(encoder, settings.decay) if average else encoder


def loss_of(configuration: Configuration, settings: Settings) -> Any:
    """The loss of a configuration; its target is the number of the point that each view is of."""
    method, alpha = configuration["method"], configuration["alpha"]
    if method == T_SIMCLR:
        loss = icon.method("t-simclr", debias=alpha)
    elif method == CHUANG:
        loss = icon.method("debiased-contrastive", temperature=settings.temperature, tau_plus=alpha)
    else:
        loss = icon.method("simclr", temperature=settings.temperature, debias=alpha)
    return loss if configuration["keys"] == ENCODER else AgainstKeys(loss, configuration["queue"], settings.dimensions)


class AgainstKeys(nn.Module):
    """MoCo: candidates are keys of the batch and of a queue, positives those of the same point, earlier ones, too."""

    def __init__(self, loss: Any, length: int, dimensions: int) -> None:
        super().__init__()
        self.loss = loss.replace(p=replace(loss.p, join=False))
        self.length, self.queue = length, Queue(max(1, length), dimensions)

    def forward(self, both: Tensor, points: Tensor) -> Any:
        z, keys = both.chunk(2, dim=1)
        candidates, ids, _ = self.queue.behind(keys, points)
        if self.length:
            self.queue.push(keys, points)
        return self.loss((z, candidates), (points, ids))


class View(nn.Module):
    """While training, noise on points ``[b, d]``; images ``[b, c, h, w]`` are moved and get another brightness, too."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        if x.ndim == 2:
            return x + self.settings.vector_noise * torch.randn(x.shape)
        b, _, height, width = x.shape
        brightness = 1 + self.settings.gain * (2 * torch.rand(*x.shape[:2], 1, 1) - 1)
        most = max(1, width // 8)
        places = nn.functional.pad(x, 4 * (most,)).unfold(2, height, 1).unfold(3, width, 1)  # what comes in is 0
        down, right = torch.randint(2 * most + 1, (2, b))
        moved: Tensor = brightness * places[torch.arange(b), :, down, right]
        return moved + self.settings.noise * torch.randn(x.shape)


PROBES = {"knn": "k-NN", "linear": "linear probe"}


def with_plain(frame: DataFrame) -> DataFrame:
    """At α = 0 Chuang's estimator is SimCLR."""
    plain = frame[(frame["method"] == SIMCLR) & (frame["alpha"] == 0)]
    return pd.concat([frame, plain.assign(method=CHUANG)])


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, probe, method, batch size, keys and queue, a column per α."""
    runs = ordered(long(with_plain(frame), PROBES, "accuracy (%)"), method=[RAW, UNTRAINED, *METHODS])
    runs = runs.assign(alpha=runs["alpha"].map("α = {:g}".format))
    rows, sizes = ["dataset", "accuracy (%)", "method"], ["batch", "keys", "queue"]
    found = runs.pivot_table("value", rows + sizes, "alpha", percent, observed=True).reset_index()
    return found.assign(**{size: found[size].astype(str).where(found["batch"] > 0, None) for size in sizes})


def accuracy(frame: DataFrame, probe: str) -> Figure:
    """A row per method, a column per data set, a line per batch size, keys and queue."""
    frame, datasets = with_plain(frame), sorted(frame["dataset"].unique())
    names = frame[["batch", "keys", "queue"]].agg(tuple, axis=1).map({size: name for name, size in SIZES.items()})
    frame = frame.assign(size=pd.Categorical(names, list(SIZES)))
    figure, places = panels(len(METHODS), len(datasets), (2.6, 2.1), sharex=True, sharey="col")
    for panel, (method, dataset) in zip(places.flat, product(METHODS, datasets), strict=True):
        some = frame[frame["dataset"] == dataset]
        lines(panel, some[some["method"] == method], "size", "alpha", probe, apart=0.008, styles="- - -- --")
        for other, dots in ((RAW, ":"), (UNTRAINED, "-.")):
            level = 100 * some.loc[some["method"] == other, probe].mean()
            panel.axhline(level, color="#777777", linewidth=1, linestyle=dots, label=other)
        panel.set_title(f"{dataset}\n{method}" if method == SIMCLR else method)
    figure.supylabel(f"{PROBES[probe]} accuracy (%)", fontsize="medium")
    return label(figure, places[-1], "α (of Chuang's estimator: τ⁺)", "", 3)


EXPERIMENT = Experiment(
    name="debiased-contrastive",
    question="Does debiasing p, or Chuang's estimate of the true negatives, help SimCLR and t-SimCLR?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=table,
    figures={probe: partial(accuracy, probe=probe) for probe in PROBES},
)
