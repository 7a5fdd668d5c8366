"""How far the number of clusters of each rule is from the number of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.plots import COLOURS, MARKERS, legend, panels
from experiments.statistics import difference

OURS, MODULAR, DISTINCT = "ours", "highest modularity", "stays most"
SILHOUETTE, EIGENGAP, HDBSCAN, TRUE = "silhouette", "eigengap", "HDBSCAN", "true number"
RULES = (OURS, MODULAR, DISTINCT, SILHOUETTE, EIGENGAP, HDBSCAN, TRUE)
#: What the table says beside a rule.
NAMES = {
    OURS: '`n_clusters="auto"` (ours)',
    MODULAR: "highest modularity alone",
    DISTINCT: "stays most beyond points without clusters, alone",
    SILHOUETTE: "silhouette of k-means",
    EIGENGAP: "eigengap of the graph",
    HDBSCAN: "HDBSCAN",
    TRUE: "the true number",
}
CONSTANT = "one number for all, best in hindsight"
CLOSE = np.log2(1.5)


def errors(frame: DataFrame) -> DataFrame:
    """With the columns ``log2``, of the chosen number less that of the true one, and ``error``, its absolute value."""
    ratio: Any = np.log2(frame["chosen"] / frame["classes"])
    return frame.assign(log2=ratio, error=ratio.abs())


def constant(frame: DataFrame) -> int:
    """The number with the smallest mean error where it is the same for all data sets."""
    classes = frame.groupby("dataset")["classes"].first()
    return min(range(2, 201), key=lambda number: float(np.log2(number / classes).abs().mean()))


def table(frame: DataFrame) -> DataFrame:
    """A row per rule: means over data sets that count alike."""
    found = errors(frame)
    number, classes = constant(frame), frame.groupby("dataset")["classes"].first()
    off: Any = np.log2(number / classes)
    rows = []
    for rule, title in NAMES.items():
        own: Any = found[found["rule"] == rule].assign(close=lambda runs: runs["error"] <= CLOSE)
        mean = own.groupby("dataset")[["error", "log2", "close", "accuracy", "nmi", "seconds"]].mean()
        rows.append(_row(title, mean) | {
            "accuracy": f"{100 * mean['accuracy'].mean():.1f}",
            "NMI": f"{100 * mean['nmi'].mean():.1f}",
            "CPU s": f"{mean['seconds'].mean():.1f}" if rule not in (MODULAR, DISTINCT, TRUE) else "",
        })  # fmt: skip
    guess = DataFrame({"error": off.abs(), "log2": off, "close": off.abs() <= CLOSE})
    rows.append(_row(f"{CONSTANT} ({number})", guess) | dict.fromkeys(("accuracy", "NMI", "CPU s"), ""))
    return DataFrame(rows)


def _row(title: str, mean: DataFrame) -> dict[str, str]:
    return {
        "rule": title,
        "mean absolute log2 error": f"{mean['error'].mean():.2f}",
        "mean log2": f"{mean['log2'].mean():+.2f}",
        "within a factor of 1.5, %": f"{100 * mean['close'].mean():.0f}",
        "largest error": f"{mean['error'].max():.2f} ({mean['error'].idxmax()})",
    }


def per_dataset(frame: DataFrame) -> DataFrame:
    """A row per data set: the numbers of each rule, one per seed."""
    rows = []
    for dataset, runs in frame.groupby("dataset"):
        row = {"data set": str(dataset), "classes": str(int(runs["classes"].iloc[0]))}
        for rule in RULES[:-1]:
            own = runs[runs["rule"] == rule].sort_values("seed")
            row[rule] = ", ".join(map(str, own["chosen"].astype(int)))
        rows.append(row)
    return DataFrame(rows)


def against_ours(frame: DataFrame) -> DataFrame:
    """A row per other rule: its absolute log2 error less ours, with the 95 % interval over data sets."""
    each: Any = errors(frame).groupby(["rule", "dataset"])["error"].mean().unstack("rule")
    classes = frame.groupby("dataset")["classes"].first()
    each[CONSTANT] = np.log2(constant(frame) / classes).abs()
    others = [rule for rule in (*RULES[:-1], CONSTANT) if rule != OURS]
    return DataFrame(
        {"rule": NAMES.get(rule, rule), "difference": difference(each[rule], each[OURS], 2)} for rule in others
    )


def numbers(frame: DataFrame) -> Figure:
    """A row per data set, by its number of classes: a dot for each seed and rule, and the true number as a bar."""
    classes: Any = frame.groupby("dataset")["classes"].first().sort_values(kind="stable")
    shown = (OURS, SILHOUETTE, EIGENGAP, HDBSCAN)
    figure, places = panels(1, 1, (7.2, 0.42 * len(classes) + 0.4), left=0.9)
    panel = places[0, 0]
    for place, dataset in enumerate(classes.index):
        panel.plot(classes[dataset], place, "|", color="black", markersize=16, markeredgewidth=1.8,
                   label="number of classes" if place == 0 else None)  # fmt: skip
        for number, rule in enumerate(shown):
            own = frame[(frame["dataset"] == dataset) & (frame["rule"] == rule)]
            aside = place + 0.18 * (number - (len(shown) - 1) / 2)
            panel.plot(own["chosen"], np.full(len(own), aside), MARKERS[number], color=COLOURS[number], alpha=0.7,
                       label=rule if place == 0 else None)  # fmt: skip
    panel.set_xscale("log", base=2)
    ticks = [1, 2, 5, 10, 20, 50, 100, 200]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    panel.set_yticks(range(len(classes)), list(classes.index))
    panel.set_xlabel("number of clusters")
    legend(figure, 5)
    return figure
