"""The ingredients one after the other: debiasing, propagation over the graph, a moving average of the head."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from pandas import DataFrame

from experiments.clustering import reading
from experiments.clustering.protocol import OneStart, Settings, cluster, configuration, measured, one_per
from experiments.clustering.width import itself_and_nearest
from experiments.datasets import Dataset
from experiments.record import Configuration, Experiment, Measures

BASELINE, DEBIASED, WALKED, AVERAGED = VARIANTS = ("baseline", "+ debiasing", "+ k-NN propagation", "+ EMA")
#: ImageNet-1K with DINO ViT-S/14, B/14, L/14 (Alshammari et al. 2025): cited, not reproduced.
PAPER = {
    BASELINE: "55.51 / 63.03 / 65.70",
    DEBIASED: "57.27±0.07 / 63.72±0.09 / 66.87±0.07",
    WALKED: "58.45±0.23 / 64.87±0.19 / 67.25±0.21",
    AVERAGED: "57.8±0.26 / 64.75±0.18 / 67.52±0.28",
}


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    name = configuration["variant"]
    changes: dict[str, float] = {"debias": 0.0 if name == BASELINE else settings.debias}
    graph = None
    if name in (BASELINE, DEBIASED):
        graph, changes["walks"] = itself_and_nearest(dataset), 1
    if name == AVERAGED:
        changes["ema"] = settings.ema
    return measured(dataset, lambda: cluster(dataset, seed, settings, graph, **changes))


def findings(frame: DataFrame) -> list[str]:
    """Each step against the one before it, and the whole against the baseline."""
    said = [reading.against(frame, later, earlier) for earlier, later in pairwise(VARIANTS)]
    said.append(reading.against(frame, AVERAGED, BASELINE))
    return said + [reading.best(frame, VARIANTS, dataset) for dataset in reading.datasets(frame)]


def caption(settings: Settings) -> str:
    return (
        f"{configuration(settings)} Cumulative. Baseline: p is uniform over the point itself and its nearest "
        f"neighbour; + debiasing: α = {settings.debias:g}; + k-NN propagation: the average of the walks of 1 to "
        f"{settings.walks} steps on the union graph instead; + EMA: the moving average of the head (decay "
        f"{settings.ema:g}) is kept instead of the head. Paper: ImageNet, DINO ViT-S/B/L, not reproduced."
    )


EXPERIMENT = Experiment(
    name="ablation",
    title="The ingredients of debiased clustering",
    question="What does each ingredient add: debiasing, propagation over the k-NN graph, a moving average of the head?",
    settings=OneStart,
    configurations=one_per(VARIANTS),
    run=run,
    table=partial(reading.table, variants=VARIANTS, ours=AVERAGED, paper=PAPER),
    findings=findings,
    figures={"accuracy": partial(reading.curve, variants=VARIANTS)},
    caption=caption,
)
