"""What an experiment is: its runs, and how its results are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame
from typing_extensions import dataclass_transform

from experiments.datasets import Array, Dataset
from icon import _checks as check

Configuration = dict[str, Any]
Measures = dict[str, float | str]
Table = Callable[[DataFrame], DataFrame]
#: Settings that are shares.
SHARES = ("debias", "ema", "held")


@dataclass(frozen=True)
class Experiment:
    """An experiment as the command line, the store and the report know it.

    The functions that read results take a frame with a row per run: ``dataset``, ``seed``, a column per entry of the
    configuration and a column per measure. It comes from the CSV alone.

    Args:
        name: on the command line, and the folder of the results.
        question: in one line.
        settings: what is the same in all runs.
        configurations: a data set to the configurations that are run with every seed. It refuses, with a ValueError, a
            data set that the experiment cannot use.
        run: ``(dataset, seed, configuration, settings)`` to the measures of one run.
        table: the frame to the table of the report.
        figures: name of the file to the drawing of the frame.
        tables: further tables, by title.
        most_seeds: a configuration to the number of seeds that it is run with at most; None sets no limit.
        development: whether it refuses the data sets that are kept for validation, as it compares ways to choose.
        partly: whether the labels of some points may be unknown.
        tests: whether it scores the test points of a data set that has some, and takes features that lie on disk.
    """

    name: str
    question: str
    settings: type[Fixed]
    configurations: Callable[[Dataset], Sequence[Configuration]]
    run: Callable[[Dataset, int, Configuration, Any], Measures]
    table: Table
    figures: Mapping[str, Callable[[DataFrame], Figure]]
    tables: Mapping[str, Table] = field(default_factory=dict)
    most_seeds: Callable[[Configuration], int | None] = lambda configuration: None
    development: bool = False
    partly: bool = False
    tests: bool = False


@dataclass_transform(frozen_default=True)
class Fixed:
    """What is the same in all runs, a frozen dataclass: whole numbers from 1, shares in [0, 1], others above 0."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            share: Any = check.fraction if name in SHARES else check.positive
            (check.count if isinstance(value, int) else share)(value, name)


def grid(**levels: Sequence[Any]) -> Callable[[Dataset], list[Configuration]]:
    """Every combination of the levels, the last of them fastest, for every data set."""
    return lambda dataset: [dict(zip(levels, each, strict=True)) for each in product(*levels.values())]


def labels_of(dataset: Dataset, partly: bool = False) -> Array:
    """``[n]`` the labels of a data set, of which none may be unknown, or ``partly`` some, but not all."""
    if dataset.y is None or bool((dataset.y < 0).any() and not (partly and dataset.classes)):
        raise ValueError(f"labels: got unknown ones of {dataset.name}, expected --labels FILE, one per point, to score")
    return np.asarray(dataset.y)
