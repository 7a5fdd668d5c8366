"""KL against other divergences in three cells of the table: clusters, classes, and maps."""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import product

import numpy as np
import scipy.sparse as sp
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import nn

import icon
from experiments.datasets import Dataset, at_most, scaled
from experiments.held_out import Epochs, embedded, halves, knn_accuracy, standardised, trained
from experiments.plots import panels, scatter
from experiments.record import Configuration, Experiment, Fixed, Measures, grid, labels_of
from experiments.statistics import long, ordered, percent
from icon.estimators.initialization import imitate
from icon.metrics import clustering_accuracy, knn_probe, nmi, trustworthiness
from icon.nn.mappers import MAX_FEATURES, MLP, Lookup
from icon.training.fit import fit

DIVERGENCES = {
    "kl": "KL", "reverse-kl": "reverse KL", "js": "Jensen–Shannon", "tv": "total variation", "hellinger": "Hellinger"
}  # fmt: skip
CELLS = RANDOM, K_MEANS, COSINE, EUCLIDEAN, SNE = (
    "clusters, random initialisation",
    "clusters, k-means initialisation",
    "classes, cosine",
    "classes, Euclidean",
    "SNE map",
)


class Settings(Fixed):  # chosen beforehand and not tuned for any
    points: int = 2000
    neighbors: int = 10
    walks: int = 3
    debias: float = 0.1
    cluster_batch: int = 300
    cluster_epochs: int = 20
    class_batch: int = 256
    class_epochs: int = 20
    learning_rate: float = 1e-3
    cluster_learning_rate: float = 5e-3
    hidden: int = 128
    dimensions: int = 32
    temperature: float = 0.1
    map_points: int = 500
    map_steps: int = 200
    map_learning_rate: float = 0.1
    perplexity: float = 30.0
    drawn: int = 300


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    dataset = at_most(dataset, settings.points)
    cell, divergence = configuration["cell"], configuration["divergence"]
    if cell in (RANDOM, K_MEANS):
        return clusters(dataset, seed, divergence, settings, k_means=cell == K_MEANS)
    if cell == SNE:
        return sne(dataset, seed, divergence, settings)
    return classes(dataset, seed, divergence, settings, cosine=cell == COSINE)


def clusters(dataset: Dataset, seed: int, divergence: str, settings: Settings, k_means: bool) -> Measures:
    """Scores of the clusters of a head. A step sees p of its points, as of drawn pairs only KL is right on average."""
    x, y = scaled(dataset, MAX_FEATURES), labels_of(dataset)
    graph = walked(dataset, settings.neighbors, settings.walks)
    loss = icon.Loss(icon.p.Graph(exclude_self=False).debias(settings.debias), icon.q.Clusters(), divergence=divergence)

    def make() -> nn.Module:
        head = MLP(x.shape[1], dataset.classes, settings.hidden)
        if k_means:
            first = KMeans(dataset.classes, n_init=3, random_state=seed).fit(x).labels_.astype(np.int64)
            imitate(head, torch.from_numpy(x), first, dataset.classes)
        return head

    points = Epochs(np.arange(dataset.n), lambda index: graph[index.numpy()][:, index.numpy()])
    batch, rate = settings.cluster_batch, settings.cluster_learning_rate
    head = trained(make, loss, x, points, settings.cluster_epochs, batch, rate, seed)
    found = embedded(head, x, unit=False).argmax(axis=1)
    return {"accuracy": clustering_accuracy(y, found), "nmi": nmi(y, found), "clusters": float(len(np.unique(found)))}


@lru_cache(maxsize=2)
def walked(dataset: Dataset, neighbors: int, walks: int) -> sp.csr_array:
    """``[n, n]`` where walks over the k-NN graph end."""
    x = torch.from_numpy(scaled(dataset, MAX_FEATURES))
    return icon.p.KNN(neighbors).symmetrize("union").walks(walks)(x).to_scipy()


def classes(dataset: Dataset, seed: int, divergence: str, settings: Settings, cosine: bool) -> Measures:
    """k-NN accuracy on the half of the points that did not train."""
    x, y = dataset.x, labels_of(dataset)
    split = halves(y, seed)
    x = standardised(x, split.train) if dataset.shape is None else x
    q = icon.q.Gaussian(temperature=settings.temperature) if cosine else icon.q.Gaussian(sigma=0.5**0.5)
    loss = icon.Loss(icon.p.Classes().debias(settings.debias), q, divergence=divergence, on_no_positive="zero")
    make = partial(MLP, x.shape[1], settings.dimensions, settings.hidden)
    points, rate = Epochs(split.train, torch.from_numpy(y).__getitem__), settings.learning_rate
    encoder = trained(make, loss, x, points, settings.class_epochs, settings.class_batch, rate, seed)
    return {"knn": knn_accuracy(embedded(encoder, x, unit=cosine), y, split, settings.neighbors)}


def sne(dataset: Dataset, seed: int, divergence: str, settings: Settings) -> Measures:
    """Scores of a map that begins as two principal scores; of the first seed also ``map``, as ``x,y,label ...``."""
    some = at_most(dataset, settings.map_points, seed)
    x, y = torch.from_numpy(scaled(some, MAX_FEATURES)), np.asarray(some.y)
    perplexity = min(settings.perplexity, (some.n - 1) / 3)
    loss = icon.Loss(icon.p.Gaussian(perplexity=perplexity), icon.q.Gaussian(sigma=0.5**0.5), divergence=divergence)
    start = PCA(2, random_state=0).fit_transform(x.numpy())
    start = np.asarray(start / start[:, 0].std(), dtype=np.float32)
    mapper, rate = Lookup(some.n, 2, start=torch.from_numpy(start)), settings.map_learning_rate
    fit(loss, mapper, torch.arange(some.n), x, steps=settings.map_steps, learning_rate=rate, seed=seed)
    z = mapper.weight.detach().numpy()
    smallest = int(np.unique(y, return_counts=True)[1].min())
    measures: Measures = {
        "knn": knn_probe(z, y, k=settings.neighbors, folds=max(2, min(5, smallest)), seed=seed).score,
        "trustworthiness": trustworthiness(x.numpy(), z, k=settings.neighbors),
    }
    points = zip(z[: settings.drawn], y, strict=False)
    return measures | ({} if seed else {"map": " ".join(f"{a:.2f},{b:.2f},{label}" for (a, b), label in points)})


MEASURES = {"accuracy": "accuracy", "nmi": "NMI", "knn": "k-NN accuracy", "trustworthiness": "trustworthiness"}


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, cell and score, a column per divergence."""
    runs, score = long(frame, MEASURES, "score (%)"), {"score (%)": list(MEASURES.values())}
    runs = ordered(runs, cell=CELLS, divergence=list(DIVERGENCES), **score)
    found = runs.pivot_table("value", ["dataset", "cell", *score], "divergence", percent, observed=True)
    return found.rename(columns=DIVERGENCES).rename_axis(columns=None).reset_index()


def maps(frame: DataFrame) -> Figure:
    """A row per data set and a panel per divergence; the colours are the classes."""
    names = sorted(frame["dataset"].unique())
    figure, places = panels(len(names), len(DIVERGENCES), (2.0, 2.0))
    drawn = frame[(frame["cell"] == SNE) & (frame["seed"] == 0)].set_index(["dataset", "divergence"])["map"]
    for panel, (dataset, divergence) in zip(places.flat, product(names, DIVERGENCES), strict=True):
        scatter(panel, drawn[dataset, divergence], s=4)
        panel.set_title(DIVERGENCES[divergence] if dataset == names[0] else "")
        panel.set_ylabel(dataset if divergence == "kl" else "")
    return figure


EXPERIMENT = Experiment(
    name="divergences",
    question="Is KL the right divergence between p and q, in clustering, supervised contrastive learning and SNE?",
    settings=Settings,
    configurations=grid(cell=CELLS, divergence=tuple(DIVERGENCES)),
    run=run,
    table=table,
    figures={"maps": maps},
)
