"""How the clustering experiments are read: one accuracy per data set, seed and variant, in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from experiments.clustering.protocol import SEEN
from experiments.spread import Difference, difference, mean_std

Cell = str | float | None
#: Colours of Okabe and Ito; markers tell the data sets apart once more.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#555555", "#999900")
MARKERS = "osD^vP*X"


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
    return 100 * value(frame, dataset, variant, "accuracy")


def value(frame: DataFrame, dataset: str, variant: str, measure: str) -> Series:
    """The values of a measure, by seed."""
    found = frame[(frame["dataset"] == dataset) & (frame["variant"] == variant) & (frame["measure"] == measure)]
    return found.set_index("seed")["value"].sort_index()


def compared(frame: DataFrame, first: str, second: str) -> dict[str, Difference]:
    """Accuracy of the first less that of the second, per data set."""
    return {d: difference(percent(frame, d, first), percent(frame, d, second)) for d in datasets(frame)}


def higher(found: Mapping[str, Difference], names: Sequence[str]) -> str:
    """On how many of these data sets the first is higher."""
    return f"{sum(found[name].mean > 0 for name in names)} of {len(names)}"


def table(
    frame: DataFrame, variants: Sequence[str], ours: str, paper: Mapping[str, str]
) -> tuple[list[str], list[list[Cell]]]:
    """A row per variant: accuracy per data set, its mean, how often ours is higher, seconds, the paper's numbers."""
    names, split = datasets(frame), groups(frame)
    head = ["accuracy (%)", *names]
    head += [f"mean of {len(some)} {title}" for title, some in split.items()]
    head += [f"{ours} is higher on", "clearly higher / lower", "CPU seconds"]
    head.append("paper, ImageNet, DINO ViT-S / B / L: not reproduced")
    body: list[list[Cell]] = []
    for variant in variants:
        values = {dataset: percent(frame, dataset, variant) for dataset in names}
        seconds = np.mean([value(frame, dataset, variant, "seconds").mean() for dataset in names])
        row: list[Cell] = [variant, *(mean_std(v, 1) for v in values.values())]
        row += [f"{np.mean([values[name].mean() for name in some]):.1f}" for some in split.values()]
        if variant == ours:
            row += [None, None]
        else:
            found = compared(frame, ours, variant)
            row += [", ".join(higher(found, some) for some in split.values())]
            verdicts = [d.verdict for d in found.values()]
            row += [f"{verdicts.count('higher')} / {verdicts.count('lower')}"]
        body.append([*row, f"{seconds:.1f}", paper.get(variant)])
    return head, body


def against(frame: DataFrame, first: str, second: str) -> str:
    """One sentence on two variants over all data sets."""
    found = compared(frame, first, second)
    parts = [
        f"{np.mean([found[name].mean for name in some]):+.1f} points in the mean of data sets {title}, higher on "
        f"{higher(found, some)}"
        for title, some in groups(frame).items()
    ]
    for verdict in ("higher", "lower"):
        clear = [f"{name} ({d.mean:+.1f})" for name, d in found.items() if d.verdict == verdict]
        parts.append(f"clearly {verdict} on {', '.join(clear) if clear else 'none'}")
    return f"{first} against {second}: {'; '.join(parts)}."


def best(frame: DataFrame, variants: Sequence[str], dataset: str) -> str:
    """The highest and the lowest variant of a data set."""
    means = {variant: percent(frame, dataset, variant) for variant in variants}
    first, *_, last = sorted(means, key=lambda variant: -means[variant].mean())
    return (
        f"{dataset} ({_seeds(len(means[first]))}): the best is {first} with {mean_std(means[first], 1)}, the worst "
        f"{last} with {mean_std(means[last], 1)}."
    )


def _seeds(number: int) -> str:
    return f"{number} seed{'s' if number != 1 else ''}"


def grid(
    names: Sequence[str], across: int, panel: tuple[float, float], around: tuple[float, float], sharey: bool = False
) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel per name, at most so many in a row; sizes of a panel and of what is around, in inches."""
    columns = min(len(names), across)
    rows = -(-len(names) // columns)
    size = (around[0] + panel[0] * columns, around[1] + panel[1] * rows)
    figure = Figure(figsize=size, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat
    for unused in places[len(names) :]:
        unused.set_visible(False)
    return figure, dict(zip(names, places, strict=False))


def points(frame: DataFrame, variants: Sequence[str]) -> Figure:
    """A panel per data set, a row per variant; a dot per seed and the mean."""
    figure, panels = grid(datasets(frame), 4, (1.7, 0.3 + 0.27 * len(variants)), (2.4, 0.5), sharey=True)
    for dataset, panel in panels.items():
        for row, variant in enumerate(variants):
            found = percent(frame, dataset, variant)
            panel.plot(found, np.full(len(found), row), "o", color=COLOURS[5], markersize=3, alpha=0.6)
            panel.plot(found.mean(), row, "|", color="black", markersize=11, markeredgewidth=1.6)
        panel.set_title(dataset)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    first = next(iter(panels.values()))
    first.set_yticks(range(len(variants)), variants)
    first.invert_yaxis()
    figure.supxlabel("accuracy (%): a dot per seed, a bar at their mean", fontsize=9)
    return figure


def curve(frame: DataFrame, variants: Sequence[str]) -> Figure:
    """A line per data set over the variants in their order; bars are one standard deviation over seeds."""
    names = datasets(frame)
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    panel = figure.subplots()
    place = np.arange(len(variants))
    for number, dataset in enumerate(names):
        found = [percent(frame, dataset, variant) for variant in variants]
        spread = [v.std() if len(v) > 1 else 0.0 for v in found]
        aside = 0.03 * (number - (len(names) - 1) / 2)
        panel.errorbar(
            place + aside, [v.mean() for v in found], spread, label=dataset, linewidth=1.2, markersize=4,
            color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
        )  # fmt: skip
    panel.set_xticks(place, variants)
    panel.set_ylabel("accuracy (%)")
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=4)
    return figure
