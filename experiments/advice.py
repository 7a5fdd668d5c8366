"""How good the advice of `icon.advise` is: it chooses without labels, and labels say what would have been best."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pandas import DataFrame

import icon
from experiments.datasets import Array, Dataset, at_most
from experiments.plots import label, look, panel_per
from experiments.record import Configuration, Experiment, Fixed, Measures, labels_of
from experiments.statistics import difference
from icon.estimators.advice import Advice
from icon.estimators.candidates import candidates
from icon.estimators.judging import shared
from icon.metrics import clustering_accuracy, knn_probe, trustworthiness

GOALS = ("map", "clusters")


class Settings(Fixed):
    """``points`` of each data set at most; ``budget`` in seconds, so many that no trial is left out."""

    points: int = 500
    rounds: int = 3
    budget: float = 100_000.0
    near: int = 10


def configurations(dataset: Dataset) -> list[Configuration]:
    n, width = dataset.x.shape
    tried = {goal: candidates(goal, (), 2, width, points=n) for goal in GOALS}
    return [{"goal": goal, "candidate": each.name} for goal in GOALS for each in tried[goal]]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """What the advice saw of one candidate, another criterion without labels, and what the labels say."""
    goal, name, near = configuration["goal"], configuration["candidate"], settings.near
    part = at_most(dataset, settings.points, seed)
    y, advice = labels_of(part), advised(part, goal, seed, settings)
    place: Any = advice.table.set_index("name").loc[name]
    found = list(zip(advice.samples, advice.outputs[name], strict=True))
    if goal == "map":
        other = [trustworthiness(part.x[rows], z, near) for rows, z in found]
        score = [float(knn_probe(z, y[rows], near, folds=2)) for rows, z in found]
    else:
        other = [of_neighbours(part.x[rows], each, part.classes, near) for rows, each in found]
        score = [clustering_accuracy(y[rows], each) for rows, each in found]
    return {
        "criterion": float(place["score"]), "tied": int(place["tied"]), "other": float(np.mean(other)),
        "score": float(np.mean(score)), "seconds": round(float(place["seconds"]), 2),
    }  # fmt: skip


@lru_cache(maxsize=1)
def advised(part: Dataset, goal: str, seed: int, settings: Settings) -> Advice:
    """All candidates are tried at once; of the labels the advice is told how many classes there are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        effort: dict[str, Any] = {"budget": settings.budget, "rounds": settings.rounds}
        return icon.advise(part.x, goal=goal, n_clusters=part.classes, **effort, random_state=seed)


def of_neighbours(x: Array, clusters: Array, number: int, near: int) -> float:
    """The information that the clusters of nearest neighbours share."""
    start, end = icon.p.KNN(near)(torch.from_numpy(x)).to_scipy().nonzero()
    return shared(clusters[start], clusters[end], number)


ADVICE, OTHER, RANDOM = "icon.advise", "the other criterion", "a random candidate"
ELSEWHERE = "one cell for the other sets"
CRITERIA = {"map": "trustworthiness", "clusters": "information of neighbours"}


def wide(frame: DataFrame, goal: str, measure: str) -> Any:
    """A row per data set and seed, a column per candidate."""
    return frame[frame["goal"] == goal].pivot_table(measure, ["dataset", "seed"], "candidate", sort=False)


def regrets(frame: DataFrame, goal: str, within: float | None = None) -> DataFrame:
    """Points behind the best candidate in hindsight: a row per data set, a column per way to choose.

    Or the share of the choices that are at most ``within`` points behind; of a random one that is its probability.
    """
    scores = 100 * wide(frame, goal, "score")
    lost: Any = -scores.sub(scores.max(axis=1), axis=0)
    taken: dict[str, Any] = {
        ADVICE: wide(frame, goal, "criterion").idxmax(axis=1),
        OTHER: wide(frame, goal, "other").idxmax(axis=1),
        "the first candidate": [lost.columns[0]] * len(lost),
        ELSEWHERE: [lost.drop(dataset).mean().fillna(0).idxmin() for dataset, _ in lost.index],
    }
    values = lost if within is None else lost <= within
    found = {way: [values.at[at] for at in zip(lost.index, own, strict=True)] for way, own in taken.items()}
    found |= {RANDOM: values.mean(axis=1), "one cell for all, best in hindsight": values[lost.mean().idxmin()]}
    return DataFrame(found, index=lost.index).groupby("dataset").mean()


def table(frame: DataFrame) -> DataFrame:
    """A row per goal and way to choose; of the advice also how often its interval holds the best in hindsight."""
    rows = []
    for goal in GOALS:
        found, within = regrets(frame, goal), regrets(frame, goal, 1)
        best, tied = wide(frame, goal, "score").idxmax(axis=1), wide(frame, goal, "tied")
        hits = sum(bool(tied.at[place, name]) for place, name in best.items())
        rows += [
            {
                "goal": goal,
                "choice": f"{choice} ({CRITERIA[goal]})" if choice == OTHER else choice,
                "within one point of the best, %": f"{100 * within[choice].mean():.0f}",
                "mean regret": f"{regret.mean():.1f}",
                "largest regret": f"{regret.max():.1f} ({regret.idxmax()})",
                "best chosen or tied": f"{hits} of {len(best)}" if choice == ADVICE else "",
                "more than icon.advise": "" if choice == ADVICE else difference(regret, found[ADVICE]),
            }
            for choice, regret in found.items()
        ]
    return DataFrame(rows)


def regret(frame: DataFrame) -> Figure:
    """Points behind the best, a row per data set: advice, one cell for the other sets, and a random candidate."""
    figure, places = panel_per(GOALS, (3.6, 3.2))
    for goal, panel in places.items():
        found = regrets(frame, goal)
        for number, choice in enumerate((ADVICE, ELSEWHERE, RANDOM)):
            panel.plot(found[choice], found.index, linestyle="", label=choice, alpha=0.8, **look(number))
        panel.axvline(1, color="0.6", linewidth=0.8, linestyle="--")
    return label(figure, places.values(), "points behind the best in hindsight", "", 3)


EXPERIMENT = Experiment(
    name="advice",
    question="How often does icon.advise, which sees no labels, choose what labels say is best?",
    settings=Settings,
    configurations=configurations,
    run=run,
    development=True,
    table=table,
    figures={"regret": regret},
)
