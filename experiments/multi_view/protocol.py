"""One run: train an encoder per view with CMC on one half of the points, and measure on the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

import icon
from experiments import record
from experiments.datasets import Array, Dataset
from experiments.encoders import Epochs, trained
from experiments.held_out import Halves, halves, knn_accuracy, standardised
from experiments.record import Configuration, Measures, labels_of
from icon.metrics import infonce_bound
from icon.nn.mappers import MLP

BANDS = 3  # horizontal bands of an image that serve as its views


@dataclass(frozen=True)
class Settings(record.Settings):
    """The same for every data set.

    ``epochs`` was chosen once and without labels: near the largest held-out InfoNCE bound of mfeat with six views.
    """

    epochs: int = 50
    batch: int = 512
    learning_rate: float = 1e-3
    temperature: float = 0.1
    hidden: int = 256
    dimensions: int = 32
    neighbors: int = 10
    bound_points: int = 500


def configurations(dataset: Dataset, settings: Settings) -> list[Configuration]:
    """The first 2, 3, ... views with each graph; of two views there is one pair, and the graphs are the same.

    Raises:
        ValueError: a data set without several views, or without labels to score with.
    """
    most = len(views_of(dataset))
    labels_of(dataset)
    return [
        {"graph": graph, "views": views}
        for views in range(2, most + 1)
        for graph in (("core",) if views == 2 else ("core", "full"))
    ]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The measures of one run, all on the held-out half.

    * ``embedding 1``, ``embedding all``: k-NN accuracy of the first view's embedding and of all of them side by side,
      each normalised to unit length as the loss sees it;
    * ``raw 1``, ``raw all``: the same of the standardised features;
    * ``bound a-b``: the InfoNCE bound of each pair of views, in nats, the mean of both directions.
    """
    y = labels_of(dataset)
    split = halves(y, seed)
    views = [standardised(view, split.train) for view in views_of(dataset)[: configuration["views"]]]
    embeddings = embed(views, split, seed, configuration["graph"], settings)
    features = {
        "embedding 1": embeddings[0],
        "embedding all": np.hstack(embeddings),
        "raw 1": views[0],
        "raw all": np.hstack(views),
    }
    measures: Measures = {name: knn_accuracy(z, y, split, settings.neighbors) for name, z in features.items()}
    sample = np.random.default_rng(seed).permutation(split.held)[: settings.bound_points]
    for a, b in combinations(range(len(views)), 2):
        za, zb = embeddings[a][sample], embeddings[b][sample]
        both = [infonce_bound(*pair, temperature=settings.temperature) for pair in ((za, zb), (zb, za))]
        measures[f"bound {a + 1}-{b + 1}"] = sum(both) / 2
    return measures


def views_of(dataset: Dataset) -> list[Array]:
    """The data set's own views, or the horizontal bands of its images (top, middle, bottom).

    Raises:
        ValueError: it has neither.
    """
    if dataset.views:
        return list(dataset.views)
    if dataset.shape is None:
        raise ValueError(f"dataset: got {dataset.name}, expected several views (digits, mfeat, scene15) or images")
    height, width = dataset.shape
    images = dataset.x.reshape(-1, height, width)
    return [band.reshape(len(images), -1) for band in np.array_split(images, BANDS, axis=1)]


class Encoders(nn.Module):
    """An encoder per view: from the views side by side ``[b, sum of d_v]`` to a list of embeddings.

    Args:
        widths: features of each view.
        settings: the shape of the encoders.
    """

    def __init__(self, widths: Sequence[int], settings: Settings) -> None:
        super().__init__()
        self.widths = list(widths)
        self.encoders = nn.ModuleList(MLP(width, settings.dimensions, settings.hidden) for width in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        views = x.split(self.widths, dim=1)
        return [encoder(view.contiguous()) for encoder, view in zip(self.encoders, views, strict=True)]


def embed(views: list[Array], split: Halves, seed: int, graph: str, settings: Settings) -> list[Array]:
    """Embeddings ``[n, dimensions]`` of each view, of unit length, by encoders that saw the training half alone.

    With the same seed, the first view's encoder starts the same and sees the same minibatches, however many views and
    whichever graph: differences are paired.
    """
    x = np.hstack(views)
    encoders = trained(
        lambda: Encoders([view.shape[1] for view in views], settings),
        icon.method("cmc", temperature=settings.temperature, graph=graph), x, Epochs(split.train),
        epochs=settings.epochs, batch=settings.batch, learning_rate=settings.learning_rate, seed=seed,
    )  # fmt: skip
    with torch.no_grad():
        return [nn.functional.normalize(z, dim=1).numpy() for z in encoders(torch.from_numpy(x))]
