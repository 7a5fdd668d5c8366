"""The table, and accuracy against α."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.debiased_contrastive import protocol
from experiments.debiased_contrastive.protocol import CHUANG, RAW, SIMCLR, T_SIMCLR, UNTRAINED
from experiments.plots import COLOURS, LINES, MARKERS, label, legend, line, panels
from experiments.record import Experiment
from experiments.statistics import long, ordered, percent

METHODS = {SIMCLR: COLOURS[0], T_SIMCLR: COLOURS[2], CHUANG: COLOURS[3]}
PROBES = {"knn": "k-NN", "linear": "linear probe"}


def with_plain(frame: DataFrame) -> DataFrame:
    """At α = 0 Chuang's estimator is SimCLR."""
    plain = frame[(frame["method"] == SIMCLR) & (frame["alpha"] == 0)]
    return pd.concat([frame, plain.assign(method=CHUANG)])


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, probe, method and batch size, a column per α."""
    runs = ordered(long(with_plain(frame), PROBES, "accuracy (%)"), method=[RAW, UNTRAINED, *METHODS])
    runs = runs.assign(alpha=runs["alpha"].map("α = {:g}".format))
    rows = ["dataset", "accuracy (%)", "method", "batch"]
    found = runs.pivot_table("value", rows, "alpha", percent, observed=True).reset_index()
    return found.assign(batch=found["batch"].map(lambda batch: str(batch) if batch else None))


def accuracy(frame: DataFrame) -> Figure:
    """A row per probe, a column per data set."""
    frame, datasets = with_plain(frame), sorted(frame["dataset"].unique())
    figure, places = panels(len(PROBES), len(datasets), (max(2.8, 5.6 / len(datasets)), 2.4), sharex=True)
    for row, (probe, name) in enumerate(PROBES.items()):
        for panel, dataset in zip(places[row], datasets, strict=True):
            some = frame[frame["dataset"] == dataset]
            for number, ((method, batch), runs) in enumerate(some[some["batch"] > 0].groupby(["method", "batch"])):
                odd = number % 2
                line(
                    panel, runs, "alpha", probe, 100, 0.006 * (number - 2.5), label=f"{method}, batch {batch}",
                    color=METHODS[method], marker=MARKERS[odd], linestyle=LINES[odd],
                )  # fmt: skip
            for method, style in ((RAW, ":"), (UNTRAINED, "-.")):
                level = 100 * some.loc[some["method"] == method, probe].mean()
                panel.axhline(level, color="#777777", linewidth=1, linestyle=style, label=method)
            panel.set_title(dataset if row == 0 else "")
        label(places[row], "α (of Chuang's estimator: τ⁺)" if row else "", f"{name} accuracy (%)")
    legend(figure, places[0, 0], 2)
    return figure


EXPERIMENT = Experiment(
    name="debiased-contrastive",
    title="Debiased contrastive learning",
    question=(
        "Other images of an anchor's class compete with it as negatives. Does it help to mix uniform mass into p "
        "(Alshammari et al. 2025), and does Chuang's estimate of the true negatives (Chuang et al. 2020) help, with "
        "small and with large batches?"
    ),
    settings=protocol.Settings,
    configurations=protocol.configurations,
    run=protocol.run,
    table=table,
    figures={"accuracy": accuracy},
)
