"""How the clustering experiments are read: one accuracy per data set, seed and variant, in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from experiments.clustering.protocol import SEEN
from experiments.plots import COLOURS, MARKERS, dots, legend, line, panel_per, panels
from experiments.statistics import by_seed, clearly, mean_std

PAPER = "paper, ImageNet, DINO ViT-S / B / L: not reproduced"


def groups(frame: DataFrame) -> dict[str, list[str]]:
    """The data sets that were looked at in development, and those that were not; only groups that have some."""
    names = sorted(frame["dataset"].unique())
    seen = [name for name in names if name.startswith(SEEN)]  # subsets too: digits-200
    found = {
        "looked at in development": seen,
        "not looked at in development": [name for name in names if name not in seen],
    }
    return {title: some for title, some in found.items() if some}


def datasets(frame: DataFrame) -> list[str]:
    """All, group by group."""
    return [name for some in groups(frame).values() for name in some]


def percent(frame: DataFrame, dataset: str, variant: str) -> Series:
    """Accuracies in percent, by seed."""
    return 100 * by_seed(frame, "accuracy", dataset=dataset, variant=variant)


def table(frame: DataFrame, variants: Sequence[str], ours: str, paper: Mapping[str, str]) -> DataFrame:
    """A row per variant: accuracy per data set, its means, how often ours is higher, seconds, the paper's numbers."""
    body = []
    best = {dataset: percent(frame, dataset, ours) for dataset in datasets(frame)}
    for variant in variants:
        values = {dataset: percent(frame, dataset, variant) for dataset in datasets(frame)}
        row: dict[str, str | None] = {"accuracy (%)": variant}
        row |= {dataset: mean_std(v, 1) for dataset, v in values.items()}
        for title, some in groups(frame).items():
            row[f"mean of {len(some)} {title}"] = f"{np.mean([values[name].mean() for name in some]):.1f}"
        higher = [
            f"{sum(best[name].mean() > values[name].mean() for name in some)} of {len(some)}"
            for some in groups(frame).values()
        ]
        signs = [clearly(best[name], values[name]) for name in values]
        row[f"{ours} is higher on"] = None if variant == ours else ", ".join(higher)
        row["clearly higher / lower"] = None if variant == ours else f"{signs.count(1)} / {signs.count(-1)}"
        seconds = frame[frame["variant"] == variant].groupby("dataset")["seconds"].mean().mean()
        body.append(row | {"CPU seconds": f"{seconds:.1f}", PAPER: paper.get(variant)})
    return DataFrame(body)


def points(frame: DataFrame, variants: Sequence[str]) -> Figure:
    """A panel per data set, a row per variant."""
    names = datasets(frame)
    figure, places = panel_per(names, (1.7, 0.3 + 0.22 * len(variants)), (2.4, 0.5), sharey=True)
    for dataset, panel in places.items():
        for row, variant in enumerate(variants):
            dots(panel, row, percent(frame, dataset, variant), COLOURS[5])
    places[names[0]].set_yticks(range(len(variants)), variants)
    places[names[0]].invert_yaxis()
    figure.supxlabel("accuracy (%): a dot per seed, a bar at their mean", fontsize=9)
    return figure


def curve(frame: DataFrame, variants: Sequence[str]) -> Figure:
    """A line per data set over the variants in their order."""
    figure, places = panels(1, 1, (6.0, 3.4))
    panel, names, place = places[0, 0], datasets(frame), np.arange(len(variants))
    for number, dataset in enumerate(names):
        aside = 0.03 * (number - (len(names) - 1) / 2)  # bars beside one another
        look = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        line(panel, place + aside, [percent(frame, dataset, v) for v in variants], label=dataset, **look)
    panel.set_xticks(place, variants)
    panel.set_ylabel("accuracy (%)")
    legend(figure, panel, 4)
    return figure
