"""How the clustering experiments are read: accuracies of variants, in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.clustering.protocol import SEEN
from experiments.plots import COLOURS, MARKERS, dots, legend, line, panel_per, panels
from experiments.statistics import clearly, ordered, percent

PAPER = "paper, ImageNet, DINO ViT-S / B / L: not reproduced"


def groups(frame: DataFrame) -> dict[str, list[str]]:
    """The data sets that were looked at in development, and those that were not; only groups that have some."""
    names = sorted(frame["dataset"].unique())
    seen = [name for name in names if name.startswith(SEEN)]  # subsets too: digits-200
    unseen = [name for name in names if name not in seen]
    found = {"looked at in development": seen, "not looked at in development": unseen}
    return {title: some for title, some in found.items() if some}


def table(frame: DataFrame, variants: Sequence[str], ours: str, paper: Mapping[str, str]) -> DataFrame:
    """A row per variant: accuracy per data set, its means, how often ours is higher, seconds, the paper's numbers."""
    split = groups(frame)
    names = [name for some in split.values() for name in some]
    frame = ordered(frame.sort_values("seed"), dataset=names, variant=variants)
    runs = frame.groupby(["variant", "dataset"], observed=True)
    found = runs["accuracy"].agg(percent).unstack()
    means = runs["accuracy"].mean().unstack()
    for title, some in split.items():
        found[f"mean of {len(some)} {title}"] = (100 * means[some].mean(axis=1)).map("{:.1f}".format)
    higher: Any = means.loc[ours] > means
    counts = [higher[some].sum(axis=1).map(f"{{}} of {len(some)}".format) for some in split.values()]
    found[f"{ours} is higher on"] = [", ".join(texts) for texts in zip(*counts, strict=True)]
    values: Any = runs["accuracy"].agg(list).unstack()
    signs = [[clearly(values.at[ours, name], values.at[variant, name]) for name in names] for variant in values.index]
    found["clearly higher / lower"] = [f"{row.count(1)} / {row.count(-1)}" for row in signs]
    found.loc[ours, [f"{ours} is higher on", "clearly higher / lower"]] = None
    found["CPU seconds"] = runs["seconds"].mean().unstack().mean(axis=1).map("{:.1f}".format)
    found[PAPER] = [paper.get(variant) for variant in found.index]
    return found.rename_axis(index="accuracy (%)", columns=None).reset_index()


def points(frame: DataFrame, variants: Sequence[str]) -> Figure:
    """A panel per data set, a row per variant."""
    names = [name for some in groups(frame).values() for name in some]
    figure, places = panel_per(names, (1.7, 0.3 + 0.22 * len(variants)), left=2.4, sharey=True)
    for dataset, panel in places.items():
        runs = frame[frame["dataset"] == dataset]
        for row, variant in enumerate(variants):
            dots(panel, row, 100 * runs.loc[runs["variant"] == variant, "accuracy"], COLOURS[5])
    places[names[0]].set_yticks(range(len(variants)), variants)
    places[names[0]].invert_yaxis()
    figure.supxlabel("accuracy (%): a dot per seed, a bar at their mean", fontsize=9)
    return figure


def curve(frame: DataFrame, variants: Sequence[str]) -> Figure:
    """A line per data set over the variants in their order."""
    figure, places = panels(1, 1, (6.0, 3.4))
    panel, datasets = places[0, 0], sorted(frame["dataset"].unique())
    for number, (dataset, colour, marker) in enumerate(zip(datasets, COLOURS, MARKERS, strict=False)):
        runs = frame[frame["dataset"] == dataset]
        runs = runs.assign(place=runs["variant"].map(list(variants).index))
        aside = 0.03 * (number - (len(datasets) - 1) / 2)
        line(panel, runs, "place", "accuracy", 100, aside, label=dataset, color=colour, marker=marker)
    panel.set_xticks(np.arange(len(variants)), variants)
    panel.set_ylabel("accuracy (%)")
    legend(figure, panel, 4)
    return figure
