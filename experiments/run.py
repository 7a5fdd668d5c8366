"""Run what is not finished yet: every configuration of every data set with every seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from experiments.datasets import Dataset
from experiments.record import Configuration, Experiment
from experiments.store import Run, Store, key, now


class Task(NamedTuple):
    """One run to make."""

    key: str
    dataset: Dataset
    fingerprint: str
    seed: int
    configuration: Configuration
    siblings: int


def tasks(experiment: Experiment, datasets: Sequence[Dataset], seeds: int, settings: Any) -> list[Task]:
    """All runs, finished or not: seed by seed, so that an early stop leaves whole seeds.

    Raises:
        ValueError: a data set that the experiment cannot use.
    """
    planned = []
    for dataset in datasets:
        configurations, fingerprint = experiment.configurations(dataset, settings), dataset.fingerprint
        for seed in range(seeds):
            for configuration in configurations:
                found = key(
                    experiment=experiment.name,
                    dataset=dataset.name,
                    fingerprint=fingerprint,
                    seed=seed,
                    configuration=configuration,
                    settings=asdict(settings),
                )
                planned.append(Task(found, dataset, fingerprint, seed, configuration, len(configurations)))
    return planned


def execute(
    experiment: Experiment,
    planned: Sequence[Task],
    settings: Any,
    store: Store,
    command: str,
    tick: Callable[[Task], None] = lambda task: None,
) -> int:
    """Make the runs that the store does not have, and return how many these were; ``tick`` is told of each one.

    Args:
        command: what is written beside each result."""
    made = 0
    for task in planned:
        tick(task)
        if task.key in store.finished:
            continue
        start = time.perf_counter()
        measures = experiment.run(task.dataset, task.seed, task.configuration, settings)
        run: Run = {
            "key": task.key,
            "experiment": experiment.name,
            "dataset": task.dataset.name,
            "fingerprint": task.fingerprint,
            "seed": task.seed,
            "configuration": task.configuration,
            "settings": asdict(settings),
            "siblings": task.siblings,
            "measures": measures,
            "seconds": round(time.perf_counter() - start, 3),
            "finished": now(),
            "command": command,
        }
        store.append(run)
        made += 1
    return made
