"""How much equal sizes should be worth when small clusters are merged, and what can tell without labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments import record
from experiments.clustering import protocol
from experiments.clustering.balance_criteria import (
    agreement,
    description_length,
    held_out_information,
    informed,
    stability,
)
from experiments.clustering.edges import held_out
from experiments.clustering.other_methods import ward
from experiments.datasets import Array, Dataset
from experiments.plots import COLOURS, LINES, MARKERS, label, legend, line, panel_per
from experiments.record import Configuration, Experiment, Measures, grid, labels_of
from experiments.statistics import difference
from icon.estimators.counting import walked
from icon.estimators.initialization import k_means, parts
from icon.estimators.merging import balance_of, grouped, merge, modularity, normalized_cut

SIZES = (EQUAL, UNEQUAL) = ("as they are", "unequal")
CUT, MODULARITY, INFORMED = "normalised cut", "modularity", "I / H"
HELD, STABILITY, AGREEMENT = "held-out information", "stability", "agreement"
LENGTH, OURS = "description length", "balance_of"
BALANCES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
SEED = 0  # of the unequal versions: which classes are large, and which of their points are kept


@dataclass(frozen=True)
class Settings(record.Settings):
    """``ratio``, ``smallest``: of the unequal version. ``repeats``: of k-means, for stability. ``held``: of edges."""

    neighbors: int = 10
    walks: int = 3
    directions: int = 128
    repeats: int = 3
    held: float = 0.5
    ratio: int = 20
    smallest: int = 8


class Problem(NamedTuple):
    """What is merged and judged: the small clusters and their tables, of each repeat; the first repeat is scored.

    ``learned`` is the table without the edges ``held [m, 2]``; ``edges [m, 2]`` are all of the graph; ``others`` are
    the clusters of Ward and k-means, and ``ours`` is the balance by `balance_of`.
    """

    parts: list[Array]
    joints: list[Array]
    learned: Array
    held: Array
    edges: Array
    others: list[Array]
    ours: float


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The scores of one balance, and what each criterion sees of it."""
    if configuration["sizes"] == UNEQUAL:
        dataset = unequal(dataset, settings.ratio, settings.smallest)
    made, balance = problem(dataset, seed, settings), configuration["balance"]
    groups = [merge(joint, dataset.classes, balance) for joint in made.joints]
    found = [group[part] for group, part in zip(groups, made.parts, strict=True)]
    table = grouped(made.joints[0], groups[0])
    learned = merge(made.learned, dataset.classes, balance)[made.parts[0]]
    seen = {
        CUT: normalized_cut(table),
        MODULARITY: modularity(table),
        INFORMED: informed(table),
        HELD: held_out_information(made.held, learned),
        STABILITY: stability(found),
        AGREEMENT: agreement(found[0], made.others),
        LENGTH: description_length(made.edges, found[0]),
        OURS: made.ours,
    }
    return protocol.scores(dataset, found[0]) | seen


@lru_cache(maxsize=2)
def unequal(dataset: Dataset, ratio: int, smallest: int) -> Dataset:
    """A subset whose class sizes fall geometrically: the largest is ``ratio`` times the smallest.

    The order of the classes and the points are drawn. The sizes are the largest for which every class has the points;
    none has fewer than ``smallest``, unless it has no more.
    """
    y, random = labels_of(dataset), np.random.default_rng(SEED)
    members = [np.flatnonzero(y == place) for place in random.permutation(dataset.classes)]
    shares = float(ratio) ** -np.linspace(0, 1, len(members))
    most = min(len(own) / share for own, share in zip(members, shares, strict=True))
    sizes = [min(len(own), max(smallest, round(most * share))) for own, share in zip(members, shares, strict=True)]
    kept = [random.choice(own, size, replace=False) for own, size in zip(members, sizes, strict=True)]
    return dataset.only(np.sort(np.concatenate(kept)), f"{dataset.name}-unequal")


@lru_cache(maxsize=2)
def problem(dataset: Dataset, seed: int, settings: Settings) -> Problem:
    """Found once for all balances; repeats of different seeds have different k-means clusters."""
    x, graph = protocol.inputs(dataset, settings.directions), protocol.union(dataset, settings.neighbors)
    count = parts(dataset.classes, dataset.n)
    first = settings.repeats * seed
    found = [k_means(torch.from_numpy(x), count, first + repeat, n_init=1) for repeat in range(settings.repeats)]
    joints = [walked(graph, part, settings.walks) for part in found]
    kept, held = held_out(graph, settings.held, seed)
    return Problem(
        parts=found,
        joints=joints,
        learned=walked(kept, found[0], settings.walks),
        held=held,
        edges=held_out(graph, 1.0, seed)[1],
        others=[_ward(dataset, settings), k_means(torch.from_numpy(x), dataset.classes, seed)],
        ours=balance_of(joints[0], dataset.classes),
    )


@lru_cache(maxsize=2)
def _ward(dataset: Dataset, settings: Settings) -> Array:
    """The same for all seeds."""
    shared = protocol.Settings(neighbors=settings.neighbors, directions=settings.directions)
    return ward(dataset, 0, shared).labels


# -- reading the results ----------------------------------------------------------------------------------------------

CONSTANTS = {f"constant {balance:g}": balance for balance in (1.0, 0.8, 0.6)}
#: By columns of the results: 1 where the highest value is chosen, -1 where the lowest is, and what the table calls it.
CRITERIA = {
    CUT: (-1, "smallest normalised cut"),
    MODULARITY: (1, "highest modularity"),
    INFORMED: (1, "largest I / H"),
    HELD: (1, "largest information on held-out edges"),
    STABILITY: (1, "highest stability"),
    AGREEMENT: (1, "highest agreement with Ward and k-means"),
    LENGTH: (-1, "shortest description"),
}
#: All ways to choose, in the order of the table.
NAMES = {name: name for name in CONSTANTS} | {name: title for name, (_, title) in CRITERIA.items()}
NAMES[OURS] = "`balance_of` (ours)"


def regrets(frame: DataFrame) -> DataFrame:
    """A row per data set, seed, sizes and criterion: the ``balance`` that it chooses, and its ``regret`` in points.

    Of balances that are equally good in its eyes a criterion chooses the largest.
    """
    rows = []
    for place, some in frame.groupby(["dataset", "seed", "sizes"]):
        runs: Any = some.sort_values("balance", ascending=False).set_index("balance")
        chosen = {name: (sign * runs[name]).idxmax() for name, (sign, _) in CRITERIA.items()}
        lost = 100 * (runs["accuracy"].max() - runs["accuracy"])
        for criterion, balance in (CONSTANTS | chosen | {OURS: runs[OURS].iloc[0]}).items():
            rows.append((*place, criterion, balance, lost[balance]))
    return DataFrame(rows, columns=["dataset", "seed", "sizes", "criterion", "balance", "regret"])


def by_sizes(frame: DataFrame, rows: str, values: str) -> Any:
    """``[rows and data sets, sizes]``: means over seeds; the column ``both`` is the mean of the sizes."""
    found = frame.groupby([rows, "dataset", "sizes"])[values].mean().unstack("sizes")[list(SIZES)]
    return found.assign(both=found.mean(axis=1))


def averages(regret: DataFrame) -> dict[str, str]:
    """The mean regret over data sets that count alike, of each of the sizes and of both."""
    titles = {sizes: f"mean regret, {sizes}" for sizes in SIZES} | {"both": "both"}
    return {title: f"{regret[sizes].mean():.1f}" for sizes, title in titles.items()}


def table(frame: DataFrame) -> DataFrame:
    """A row per criterion: its regret, and the balance that it chooses on average."""
    found = regrets(frame)
    regret, balance = (by_sizes(found, "criterion", values) for values in ("regret", "balance"))
    rows = []
    for name, title in NAMES.items():
        own = regret.loc[name, list(SIZES)].stack()
        worst = "{:.1f} ({}, {})".format(own.max(), *own.idxmax())
        row = {"criterion": title} | averages(regret.loc[name]) | {"worst regret": worst}
        rows.append(row | {f"mean b, {sizes}": f"{balance.loc[name, sizes].mean():.2f}" for sizes in SIZES})
    return DataFrame(rows)


def against_ours(frame: DataFrame) -> DataFrame:
    """A row per criterion: how many points more its regret is than ours, with the 95 % interval over data sets."""
    regret = by_sizes(regrets(frame), "criterion", "regret")
    ours = regret.loc[OURS]
    return DataFrame(
        {"criterion": title} | {sizes: difference(regret.loc[name, sizes], ours[sizes]) for sizes in regret}
        for name, title in NAMES.items()
        if name != OURS
    )


def constants(frame: DataFrame) -> DataFrame:
    """A row per balance: its regret where it is the same for all data sets, which labels are needed to choose."""
    best = frame.groupby(["dataset", "seed", "sizes"])["accuracy"].transform("max")
    regret = by_sizes(frame.assign(regret=100 * (best - frame["accuracy"])), "balance", "regret")
    return DataFrame(
        {"constant b": f"{balance:g}"} | averages(regret.loc[balance])
        for balance in sorted(set(frame["balance"]), reverse=True)
    )


def per_dataset(frame: DataFrame, sizes: str) -> DataFrame:
    """A row per criterion: mean regret over seeds on each data set, and first the accuracy of the best balance."""
    frame = frame[frame["sizes"] == sizes]
    best = 100 * frame.groupby(["dataset", "seed"])["accuracy"].max().groupby("dataset").mean()
    means = regrets(frame).pivot_table("regret", "criterion", "dataset").loc[list(NAMES)]
    found = pd.concat([best.to_frame("accuracy of the best b").T, means.rename(index=NAMES)])
    return found.map("{:.1f}".format).rename_axis(index="", columns=None).reset_index()


def curves(frame: DataFrame) -> Figure:
    """Accuracy against the balance: a panel per data set, a line for its classes as they are and one for unequal."""
    figure, places = panel_per(sorted(frame["dataset"].unique()), (2.3, 1.9))
    for name, panel in places.items():
        for number, sizes in enumerate(SIZES):
            runs = frame[(frame["dataset"] == name) & (frame["sizes"] == sizes)]
            look: Any = {"color": COLOURS[number], "marker": MARKERS[number], "linestyle": LINES[number]}
            line(panel, runs, "balance", "accuracy", 100, label=sizes, **look)
        panel.set_xticks([0.2, 0.4, 0.6, 0.8, 1.0])
    label(places.values(), "balance b", "accuracy (%)")
    legend(figure, 2)
    return figure


EXPERIMENT = Experiment(
    name="balance",
    question="How much should equal sizes be worth when small clusters are merged, and what can tell without labels?",
    settings=Settings,
    configurations=grid(sizes=SIZES, balance=BALANCES),
    run=run,
    development=True,
    table=table,
    figures={"accuracy": curves},
    tables={
        "Points of regret more than ours": against_ours,
        "The same b for all data sets": constants,
        **{f"Regret, {sizes}": partial(per_dataset, sizes=sizes) for sizes in SIZES},
    },
)
