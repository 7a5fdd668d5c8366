"""One run: train an encoder on two views of each point of one half, and classify the other half."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import icon
from experiments import record
from experiments.datasets import Array, Dataset
from experiments.encoders import TwoViews, embedded, trained
from experiments.held_out import Halves, halves, knn_accuracy, standardised
from experiments.record import Configuration, Measures, labels_of
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


def configurations(dataset: Dataset, settings: Settings) -> list[Configuration]:
    """The raw features, the untrained encoder, and each method with each α and batch size.

    At α = 0 Chuang's estimator is SimCLR itself, and is not run.

    Raises:
        ValueError: a data set without a label for each point to score with.
    """
    labels_of(dataset)
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
    dataset = dataset if dataset.n <= settings.points else dataset.subset(settings.points)
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
    alpha = configuration["alpha"]
    if configuration["method"] == CHUANG:
        return icon.method("debiased-contrastive", temperature=settings.temperature, tau_plus=alpha)
    if configuration["method"] == T_SIMCLR:
        return icon.method("t-simclr", debias=alpha)
    return icon.method("simclr", temperature=settings.temperature, debias=alpha)


def linear_accuracy(z: Array, y: Array, split: Halves) -> float:
    """Accuracy on the held-out half of logistic regression on the training half's standardised embedding."""
    from sklearn.linear_model import LogisticRegression

    features = standardised(z, split.train)
    model = LogisticRegression(max_iter=1000).fit(features[split.train], y[split.train])
    return float(model.score(features[split.held], y[split.held]))


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
