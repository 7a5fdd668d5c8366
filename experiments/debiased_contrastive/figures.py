"""The figure: accuracy against α, a row per probe and a column per data set."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.debiased_contrastive.findings import PROBES, alphas, batches, value
from experiments.debiased_contrastive.protocol import CHUANG, RAW, SIMCLR, T_SIMCLR, UNTRAINED

#: Colours of Okabe and Ito; the line style tells the batch size.
COLOURS = {SIMCLR: "#0072B2", T_SIMCLR: "#009E73", CHUANG: "#D55E00"}
STYLES = (("o", "-"), ("s", "--"), ("^", ":"))


def accuracy(frame: DataFrame) -> Figure:
    """Bars are one standard deviation over seeds."""
    datasets = sorted(frame["dataset"].unique())
    figure = Figure(figsize=(max(5.6, 3.6 * len(datasets)), 6.0), layout="constrained")
    panels = figure.subplots(len(PROBES), len(datasets), squeeze=False, sharex=True)
    for row, (measure, name) in enumerate(PROBES.items()):
        for column, dataset in enumerate(datasets):
            _curves(panels[row, column], frame, dataset, measure)
            panels[0, column].set_title(dataset)
            panels[-1, column].set_xlabel("α (of Chuang's estimator: τ⁺)")
        panels[row, 0].set_ylabel(f"{name} accuracy (%)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _curves(panel: Axes, frame: DataFrame, dataset: str, measure: str) -> None:
    number = 0
    for method, colour in COLOURS.items():
        for batch, (marker, line) in zip(batches(frame), STYLES, strict=False):
            found = [value(frame, dataset, method, batch, alpha, measure) for alpha in alphas(frame)]
            spread = [v.std() if len(v) > 1 else 0.0 for v in found]
            panel.errorbar(
                [alpha + 0.006 * (number - 2.5) for alpha in alphas(frame)], [v.mean() for v in found], spread,
                label=f"{method}, batch {batch}", color=colour, marker=marker, linestyle=line, markersize=4,
                linewidth=1.2, elinewidth=0.7,
            )  # fmt: skip
            number += 1
    for method, line in ((RAW, ":"), (UNTRAINED, "-.")):
        level = float(value(frame, dataset, method, 0, 0.0, measure).mean())
        panel.axhline(level, color="#777777", linewidth=1, linestyle=line, label=method)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
