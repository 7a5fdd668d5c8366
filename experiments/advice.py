"""How good the advice of `icon.advise` is: it chooses without labels, and labels say what would have been best."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pandas import DataFrame

import icon
from experiments import record
from experiments.datasets import Array, Dataset, at_most, refuse_validation
from experiments.plots import COLOURS, MARKERS, label, legend, panel_per
from experiments.record import Configuration, Experiment, Measures, labels_of
from experiments.statistics import difference
from icon.estimators.advice import Advice
from icon.estimators.candidates import candidates
from icon.estimators.judging import shared
from icon.metrics import clustering_accuracy, knn_probe, trustworthiness

GOALS = ("map", "clusters")


@dataclass(frozen=True)
class Settings(record.Settings):
    """``points`` of each data set at most; ``budget`` in seconds, so many that no trial is left out."""

    points: int = 500
    rounds: int = 3
    budget: float = 100_000.0
    near: int = 10


def configurations(dataset: Dataset) -> list[Configuration]:
    refuse_validation(dataset)
    return [
        {"goal": goal, "candidate": each.name} for goal in GOALS for each in candidates(goal, (), 2, dataset.x.shape[1])
    ]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """What the advice saw of one candidate, another criterion without labels, and what the labels say."""
    goal, name = configuration["goal"], configuration["candidate"]
    part = at_most(dataset, settings.points, seed)
    y, advice = labels_of(part), advised(part, goal, seed, settings)
    place = next(each for each in advice.table.to_dict("records") if each["name"] == name)
    found = list(zip(advice.samples, advice.outputs[name], strict=True))
    if goal == "map":
        other = [trustworthiness(part.x[rows], z, settings.near) for rows, z in found]
        score = [float(knn_probe(z, y[rows], settings.near, folds=2)) for rows, z in found]
    else:
        other = [of_neighbours(part.x[rows], each, part.classes, settings.near) for rows, each in found]
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


# -- reading the results ----------------------------------------------------------------------------------------------

CHOICES = (
    "icon.advise",
    "the other criterion",
    "the first candidate",
    "one cell for the other sets",
    "a random candidate",
)
BEST = "one cell for all, best in hindsight"
OTHER = {"map": "trustworthiness", "clusters": "information of neighbours"}


def scores(frame: DataFrame, goal: str) -> DataFrame:
    """What labels say, in percent: a row per data set and seed, a column per candidate."""
    return _wide(frame, goal, "score") * 100


def _wide(frame: DataFrame, goal: str, measure: str) -> DataFrame:
    runs = frame[frame["goal"] == goal]
    return runs.pivot_table(measure, ["dataset", "seed"], "candidate", sort=False)


def regrets(frame: DataFrame, goal: str) -> DataFrame:
    """Points behind the best candidate in hindsight: a row per data set and seed, a column per way to choose."""
    found = scores(frame, goal)
    behind = (-found).add(found.max(axis=1), axis=0)

    def taken(measure: str) -> list[float]:
        columns = _wide(frame, goal, measure)[behind.columns].to_numpy().argmax(axis=1)
        return [float(value) for value in behind.to_numpy()[np.arange(len(behind)), columns]]

    datasets = behind.index.get_level_values("dataset")
    elsewhere = []
    for number, dataset in enumerate(datasets):
        others = behind[datasets != dataset].mean() if datasets.nunique() > 1 else behind.iloc[0] * 0
        elsewhere.append(float(behind.to_numpy()[number, int(others.argmin())]))
    return DataFrame(
        {
            CHOICES[0]: taken("criterion"),
            CHOICES[1]: taken("other"),
            CHOICES[2]: behind.iloc[:, 0],
            CHOICES[3]: elsewhere,
            CHOICES[4]: behind.mean(axis=1),
            BEST: behind[behind.mean().idxmin()],
        },
        index=behind.index,
    )


def table(frame: DataFrame) -> DataFrame:
    """A row per goal and way to choose."""
    rows = []
    for goal in GOALS:
        found = regrets(frame, goal).groupby("dataset").mean()
        within = _within(frame, goal).groupby("dataset").mean()
        for choice in found:
            title = f"{choice} ({OTHER[goal]})" if choice == CHOICES[1] else str(choice)
            more = "" if choice == CHOICES[0] else difference(found[choice], found[CHOICES[0]])
            rows.append(
                {
                    "goal": goal,
                    "choice": title,
                    "within one point of the best, %": f"{100 * within[choice].mean():.0f}",
                    "mean regret": f"{found[choice].mean():.1f}",
                    "largest regret": f"{found[choice].max():.1f} ({found[choice].idxmax()})",
                    "more than icon.advise": more,
                }
            )
    return DataFrame(rows)


def _within(frame: DataFrame, goal: str) -> DataFrame:
    """Whether a choice is within one point; of a random one, how probable that is."""
    found = scores(frame, goal)
    close = (regrets(frame, goal) <= 1).astype(float)
    close[CHOICES[4]] = (found.sub(found.max(axis=1), axis=0) >= -1).mean(axis=1)
    return close


def per_dataset(frame: DataFrame) -> DataFrame:
    """A row per goal, data set and seed: what was chosen, and what would have been best."""
    rows = []
    for goal in GOALS:
        found, chosen, tied = scores(frame, goal), _wide(frame, goal, "criterion"), _wide(frame, goal, "tied")
        for place in found.index:
            own, best = chosen.loc[place].idxmax(), found.loc[place].idxmax()
            rows.append(
                {
                    "goal": goal,
                    "data set": place[0],
                    "chosen": own,
                    "its score, %": f"{found.loc[place, own]:.1f}",
                    "best in hindsight": best,
                    "score of the best, %": f"{found.loc[place, best]:.1f}",
                    "best was chosen or tied": "yes" if tied.loc[place, best] else "no",
                    "rank correlation": f"{chosen.loc[place].corr(found.loc[place], method='spearman'):.2f}",
                }
            )
    return DataFrame(rows)


def regret(frame: DataFrame) -> Figure:
    """Points behind the best, a row per data set: advice, one cell for the other sets, and a random candidate."""
    figure, places = panel_per(GOALS, (3.6, 3.2))
    for goal, panel in places.items():
        found = regrets(frame, goal).groupby("dataset").mean()
        for number, choice in enumerate((CHOICES[0], CHOICES[3], CHOICES[4])):
            panel.plot(found[choice], found.index, MARKERS[number], color=COLOURS[number], label=choice, alpha=0.8)
        panel.axvline(1, color="0.6", linewidth=0.8, linestyle="--")
    label(places.values(), "points behind the best in hindsight", "")
    legend(figure, 3)
    return figure


EXPERIMENT = Experiment(
    name="advice",
    question="How often does icon.advise, which sees no labels, choose what labels say is best?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=table,
    tables={"By data set": per_dataset},
    figures={"regret": regret},
)
