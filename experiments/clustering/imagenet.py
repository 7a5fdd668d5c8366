"""The paper's three tables for features of ImageNet, or of other images: trained on one file, scored on another.

Source: Alshammari, Hershey, Feldmann, Freeman, Hamilton 2025, I-Con, ICLR (arXiv 2504.16929), section 4; the scores are
those of Adaloglou et al. 2023 (TEMI, arXiv 2303.17896), whose protocol it follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from torch import Tensor, nn

from experiments.clustering import comparison, ingredients, protocol, reading
from experiments.datasets import Dataset
from experiments.plots import panels
from experiments.record import Configuration, Experiment, Measures, grid
from experiments.statistics import ordered, percent
from icon.training.state import seeded

BACKBONES = ("ViT-S/14", "ViT-B/14", "ViT-L/14")
WHOLE = "+ EMA"  # all ingredients: what the paper compares with other methods
NAME = "debiased InfoNCE clustering (+ EMA)"  # of that row there
MERGED = "all ingredients, from merged k-means (ours)"
RIVALS = ("k-means", "contrastive clustering", "SCAN", "TEMI")
#: A table's rows and the paper's numbers for them.
COMPARISON = {
    **{name: comparison.PAPER[name] for name in RIVALS},
    WHOLE: ingredients.PARTS[WHOLE],
    MERGED: "– / – / –",
}
VARIANTS = tuple(dict.fromkeys((*ingredients.WIDTHS, *ingredients.PARTS, *COMPARISON)))


@dataclass(frozen=True)
class Settings(protocol.Settings):
    """Those that the paper gives, of α the least that it recommends, and a decay of ours; 9,390 steps are 30 epochs."""

    neighbors: int = 3
    walks: int = 1
    debias: float = 0.6
    ema: float = 0.999
    directions: int = 2**16  # all features
    steps: int = 9390
    restarts: int = 1
    batch: int = 4096
    learning_rate: float = 1e-3

    @property
    def total_steps(self) -> int:
        return self.steps

    def head(self, x: Tensor, clusters: int) -> nn.Module:
        """A linear layer, which sees the features as they are."""
        return nn.Sequential(nn.Identity(), nn.Sequential(nn.Linear(x.shape[1], clusters)))

    def options(self, dataset: Dataset, seed: int) -> dict[str, Any]:
        with seeded(seed, torch.device("cpu")):
            return {"mapper": self.head(torch.empty(0, dataset.x.shape[1]), dataset.classes), "init": "random"}


@lru_cache(maxsize=2)
def by_cosine(dataset: Dataset) -> Dataset:
    """With neighbours by cosine similarity; the same object at every call."""
    return replace(dataset, metric="cosine")


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Of the experiments `neighbourhood-width`, `ablation` and `comparison`, with the settings of the paper."""
    dataset, name = by_cosine(dataset), configuration["variant"]
    if name == MERGED:
        ours = partial(protocol.cluster, dataset, seed, settings, ema=settings.ema, init="merged-k-means")
        return protocol.measured(dataset, ours)
    if name in ingredients.WIDTHS:
        return ingredients.width(dataset, seed, configuration, settings)
    if name in ingredients.PARTS:
        return ingredients.ablation(dataset, seed, configuration, settings)
    return comparison.run(dataset, seed, configuration, settings)


def table(frame: DataFrame, title: str, paper: Mapping[str, str]) -> DataFrame:
    """A row per variant: accuracy, NMI and ARI of each data set, and beside them the paper's accuracies."""
    frame = ordered(frame.sort_values("seed"), variant=tuple(paper))
    runs = frame.groupby(["variant", "dataset"], observed=True)
    parts = {name: runs[measure].agg(percent).unstack() for measure, name in reading.MEASURES.items()}
    found = DataFrame(index=list(paper))
    for dataset in sorted(frame["dataset"].unique()):
        for name, part in parts.items():
            found[f"{dataset}, {name}"] = part[dataset]
    for place, backbone in enumerate(BACKBONES):
        found[f"paper, {backbone}"] = [numbers.split(" / ")[place] for numbers in paper.values()]
    found = found.rename(index={WHOLE: NAME} if title == "comparison" else {})
    return found.rename_axis(index=f"{title} (%)").reset_index()


def bars(frame: DataFrame) -> Figure:
    """A row per variant, and in it a bar per data set: the mean accuracy over seeds."""
    means = 100 * frame.pivot_table("accuracy", "variant", "dataset").reindex(list(VARIANTS)).dropna(how="all")
    figure, places = panels(1, 1, (4.0, 0.3 * len(means)), left=2.6)
    means.plot.barh(ax=places[0, 0], xlabel="accuracy (%)", ylabel="").invert_yaxis()
    return figure


EXPERIMENT = Experiment(
    name="imagenet",
    question="Do features of ImageNet give the paper's three tables: neighbourhood, ingredients, other methods?",
    settings=Settings,
    configurations=grid(variant=VARIANTS),
    run=run,
    table=partial(table, title="neighbourhood width", paper=ingredients.WIDTHS),
    tables={
        "Ingredients": partial(table, title="ingredients", paper=ingredients.PARTS),
        "Comparison": partial(table, title="comparison", paper=COMPARISON),
    },
    figures={"accuracy": bars},
    partly=True,
    tests=True,
)
