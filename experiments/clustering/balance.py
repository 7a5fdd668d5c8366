"""How much equal sizes should be worth when small clusters are merged, and what says so without labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from experiments import record
from experiments.clustering import balance_reading as reading
from experiments.clustering import protocol
from experiments.clustering.balance_criteria import (
    agreement,
    description_length,
    held_out_information,
    informed,
    stability,
)
from experiments.clustering.edges import held_out
from experiments.clustering.rivals import ward
from experiments.datasets import Array, Dataset, refuse_validation
from experiments.record import Configuration, Experiment, Measures, labels_of
from icon.estimators.counting import walked
from icon.estimators.initialization import k_means, parts
from icon.estimators.merging import balance_of, grouped, merge, modularity, normalized_cut

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


def configurations(dataset: Dataset) -> list[Configuration]:
    refuse_validation(dataset)
    return [{"sizes": sizes, "balance": balance} for sizes in reading.SIZES for balance in BALANCES]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The scores of one balance, and what each criterion sees of it."""
    if configuration["sizes"] == reading.UNEQUAL:
        dataset = unequal(dataset, settings.ratio, settings.smallest)
    made, balance = problem(dataset, seed, settings), configuration["balance"]
    groups = [merge(joint, dataset.classes, balance) for joint in made.joints]
    found = [group[part] for group, part in zip(groups, made.parts, strict=True)]
    table = grouped(made.joints[0], groups[0])
    learned = merge(made.learned, dataset.classes, balance)[made.parts[0]]
    seen = {
        reading.CUT: normalized_cut(table),
        reading.MODULARITY: modularity(table),
        reading.INFORMED: informed(table),
        reading.HELD: held_out_information(made.held, learned),
        reading.STABILITY: stability(found),
        reading.AGREEMENT: agreement(found[0], made.others),
        reading.LENGTH: description_length(made.edges, found[0]),
        reading.OURS: made.ours,
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


EXPERIMENT = Experiment(
    name="balance",
    question="How much should equal sizes be worth when small clusters are merged, and what says so without labels?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=reading.table,
    figures={"accuracy": reading.curves},
    tables={
        "Points of regret more than ours": reading.against_ours,
        "The same b for all data sets": reading.constants,
        **{f"Regret, {sizes}": reading.per_dataset(sizes) for sizes in reading.SIZES},
    },
)
