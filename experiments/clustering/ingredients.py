"""Two experiments on the parts of debiased clustering: how wide its neighbourhood is, and one part after another."""

from __future__ import annotations

from functools import partial
from typing import Any

import scipy.sparse as sp

from experiments.clustering import reading
from experiments.clustering.protocol import OneRestart, Settings, cluster, measured, nearest, ones
from experiments.datasets import Dataset
from experiments.record import Configuration, Experiment, Measures, grid

BASELINE = "baseline"
#: ImageNet-1K with DINO ViT-S/14, B/14, L/14 (Alshammari et al. 2025): cited, not reproduced.
WIDTHS = {
    BASELINE: "55.51 / 63.03 / 65.72",
    "+ k-NN": "56.43 / 64.26 / 65.70",
    "+ 1-walks": "58.09 / 64.29 / 65.97",
    "+ 2-walks": "57.84 / 64.27 / 67.26",
    "+ 3-walks": "57.82 / 64.15 / 67.02",
}
PARTS = {
    BASELINE: "55.51 / 63.03 / 65.70",
    "+ debiasing": "57.27±0.07 / 63.72±0.09 / 66.87±0.07",
    "+ k-NN propagation": "58.45±0.23 / 64.87±0.19 / 67.25±0.21",
    "+ EMA": "57.8±0.26 / 64.75±0.18 / 67.52±0.28",
}


def itself_and_nearest(dataset: Dataset) -> sp.csr_array:
    """The narrowest neighbourhood: 1 on the point itself and on its nearest neighbour."""
    return ones(nearest(dataset, 1) + sp.eye_array(dataset.n))


def width(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Without debiasing; K-walks are the average of the walks of 1 to K steps on the union graph."""
    name, graph, walks = configuration["variant"], None, 1
    if name == BASELINE:
        graph = itself_and_nearest(dataset)
    elif name == "+ k-NN":
        graph = nearest(dataset, settings.neighbors)
    else:
        walks = int(name.removeprefix("+ ").removesuffix("-walks"))
    return measured(dataset, lambda: cluster(dataset, seed, settings, graph, debias=0.0, walks=walks))


def ablation(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Each variant has what the ones before it have."""
    place = list(PARTS).index(configuration["variant"])
    graph, changes = None, {"debias": settings.debias if place >= 1 else 0.0}
    if place < 2:
        graph, changes["walks"] = itself_and_nearest(dataset), 1
    if place == 3:
        changes["ema"] = settings.ema
    return measured(dataset, lambda: cluster(dataset, seed, settings, graph, **changes))


def _experiment(name: str, question: str, run: Any, variants: dict[str, str], ours: str) -> Experiment:
    return Experiment(
        name=name,
        question=question,
        settings=OneRestart,
        configurations=grid(variant=tuple(variants)),
        run=run,
        table=partial(reading.table, variants=tuple(variants), ours=ours, paper=variants),
        figures={"accuracy": partial(reading.curve, variants=tuple(variants))},
        partly=True,
    )


REACH = "Does clustering gain when p reaches further: the nearest neighbour, the k nearest, walks on the graph?"
ADDS = "What does each ingredient add: debiasing, propagation over the k-NN graph, a moving average of the head?"
EXPERIMENTS = (
    _experiment("neighbourhood-width", REACH, width, WIDTHS, "+ 3-walks"),
    _experiment("ablation", ADDS, ablation, PARTS, "+ EMA"),
)
