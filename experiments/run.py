"""Run what is not finished yet: every configuration of every data set with every seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from experiments.datasets import Dataset, refuse_validation
from experiments.record import Configuration, Experiment, labels_of
from experiments.store import Row, Store, row_of


class Task(NamedTuple):
    """One run to make."""

    dataset: Dataset
    seed: int
    configuration: Configuration
    row: Row


def tasks(experiment: Experiment, datasets: Sequence[Dataset], seeds: int, settings: Any) -> list[Task]:
    """All runs, finished or not: seed by seed, so that an early stop leaves whole seeds."""
    planned = []
    for dataset in datasets:
        if experiment.development:
            refuse_validation(dataset)
        configurations = experiment.configurations(dataset)
        labels_of(dataset, experiment.partly)
        if dataset.test is not None and not experiment.tests:
            raise ValueError(f"test-features: got some for {experiment.name}, which scores the points that it clusters")
        for seed in range(seeds):
            made = [each for each in configurations if seed < (experiment.most_seeds(each) or seeds)]
            for configuration in made:
                row = row_of(dataset, seed, configuration, settings, len(made))
                planned.append(Task(dataset, seed, configuration, row))
    return planned


def execute(experiment: Experiment, planned: Iterable[Task], settings: Any, store: Store) -> int:
    """Make the runs that the store does not have, and return how many these were."""
    made = 0
    for task in planned:
        if not store.has(task.row):
            store.add(task.row, experiment.run(task.dataset, task.seed, task.configuration, settings))
            made += 1
    return made
