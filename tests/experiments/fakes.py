"""An experiment that computes nothing, and a data set for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import typer
from matplotlib.figure import Figure
from pandas import DataFrame
from typer.testing import CliRunner, Result

from experiments.__main__ import main
from experiments.datasets import Dataset
from experiments.record import Configuration, Experiment, Fixed, Measures
from experiments.statistics import mean_std

DATASET = Dataset("points", np.arange(12, dtype=np.float32).reshape(6, 2), y=np.arange(6) // 3)


class Settings(Fixed):
    epochs: int = 3
    rate: float = 0.5
    held: float = 0.0


def score(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    return {"score": seed + configuration["k"] * settings.rate, "other": 1.0}


def _draw(frame: DataFrame) -> Figure:
    figure = Figure()
    figure.subplots().plot(frame["score"])
    return figure


def experiment(run: Callable[..., Measures] = score) -> Experiment:
    """Two configurations per data set."""
    return Experiment(
        name="fake",
        question="Is it?",
        settings=Settings,
        configurations=lambda dataset: [{"k": 1}, {"k": 2}],
        run=run,
        table=lambda frame: frame.groupby("k")["score"].agg(mean_std).reset_index().assign(none=None),
        figures={"first": _draw, "second": _draw},
    )


def command(*arguments: str) -> Result:
    """What ``python -m experiments`` does with these arguments."""
    app = typer.Typer()
    app.command()(main)
    with mock.patch.object(sys, "argv", ["experiments", *arguments]):  # which the results record
        return CliRunner().invoke(app, list(arguments))


def saved(folder: Path, x: np.ndarray, y: np.ndarray) -> list[str]:
    """The arguments for features and labels that are written to a folder."""
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    return ["--features", str(folder / "x.npy"), "--labels", str(folder / "y.npy")]
