"""How wide the neighbourhood is: a point's nearest neighbour, its k nearest, walks on the graph."""

from __future__ import annotations

from functools import partial

import scipy.sparse as sp
from pandas import DataFrame

from experiments.clustering import reading
from experiments.clustering.protocol import (
    OneStart,
    Settings,
    cluster,
    configuration,
    measured,
    nearest,
    one_per,
    ones,
    union,
)
from experiments.datasets import Dataset
from experiments.record import Configuration, Experiment, Measures

BASELINE, KNN = "baseline", "+ k-NN"
WALKS = {"+ 1-walks": 1, "+ 2-walks": 2, "+ 3-walks": 3}
VARIANTS = (BASELINE, KNN, *WALKS)
#: ImageNet-1K with DINO ViT-S/14, B/14, L/14 (Alshammari et al. 2025): cited, not reproduced.
PAPER = {
    BASELINE: "55.51 / 63.03 / 65.72",
    KNN: "56.43 / 64.26 / 65.70",
    "+ 1-walks": "58.09 / 64.29 / 65.97",
    "+ 2-walks": "57.84 / 64.27 / 67.26",
    "+ 3-walks": "57.82 / 64.15 / 67.02",
}


def itself_and_nearest(dataset: Dataset) -> sp.csr_array:
    """The narrowest neighbourhood: 1 on the point itself and on its nearest neighbour."""
    return ones(nearest(dataset, 1) + sp.eye_array(dataset.n))


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    name = configuration["variant"]
    graph = union(dataset, settings.neighbors)
    if name == BASELINE:
        graph = itself_and_nearest(dataset)
    elif name == KNN:
        graph = nearest(dataset, settings.neighbors)
    walks = WALKS.get(name, 1)
    return measured(dataset, lambda: cluster(dataset, seed, settings, graph, debias=0.0, walks=walks))


def findings(frame: DataFrame) -> list[str]:
    said = [reading.against(frame, name, BASELINE) for name in VARIANTS[1:]]
    said += [reading.against(frame, "+ 1-walks", KNN), reading.against(frame, "+ 3-walks", "+ 1-walks")]
    return said + [reading.best(frame, VARIANTS, dataset) for dataset in reading.datasets(frame)]


def caption(settings: Settings) -> str:
    return (
        f"{configuration(settings)} Here without debiasing. Baseline: p is uniform over the point itself and its "
        f"nearest neighbour; + k-NN: over its {settings.neighbors} nearest (directed); + K-walks: the average of the "
        "walks of 1 to K steps on the union graph. Every variant starts by over-clustering under its own p. Paper: "
        "ImageNet, DINO ViT-S/B/L, not reproduced."
    )


EXPERIMENT = Experiment(
    name="neighbourhood-width",
    title="Width of the neighbourhood",
    question="Does clustering gain when p reaches further: the nearest neighbour, the k nearest, walks on the graph?",
    settings=OneStart,
    configurations=one_per(VARIANTS),
    run=run,
    table=partial(reading.table, variants=VARIANTS, ours="+ 3-walks", paper=PAPER),
    findings=findings,
    figures={"accuracy": partial(reading.curve, variants=VARIANTS)},
    caption=caption,
)
