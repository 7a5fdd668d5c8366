"""Results on disk: one CSV with a row per run, written as each run ends, so that a killed experiment can go on."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from filelock import FileLock

from experiments.datasets import Dataset, refuse_validation
from experiments.record import Configuration, Experiment, Measures, labels_of
from icon.cli.output import versions
from icon.serialization import put

FILE = "results.csv"
#: What a row has beside its configuration and its measures: the fingerprint of the data, the digest of the settings,
#: and how many runs a seed of the data set has.
OWN = ("dataset", "data", "settings", "seed", "runs")


class Task(NamedTuple):
    """One run to make, and what identifies it, as the text of its row."""

    dataset: Dataset
    seed: int
    configuration: Configuration
    row: dict[str, str]


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
            own = dict(zip(OWN, (dataset.name, dataset.fingerprint, digest(settings), seed, len(made)), strict=True))
            for each in made:
                planned.append(Task(dataset, seed, each, {name: str(value) for name, value in (own | each).items()}))
    return planned


def digest(settings: Any) -> str:
    """Changes with the settings."""
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:8]


class Store:
    """``folder/results.csv``, which is made where it does not exist; several processes may add to it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        self._rows = _rows_of(self.path)

    def has(self, row: dict[str, str]) -> bool:
        """Whether the run of this row has finished."""
        return any(row.items() <= finished.items() for finished in self._rows)

    def add(self, row: dict[str, str], measures: Measures) -> None:
        """Write a finished run, once, with seven digits; a kill leaves the file as it was or with the whole row."""
        with FileLock(self.path.with_suffix(".lock")):
            self._rows = _rows_of(self.path)
            if not self.has(row):  # by another process
                texts = {k: f"{v:.7g}" if isinstance(v, float) else str(v) for k, v in measures.items()}
                self._rows.append(row | texts)
                put(self.path, pd.DataFrame(self._rows).fillna("").to_csv(index=False).encode())


def execute(experiment: Experiment, planned: Iterable[Task], settings: Any, store: Store) -> int:
    """Make the runs that the store does not have, and return how many these were."""
    made = 0
    for task in planned:
        if not store.has(task.row):
            store.add(task.row, experiment.run(task.dataset, task.seed, task.configuration, settings))
            made += 1
    return made


def _rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of the CSV with every cell as it is written; none where there is no file."""
    if not path.is_file():
        return []
    try:
        rows: Any = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise ValueError(f"results: got {path} ({str(error).strip()}), expected the CSV of earlier runs") from None
    if not set(OWN) <= set(rows.columns):
        raise ValueError(f"results: got {path} without the columns {', '.join(OWN)}, expected the CSV of earlier runs")
    found: list[dict[str, str]] = rows.to_dict("records")
    return found


def read(folder: Path) -> pd.DataFrame:
    """The finished runs of a folder, in the order in which they ended."""
    if not _rows_of(folder / FILE):
        raise ValueError(f"results: got no runs in {folder}, expected {FILE} with some")
    return pd.read_csv(folder / FILE, dtype=dict.fromkeys(("dataset", "data", "settings"), str))


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs with the newest form of each data set, of those seeds that have all their configurations."""
    frame = frame[frame["data"] == frame.groupby("dataset")["data"].transform("last")]
    return frame[frame.groupby(["dataset", "seed"])["seed"].transform("size") == frame["runs"]]


def record_environment(folder: Path, command: str, threads: int) -> None:
    """Add to ``folder/environment.json`` the exact command, the date and the versions of what runs now."""
    path = folder / "environment.json"
    now = {
        "command": command,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": threads,
        "versions": versions(),
    }
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    put(path, json.dumps([*before, now], indent=1).encode() + b"\n")
