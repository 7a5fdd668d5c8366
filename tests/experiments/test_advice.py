"""The advice experiment: regrets by hand, and a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import advice
from experiments.datasets import Dataset, load
from experiments.registry import EXPERIMENTS
from experiments.store import tasks
from icon.estimators import candidates as trying
from tests.experiments.fakes import command, saved

Y = np.repeat(np.arange(3), 20)
X = (6 * np.eye(3, 4)[Y] + np.random.default_rng(0).normal(size=(60, 4))).astype(np.float32)


def test_validation_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="dataset: got digits, which is kept for validation"):
        tasks(EXPERIMENTS["advice"], [load("digits")], 1, advice.Settings())


def test_configurations_are_what_the_advice_tries() -> None:
    found = advice.configurations(Dataset("blobs", X, y=Y))
    assert {each["goal"] for each in found} == {"map", "clusters"}
    assert len({tuple(each.values()) for each in found}) == len(found) > 8


def _frame() -> pd.DataFrame:
    """Three data sets and candidates; the advice takes b everywhere, the other criterion c."""
    scores = {"one": (0.5, 0.7, 0.6), "two": (0.5, 0.505, 0.4), "three": (0.9, 0.1, 0.2)}
    rows = [
        {"dataset": dataset, "seed": 0, "goal": goal, "candidate": name, "criterion": criterion, "other": other}
        | {"score": score, "tied": int(name == "b"), "seconds": 1.0}
        for goal in advice.GOALS
        for dataset, three in scores.items()
        for name, criterion, other, score in zip("abc", (0.1, 0.3, 0.2), (0.1, 0.2, 0.3), three, strict=True)
    ]
    return pd.DataFrame(rows)


def test_regrets_of_known_scores() -> None:
    found = advice.regrets(_frame(), "map").loc[["one", "two", "three"]]
    assert np.allclose(found["icon.advise"], [0, 0, 80])
    assert np.allclose(found["the other criterion"], [10, 10.5, 70])
    assert np.allclose(found["the first candidate"], [20, 0.5, 0])
    assert np.allclose(found["a random candidate"], [10, (0.5 + 10.5) / 3, 50])
    assert np.allclose(found["one cell for all, best in hindsight"], [20, 0.5, 0])  # a, with the lowest mean
    # Without "three", b; without another one, a.
    assert np.allclose(found["one cell for the other sets"], [20, 0.5, 80])


def test_the_table() -> None:
    rows = advice.table(_frame())
    maps = rows[rows["goal"] == "map"].set_index("choice")
    within = maps["within one point of the best, %"]
    assert within["icon.advise"] == "67"
    assert within["the first candidate"] == "67"
    assert within["a random candidate"] == "44"  # one of three, two of three, one of three
    assert maps.loc["icon.advise", "mean regret"] == "26.7"
    assert maps.loc["icon.advise", "largest regret"] == "80.0 (three)"
    assert maps.loc["icon.advise", "best chosen or tied"] == "2 of 3"  # not a of "three"


def test_the_information_of_neighbours() -> None:
    assert advice.of_neighbours(X, Y, 3, 5) > 0.8
    assert advice.of_neighbours(X, np.random.default_rng(0).integers(0, 3, 60), 3, 5) < 0.1


@pytest.mark.slow
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "STEPS", 20)
    done = command("advice", *saved(tmp_path, X, Y), "--seeds", "1", "--set", "rounds=1", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "advice" / "regret.png").is_file()
    frame = pd.read_csv(tmp_path / "advice" / "results.csv")
    assert frame[["criterion", "other", "score"]].to_numpy().max() <= 1 + 1e-9
    assert frame[frame["goal"] == "clusters"]["score"].max() > 0.9
