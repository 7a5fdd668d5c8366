"""Clustering methods on the same features, with the same graph, head and budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from experiments.clustering import deep, methods, protocol
from experiments.clustering.deep import deep_restart
from experiments.clustering.protocol import Clusters, best_restart, cluster, measured, starts, union
from experiments.clustering.reading import Reading
from experiments.datasets import DEVELOPMENT, Dataset
from experiments.record import Configuration, Experiment, Measures
from icon.estimators.neighborhood import metric_of

OURS = "debiased InfoNCE clustering (ours)"
RANDOM = "ours, random initialisation"
SELECTED = "ours, walks and α selected without labels"
VIEWS, OUR_VIEWS = "TURTLE, a space for each view", "ours, a space for each view"
UMAP_METRIC = "UMAP + k-means, the metric of our graph"
FROM_START = ", from our start"
#: Methods whose eigenvectors are computed once for all seeds, and their affinities.
SPECTRAL: dict[str, methods.Affinity] = {
    "spectral clustering": union,
    "self-tuning spectral clustering": methods.self_tuned,
}
#: Methods that are the same for all seeds.
FIXED = ("Ward", "HDBSCAN")
#: Methods whose runs take minutes, and of how many seeds they are at most.
SLOW = dict.fromkeys(("TURTLE", VIEWS, "PRCut"), 3)
#: By the experiment `model-selection`.
WITHOUT_LABELS: dict[str, Any] = {"walks": 3, "debias": 0.1}

LOSSES = {"contrastive clustering": "contrastive", "SCAN": "scan", "TEMI": "temi"}
#: What begins with first clusters.
STARTED: dict[str, Callable[..., Clusters]] = {
    "k-means": methods.k_means,
    "Gaussian mixture": methods.gaussian_mixture,
    **{name: partial(deep_restart, loss) for name, loss in LOSSES.items()},
    "TURTLE": deep.turtle,
    "PRCut": partial(deep_restart, "prcut"),
}
METHODS: dict[str, Callable[[Dataset, int, protocol.Settings], Clusters]] = {
    "k-means": methods.k_means,
    **{name: partial(methods.spectral, affinity=affinity) for name, affinity in SPECTRAL.items()},
    "Gaussian mixture": methods.gaussian_mixture,
    "Ward": methods.ward,
    "HDBSCAN": methods.hdbscan,
    "UMAP + k-means": methods.umap_k_means,
    UMAP_METRIC: lambda data, seed, settings: methods.umap_k_means(data, seed, settings, metric=data.metric),
    "UMAP for clustering + k-means": partial(methods.umap_k_means, n_neighbors=30, min_dist=0.0, n_components=10),
    **{name: partial(best_restart, STARTED[name]) for name in LOSSES},
    "TURTLE": deep.turtle,
    VIEWS: partial(deep.turtle, views=True),
    "PRCut": deep.prcut,
    **{f"{name}{FROM_START}": partial(best_restart, method, from_ours=True) for name, method in STARTED.items()},
    "InfoNCE clustering": partial(cluster, debias=0.0),
    RANDOM: lambda data, seed, settings: cluster(data, seed, settings, init="random", max_iter=settings.total_steps),
    OURS: cluster,
    SELECTED: partial(cluster, **WITHOUT_LABELS),
    OUR_VIEWS: partial(cluster, column="knn", **WITHOUT_LABELS),
}
#: ImageNet-1K with DINO ViT-S/14, B/14, L/14 (Alshammari et al. 2025): cited, not reproduced.
PAPER = {
    "k-means": "51.84 / 52.26 / 53.36",
    "contrastive clustering": "47.35 / 55.64 / 59.84",
    "SCAN": "49.20 / 55.60 / 60.15",
    "TEMI": "56.84 / 58.62 / –",
    OURS: "57.80 / 64.75 / 67.52",
}


class Settings(protocol.Settings):
    """With batches as large as those of `icon.Clustering`."""

    batch: int = 512


def configurations(dataset: Dataset) -> list[Configuration]:
    names = [name for name in METHODS if dataset.views or name not in (VIEWS, OUR_VIEWS)]
    same = with_metric(dataset).metric == "sqeuclidean"  # which is UMAP's own
    return [{"variant": name} for name in names if not (same and name == UMAP_METRIC)]


@lru_cache(maxsize=4)
def with_metric(dataset: Dataset) -> Dataset:
    """With the metric that `icon.Clustering` chooses, for the graph of all methods; the same object at every call."""
    metric = metric_of(dataset.x, Settings().neighbors) if dataset.metric == "sqeuclidean" else dataset.metric
    return dataset if metric == dataset.metric else replace(dataset, metric=metric)


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: protocol.Settings) -> Measures:
    """What is found once for several methods or seeds counts for each of them: eigenvectors, starts, fixed methods."""
    name, dataset, before = configuration["variant"], with_metric(dataset), 0.0
    if name in FIXED:
        return dict(_fixed(name, dataset, settings))
    if name in SPECTRAL:
        before = methods.eigenvectors(dataset, settings.neighbors, SPECTRAL[name])[1]
    elif name.endswith(FROM_START):
        before = sum(seconds for _, seconds in starts(dataset, seed, settings))
    return measured(dataset, lambda: METHODS[name](dataset, seed, settings), before)


@lru_cache(maxsize=4)
def _fixed(name: str, dataset: Dataset, settings: protocol.Settings) -> Measures:
    return measured(dataset, lambda: METHODS[name](dataset, 0, settings))


READ = Reading(tuple(METHODS), SELECTED, PAPER, DEVELOPMENT, ("for development", "for validation"))
EXPERIMENT = Experiment(
    name="comparison",
    question="How do clustering methods compare, and how much of it is the initialisation?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=READ.ranks,
    figures={"accuracy": READ.differences},
    tables={name: partial(READ.table, measure=name.lower()) for name in ("Accuracy", "NMI", "ARI")},
    most_seeds=lambda configuration: SLOW.get(configuration["variant"].removesuffix(FROM_START)),
    partly=True,
)
