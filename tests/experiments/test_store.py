"""Results on disk: a finished run is not run again, whatever killed the process, and a torn line is dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.run import execute, tasks
from experiments.store import Run, Store, key, read, record_environment
from tests.experiments.fakes import DATASET, Settings, experiment, score

SETTINGS = Settings()


def _execute(folder: Path, seeds: int = 2, settings: Settings = SETTINGS, run=score) -> int:  # type: ignore[no-untyped-def]
    made = experiment(run)
    return execute(made, tasks(made, [DATASET], seeds, settings), settings, Store(folder), "command")


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    assert _execute(tmp_path) == 4
    before = (tmp_path / "runs.jsonl").read_bytes()

    def never(*_: object) -> dict[str, float]:
        raise AssertionError("it was run again")

    assert _execute(tmp_path, run=never) == 0
    assert (tmp_path / "runs.jsonl").read_bytes() == before
    assert _execute(tmp_path, seeds=3) == 2
    assert _execute(tmp_path, settings=Settings(epochs=4)) == 4
    assert len(read(tmp_path / "runs.jsonl")) == 10


def test_resume_after_a_kill_between_runs(tmp_path: Path) -> None:
    calls = []

    def killed(dataset, seed, configuration, settings):  # type: ignore[no-untyped-def]
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append((seed, configuration["k"]))
        return score(dataset, seed, configuration, settings)

    with pytest.raises(KeyboardInterrupt):
        _execute(tmp_path, run=killed)
    assert calls == [(0, 1), (0, 2), (1, 1)]
    assert _execute(tmp_path) == 1
    whole = tmp_path / "whole"
    _execute(whole)

    def results(folder: Path) -> list[tuple[str, dict[str, float]]]:
        return [(run["key"], run["measures"]) for run in read(folder / "runs.jsonl")]

    assert results(tmp_path) == results(whole)


@pytest.mark.parametrize("left", [1, 40, -1])
def test_a_torn_last_line_is_dropped(tmp_path: Path, left: int) -> None:
    _execute(tmp_path)
    path = tmp_path / "runs.jsonl"
    *lines, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines) + last[:left])
    assert len(read(path)) == 3
    store = Store(tmp_path)
    assert len(store.finished) == 3
    assert path.read_bytes() == b"".join(lines)
    assert _execute(tmp_path) == 1
    assert len(read(path)) == 4


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    _execute(tmp_path)
    path = tmp_path / "runs.jsonl"
    path.write_text("{}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"got line 1 of .* expected a run"):
        Store(tmp_path)


def test_keys() -> None:
    """Stable: results that are committed keep their keys."""
    assert key(a=1, b={"c": 2, "d": 3}) == key(b={"d": 3, "c": 2}, a=1) == "932875ab5b23eb47"
    assert key(a=1) != key(a=2)


def test_other_data_of_the_same_name_are_run(tmp_path: Path) -> None:
    made = experiment()
    store = Store(tmp_path)
    assert execute(made, tasks(made, [DATASET], 1, SETTINGS), SETTINGS, store, "command") == 2
    assert DATASET.x is not None
    other = type(DATASET)(DATASET.name, DATASET.x + 1)
    assert execute(made, tasks(made, [other], 1, SETTINGS), SETTINGS, store, "command") == 2


def test_rows_hold_what_decided_them(tmp_path: Path) -> None:
    _execute(tmp_path, seeds=1)
    (run, _) = read(tmp_path / "runs.jsonl")
    assert set(run) == set(Run.__annotations__)
    assert run["configuration"] == {"k": 1}
    assert run["settings"] == {"epochs": 3, "rate": 0.5}
    assert (run["dataset"], run["seed"], run["siblings"], run["command"]) == ("points", 0, 2, "command")


def test_environment(tmp_path: Path) -> None:
    record_environment(tmp_path, "python -m experiments a", 1)
    record_environment(tmp_path, "python -m experiments b", 2)
    first, second = json.loads((tmp_path / "environment.json").read_text(encoding="utf-8"))
    assert (first["command"], second["command"]) == ("python -m experiments a", "python -m experiments b")
    assert second["threads"] == 2
    assert {"python", "icon", "torch", "numpy"} <= set(first["versions"])
    assert first["date"].endswith("+00:00")
    assert [path.name for path in tmp_path.iterdir()] == ["environment.json"]
