"""Results on disk: a finished run is not run again, whatever killed the process."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from experiments.record import grid
from experiments.store import OWN, Store, complete, execute, read, record_environment, tasks
from tests.experiments.fakes import DATASET, Settings, experiment, score

SETTINGS = Settings()


def _execute(folder: Path, seeds: int = 2, settings: Settings = SETTINGS, run=score) -> int:  # type: ignore[no-untyped-def]
    made = experiment(run)
    return execute(made, tasks(made, [DATASET], seeds, settings), settings, Store(folder))


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    assert _execute(tmp_path) == 4
    before = (tmp_path / "results.csv").read_bytes()

    def never(*_: object) -> dict[str, float]:
        raise AssertionError("it was run again")

    assert _execute(tmp_path, run=never) == 0
    assert (tmp_path / "results.csv").read_bytes() == before
    assert _execute(tmp_path, seeds=3) == 2
    assert _execute(tmp_path, settings=Settings(epochs=4)) == 4
    assert len(read(tmp_path)) == 10


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
    _execute(tmp_path / "whole")
    assert (tmp_path / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()


def test_two_processes_add_to_one_file(tmp_path: Path) -> None:
    made, (first, second) = experiment(), (Store(tmp_path), Store(tmp_path))
    planned = tasks(made, [DATASET], 1, SETTINGS)
    assert execute(made, planned[:1], SETTINGS, first) == 1
    assert execute(made, planned[1:], SETTINGS, second) == 1
    assert read(tmp_path)["k"].tolist() == [1, 2]
    assert execute(made, planned[:1], SETTINGS, second) == 0


def test_a_run_that_two_processes_make_is_kept_once(tmp_path: Path) -> None:
    made, (first, second) = experiment(), (Store(tmp_path), Store(tmp_path))
    planned = tasks(made, [DATASET], 1, SETTINGS)
    for store in (first, second):
        assert execute(made, planned[:1], SETTINGS, store) == 1
    assert len(read(tmp_path)) == 1


def test_numbers_stay_as_they_were_written(tmp_path: Path) -> None:
    """Seven digits; other measures of later runs are other columns, and what is there is not read and written anew."""
    numbers = {0: {"score": 2 / 3}, 1: {"score": 1e-17, "map": "1,2 3,4"}}
    assert _execute(tmp_path, run=lambda dataset, seed, configuration, settings: numbers[seed]) == 4
    first, *_, last = (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert first.endswith(",0.6666667,")
    assert last.endswith(',1e-17,"1,2 3,4"')
    assert read(tmp_path)["score"].tolist() == [0.6666667] * 2 + [1e-17] * 2


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", 'dataset,data\n"1'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^results: got .*results.csv .*expected the CSV of earlier runs"):
        Store(tmp_path)


def test_other_data_of_the_same_name_are_run(tmp_path: Path) -> None:
    made = experiment()
    store = Store(tmp_path)
    assert execute(made, tasks(made, [DATASET], 1, SETTINGS), SETTINGS, store) == 2
    other = type(DATASET)(DATASET.name, DATASET.x + 1, y=DATASET.y)
    assert execute(made, tasks(made, [other], 1, SETTINGS), SETTINGS, store) == 2
    assert complete(read(tmp_path))["data"].unique().tolist() == [other.fingerprint]


def test_rows_hold_what_decided_them(tmp_path: Path) -> None:
    _execute(tmp_path, seeds=1)
    row = read(tmp_path).iloc[0]
    assert list(row.index) == [*OWN, "k", "score", "other"]
    assert (row["dataset"], row["data"], row["seed"], row["runs"]) == ("points", DATASET.fingerprint, 0, 2)


def test_digits_of_digests_stay_text(tmp_path: Path) -> None:
    row = {"dataset": "12", "data": "1e10", "settings": "00000001", "seed": 0, "runs": 1, "score": 0.5}
    pd.DataFrame([row]).to_csv(tmp_path / "results.csv", index=False)
    assert read(tmp_path).iloc[0].tolist() == list(row.values())


def test_a_grid_has_every_combination() -> None:
    found = grid(a=(1, 2), b="xy")(DATASET)
    assert found == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_settings_are_checked() -> None:
    for wrong, message in (
        ({"epochs": 0}, "epochs: got 0"),
        ({"rate": 0.0}, "rate: got 0"),
        ({"held": 2.0}, "held:"),
    ):
        with pytest.raises(ValueError, match=message):
            Settings(**wrong)


def test_environment(tmp_path: Path) -> None:
    record_environment(tmp_path, "python -m experiments a", 1)
    record_environment(tmp_path, "python -m experiments b", 2)
    first, second = json.loads((tmp_path / "environment.json").read_text(encoding="utf-8"))
    assert (first["command"], second["command"]) == ("python -m experiments a", "python -m experiments b")
    assert {"python", "icon", "torch", "numpy"} <= set(second["versions"])
    assert second["threads"] == 2
