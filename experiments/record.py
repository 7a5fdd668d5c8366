"""What an experiment is: its runs, and how its report reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from experiments.datasets import Dataset

Configuration = dict[str, Any]
Measures = dict[str, float]


def checked(settings: Any, valid: Callable[[Any, str], object], *names: str) -> None:
    """Check fields of a record of settings, each by its name, with one of `icon._checks`."""
    for name in names:
        valid(getattr(settings, name), name)


@dataclass(frozen=True)
class Experiment:
    """An experiment as the command line, the store and the report know it.

    The functions that read results take a tidy frame, one row per measure of a run: ``dataset``, ``seed``, a column
    per entry of the configuration, ``measure`` and ``value``. It comes from the CSV alone.

    Args:
        name: on the command line, and the folder of the results.
        title, question: of the report.
        settings: a frozen dataclass of what is the same in all runs, its defaults those of the published results.
        configurations: ``(dataset, settings)`` to the configurations that are run with every seed. It refuses, with a
            ValueError, a data set that the experiment cannot use.
        run: ``(dataset, seed, configuration, settings)`` to the measures of one run.
        table: the frame to the head and the body of the table.
        findings: the frame to sentences, made from the numbers.
        figures: name of the file to the drawing of the frame.
        caption: the settings to the protocol in words.
    """

    name: str
    title: str
    question: str
    settings: type[Any]
    configurations: Callable[[Dataset, Any], Sequence[Configuration]]
    run: Callable[[Dataset, int, Configuration, Any], Measures]
    table: Callable[[pd.DataFrame], tuple[list[str], list[list[str | float | None]]]]
    findings: Callable[[pd.DataFrame], list[str]]
    figures: Mapping[str, Callable[[pd.DataFrame], Figure]]
    caption: Callable[[Any], str]
