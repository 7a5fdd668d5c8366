"""Clustering methods on the same features, with the same graph, head and budget."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pandas import DataFrame

from experiments.clustering import baselines, reading
from experiments.clustering.protocol import Clusters, Settings, cluster, configuration, measured, one_per, total_steps
from experiments.clustering.rivals import rival
from experiments.datasets import Dataset
from experiments.record import Configuration, Experiment, Measures

OURS = "debiased InfoNCE clustering (ours)"
RANDOM = "ours, random starts only"
CHOSEN = "ours, walks and α chosen without labels"
#: By the experiment `choice`.
WITHOUT_LABELS = {"walks": 3, "debias": 0.1}
Method = Callable[[Dataset, int, Settings], Clusters]


def _random(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    return cluster(dataset, seed, settings, init="random", max_iter=total_steps(settings))


METHODS: dict[str, Method] = {
    "k-means": baselines.k_means,
    "spectral clustering": baselines.spectral,
    "Gaussian mixture": baselines.gaussian_mixture,
    "contrastive clustering": partial(rival, "contrastive"),
    "SCAN": partial(rival, "scan"),
    "TEMI": partial(rival, "temi"),
    "InfoNCE clustering": partial(cluster, debias=0.0),
    RANDOM: _random,
    OURS: cluster,
    CHOSEN: partial(cluster, **WITHOUT_LABELS),
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
    before = baselines.eigenvectors(dataset, settings.neighbors).seconds if name == "spectral clustering" else 0.0
    measures = measured(dataset, lambda: METHODS[name](dataset, seed, settings))
    return measures | {"seconds": round(measures["seconds"] + before, 2)}


def findings(frame: DataFrame) -> list[str]:
    """Ours against each other method, with and without its starts, what chose them, and the best of each data set."""
    said = [reading.against(frame, CHOSEN, other) for other in METHODS if other != CHOSEN]
    said += [reading.against(frame, RANDOM, other) for other in ("contrastive clustering", "SCAN", "TEMI")]
    said.append(_start_by_loss(frame))
    said += [reading.best(frame, tuple(METHODS), dataset) for dataset in reading.datasets(frame)]
    return said


def _start_by_loss(frame: DataFrame) -> str:
    """What a choice between the starts without labels sees: p, and so the loss, is the same."""
    counts = []
    for title, names in reading.groups(frame).items():
        losses = [[reading.value(frame, name, variant, "loss").mean() for variant in (OURS, RANDOM)] for name in names]
        counts.append(f"{sum(ours < random for ours, random in losses)} of {len(names)} {title}")
    return f"Without labels: over-clustering starts reach a lower mean loss than random ones on {', '.join(counts)}."


def caption(settings: Settings) -> str:
    return (
        f"{configuration(settings)} k-means: 10 starts. Spectral clustering: scikit-learn, the union graph, k-means "
        "labels. Gaussian mixture: full covariances on at most 32 principal directions (diagonal from 20 clusters "
        "on), 3 starts. SCAN, TEMI and contrastive clustering are the losses of their papers with their published "
        "hyper-parameters (SCAN: entropy weight 5, but 10 neighbours for its 20; TEMI: β = 0.6, temperature 1 for its "
        "0.1, and a teacher that moves as fast for these few steps as the paper's for its many; contrastive "
        "clustering: temperatures 0.5 and 1, instances contrasted among 256 pairs), not their backbones, augmentations "
        "or ensembles: the features are fixed, so a positive is a neighbour in the graph. "
        "They start at random, as published, and have as many starts and as many steps as ours, over-clustering "
        "included. A row has ours with random starts only: what the start gives is the difference to it. InfoNCE "
        f"clustering is ours without debiasing. Ours: {settings.walks} walks, α = {settings.debias:g}; chosen without "
        f"labels, by the experiment `choice`: {WITHOUT_LABELS['walks']} walks, α = {WITHOUT_LABELS['debias']:g}. CPU "
        "seconds are per run, on one thread, without the common graph. Paper: ImageNet, DINO ViT-S/B/L, not reproduced."
    )


EXPERIMENT = Experiment(
    name="comparison",
    title="Clustering methods compared",
    question=(
        "On the same features, with the same graph, head, optimiser and budget: how do k-means, spectral clustering, a "
        "Gaussian mixture, contrastive clustering, SCAN, TEMI, InfoNCE clustering and debiased InfoNCE clustering "
        "compare, and how much of it is the start?"
    ),
    settings=Settings,
    configurations=one_per(METHODS),
    run=run,
    table=partial(reading.table, variants=tuple(METHODS), ours=CHOSEN, paper=PAPER),
    findings=findings,
    figures={"accuracy": partial(reading.points, variants=tuple(METHODS))},
    caption=caption,
)
