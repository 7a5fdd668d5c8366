"""The report: from the runs a tidy CSV, from the CSV alone the table, the figures and the study."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import multi_view, report
from experiments.datasets import Dataset
from experiments.multi_view.protocol import Settings as MultiViewSettings
from experiments.run import execute, tasks
from experiments.spread import difference, mean_std
from experiments.store import Store
from table.page.schema import Study
from tests.experiments.fakes import DATASET, Settings, experiment

TINY = """dataset,seed,graph,views,measure,value
a,0,core,2,embedding 1,0.50
a,1,core,2,embedding 1,0.52
a,0,core,2,embedding all,0.60
a,1,core,2,embedding all,0.62
a,0,core,2,raw 1,0.40
a,1,core,2,raw 1,0.42
a,0,core,2,raw all,0.70
a,1,core,2,raw all,0.72
a,0,core,2,bound 1-2,1.5
a,1,core,2,bound 1-2,2.5
"""


def _run(folder: Path, dataset: Dataset = DATASET, settings: Settings = Settings(), seeds: int = 2) -> None:  # noqa: B008
    made = experiment()
    execute(made, tasks(made, [dataset], seeds, settings), settings, Store(folder), "the command")


def test_files_from_runs(tmp_path: Path) -> None:
    _run(tmp_path)
    written = report.write(experiment(), tmp_path, Settings())
    assert {path.name for path in written} == {
        "results.csv", "results.md", "study.json", "first.png", "first.svg", "second.png", "second.svg",
    }  # fmt: skip
    assert all(path.stat().st_size > 0 for path in written)
    frame = pd.read_csv(tmp_path / "results.csv")
    assert list(frame.columns) == ["dataset", "seed", "k", "measure", "value"]
    assert len(frame) == 8
    study = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    assert set(study) == set(Study.__annotations__)
    assert study["findings"] == ["2 seeds, 8 numbers."]
    assert study["body"] == [[1, None], [2, None]]
    assert (study["caption"], study["source"]) == ("epochs: 3", "the command")
    assert study["figures"][0].startswith("<svg")
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    for part in ("# A fake", "Is it?", "| k | score |", "| 1 | – |", "![first](first.png)", "the command"):
        assert part in text


def test_the_same_runs_give_the_same_files(tmp_path: Path) -> None:
    _run(tmp_path)
    first = {path.name: path.read_bytes() for path in report.write(experiment(), tmp_path, Settings())}
    lines = (tmp_path / "runs.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "runs.jsonl").write_bytes(b"".join(reversed(lines)))
    assert {path.name: path.read_bytes() for path in report.write(experiment(), tmp_path, Settings())} == first


def test_figures_come_from_the_csv_alone(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(TINY, encoding="utf-8")
    written = report.from_csv(multi_view.EXPERIMENT, tmp_path, MultiViewSettings(), "source")
    assert {path.name for path in written} >= {"accuracy.png", "accuracy.svg", "bounds.png", "bounds.svg"}
    study = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    assert study["body"] == [
        ["a", 2, "core = full", "0.510 ± 0.014", "0.610 ± 0.014", "0.410 ± 0.014", "0.710 ± 0.014", "2.00 ± 0.71", None]
    ]
    (said,) = study["findings"]
    assert "view 1 0.510 ± 0.014 against 0.410 ± 0.014 (+0.100 ± 0.000: higher)" in said
    assert "all views 0.610 ± 0.014 against 0.710 ± 0.014 (-0.100 ± 0.000: lower)" in said


def test_only_complete_seeds_of_these_settings_and_the_newest_data_count(tmp_path: Path) -> None:
    _run(tmp_path, seeds=3)
    lines = (tmp_path / "runs.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "runs.jsonl").write_bytes(b"".join(lines[:-1]))  # the last seed lacks a configuration
    _run(tmp_path, settings=Settings(epochs=1), seeds=1)
    report.write(experiment(), tmp_path, Settings())
    assert set(pd.read_csv(tmp_path / "results.csv")["seed"]) == {0, 1}
    assert DATASET.x is not None
    _run(tmp_path, Dataset("points", DATASET.x + 1), seeds=1)
    report.write(experiment(), tmp_path, Settings())
    assert set(pd.read_csv(tmp_path / "results.csv")["seed"]) == {0}
    with pytest.raises(ValueError, match="runs: got none with these settings"):
        report.write(experiment(), tmp_path, Settings(epochs=7))


def test_spread() -> None:
    assert mean_std([0.5]) == "0.500"
    assert mean_std([1.0, 2.0, 3.0], 1) == "2.0 ± 1.0"
    first, second = np.array([0.9, 0.8, 0.7]), np.array([0.8, 0.71, 0.59])
    assert difference(first, second).verdict == "higher"
    assert difference(second, first).verdict == "lower"
    assert difference(first, first).verdict == "not clearly different"
    assert difference(first, second[[2, 0, 1]]).verdict == "not clearly different"
    assert difference([1.0], [0.0]).verdict == "not clearly different"
    # scipy.stats.ttest_1samp([0.1, 0.09, 0.11], 0).confidence_interval() is 0.1 ± 0.0248.
    assert difference(first, second).half_width == pytest.approx(0.0248, abs=1e-4)
