"""Clustering methods on the same features, with the same graph, head and budget."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from experiments.clustering import baselines, reading
from experiments.clustering.deep_baselines import deep_baseline
from experiments.clustering.protocol import Clusters, Settings, cluster, measured, one_per
from experiments.datasets import Dataset
from experiments.record import Configuration, Experiment, Measures

OURS = "debiased InfoNCE clustering (ours)"
RANDOM = "ours, random initialisation"
SELECTED = "ours, walks and α selected without labels"
#: By the experiment `model-selection`.
WITHOUT_LABELS: dict[str, Any] = {"walks": 3, "debias": 0.1}

METHODS: dict[str, Callable[[Dataset, int, Settings], Clusters]] = {
    "k-means": baselines.k_means,
    "spectral clustering": baselines.spectral,
    "Gaussian mixture": baselines.gaussian_mixture,
    "contrastive clustering": partial(deep_baseline, "contrastive"),
    "SCAN": partial(deep_baseline, "scan"),
    "TEMI": partial(deep_baseline, "temi"),
    "InfoNCE clustering": partial(cluster, debias=0.0),
    RANDOM: lambda data, seed, settings: cluster(data, seed, settings, init="random", max_iter=settings.total_steps),
    OURS: cluster,
    SELECTED: partial(cluster, **WITHOUT_LABELS),
}
#: ImageNet-1K with DINO ViT-S/14, B/14, L/14 (Alshammari et al. 2025): cited, not reproduced.
PAPER = {
    "k-means": "51.84 / 52.26 / 53.36",
    "contrastive clustering": "47.35 / 55.64 / 59.84",
    "SCAN": "49.20 / 55.60 / 60.15",
    "TEMI": "56.84 / 58.62 / –",
    OURS: "57.80 / 64.75 / 67.52",
}


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    name = configuration["variant"]
    before = baselines.eigenvectors(dataset, settings.neighbors)[1] if name == "spectral clustering" else 0.0
    measures = measured(dataset, lambda: METHODS[name](dataset, seed, settings))
    return measures | {"seconds": round(float(measures["seconds"]) + before, 2)}


EXPERIMENT = Experiment(
    name="comparison",
    question="How do clustering methods compare, and how much of it is the initialisation?",
    settings=Settings,
    configurations=one_per(METHODS),
    run=run,
    table=partial(reading.table, variants=tuple(METHODS), ours=SELECTED, paper=PAPER),
    figures={"accuracy": partial(reading.points, variants=tuple(METHODS))},
    partly=True,
)
