"""How much equal sizes should be worth when small clusters are merged, and what can tell without labels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from scipy.special import gammaln
from scipy.stats import entropy

from experiments.clustering import protocol
from experiments.clustering.methods import ward
from experiments.clustering.protocol import edges_of, graph_of
from experiments.datasets import Array, Dataset, inputs
from experiments.plots import label, lines, panel_per
from experiments.record import Configuration, Experiment, Fixed, Measures, grid, labels_of
from experiments.statistics import difference
from icon.estimators.counting import walked
from icon.estimators.initialization import k_means, parts
from icon.estimators.merging import balance_of, grouped, merge, modularity, mutual_information, normalized_cut
from icon.metrics import ari
from icon.metrics.clustering import agreement

SIZES = EQUAL, UNEQUAL = "as they are", "unequal"
CUT, MODULARITY, INFORMED = "normalised cut", "modularity", "I / H"
HELD, STABILITY, AGREEMENT = "held-out information", "stability", "agreement"
LENGTH, OURS = "description length", "balance_of"
BALANCES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
SEED = 0  # of the unequal versions: which classes are large, and which of their points are kept


class Settings(Fixed):
    """``ratio``, ``smallest``: of the unequal version. ``repeats``: of k-means, for stability. ``held``: of edges."""

    neighbors: int = 10
    walks: int = 3
    directions: int = 128
    repeats: int = 3
    held: float = 0.5
    ratio: int = 20
    smallest: int = 8


class Problem(NamedTuple):
    """What is merged and judged."""

    parts: list[Array]  # small clusters, of each repeat, of which the first is scored
    joints: list[Array]  # their tables
    learned: Array  # the table without the edges that are held out
    held: Array
    edges: Array
    others: list[Array]  # clusters of Ward and k-means
    ours: float  # the balance by `balance_of`


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The scores of one balance, and what each criterion sees of it."""
    if configuration["sizes"] == UNEQUAL:
        dataset = unequal(dataset, settings.ratio, settings.smallest)
    made, balance = problem(dataset, seed, settings), configuration["balance"]
    groups = [merge(joint, dataset.classes, balance) for joint in made.joints]
    found = [group[part] for group, part in zip(groups, made.parts, strict=True)]
    table = grouped(made.joints[0], groups[0])
    seen = {
        CUT: normalized_cut(table),
        MODULARITY: modularity(table),
        INFORMED: informed(table),
        HELD: held_out_information(made.held, merge(made.learned, dataset.classes, balance)[made.parts[0]]),
        STABILITY: agreement(np.stack(found)) or 0.0,
        AGREEMENT: float(np.mean([ari(other, found[0]) for other in made.others])),
        LENGTH: description_length(made.edges, found[0]),
        OURS: made.ours,
    }
    return protocol.scores(dataset, found[0]) | seen


@lru_cache(maxsize=2)
def unequal(dataset: Dataset, ratio: int, smallest: int) -> Dataset:
    """A subset whose class sizes fall geometrically, in an order that is drawn, the largest ``ratio`` times the least:
    the largest sizes for which every class has the points, and at least ``smallest``, if it has so many."""
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
    points, graph = torch.from_numpy(inputs(dataset, settings.directions)), protocol.union(dataset, settings.neighbors)
    count, first = parts(dataset.classes, dataset.n), settings.repeats * seed
    found = [k_means(points, count, first + repeat, n_init=1) for repeat in range(settings.repeats)]
    joints = [walked(graph, part, settings.walks) for part in found]
    kept, held = held_out(graph, settings.held, seed)
    return Problem(
        parts=found,
        joints=joints,
        learned=walked(kept, found[0], settings.walks),
        held=held,
        edges=edges_of(graph),
        others=[ward(dataset, 0, settings).labels, k_means(points, dataset.classes, seed)],
        ours=balance_of(joints[0], dataset.classes),
    )


def held_out(graph: sp.csr_array, share: float, seed: int) -> tuple[sp.csr_array, Array]:
    """A symmetric graph without that share of its edges, and those edges, ``[m, 2]``."""
    edges = np.random.default_rng(seed).permutation(edges_of(graph))
    aside = round(share * len(edges))
    return graph_of(edges[aside:], graph.shape[0]), edges[:aside]


def counted(edges: Array, groups: Array) -> Array:
    """``[g, g]``, symmetric: ends of edges ``[m, 2]`` between groups; an edge within one counts twice."""
    found = np.zeros(2 * (int(groups.max()) + 1,))
    np.add.at(found, tuple(groups[edges].T), 1)
    return found + found.T


def informed(table: Array) -> float:
    """``I / H``: the mutual information of the two groups of a pair as a share of the entropy of their sizes."""
    most = float(entropy(table.sum(axis=1)))
    return mutual_information(table) / most if most > 0 else 0.0


def held_out_information(held: Array, groups: Array) -> float:
    """I in nats of the groups of the two ends of edges ``[m, 2]`` that the groups were made without."""
    ends = counted(held, groups)
    return mutual_information(ends / ends.sum())


def description_length(edges: Array, groups: Array) -> float:
    """Nats per point that a degree-corrected stochastic block model needs for a graph, beside what no grouping changes.

    With n_r points and e_r ends of edges in group r, e_rs of them between r and s (e_rr is twice the number of edges
    within r), and ``e!! = 2^{e/2} (e/2)!``, n times the length is ::

        ln n! - sum_r ln n_r!                                      the groups: about n H(sizes)
        + sum_r ln binomial(n_r + e_r - 1, e_r)                    the degrees in each group, all alike probable
        + sum_r ln e_r! - sum_{r<s} ln e_rs! - sum_r ln e_rr!!     the edges: about E + E H(e_rs) less 2E H(e_r)

    Source: Peixoto 2017, Nonparametric Bayesian inference of the microcanonical stochastic block model, Physical Review
    E 95, 012317, with its uniform prior of the degrees, without what is the same for all groupings into as many groups.
    """
    sizes, ends = np.bincount(groups).astype(np.float64), counted(edges, groups)
    total, within = ends.sum(axis=1), np.diag(ends) / 2
    between = ends[np.triu_indices(len(sizes), k=1)]
    partition = gammaln(len(groups) + 1) - gammaln(sizes + 1).sum()
    degrees = (gammaln(sizes + total) - gammaln(total + 1) - gammaln(np.maximum(sizes, 1))).sum()
    doubles = (within * np.log(2) + gammaln(within + 1)).sum()
    joined = gammaln(total + 1).sum() - gammaln(between + 1).sum() - doubles
    return float((partition + degrees + joined) / len(groups))


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
RULE = "`balance_of` (ours)"


def regrets(frame: DataFrame) -> DataFrame:
    """A row per problem and criterion: the ``balance`` it chooses, of equals the largest, and its ``regret``."""
    rows = []
    for place, some in frame.groupby(["dataset", "seed", "sizes"]):
        runs: Any = some.sort_values("balance", ascending=False).set_index("balance")
        chosen = {f"constant {balance:g}": balance for balance in runs.index}
        chosen |= {title: (sign * runs[name]).idxmax() for name, (sign, title) in CRITERIA.items()}
        chosen |= {RULE: runs[OURS].iloc[0]}
        lost = 100 * (runs["accuracy"].max() - runs["accuracy"])
        rows += [(*place, criterion, balance, lost[balance]) for criterion, balance in chosen.items()]
    return DataFrame(rows, columns=["dataset", "seed", "sizes", "criterion", "balance", "regret"])


def by_sizes(frame: DataFrame, values: str = "regret") -> Any:
    """``[criteria and data sets, sizes]``: means over seeds; the column ``both`` is the mean of the sizes."""
    found = regrets(frame).pivot_table(values, ["criterion", "dataset"], "sizes", sort=False)[list(SIZES)]
    return found.assign(both=found.mean(axis=1))


def table(frame: DataFrame) -> DataFrame:
    """A row per criterion: its regret over data sets that count alike, and the balance that it chooses on average."""
    regret, balance = by_sizes(frame), by_sizes(frame, "balance")
    rows = []
    for name in regret.index.unique("criterion"):
        own = regret.loc[name, list(SIZES)].stack()
        row = {"criterion": name} | {f"mean regret, {sizes}": f"{own[:, sizes].mean():.1f}" for sizes in SIZES}
        row |= {"both": f"{own.mean():.1f}", "worst regret": "{:.1f} ({}, {})".format(own.max(), *own.idxmax())}
        rows.append(row | {f"mean b, {sizes}": f"{balance.loc[name, sizes].mean():.2f}" for sizes in SIZES})
    return DataFrame(rows)


def against_ours(frame: DataFrame) -> DataFrame:
    """A row per criterion: how many points more its regret is than ours, with the 95 % interval over data sets."""
    regret = by_sizes(frame)
    return DataFrame(
        {"criterion": name} | {sizes: difference(regret.loc[name, sizes], regret.loc[RULE, sizes]) for sizes in regret}
        for name in regret.index.unique("criterion").drop(RULE)
    )


def curves(frame: DataFrame) -> Figure:
    """Accuracy against the balance: a panel per data set, a line for its classes as they are and one for unequal."""
    figure, places = panel_per(sorted(frame["dataset"].unique()), (2.3, 1.9))
    for name, panel in places.items():
        lines(panel, frame[frame["dataset"] == name], "sizes", "balance", "accuracy", styles="- --")
        panel.set_xticks([0.2, 0.4, 0.6, 0.8, 1.0])
    return label(figure, places.values(), "balance b", "accuracy (%)", 2)


EXPERIMENT = Experiment(
    name="balance",
    question="How much should equal sizes be worth when small clusters are merged, and what can tell without labels?",
    settings=Settings,
    configurations=grid(sizes=SIZES, balance=BALANCES),
    run=run,
    development=True,
    table=table,
    figures={"accuracy": curves},
    tables={"Points of regret more than ours": against_ours},
)
