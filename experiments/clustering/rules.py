"""Reading of the debiasing experiment: α at hand, α in hindsight, and rules that choose α without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from pandas import DataFrame, Series

from experiments.datasets import Array
from experiments.spread import mean_std

TableCell = str | float | None


class Cell(NamedTuple):
    """The runs of a data set, graph and batch size."""

    dataset: str
    graph: str
    batch: int
    runs: DataFrame

    def by_alpha(self, measure: str) -> DataFrame:
        """``[seeds, alphas]``."""
        found = self.runs[self.runs["measure"] == measure]
        return found.pivot(index="seed", columns="alpha", values="value")

    @property
    def hindsight(self) -> float:
        """The α with the highest mean accuracy."""
        return float(cast("float", self.by_alpha("accuracy").mean().idxmax()))


def cells(frame: DataFrame) -> Iterator[Cell]:
    for key, runs in frame.groupby(["dataset", "graph", "batch"]):
        dataset, graph, batch = cast("tuple[str, str, int]", key)
        yield Cell(dataset, graph, int(batch), runs)


Rule = Callable[[Cell], Array]


def fixed(alpha: float) -> Rule:
    """The tried α that is nearest, for every seed."""

    def choose(cell: Cell) -> Array:
        table = cell.by_alpha("accuracy")
        tried = np.asarray(table.columns, dtype=np.float64)
        return np.full(len(table), tried[np.abs(tried - alpha).argmin()])

    return choose


def agreement(cell: Cell) -> Array:
    """Where the starts agree most."""
    return cell.by_alpha("agreement").idxmax(axis=1).to_numpy()


def held_out(cell: Cell) -> Array:
    """Where edges kept aside are best predicted."""
    return cell.by_alpha("held-out").idxmin(axis=1).to_numpy()


RULES: dict[str, Rule] = {
    "α = 0": fixed(0.0),
    "α = 0.2": fixed(0.2),
    "agreement": agreement,
    "held-out edges": held_out,
}


def under(cell: Cell, rule: Rule, measure: str = "accuracy") -> Array:
    """The measure by seed at the α that the rule chooses."""
    table = cell.by_alpha(measure)
    return np.array([table.loc[seed, alpha] for seed, alpha in zip(table.index, rule(cell), strict=True)])


def regret(cell: Cell, rule: Rule) -> float:
    """Points of accuracy lost against the best α in hindsight."""
    return float(100 * (cell.by_alpha("accuracy")[cell.hindsight].mean() - under(cell, rule).mean()))


def table(frame: DataFrame) -> tuple[list[str], list[list[TableCell]]]:
    """A row per data set, graph and batch size, and their means."""
    head = ["data set", "graph", "batch", *(f"accuracy (%): {name}" for name in RULES)]
    head += ["best in hindsight", "its α", "ECE: α = 0", "ECE: α = 0.2"]
    body: list[list[TableCell]] = []
    for cell in cells(frame):
        best = cell.hindsight
        row: list[TableCell] = [cell.dataset, cell.graph, cell.batch]
        row += [mean_std(100 * under(cell, rule), 1) for rule in RULES.values()]
        row += [mean_std(100 * cell.by_alpha("accuracy")[best], 1), best]
        row += [mean_std(under(cell, RULES[name], "ece")) for name in ("α = 0", "α = 0.2")]
        body.append(row)
    for graph in sorted(frame["graph"].unique()):
        some = [cell for cell in cells(frame) if cell.graph == graph]
        row = ["mean", graph, None, *(_mean([100 * under(c, rule) for c in some]) for rule in RULES.values())]
        row += [_mean([100 * c.by_alpha("accuracy")[c.hindsight] for c in some]), None]
        row += [_mean([under(c, RULES[name], "ece") for c in some], 3) for name in ("α = 0", "α = 0.2")]
        body.append(row)
    return head, body


def findings(frame: DataFrame) -> list[str]:
    """The curve, calibration, and each rule against hindsight, on each kind of graph."""
    said = []
    for graph in sorted(frame["graph"].unique()):
        some = [cell for cell in cells(frame) if cell.graph == graph]
        said += [_curve(graph, some), _calibration(graph, some)]
        said += [_rule(graph, name, some) for name in RULES]
    return said


def _curve(graph: str, some: list[Cell]) -> str:
    mean = 100 * _by_alpha(some, "accuracy")
    batches = sorted({cell.batch for cell in some})
    best = [f"{_mean([[cell.hindsight] for cell in some if cell.batch == batch], 2)} at {batch}" for batch in batches]
    return (
        f"{graph} graph: the mean accuracy over data sets and batch sizes is {mean.iloc[0]:.1f} at α = 0, highest "
        f"({mean.max():.1f}) at α = {mean.idxmax():g} and {mean.iloc[-1]:.1f} at α = {mean.index[-1]:g}; by batch "
        f"size, the mean of the best α in hindsight is {' and '.join(best)}."
    )


def _calibration(graph: str, some: list[Cell]) -> str:
    errors = _by_alpha(some, "ece")
    return (
        f"{graph} graph, calibration: the mean ECE is {errors.iloc[0]:.3f} at α = 0, lowest ({errors.min():.3f}) at "
        f"α = {errors.idxmin():g} and {errors.iloc[-1]:.3f} at α = {errors.index[-1]:g}."
    )


def _rule(graph: str, name: str, some: list[Cell]) -> str:
    lost = [regret(cell, RULES[name]) for cell in some]
    worst = some[int(np.argmax(lost))]
    chosen = np.concatenate([RULES[name](cell) for cell in some])
    return (
        f"{graph} graph, rule {name}: mean accuracy {_mean([100 * under(cell, RULES[name]) for cell in some])}, mean "
        f"regret {np.mean(lost):.1f} points (at most {max(lost):.1f}, {worst.dataset} with batches of {worst.batch}); "
        f"it chooses α between {chosen.min():g} and {chosen.max():g}, {chosen.mean():.2f} in the mean."
    )


def _by_alpha(some: list[Cell], measure: str) -> Series:
    """The mean over cells, each of them the mean over its seeds."""
    return DataFrame([cell.by_alpha(measure).mean() for cell in some]).mean()


def _mean(values: Sequence[Any], digits: int = 1) -> str:
    """Over cells, each of them the mean over its seeds."""
    return f"{np.mean([np.mean(v) for v in values]):.{digits}f}"
