"""When debiasing helps: α against wrong edges, batch size, head, number of clusters and start, and what theory says.

Its formulas are for p that joins C equal clusters, which are separated up to wrong edges: p is λ times what is uniform
within the clusters, plus 1-λ times u, what is uniform over all points, and ``p_α = (1-α) p + α u``.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure
from pandas import CategoricalDtype, DataFrame, Series, concat

from experiments.clustering import protocol
from experiments.clustering.protocol import edges_of, fitted, graph_of, scores, union
from experiments.datasets import Dataset, at_most
from experiments.plots import COLOURS, label, lines, panel_per, panels
from experiments.record import Configuration, Experiment, Measures, labels_of
from experiments.statistics import difference
from icon.estimators.diagnostics import BINS, expected_calibration_error
from icon.metrics.clustering import matched

ALPHAS = (0.0, 0.1, 0.3, 0.6, 0.9)
#: ``wrong`` is a share of the edges, and ``clusters`` the number of clusters as a multiple of that of the classes.
DEFAULT: dict[str, Any] = {"wrong": 0.0, "batch": 1024, "head": "mlp", "clusters": 1.0, "start": "merged-k-means"}
#: By title, of a panel of the figure and of a setting: the one factor that is not as by default, and its level.
FACTORS: dict[str, dict[str, tuple[str, Any]]] = {
    "wrong edges": {f"{100 * share:.0f} % wrong edges": ("wrong", share) for share in (0.1, 0.2, 0.4)},
    "batch": {"batches of 256": ("batch", 256)},
    "head": {"linear head": ("head", "linear"), "lookup": ("head", "lookup")},
    "number of clusters": {"half as many clusters": ("clusters", 0.5), "twice as many clusters": ("clusters", 2.0)},
    "start": {"random start": ("start", "random")},
}
SETTINGS = {"default": ("wrong", 0.0)} | {title: each for factor in FACTORS.values() for title, each in factor.items()}
KEEPS = 5.0  # points of accuracy that an α may lose and is still counted as keeping it
MEASURES = {"accuracy": "accuracy (%)", "ece": "calibration error (%)", "confidence": "mean confidence (%)"}


class Settings(protocol.Settings):
    """Shorter runs of one restart, as there are many runs; larger data sets are represented by ``points`` of theirs."""

    steps: int = 100
    restarts: int = 1
    points: int = 3000


def configurations(dataset: Dataset) -> list[Configuration]:
    """Every α where one factor at most is not as by default."""
    settings = [DEFAULT | {factor: level} for factor, level in SETTINGS.values()]
    return [{"alpha": alpha} | setting for setting, alpha in product(settings, ALPHAS)]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The scores, the calibration, the mean confidence and the loss of one run.

    Of each bin of confidence ``reliability`` has ``right/points``, the number of points that are right and of all.
    """
    dataset = at_most(dataset, settings.points)
    wrong, graph = configuration["wrong"], union(dataset, settings.neighbors)
    model = fitted(
        dataset, seed, settings, corrupted(graph, wrong, seed) if wrong else graph,
        n_clusters=max(2, round(dataset.classes * configuration["clusters"])), debias=configuration["alpha"],
        mapper=configuration["head"], batch_size=min(dataset.n, configuration["batch"]), init=configuration["start"],
        learning_rate="auto",
    )  # fmt: skip
    phi = model.probabilities_.astype(np.float64)
    right, sure = matched(labels_of(dataset), phi.argmax(axis=1)), phi.max(axis=1).clip(max=1)
    inside, points = (np.histogram(chosen, BINS, (0, 1))[0] for chosen in (sure[right], sure))
    return scores(dataset, model.labels_) | {
        "ece": expected_calibration_error(phi, right),
        "confidence": float(sure.mean()),
        "reliability": " ".join(f"{k}/{n}" for k, n in zip(inside, points, strict=True)),
        "loss": float(model.loss_),
        "classes": float(dataset.classes),
    }


def corrupted(graph: sp.csr_array, share: float, seed: int) -> sp.csr_array:
    """A symmetric graph of which that share of the edges keeps one end and gets another at random, where none was."""
    edges, n, random = edges_of(graph), graph.shape[0], np.random.default_rng(seed)
    taken = {(int(i), int(j)) for i, j in edges}
    for place in random.choice(len(edges), round(share * len(edges)), replace=False):
        i = j = int(edges[place, random.integers(2)])
        while i == j or (edge := (min(i, j), max(i, j))) in taken:
            j = int(random.integers(n))
        taken.add(edge)
        edges[place] = edge
    return graph_of(edges, n)


def confidence(clusters: int, alpha: float, signal: float = 1.0) -> float:
    """The largest probability at the optimum, ``1/C + (1 - 1/C) √((1-α) λ)``."""
    return 1 / clusters + (1 - 1 / clusters) * math.sqrt((1 - alpha) * signal)


def signal_of(confidence: float, clusters: int) -> float:
    """λ, from the confidence at α = 0."""
    return (max(confidence - 1 / clusters, 0.0) / (1 - 1 / clusters)) ** 2


def calibrated(accuracy: float, clusters: int, signal: float = 1.0) -> float:
    """α >= 0 at which the confidence is the accuracy, or comes nearest to it."""
    return max(0.0, 1 - signal_of(accuracy, clusters) / signal)


def ambiguous(clusters: int, signal: float = 1.0) -> float:
    """α above which there are optima whose most probable clusters do not tell all clusters apart.

    For λ = 1 it is ``C / (C + √(C-1))``: the lower triangular root of p_α gives a head with the loss zero, and from
    there on two of its clusters have the same most probable one. That no optimum does so earlier was found numerically
    for C = 2 to 5. With wrong edges it is the α of the same ``(1-α) λ``, and 0 where already α = 0 is beyond it.
    """
    root = math.sqrt(clusters - 1)
    return max(0.0, 1 - root / (clusters + root) / signal)


def runs_of(frame: DataFrame, title: str) -> DataFrame:
    """The runs of a setting."""
    factor, level = SETTINGS[title]
    wanted = DEFAULT | {factor: level}
    return frame[(frame[list(wanted)] == Series(wanted)).all(axis=1)]


def means(frame: DataFrame, title: str, measure: str) -> Any:
    """``[data sets, α]``: means over seeds of a setting, in percent."""
    return 100 * runs_of(frame, title).groupby(["dataset", "alpha"])[measure].mean().unstack("alpha")


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
    for title, (dataset, count) in product(("default", *FACTORS["wrong edges"]), counts(frame).items()):
        sure, right, off = (means(frame, title, name).loc[dataset] for name in ("confidence", "accuracy", "ece"))
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
    """A column per factor, a row per measure, a line per level: means over data sets; dots are what theory predicts.

    Bars are one standard deviation of these means over seeds.
    """
    figure, places = panels(len(MEASURES), len(FACTORS), (2.2, 2.0), sharey="row", sharex=True)
    dense = np.linspace(0, max(ALPHAS), 50)
    for column, (factor, others) in zip(places.T, FACTORS.items(), strict=True):
        column[0].set_title(factor)
        column[-1].set_xlabel("α")
        titles = ["default", *others]
        runs = concat([runs_of(frame, title).assign(setting=title) for title in titles])
        runs = runs.astype({"setting": CategoricalDtype(titles)})
        by_seed = runs.groupby(["setting", "seed", "alpha"], observed=True, as_index=False)[list(MEASURES)].mean()
        for panel, measure in zip(column, MEASURES, strict=True):
            lines(panel, by_seed, "setting", "alpha", measure)
        for number, title in enumerate(titles):
            name, level = SETTINGS[title]
            first = means(frame, title, "confidence")[0.0] / 100
            shares = counts(frame, level if name == "clusters" else DEFAULT["clusters"]).items()
            curves = [[confidence(c, alpha, signal_of(first[data], c)) for alpha in dense] for data, c in shares]
            column[-1].plot(dense, 100 * np.mean(curves, axis=0), color=COLOURS[number], linestyle=":")
        column[0].legend(fontsize=7, loc="lower left")
    for panel, name in zip(places[:, 0], MEASURES.values(), strict=True):
        panel.set_ylabel(name)
    return figure


def reliability(frame: DataFrame) -> Figure:
    """A panel per data set and a line per α: accuracy of the default runs against confidence, by bins of all seeds.

    The areas of the dots are the shares of the points; where the head is calibrated they are on the diagonal.
    """
    runs = runs_of(frame, "default")
    figure, places = panel_per(sorted(runs["dataset"].unique()), (2.3, 2.2))
    centres = (np.arange(BINS) + 0.5) / BINS
    groups: Any = runs.groupby(["dataset", "alpha"])["reliability"]
    for (dataset, alpha), texts in groups:
        bins = [[entry.split("/") for entry in text.split()] for text in texts]
        inside, points = np.array(bins, dtype=np.float64).sum(axis=0).T
        some, number = points > 0, ALPHAS.index(alpha)
        x, y = 100 * centres[some], 100 * inside[some] / points[some]
        places[dataset].plot(x, y, color=COLOURS[number], label=f"α = {alpha:g}")
        places[dataset].scatter(x, y, 120 * points[some] / points.sum(), color=COLOURS[number])
    for panel in places.values():
        panel.plot((0, 100), (0, 100), color="black", linestyle=":", linewidth=0.8)
    return label(figure, places.values(), "confidence (%)", "accuracy (%)", len(ALPHAS))


EXPERIMENT = Experiment(
    name="debiasing",
    question="When does debiasing help accuracy and calibration, and what does theory say of it?",
    settings=Settings,
    configurations=configurations,
    run=run,
    development=True,
    table=partial(effects, measures={"accuracy": "accuracy", "ece": "calibration error"}),
    tables={"NMI": partial(effects, measures={"nmi": "NMI"}), "What the theory predicts": predictions},
    figures={"effect": effect, "reliability": reliability},
)
