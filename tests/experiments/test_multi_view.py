"""Multi-view: the whole command on 200 digits, and what the protocol promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.datasets import Dataset, load
from experiments.held_out import halves
from experiments.multi_view import EXPERIMENT, Settings, configurations, embed, run, views_of
from experiments.store import tasks
from tests.experiments.fakes import command

DIGITS = load("digits").subset(200)


def test_the_command(tmp_path: Path) -> None:
    arguments = ["multi-view", "--subset", "200", "--seeds", "2", "--set", "epochs=1", "--out", str(tmp_path)]
    done = command(*arguments)
    assert done.exit_code == 0, done.output
    assert "6 runs made, 0 were there" in done.output
    folder = tmp_path / "multi-view"
    frame = pd.read_csv(folder / "results.csv")
    assert set(frame["dataset"]) == {"digits-200"}
    assert frame["embedding 1"].between(0.2, 1).all()
    assert (frame.filter(like="bound").max() <= np.log(100)).all()
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert sum(line.startswith("| digits-200") for line in text.splitlines()) == 3
    (environment,) = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    assert environment["command"].startswith("python -m experiments multi-view --subset 200")

    again = command(*arguments)
    assert "0 runs made, 6 were there" in again.output
    assert len(json.loads((folder / "environment.json").read_text(encoding="utf-8"))) == 1


def test_own_views_and_trial_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, array in zip("abcy", [*views_of(DIGITS), DIGITS.y], strict=True):
        np.save(f"{name}.npy", array)
    files = [part for name in "ab" for part in ("--features", f"{name}.npy")]
    done = command("multi-view", *files, "--labels", "y.npy", "--seeds", "1", "--set", "epochs=1")
    assert done.exit_code == 0, done.output
    assert set(pd.read_csv("out/experiments/multi-view/results.csv")["dataset"]) == {"a"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["multi-veiw"], "did you mean 'multi-view'"),
        (["multi-view", "--dataset", "mfeat"], "expected --data DIR"),
        (["multi-view", "--set", "epochs"], "expected NAME=VALUE"),
        (["multi-view", "--set", "epoch=1"], "did you mean 'epochs'"),
        (["multi-view", "--set", "epochs=many"], "expected epochs=int"),
        (["multi-view", "--set", "epochs=0"], "epochs: got 0"),
        (["multi-view", "--subset", "5000"], "subset: got 5000"),
        (["multi-view", "--labels", "y.npy"], "labels: got a file without --features"),
        (["multi-view", "--features", "x.npy"], "expected several views"),
        (["multi-view", "--features", "x.npy", "--features", "x.npy"], "expected --labels FILE"),
    ],
)
def test_mistakes_are_one_clear_error(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ICON_DATA", raising=False)
    np.save("x.npy", np.eye(6))
    done = command(*arguments)
    assert done.exit_code == 2
    assert message in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_the_list() -> None:
    done = command()
    assert done.exit_code == 0
    assert "multi-view" in done.output


def test_views() -> None:
    assert [view.shape for view in views_of(DIGITS)] == [(200, 24), (200, 24), (200, 16)]
    assert (np.hstack(views_of(DIGITS)) == DIGITS.x).all()  # bands of rows of the image
    assert configurations(DIGITS) == [
        {"graph": "core", "views": 2},
        {"graph": "core", "views": 3},
        {"graph": "full", "views": 3},
    ]


def test_runs_repeat_exactly_and_held_out_points_do_not_train() -> None:
    settings = Settings(epochs=2, bound_points=50)
    configuration = {"graph": "full", "views": 3}
    assert run(DIGITS, 3, configuration, settings) == run(DIGITS, 3, configuration, settings)
    assert DIGITS.y is not None
    split = halves(DIGITS.y, 3)
    views = views_of(DIGITS)
    moved = [view.copy() for view in views]
    for view in moved:
        view[split.held] = 0.5
    for a, b in zip(*(embed(v, split, 3, "full", settings) for v in (views, moved)), strict=True):
        assert (a[split.train] == b[split.train]).all()


def test_training_learns() -> None:
    """The held-out bound goes from none to some; no label is involved."""
    assert DIGITS.y is not None
    configuration = {"graph": "core", "views": 2}
    short, long = (run(DIGITS, 0, configuration, Settings(epochs=epochs))["bound 1-2"] for epochs in (1, 10))
    assert short < 0
    assert long > 0.5


def test_one_pair_of_views_is_the_same_in_both_graphs() -> None:
    settings = Settings(epochs=2)
    first, second = (run(DIGITS, 0, {"graph": graph, "views": 2}, settings) for graph in ("core", "full"))
    assert first == second


def test_unknown_labels_are_refused() -> None:
    assert DIGITS.y is not None
    unknown = Dataset("some", DIGITS.x, y=np.where(DIGITS.y == 0, -1, DIGITS.y), shape=(8, 8))
    with pytest.raises(ValueError, match="labels: got unknown ones of some"):
        tasks(EXPERIMENT, [unknown], 1, Settings())
