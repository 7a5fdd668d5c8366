"""When debiasing helps: α against wrong edges, batch size, head, number of clusters and start."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from experiments.clustering.debiasing_theory import ambiguous, calibrated, confidence, signal_of
from experiments.clustering.edges import corrupted
from experiments.clustering.protocol import Settings as Common
from experiments.clustering.protocol import fitted, scores, union
from experiments.datasets import Dataset, at_most
from experiments.plots import COLOURS, LINES, MARKERS, panels
from experiments.record import Configuration, Experiment, Measures, labels_of
from experiments.statistics import difference
from icon.estimators.diagnostics import expected_calibration_error
from icon.metrics.clustering import matched

ALPHAS = (0.0, 0.1, 0.3, 0.6, 0.9)
#: ``wrong`` is a share of the edges, and ``clusters`` the number of clusters as a multiple of that of the classes.
DEFAULT: dict[str, Any] = {"wrong": 0.0, "batch": 1024, "head": "mlp", "clusters": 1.0, "start": "merged-k-means"}
#: By title: the one factor that is not as by default, and its level.
SETTINGS: dict[str, tuple[str, Any]] = {
    "default": ("wrong", 0.0),
    "10 % wrong edges": ("wrong", 0.1),
    "20 % wrong edges": ("wrong", 0.2),
    "40 % wrong edges": ("wrong", 0.4),
    "batches of 256": ("batch", 256),
    "linear head": ("head", "linear"),
    "lookup": ("head", "lookup"),
    "half as many clusters": ("clusters", 0.5),
    "twice as many clusters": ("clusters", 2.0),
    "random start": ("start", "random"),
}


@dataclass(frozen=True)
class Settings(Common):
    """Shorter runs of one restart, as there are many runs; larger data sets are represented by ``points`` of theirs."""

    steps: int = 100
    restarts: int = 1
    points: int = 3000


def configurations(dataset: Dataset) -> list[Configuration]:
    """Every α where one factor at most is not as by default."""
    settings = [DEFAULT | {factor: level} for factor, level in SETTINGS.values()]
    return [{"alpha": alpha} | setting for setting, alpha in product(settings, ALPHAS)]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The scores, the calibration, the mean confidence and the loss of one run."""
    dataset = at_most(dataset, settings.points)
    model = fitted(
        dataset, seed, settings, _graph(dataset, seed, configuration["wrong"], settings),
        n_clusters=max(2, round(dataset.classes * configuration["clusters"])), debias=configuration["alpha"],
        mapper=configuration["head"], batch_size=min(dataset.n, configuration["batch"]), init=configuration["start"],
        learning_rate="auto",
    )  # fmt: skip
    phi = model.probabilities_.astype(np.float64)
    return scores(dataset, model.labels_) | {
        "ece": expected_calibration_error(phi, matched(labels_of(dataset), phi.argmax(axis=1))),
        "confidence": float(phi.max(axis=1).mean()),
        "loss": float(model.loss_),
        "classes": float(dataset.classes),
    }


@lru_cache(maxsize=4)
def _graph(dataset: Dataset, seed: int, wrong: float, settings: Settings) -> sp.csr_array:
    whole = union(dataset, settings.neighbors)
    return corrupted(whole, wrong, seed) if wrong else whole


# -- reading the results ----------------------------------------------------------------------------------------------

#: Points of accuracy that an α may lose and is still counted as keeping it.
KEEPS = 5.0
#: The panels of the figure: a title, and the settings whose lines it has beside the default.
FACTORS = {
    "wrong edges": [f"{percent} % wrong edges" for percent in (10, 20, 40)],
    "batch": ["batches of 256"],
    "head": ["linear head", "lookup"],
    "number of clusters": ["half as many clusters", "twice as many clusters"],
    "start": ["random start"],
}
MEASURES = {"accuracy": "accuracy (%)", "ece": "calibration error (%)", "confidence": "mean confidence (%)"}


def means(frame: DataFrame, title: str, measure: str) -> Any:
    """``[data sets, α]``: means over seeds of a setting, in percent."""
    factor, level = SETTINGS[title]
    wanted = DEFAULT | {factor: level}
    runs = frame[(frame[list(wanted)] == Series(wanted)).all(axis=1)]
    return 100 * runs.groupby(["dataset", "alpha"])[measure].mean().unstack("alpha")


def counts(frame: DataFrame, share: float = 1.0) -> dict[str, int]:
    """How many clusters the runs of each data set have, that multiple of its classes."""
    classes: Any = frame.groupby("dataset")["classes"].first()
    return {name: max(2, round(count * share)) for name, count in classes.items()}


def effects(frame: DataFrame, measures: dict[str, str]) -> DataFrame:
    """A row per setting and measure, which are given with their titles: what each α changes, with the 95 % interval."""
    rows = []
    for title, (measure, name) in product(SETTINGS, measures.items()):
        found = means(frame, title, measure)
        row = {"setting": title, "measure (%)": name, "α = 0": f"{found[0.0].mean():.1f}"}
        rows.append(row | {f"α = {alpha:g}": difference(found[alpha], found[0.0]) for alpha in ALPHAS[1:]})
    return DataFrame(rows)


def predictions(frame: DataFrame) -> DataFrame:
    """A row per data set and share of wrong edges: what follows from λ, which the confidence at α = 0 tells.

    Accuracy is kept up to an α where neither it nor a lower one that was tried loses more than `KEEPS` points. Of these
    α, the best calibrated one has the lowest calibration error.
    """
    rows = []
    for title in ("default", *FACTORS["wrong edges"]):
        measured: Any = {name: means(frame, title, name) for name in MEASURES}
        for dataset, count in counts(frame).items():
            sure, right, off = (measured[name].loc[dataset] for name in ("confidence", "accuracy", "ece"))
            left = signal_of(sure[0.0] / 100, count)
            kept = (right >= right[0.0] - KEEPS).cumprod().astype(bool)
            row: dict[str, str] = {"wrong edges": f"{SETTINGS[title][1]:.0%}", "data set": dataset, "λ": f"{left:.2f}"}
            row |= {"confidence at α = 0.6": f"{sure[0.6]:.1f}"}
            row |= {"predicted confidence": f"{100 * confidence(count, 0.6, left):.1f}"}
            row |= {"best calibrated α": f"{off[kept].idxmin():g}"}
            row |= {"predicted α": f"{calibrated(right[0.0] / 100, count, left):.2f}"}
            row |= {"accuracy kept up to α": f"{right.index[kept].max():g}"}
            rows.append(row | {"predicted limit": f"{ambiguous(count, left):.2f}"})
    return DataFrame(rows)


def effect(frame: DataFrame) -> Figure:
    """A column of panels per factor, a row per measure, a line per level: means over data sets.

    Dotted lines are the confidence that the theory predicts from that at α = 0.
    """
    figure, places = panels(len(MEASURES), len(FACTORS), (2.2, 2.0), sharey="row", sharex=True)
    for column, (factor, others) in zip(places.T, FACTORS.items(), strict=True):
        column[0].set_title(factor)
        column[-1].set_xlabel("α")
        for number, title in enumerate(("default", *others)):
            style: Any = {"color": COLOURS[number], "marker": MARKERS[number], "label": title}
            for panel, measure in zip(column, MEASURES, strict=True):
                panel.plot(ALPHAS, means(frame, title, measure).mean()[list(ALPHAS)], **style)
            column[-1].plot(*_predicted(frame, title), color=COLOURS[number], linestyle=LINES[-1])
        column[0].legend(fontsize=7, loc="lower left")
    for panel, name in zip(places[:, 0], MEASURES.values(), strict=True):
        panel.set_ylabel(name)
    return figure


def _predicted(frame: DataFrame, title: str) -> tuple[Any, Any]:
    """The α and, in percent, the mean over data sets of the confidence that follows from the one at α = 0."""
    factor, level = SETTINGS[title]
    share = level if factor == "clusters" else DEFAULT["clusters"]
    first = means(frame, title, "confidence")[0.0] / 100
    places = np.linspace(0, max(ALPHAS), 50)
    lines = [
        [confidence(count, alpha, signal_of(first[dataset], count)) for alpha in places]
        for dataset, count in counts(frame, share).items()
    ]
    return places, 100 * np.mean(lines, axis=0)


EXPERIMENT = Experiment(
    name="debiasing",
    question="When does debiasing help accuracy and calibration, and what does theory say of it?",
    settings=Settings,
    configurations=configurations,
    run=run,
    development=True,
    table=partial(effects, measures={"accuracy": "accuracy", "ece": "calibration error"}),
    tables={"NMI": partial(effects, measures={"nmi": "NMI"}), "What the theory predicts": predictions},
    figures={"effect": effect},
)
