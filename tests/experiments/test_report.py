"""The report: from the CSV alone the figures, and the numbers of README.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from experiments import report
from experiments.datasets import Dataset
from experiments.multi_view import EXPERIMENT as MULTI_VIEW
from experiments.registry import EXPERIMENTS
from experiments.statistics import (
    clearly,
    critical_difference,
    difference,
    friedman,
    in_percent,
    mean_std,
    paired_difference,
    percent,
)
from experiments.store import Store, complete, execute, read, tasks
from tests.experiments.fakes import DATASET, Settings, experiment

RESULTS = Path(__file__).parents[2] / "experiments" / "results"
TINY = """dataset,seed,graph,views,embedding 1,embedding all,raw 1,raw all,bound 1-2
a,0,core,2,0.50,0.60,0.40,0.70,1.5
a,1,core,2,0.52,0.62,0.42,0.72,2.5
"""


def _run(folder: Path, dataset: Dataset = DATASET, settings: Settings = Settings(), seeds: int = 2) -> None:  # noqa: B008
    made = experiment()
    execute(made, tasks(made, [dataset], seeds, settings), settings, Store(folder))


def test_files_from_runs(tmp_path: Path) -> None:
    _run(tmp_path, replace(DATASET, name="digits"))
    written = report.write(experiment(), tmp_path, Settings())
    assert [path.name for path in written] == ["results.csv", "first.png", "second.png", "README.md"]
    assert image.imread(tmp_path / "first.png").shape[0] > 100
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    parts = ("# fake", "Is it?", "| k   | score", "| 1   | 1.000 ± 0.707 | –", "![first](first.png)", "`rate=0.5`")
    for part in (*parts, "python -m experiments fake --dataset digits --seeds 2"):
        assert part in text


@pytest.mark.parametrize(("name", "settings"), [("digits-6", Settings()), ("digits", Settings(rate=0.25))])
def test_a_trial_names_no_command_that_would_not_make_it(name: str, settings: Settings, tmp_path: Path) -> None:
    _run(tmp_path, replace(DATASET, name=name), settings)
    report.write(experiment(), tmp_path, settings)
    assert "python -m experiments" not in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_words_before_the_numbers_are_kept(tmp_path: Path) -> None:
    _run(tmp_path)
    words = "# A fake\n\nOf my own.\n\n"
    (tmp_path / "README.md").write_text(f"{words}## Numbers\n\nold", encoding="utf-8")
    report.write(experiment(), tmp_path, Settings())
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith(words)
    assert "old" not in text
    assert "1.000 ± 0.707" in text


def test_the_same_runs_give_the_same_files(tmp_path: Path) -> None:
    _run(tmp_path)
    first = {path.name: path.read_bytes() for path in report.write(experiment(), tmp_path, Settings())}
    assert {path.name: path.read_bytes() for path in report.write(experiment(), tmp_path, Settings())} == first


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "comparison" else [])  # which has the most results
        for name in EXPERIMENTS
        if name != "imagenet"  # whose features are not here
    ],
)
def test_published_numbers_are_those_of_the_csv(name: str) -> None:
    found = EXPERIMENTS[name]
    frame = report.results(RESULTS / name, found.settings())
    text = (RESULTS / name / "README.md").read_text(encoding="utf-8")
    for table in (found.table, *found.tables.values()):
        assert report.markdown(table(frame)) in text
    assert sorted(path.stem for path in (RESULTS / name).glob("*.png")) == sorted(found.figures)


def test_a_table_of_two_views(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(TINY, encoding="utf-8")
    table = MULTI_VIEW.table(pd.read_csv(tmp_path / "results.csv"))
    accuracies = ["0.510 ± 0.014", "0.610 ± 0.014", "0.410 ± 0.014", "0.710 ± 0.014"]
    assert table.fillna("–").to_numpy().tolist() == [["a", 2, "core = full", *accuracies, "2.00 ± 0.71", "–"]]


def test_only_complete_seeds_of_these_settings_and_the_newest_data_count(tmp_path: Path) -> None:
    _run(tmp_path, seeds=3)
    lines = (tmp_path / "results.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "results.csv").write_bytes(b"".join(lines[:-1]))  # the last seed lacks a configuration
    _run(tmp_path, settings=Settings(epochs=1), seeds=1)
    assert set(report.results(tmp_path, Settings())["seed"]) == {0, 1}
    _run(tmp_path, Dataset("points", DATASET.x + 1, y=DATASET.y), seeds=1)
    assert set(report.results(tmp_path, Settings())["seed"]) == {0}
    assert len(complete(read(tmp_path))) < len(read(tmp_path))
    with pytest.raises(ValueError, match="results: got none with these settings"):
        report.write(experiment(), tmp_path, Settings(epochs=7))
    with pytest.raises(ValueError, match="results: got no runs in"):
        report.write(experiment(), tmp_path / "absent", Settings())


def test_ranks_over_data_sets() -> None:
    """Against the formulas and the example of Demšar 2006: four methods on 14 data sets."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert critical_difference(5, 30) == pytest.approx(2.728 * (30 / 180) ** 0.5, abs=1e-3)
    scores = pd.DataFrame([[9, 8, 7, 3], [5, 6, 5, 4], [1, 2, 3, 2]])
    assert scores.rank(ascending=False).mean(axis=1).tolist() == [1.25, 1.75, 3]
    statistic = 12 * 4 / (3 * 4) * ((25 + 49 + 144) / 16 - 3 * 4**2 / 4)
    assert friedman(scores) == pytest.approx(np.exp(-statistic / 2))  # chi-squared with two degrees of freedom
    assert np.isnan(friedman(scores[:2]))


def test_paired_difference() -> None:
    mean, low, high = paired_difference([3.0, 5.0, 7.0], [2.0, 3.0, 4.0])  # 1, 2, 3: mean 2, deviation 1
    assert (mean, high - mean, mean - low) == pytest.approx((2, *2 * [4.302653 / 3**0.5]))
    assert np.isnan(paired_difference([1.0], [0.0])[1])
    assert difference([3.0, 5.0, 7.0], [2.0, 3.0, 4.0]) == "+2.0 [-0.5, +4.5]"
    assert difference([1.0], [0.0], 2) == "+1.00"


def test_statistics() -> None:
    assert mean_std([0.5]) == "0.500"
    assert mean_std([1.0, 2.0, 3.0], 1) == "2.0 ± 1.0"
    assert percent([0.01, 0.02, 0.03]) == "2.0 ± 1.0"
    assert in_percent(pd.Series([0.123, None])).fillna("–").tolist() == ["12.3", "–"]
    first, second = np.array([0.9, 0.8, 0.7]), np.array([0.8, 0.71, 0.59])
    assert (clearly(first, second), clearly(second, first)) == (1, -1)
    assert clearly(first, first) == clearly(first, second[[2, 0, 1]]) == clearly([1.0], [0.0]) == 0
    assert clearly([1.0, 1.0], [0.0, 0.0]) == 1
