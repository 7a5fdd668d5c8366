"""``python -m experiments NAME``: run an experiment and write its report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import track

from experiments import report
from experiments.datasets import NAMES, from_files, load, with_test
from experiments.record import Experiment
from experiments.registry import EXPERIMENTS
from experiments.store import Store, execute, record_environment, tasks
from icon import _checks as check

PUBLISHED, TRIALS = Path("experiments/results"), Path("out/experiments")
DATASETS = ["digits"]  # where none are named
FEATURES = "Instead of --dataset: your features (.npy .npz .csv .parquet .safetensors); a file per view."
OUT = f"Results go to OUT/NAME: {PUBLISHED}, or {TRIALS} with --subset, --set or --features."


def main(
    name: Annotated[str | None, typer.Argument(help="The experiment; without one, a list of them.")] = None,
    dataset: Annotated[list[str], typer.Option(help=f"Repeat the option: {', '.join(NAMES)}.")] = DATASETS,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds: 0, 1, ...")] = 5,
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets' files, else ICON_DATA.")] = None,
    features: Annotated[list[str] | None, typer.Option(help=FEATURES)] = None,
    labels: Annotated[str | None, typer.Option(help="Labels of --features, to score with.")] = None,
    test_features: Annotated[str | None, typer.Option(help="Features of other points, scored instead.")] = None,
    test_labels: Annotated[str | None, typer.Option(help="Labels of --test-features.")] = None,
    key: Annotated[str | None, typer.Option(help="Which array or column of the features' file.")] = None,
    subset: Annotated[int | None, typer.Option(help="This many points of each data set, for a quick run.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, NAME=VALUE (repeat the option).")] = None,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
) -> None:
    """Run an experiment with every seed, and write its tables and figures. A finished run is not run again.

    Example: python -m experiments multi-view --dataset digits --seeds 2 --set epochs=5
    """
    if name is None:
        for experiment in EXPERIMENTS.values():
            typer.echo(f"{experiment.name:20} {experiment.question}")
        return
    torch.set_num_threads(threads)
    try:
        experiment = EXPERIMENTS[check.choice(name, "experiment", tuple(EXPERIMENTS))]
        settings = parse_settings(experiment, set_ or [])
        if test_labels and not test_features:
            raise ValueError("test-labels: got a file without --test-features, expected both")
        if test_features and len(features or []) != 1:
            raise ValueError(f"test-features: got {len(features or [])} files of --features, expected one")
        if labels and not features:
            raise ValueError("labels: got a file without --features, expected both")
        if features:
            chosen = [from_files(features, labels, key, experiment.tests)]
            if test_features:
                chosen = [with_test(chosen[0], from_files([test_features], test_labels, key, stay=True))]
        else:
            chosen = [load(each, data) for each in dict.fromkeys(dataset)]
        chosen = chosen if subset is None else [each.subset(subset) for each in chosen]
        planned = tasks(experiment, chosen, seeds, settings)
        # A trial must not end up among the published results.
        trial = subset is not None or features or set_
        folder = (out or (TRIALS if trial else PUBLISHED)) / experiment.name
        store = Store(folder)
        if not all(store.has(task.row) for task in planned):
            record_environment(folder, shlex.join(["python", "-m", "experiments", *sys.argv[1:]]), threads)
        made = execute(experiment, track(planned, "runs", transient=True), settings, store)
        written = report.write(experiment, folder, settings)
    except (ValueError, TypeError, OSError, ImportError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{made} runs made, {len(planned) - made} were there; written to {folder}:")
    typer.echo(", ".join(path.name for path in written))


def parse_settings(experiment: Experiment, given: list[str]) -> Any:
    """The experiment's settings with ``NAME=VALUE`` put in."""
    defaults = vars(experiment.settings())
    chosen: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"set: got {text!r}, expected NAME=VALUE")
        kind = type(defaults[check.choice(name, "set", tuple(defaults))])
        try:
            chosen[name] = kind(value)
        except ValueError:
            raise ValueError(f"set: got {text!r}, expected {name}={kind.__name__}") from None
    return experiment.settings(**chosen)


if __name__ == "__main__":
    typer.run(main)
