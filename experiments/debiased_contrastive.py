"""SimCLR and t-SimCLR against false negatives: plain p, debiased p, and Chuang's debiased partition."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from torch import Tensor, nn

import icon
from experiments import record
from experiments.datasets import Array, Dataset, at_most
from experiments.held_out import (
    Halves,
    TwoViews,
    embedded,
    halves,
    knn_accuracy,
    linear_accuracy,
    standardised,
    trained,
)
from experiments.plots import COLOURS, LINES, MARKERS, label, legend, line, panels
from experiments.record import Configuration, Experiment, Measures, labels_of
from experiments.statistics import long, ordered, percent
from icon.nn.mappers import MLP

RAW, UNTRAINED = "raw features", "untrained encoder"
SIMCLR, T_SIMCLR, CHUANG = "SimCLR", "t-SimCLR", "SimCLR, Chuang's estimator"
ALPHAS = (0.0, 0.1, 0.2, 0.4, 0.6)
BATCHES = (64, 256)


@dataclass(frozen=True)
class Settings(record.Settings):
    """The same for every data set; chosen beforehand and not tuned."""

    points: int = 2000
    epochs: int = 12
    learning_rate: float = 3e-3
    temperature: float = 0.5
    hidden: int = 128
    dimensions: int = 32
    neighbors: int = 10
    noise: float = 0.1
    vector_noise: float = 0.5


def configurations(dataset: Dataset) -> list[Configuration]:
    """The raw features, the untrained encoder, and each method with each α and batch size.

    At α = 0 Chuang's estimator is SimCLR itself, and is not run.
    """
    learned = [
        {"method": method, "alpha": alpha, "batch": batch}
        for method in (SIMCLR, T_SIMCLR, CHUANG)
        for batch in BATCHES
        for alpha in ALPHAS
        if alpha > 0 or method != CHUANG
    ]
    return [*({"method": method, "alpha": 0.0, "batch": 0} for method in (RAW, UNTRAINED)), *learned]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Accuracies on the held-out half, both fitted on the other half: ``knn`` and ``linear``."""
    dataset = at_most(dataset, settings.points)
    y, method = labels_of(dataset), configuration["method"]
    split = halves(y, seed)
    z, shape = _inputs(dataset, split)
    if method != RAW:
        encoder = trained(
            lambda: nn.Sequential(View(shape, settings), MLP(z.shape[1], settings.dimensions, settings.hidden)),
            method_of(configuration, settings), z, TwoViews(split.train),
            epochs=0 if method == UNTRAINED else settings.epochs, batch=configuration["batch"],
            learning_rate=settings.learning_rate, seed=seed,
        )  # fmt: skip
        z = embedded(encoder, z, unit=method != T_SIMCLR)
    return {"knn": knn_accuracy(z, y, split, settings.neighbors), "linear": linear_accuracy(z, y, split)}


def method_of(configuration: Configuration, settings: Settings) -> icon.Loss:
    """The loss of a configuration; its target is the number of the point that each view is of."""
    method, alpha = configuration["method"], configuration["alpha"]
    if method == T_SIMCLR:
        return icon.method("t-simclr", debias=alpha)
    if method == CHUANG:
        return icon.method("debiased-contrastive", temperature=settings.temperature, tau_plus=alpha)
    return icon.method("simclr", temperature=settings.temperature, debias=alpha)


class View(nn.Module):
    """A random view of points ``[b, d]``: noise, and of images a shift by at most an eighth of the width as well.

    After the training it lets the points through as they are.

    Args:
        shape: height and width of the images; None where they are none.
        settings: how much noise.
    """

    def __init__(self, shape: tuple[int, int] | None, settings: Settings) -> None:
        super().__init__()
        self.shape, self.noise = shape, settings.vector_noise if shape is None else settings.noise

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        if self.shape is not None:
            x = _shifted(x.reshape(len(x), *self.shape), max(1, self.shape[1] // 8)).flatten(1)
        return x + self.noise * torch.randn(x.shape)


def _shifted(images: Tensor, most: int) -> Tensor:
    """``[b, h, w]`` each image moved by up to ``most`` pixels either way; what comes in is 0."""
    b, height, width = images.shape
    padded = nn.functional.pad(images, (most, most, most, most))
    down, right = torch.randint(2 * most + 1, (2, b, 1))
    rows, columns = torch.arange(height) + down, torch.arange(width) + right
    return padded[torch.arange(b)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _inputs(dataset: Dataset, split: Halves) -> tuple[Array, tuple[int, int] | None]:
    """Pixels as they are with the shape of the image, or the (first view's) features standardised."""
    if dataset.shape is not None:
        return dataset.x, dataset.shape
    return standardised(dataset.views[0] if dataset.views else dataset.x, split.train), None


# -- reading the results ----------------------------------------------------------------------------------------------

METHODS = {SIMCLR: COLOURS[0], T_SIMCLR: COLOURS[2], CHUANG: COLOURS[3]}
PROBES = {"knn": "k-NN", "linear": "linear probe"}


def with_plain(frame: DataFrame) -> DataFrame:
    """At α = 0 Chuang's estimator is SimCLR."""
    plain = frame[(frame["method"] == SIMCLR) & (frame["alpha"] == 0)]
    return pd.concat([frame, plain.assign(method=CHUANG)])


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, probe, method and batch size, a column per α."""
    runs = ordered(long(with_plain(frame), PROBES, "accuracy (%)"), method=[RAW, UNTRAINED, *METHODS])
    runs = runs.assign(alpha=runs["alpha"].map("α = {:g}".format))
    rows = ["dataset", "accuracy (%)", "method", "batch"]
    found = runs.pivot_table("value", rows, "alpha", percent, observed=True).reset_index()
    return found.assign(batch=found["batch"].map(lambda batch: str(batch) if batch else None))


def accuracy(frame: DataFrame) -> Figure:
    """A row per probe, a column per data set."""
    frame, datasets = with_plain(frame), sorted(frame["dataset"].unique())
    figure, places = panels(len(PROBES), len(datasets), (max(2.8, 5.6 / len(datasets)), 2.4), sharex=True)
    for row, (probe, name) in enumerate(PROBES.items()):
        for panel, dataset in zip(places[row], datasets, strict=True):
            some = frame[frame["dataset"] == dataset]
            for number, ((method, batch), runs) in enumerate(some[some["batch"] > 0].groupby(["method", "batch"])):
                odd = number % 2
                line(
                    panel, runs, "alpha", probe, 100, 0.006 * (number - 2.5), label=f"{method}, batch {batch}",
                    color=METHODS[method], marker=MARKERS[odd], linestyle=LINES[odd],
                )  # fmt: skip
            for method, style in ((RAW, ":"), (UNTRAINED, "-.")):
                level = 100 * some.loc[some["method"] == method, probe].mean()
                panel.axhline(level, color="#777777", linewidth=1, linestyle=style, label=method)
            panel.set_title(dataset if row == 0 else "")
        label(places[row], "α (of Chuang's estimator: τ⁺)" if row else "", f"{name} accuracy (%)")
    legend(figure, places[0, 0], 2)
    return figure


EXPERIMENT = Experiment(
    name="debiased-contrastive",
    question="Does debiasing p, or Chuang's estimate of the true negatives, help SimCLR and t-SimCLR?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=table,
    figures={"accuracy": accuracy},
)
