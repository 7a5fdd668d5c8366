"""Which balance each criterion chooses, and what its choice costs against the best in hindsight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.plots import COLOURS, LINES, MARKERS, label, legend, line, panel_per
from experiments.statistics import difference

SIZES = (EQUAL, UNEQUAL) = ("as they are", "unequal")
CUT, MODULARITY, INFORMED = "normalised cut", "modularity", "I / H"
HELD, STABILITY, AGREEMENT = "held-out information", "stability", "agreement"
LENGTH, OURS = "description length", "balance_of"

CONSTANTS = {f"constant {balance:g}": balance for balance in (1.0, 0.8, 0.6)}
#: By columns of the results: 1 where the highest value is chosen, -1 where the lowest is.
CRITERIA = {CUT: -1, MODULARITY: 1, INFORMED: 1, HELD: 1, STABILITY: 1, AGREEMENT: 1, LENGTH: -1}
#: How the table calls them, in its order.
NAMES = {
    **{name: name for name in CONSTANTS},
    CUT: "smallest normalised cut",
    MODULARITY: "highest modularity",
    INFORMED: "largest I / H",
    HELD: "largest information on held-out edges",
    STABILITY: "highest stability",
    AGREEMENT: "highest agreement with Ward and k-means",
    LENGTH: "shortest description",
    OURS: "`balance_of` (ours)",
}


def regrets(frame: DataFrame) -> DataFrame:
    """A row per data set, seed, sizes and criterion: the ``balance`` that it chooses, and its ``regret`` in points.

    Of balances that are equally good in its eyes a criterion chooses the largest.
    """
    rows = []
    for place, runs in frame.groupby(["dataset", "seed", "sizes"]):
        accuracy: Any = 100 * runs.sort_values("balance", ascending=False).set_index("balance")["accuracy"]
        for criterion, balance in chosen(runs).items():
            rows.append((*place, criterion, balance, accuracy.max() - accuracy[balance]))
    return DataFrame(rows, columns=["dataset", "seed", "sizes", "criterion", "balance", "regret"])


def chosen(runs: DataFrame) -> dict[str, float]:
    """The balance by criterion, of the runs of one data set, seed and sizes."""
    ordered: Any = runs.sort_values("balance", ascending=False).set_index("balance")
    found = {name: float((sign * ordered[name]).idxmax()) for name, sign in CRITERIA.items()}
    return {**CONSTANTS, **found, OURS: float(ordered[OURS].iloc[0])}


def table(frame: DataFrame) -> DataFrame:
    """A row per criterion: its regret over data sets that count alike, and the balance that it chooses on average."""
    means = _means(regrets(frame))
    over: Any = means.groupby(["criterion", "sizes"]).mean()
    rows = []
    for name, title in NAMES.items():
        row = {"criterion": title} | _averages(over.loc[name, "regret"]) | {"worst regret": _worst(means.loc[name])}
        rows.append(row | {f"mean b, {sizes}": f"{over.at[(name, sizes), 'balance']:.2f}" for sizes in SIZES})
    return DataFrame(rows)


def against_ours(frame: DataFrame) -> DataFrame:
    """A row per criterion: how many points more its regret is than ours, with the 95 % interval over data sets."""
    each: Any = _means(regrets(frame))["regret"].unstack("sizes")
    each = each.assign(both=each[list(SIZES)].mean(axis=1))
    rows = []
    for name in (name for name in NAMES if name != OURS):
        more = {sizes: difference(each.loc[name, sizes], each.loc[OURS, sizes]) for sizes in (*SIZES, "both")}
        rows.append({"criterion": NAMES[name]} | more)
    return DataFrame(rows)


def constants(frame: DataFrame) -> DataFrame:
    """A row per balance: its regret where it is the same for all data sets, which labels are needed to choose."""
    best = frame.groupby(["dataset", "seed", "sizes"])["accuracy"].transform("max")
    runs = frame.assign(regret=100 * (best - frame["accuracy"]))
    over: Any = runs.groupby(["balance", "sizes", "dataset"])["regret"].mean().groupby(["balance", "sizes"]).mean()
    balances = sorted(frame["balance"].unique(), reverse=True)
    return DataFrame([{"constant b": f"{balance:g}"} | _averages(over[balance]) for balance in balances])


def _means(runs: DataFrame) -> DataFrame:
    """Over seeds, by criterion, sizes and data set."""
    return runs.groupby(["criterion", "sizes", "dataset"])[["regret", "balance"]].mean()


def _averages(regret: Any) -> dict[str, str]:
    """Of each of the sizes, and of both."""
    found = {f"mean regret, {sizes}": f"{regret[sizes]:.1f}" for sizes in SIZES}
    return found | {"both": f"{regret[list(SIZES)].mean():.1f}"}


def _worst(means: Any) -> str:
    sizes, dataset = means["regret"].idxmax()
    return f"{means['regret'].max():.1f} ({dataset}, {sizes})"


def per_dataset(sizes: str) -> Callable[[DataFrame], DataFrame]:
    """A row per criterion: mean regret over seeds on each data set, and first the accuracy of the best balance."""

    def read(frame: DataFrame) -> DataFrame:
        frame = frame[frame["sizes"] == sizes]
        best = 100 * frame.groupby(["dataset", "seed"])["accuracy"].max().groupby("dataset").mean()
        means = regrets(frame).groupby(["criterion", "dataset"])["regret"].mean().unstack().loc[list(NAMES)]
        found = pd.concat([best.to_frame("accuracy of the best b").T, means.rename(index=NAMES)])
        return found.map("{:.1f}".format).rename_axis(index="", columns=None).reset_index()

    return read


def curves(frame: DataFrame) -> Figure:
    """Accuracy against the balance: a panel per data set, a line for its classes as they are and one for unequal."""
    figure, places = panel_per(sorted(frame["dataset"].unique()), (2.3, 1.9))
    for name, panel in places.items():
        for number, sizes in enumerate(SIZES):
            runs = frame[(frame["dataset"] == name) & (frame["sizes"] == sizes)]
            style: Any = {
                "label": sizes,
                "color": COLOURS[number],
                "marker": MARKERS[number],
                "linestyle": LINES[number],
            }
            line(panel, runs, "balance", "accuracy", 100, **style)
        panel.set_xticks([0.2, 0.4, 0.6, 0.8, 1.0])
    label(places.values(), "balance b", "accuracy (%)")
    legend(figure, 2)
    return figure
