"""Results on disk: one line per run, written as it ends, so that a killed experiment goes on where it was."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict, cast

import icon

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib")


class Run(TypedDict):
    """A finished run.

    ``key`` is the hash of what decides the result: the fields from ``experiment`` to ``settings``. ``siblings`` is the
    number of configurations that a seed of this data set has, this one included.
    """

    key: str
    experiment: str
    dataset: str
    fingerprint: str
    seed: int
    configuration: dict[str, Any]
    settings: dict[str, Any]
    siblings: int
    measures: dict[str, float]
    seconds: float
    finished: str
    command: str


class Store:
    """``folder/runs.jsonl``, which only grows; opening it cuts off a line that a kill left unfinished.

    Raises:
        ValueError: a line that is no run, with its number.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "runs.jsonl"
        _drop_torn_line(self.path)
        self.finished = {run["key"] for run in read(self.path)}

    def append(self, run: Run) -> None:
        """Write a run, whole or not at all, and be sure that it is on the disk."""
        line = memoryview(json.dumps(run, separators=(",", ":")).encode() + b"\n")
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            while line:  # one write but for a full disk; a part of a line is dropped when the store is opened
                line = line[os.write(file, line) :]
            os.fsync(file)
        finally:
            os.close(file)
        self.finished.add(run["key"])


def read(path: Path) -> list[Run]:
    """The finished runs of a ``runs.jsonl``, in the order in which they ended; none where there is no file.

    Raises:
        ValueError: a line that is no run, with its number.
    """
    if not path.is_file():
        return []
    *lines, _torn = path.read_bytes().split(b"\n")
    runs: list[Run] = []
    for number, line in enumerate(lines, start=1):
        try:
            run = json.loads(line)
            runs.append(cast(Run, {name: run[name] for name in Run.__annotations__}))
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"runs: got line {number} of {path}, expected a run; mend or remove that line") from None
    return runs


def key(**decides: Any) -> str:
    """A hash of the named values that is the same in every process and for every order of their names."""
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def record_environment(folder: Path, command: str, threads: int) -> None:
    """Add to ``folder/environment.json`` the exact command, the date and the versions of what runs now."""
    path = folder / "environment.json"
    invocations = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    invocations.append(
        {
            "command": command,
            "date": now(),
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


def _drop_torn_line(path: Path) -> None:
    if not path.is_file():
        return
    whole = path.read_bytes()
    kept = whole.rfind(b"\n") + 1
    if kept < len(whole):
        os.truncate(path, kept)
