"""How the clustering experiments are read: scores of variants, in percent, and their ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments import statistics as stats
from experiments.clustering.protocol import SEEN
from experiments.plots import label, lines, look, panels

MEASURES = {"accuracy": "accuracy", "nmi": "NMI", "ari": "ARI"}
PAPER = "paper, ImageNet, DINO ViT-S / B / L: not reproduced"


class Reading(NamedTuple):
    """Tables and figures of the runs of variants.

    Args:
        variants: in the order of their rows.
        ours: the variant that the others are compared with.
        paper: the numbers of the paper by variant, where there are some.
        first: data sets of the first of two groups, which have means of their own.
        titles: of the two groups.
    """

    variants: tuple[str, ...]
    ours: str
    paper: Mapping[str, str] | None = None
    first: tuple[str, ...] = SEEN
    titles: tuple[str, str] = ("looked at in development", "not looked at in development")

    def groups(self, frame: DataFrame) -> dict[str, list[str]]:
        """The data sets of each group by its title; none is empty."""
        names = sorted(frame["dataset"].unique())
        seen = [name for name in names if name.startswith(self.first)]  # subsets too: digits-200
        found = dict(zip(self.titles, (seen, [name for name in names if name not in seen]), strict=True))
        return {title: some for title, some in found.items() if some}

    def table(self, frame: DataFrame, measure: str = "accuracy") -> DataFrame:
        """A row per variant: the measure per data set, its means, how often ours is higher, and beside accuracies the
        seconds and the paper's numbers, where there are some. A variant that was not run on all data sets of a group
        has no mean there. A difference is clear or not over the seeds of both.
        """
        split, ours = self.groups(frame), self.ours
        names = [name for some in split.values() for name in some]
        frame = stats.ordered(frame.sort_values("seed"), dataset=names, variant=self.variants)
        runs = frame.groupby(["variant", "dataset"], observed=True)
        means: Any = runs[measure].mean().unstack()
        found = runs[measure].agg(stats.percent).unstack()
        for title, some in split.items():
            found[f"mean of {len(some)} {title}"] = stats.in_percent(means[some].mean(axis=1, skipna=False))
        seeds = frame.pivot(index=["dataset", "seed"], columns="variant", values=measure)
        for variant in means.index.drop(ours):
            own = [means.loc[[ours, variant], some].dropna(axis=1) for some in split.values()]
            higher = [f"{(each.loc[ours] > each.loc[variant]).sum()} of {each.shape[1]}" for each in own]
            pairs = seeds[[ours, variant]].dropna().groupby("dataset", observed=True)
            signs = [stats.clearly(pair[ours], pair[variant]) for _, pair in pairs]
            found.loc[variant, f"{ours} is higher on"] = ", ".join(higher)
            found.loc[variant, "clearly higher / lower"] = f"{signs.count(1)} / {signs.count(-1)}"
        if self.paper and measure == "accuracy":
            found["CPU seconds"] = runs["seconds"].mean().unstack().mean(axis=1).round(6).map("{:.1f}".format)
            found[PAPER] = [self.paper.get(variant) for variant in found.index]
        return found.rename_axis(index=f"{MEASURES[measure]} (%)", columns=None).reset_index()

    def ranks(self, frame: DataFrame) -> DataFrame:
        """A row per variant and some columns per measure: its means, and the mean rank where it was run on all data
        sets, and by how many points ours is higher, on the data sets of the variant, with the 95 % interval over them.
        """
        split, ours = self.groups(frame), self.ours
        found = DataFrame(index=[variant for variant in self.variants if variant in set(frame["variant"])])
        for measure, title in MEASURES.items():
            means: Any = frame.groupby(["variant", "dataset"])[measure].mean().unstack()
            whole = means.dropna()
            for name, some in split.items():
                found[f"{title}, mean of {len(some)} {name}"] = stats.in_percent(means[some].mean(axis=1, skipna=False))
            apart, chance = stats.critical_difference(*whole.shape), stats.friedman(whole)
            sure = f"critical difference {apart:.1f}, Friedman p = {chance:.1g}"
            found[f"mean rank by {title} ({sure})"] = whole.rank(ascending=False).mean(axis=1).map("{:.1f}".format)
            found[f"{ours} is higher in {title} by"] = {
                variant: stats.difference(*(100 * means.loc[[ours, variant]].dropna(axis=1)).to_numpy())
                for variant in means.index.drop(ours)
            }
        return found.rename_axis(index="variant").reset_index()

    def differences(self, frame: DataFrame) -> Figure:
        """A row per other variant that was run on all data sets, the most accurate one above: how much more accurate
        ours is, a dot per data set, and the mean over them with its 95 % interval."""
        ours, means = self.ours, 100 * frame.groupby(["variant", "dataset"])["accuracy"].mean().unstack()
        ahead = (means.loc[ours] - means).reindex([name for name in self.variants if name != ours]).dropna()
        ahead = ahead.loc[ahead.mean(axis=1).sort_values(kind="stable").index]
        figure, places = panels(1, 1, (6.5, 0.4 + 0.24 * len(ahead)), left=2.6)
        panel, rows = places[0, 0], np.arange(len(ahead))
        for number, (title, names) in enumerate(self.groups(frame).items()):
            dots, y = ahead[names].to_numpy().ravel(), np.repeat(rows, len(names))
            panel.plot(dots, y, linestyle="", alpha=0.5, label=f"a data set {title}", **look(number))
        pairs = (means.loc[[ours, name]].to_numpy() for name in ahead.index)
        middle, low, high = np.array([stats.paired_difference(*pair) for pair in pairs]).T
        bars = np.stack([middle - low, high - middle])
        panel.errorbar(middle, rows, None, bars, fmt="d", color="black", label="mean and its 95 % interval")
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_yticks(rows, ahead.index)
        panel.invert_yaxis()
        panel.set_xlim(*(np.nanmin(ahead) - 2, np.nanmax(ahead) + 2))
        return label(figure, [panel], f"how many points the accuracy of {ours} is higher", "", 3)

    def curve(self, frame: DataFrame) -> Figure:
        """A line per data set over the variants in their order."""
        figure, places = panels(1, 1, (6.0, 3.4))
        runs = frame.assign(place=frame["variant"].map(self.variants.index))
        lines(places[0, 0], runs, "dataset", "place", "accuracy", apart=0.03)
        places[0, 0].set_xticks(np.arange(len(self.variants)), self.variants)
        return label(figure, places[0], "", "accuracy (%)", 4)
