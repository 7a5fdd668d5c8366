"""Results on disk: one CSV with a row per run, written as each run ends, so that a killed experiment can go on."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

import icon
from experiments.datasets import Dataset
from experiments.record import Configuration, Measures

FILE = "results.csv"
#: What a row has beside its configuration and its measures: the fingerprint of the data, the digest of the settings,
#: and how many runs a seed of the data set has.
OWN = ("dataset", "data", "settings", "seed", "runs")
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib")

Row = dict[str, str]


def row_of(dataset: Dataset, seed: int, configuration: Configuration, settings: Any, runs: int) -> Row:
    """What identifies a run, as the text of its row."""
    own = (dataset.name, dataset.fingerprint, digest(settings), seed, runs)
    return {name: str(value) for name, value in [*zip(OWN, own, strict=True), *configuration.items()]}


def digest(settings: Any) -> str:
    """Changes with the settings."""
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:8]


class Store:
    """``folder/results.csv``, which is made where it does not exist; several processes may add to it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        self._rows = _rows_of(self.path)

    def has(self, row: Row) -> bool:
        """Whether the run of this row has finished."""
        return any(row.items() <= finished.items() for finished in self._rows)

    def add(self, row: Row, measures: Measures) -> None:
        """Write a finished run, once; a kill leaves the file as it was or with the whole row."""
        with FileLock(self.path.with_suffix(".lock")):
            self._rows = _rows_of(self.path)
            if not self.has(row):  # by another process
                self._rows.append(row | {name: _written(value) for name, value in measures.items()})
                replace_text(self.path, pd.DataFrame(self._rows).fillna("").to_csv(index=False))


def read(folder: Path) -> pd.DataFrame:
    """The finished runs of a folder, in the order in which they ended."""
    if not _rows_of(folder / FILE):
        raise ValueError(f"results: got no runs in {folder}, expected {FILE} with some")
    return pd.read_csv(folder / FILE, dtype=dict.fromkeys(("dataset", "data", "settings"), str))


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs with the newest form of each data set, of those seeds that have all their configurations."""
    newest = frame.groupby("dataset")["data"].transform("last")
    frame = frame[frame["data"] == newest]
    found = frame.groupby(["dataset", "seed"])["seed"].transform("size")
    return frame[found == frame["runs"]]


def _written(value: float | str) -> str:
    """A measure as text; seven digits tell more than a run repeats."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _rows_of(path: Path) -> list[Row]:
    """The rows of the CSV with every cell as it is written; none where there is no file."""
    if not path.is_file():
        return []
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise ValueError(f"results: got {path} ({str(error).strip()}), expected the CSV of earlier runs") from None
    if not set(OWN) <= set(rows.columns):
        raise ValueError(f"results: got {path} without the columns {', '.join(OWN)}, expected the CSV of earlier runs")
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def record_environment(folder: Path, command: str, threads: int) -> None:
    """Add to ``folder/environment.json`` the exact command, the date and the versions of what runs now."""
    path = folder / "environment.json"
    invocations = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    invocations.append(
        {
            "command": command,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "platform": f"{platform.system()} {platform.machine()}",
            "threads": threads,
            "versions": {"python": platform.python_version(), "icon": icon.__version__}
            | {name: version(name) for name in PACKAGES},
        }
    )
    replace_text(path, json.dumps(invocations, indent=1) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
