"""Contrastive multiview coding with two, three, ... views: does the first view's embedding gain from the others?"""

from __future__ import annotations

from functools import partial
from itertools import combinations, product

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from torch import Tensor, nn

import icon
from experiments.datasets import Array, Dataset
from experiments.held_out import Epochs, Halves, halves, knn_accuracy, standardised, trained
from experiments.plots import label, lines, panel_per
from experiments.record import Configuration, Experiment, Fixed, Measures, labels_of
from experiments.statistics import long, mean_std
from icon.metrics import infonce_bound
from icon.nn.mappers import MLP

BANDS = 3  # horizontal bands of an image that serve as its views


class Settings(Fixed):
    """``epochs`` was chosen once, without labels: near the largest held-out InfoNCE bound of mfeat with six views."""

    epochs: int = 50
    batch: int = 512
    learning_rate: float = 1e-3
    temperature: float = 0.1
    hidden: int = 256
    dimensions: int = 32
    neighbors: int = 10
    bound_points: int = 500


def configurations(dataset: Dataset) -> list[Configuration]:
    """The first 2, 3, ... views with each graph; of two views there is one pair, and the graphs are the same."""
    cells = product(range(2, len(views_of(dataset)) + 1), ("core", "full"))
    return [{"graph": graph, "views": views} for views, graph in cells if views > 2 or graph == "core"]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """On the held-out half: k-NN accuracies of embeddings, of unit length as the loss sees them, and of features, for
    the first view and all, and the InfoNCE bound of each pair of views, in nats, the mean of both directions."""
    y = labels_of(dataset)
    split = halves(y, seed)
    views = [standardised(view, split.train) for view in views_of(dataset)[: configuration["views"]]]
    embeddings = embed(views, split, seed, configuration["graph"], settings)
    features = {"embedding 1": embeddings[0], "embedding all": np.hstack(embeddings)}
    features |= {"raw 1": views[0], "raw all": np.hstack(views)}
    measures: Measures = {name: knn_accuracy(z, y, split, settings.neighbors) for name, z in features.items()}
    sample = np.random.default_rng(seed).permutation(split.held)[: settings.bound_points]
    for a, b in combinations(range(len(views)), 2):
        za, zb = embeddings[a][sample], embeddings[b][sample]
        both = [infonce_bound(*pair, temperature=settings.temperature) for pair in ((za, zb), (zb, za))]
        measures[f"bound {a + 1}-{b + 1}"] = sum(both) / 2
    return measures


def views_of(dataset: Dataset) -> list[Array]:
    """The data set's own views, or the horizontal bands of its images (top, middle, bottom)."""
    if dataset.views:
        return list(dataset.views)
    if dataset.shape is None:
        raise ValueError(f"dataset: got {dataset.name}, expected several views (digits, mfeat, scene15) or images")
    images = dataset.x.reshape(dataset.n, -1, *dataset.shape)
    return [band.reshape(dataset.n, -1) for band in np.array_split(images, BANDS, axis=2)]


class Encoders(nn.Module):
    """An encoder per view: from the views side by side ``[b, sum of d_v]`` to a list of embeddings."""

    def __init__(self, widths: list[int], settings: Settings) -> None:
        super().__init__()
        self.widths = widths
        self.encoders = nn.ModuleList(MLP(width, settings.dimensions, settings.hidden) for width in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        views = torch.split(x, self.widths, dim=1)
        return [encoder(view.contiguous()) for encoder, view in zip(self.encoders, views, strict=True)]


def embed(views: list[Array], split: Halves, seed: int, graph: str, settings: Settings) -> list[Array]:
    """Embeddings ``[n, dimensions]`` of each view, of unit length, by encoders that saw the training half alone; the
    first of them starts the same and sees the same minibatches, however many views there are, for the same seed."""
    x, make = np.hstack(views), partial(Encoders, [view.shape[1] for view in views], settings)
    loss, points = icon.method("cmc", temperature=settings.temperature, graph=graph), Epochs(split.train)
    encoders = trained(make, loss, x, points, settings.epochs, settings.batch, settings.learning_rate, seed)
    with torch.no_grad():
        return [nn.functional.normalize(z, dim=1).numpy() for z in encoders(torch.from_numpy(x))]


ACCURACIES = {"embedding 1": "view 1", "embedding all": "all views", "raw 1": "raw view 1", "raw all": "raw all views"}


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, number of views and graph."""
    pairs, first = frame.filter(like="bound "), frame.filter(like="bound 1-")
    bounds = {"bound, pairs with view 1": first, "bound, other pairs": pairs.drop(columns=first.columns)}
    runs = frame.assign(**{name: some.mean(axis=1) for name, some in bounds.items()})
    runs.loc[runs["views"] == 2, "graph"] = "core = full"
    found = runs.groupby(["dataset", "views", "graph"])
    texts = found[list(ACCURACIES)].agg(mean_std).rename(columns=ACCURACIES)
    for name in bounds:
        texts[name] = found[name].agg(lambda bound: "–" if bound.isna().all() else mean_std(bound, 2))
    return texts.reset_index()


def accuracy(frame: DataFrame) -> Figure:
    """A panel per data set; with two views there is one pair, and the graphs are the same."""
    twice = pd.concat([frame, frame[frame["views"] == 2].assign(graph="full")])
    runs = long(twice, ACCURACIES, "line")
    raw, graph = runs["line"].str.startswith("raw"), ", " + runs["graph"] + " graph"
    runs = runs.assign(line=runs["line"] + graph.mask(raw, ""))[~raw | (runs["graph"] == "core")]
    figure, places = panel_per(sorted(frame["dataset"].unique()), (3.2, 3.2))
    for dataset, panel in places.items():
        some = runs[runs["dataset"] == dataset]
        apart = 0.012 * max(1, some["views"].max() - 2)
        lines(panel, some, "line", "views", "value", scale=1, apart=apart, styles="- --")
        panel.set_xticks(sorted(some["views"].unique()))
    return label(figure, places.values(), "views learned together", "held-out k-NN accuracy", min(3, len(places) + 1))


EXPERIMENT = Experiment(
    name="multi-view",
    question="Does an embedding gain from more views learned together, and from pairing all of them with all?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=table,
    figures={"accuracy": accuracy},
)
