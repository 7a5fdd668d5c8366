"""The table, and accuracy against α."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from experiments.debiased_contrastive.protocol import CHUANG, RAW, SIMCLR, T_SIMCLR, UNTRAINED
from experiments.plots import COLOURS, LINES, MARKERS, legend, line, panels
from experiments.statistics import by_seed, mean_std

METHODS = (SIMCLR, T_SIMCLR, CHUANG)
PROBES = {"knn": "k-NN", "linear": "linear probe"}


def value(frame: DataFrame, dataset: str, method: str, batch: int, alpha: float, measure: str) -> Series:
    """Percent, by seed. At α = 0 Chuang's estimator is SimCLR."""
    method = SIMCLR if method == CHUANG and alpha == 0 else method
    return 100 * by_seed(frame, measure, dataset=dataset, method=method, batch=batch, alpha=alpha)


def table(frame: DataFrame) -> DataFrame:
    """A row per data set, probe, method and batch size, a column per α."""
    body = []
    for dataset in sorted(frame["dataset"].unique()):
        for measure, name in PROBES.items():
            start = {"data set": dataset, "accuracy (%)": name}
            for method in (RAW, UNTRAINED):
                plain = mean_std(value(frame, dataset, method, 0, 0.0, measure), 1)
                body.append(start | {"method": method, "batch": None, "α = 0": plain})
            for method in METHODS:
                for batch in _batches(frame):
                    row = {"method": method, "batch": str(batch)}
                    for alpha in _alphas(frame):
                        row[f"α = {alpha:g}"] = mean_std(value(frame, dataset, method, batch, alpha, measure), 1)
                    body.append(start | row)
    return DataFrame(body)


def accuracy(frame: DataFrame) -> Figure:
    """A row per probe, a column per data set."""
    datasets = sorted(frame["dataset"].unique())
    figure, places = panels(len(PROBES), len(datasets), (max(2.8, 5.6 / len(datasets)), 2.4), sharex=True)
    for row, (measure, name) in enumerate(PROBES.items()):
        for column, dataset in enumerate(datasets):
            _curves(places[row, column], frame, dataset, measure)
            places[0, column].set_title(dataset)
            places[-1, column].set_xlabel("α (of Chuang's estimator: τ⁺)")
        places[row, 0].set_ylabel(f"{name} accuracy (%)")
    legend(figure, places[0, 0], 2)
    return figure


def _curves(panel: Axes, frame: DataFrame, dataset: str, measure: str) -> None:
    number, alphas = 0, _alphas(frame)
    for method, colour in zip(METHODS, (COLOURS[0], COLOURS[2], COLOURS[3]), strict=True):
        for batch, marker, style in zip(_batches(frame), MARKERS, LINES, strict=False):
            aside = 0.006 * (number - 2.5)  # bars beside one another
            line(
                panel, [alpha + aside for alpha in alphas],
                [value(frame, dataset, method, batch, alpha, measure) for alpha in alphas],
                label=f"{method}, batch {batch}", color=colour, marker=marker, linestyle=style,
            )  # fmt: skip
            number += 1
    for method, style in ((RAW, ":"), (UNTRAINED, "-.")):
        level = float(value(frame, dataset, method, 0, 0.0, measure).mean())
        panel.axhline(level, color="#777777", linewidth=1, linestyle=style, label=method)


def _alphas(frame: DataFrame) -> list[float]:
    return sorted(frame["alpha"].unique())


def _batches(frame: DataFrame) -> list[int]:
    return sorted(frame.loc[frame["batch"] > 0, "batch"].unique())
