"""Debiased contrastive learning: the whole command on 150 digits, and what the protocol promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from experiments.__main__ import main
from experiments.datasets import Dataset, load
from experiments.debiased_contrastive import (
    CHUANG,
    EXPERIMENT,
    SIMCLR,
    T_SIMCLR,
    Settings,
    View,
    method_of,
    run,
)
from experiments.run import tasks

DIGITS = load("digits").subset(150)


def _command(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, list(arguments))


def test_the_command(tmp_path: Path) -> None:
    arguments = ["debiased-contrastive", "--subset", "150", "--set", "epochs=1", "--out", str(tmp_path)]
    done = _command(*arguments, "--seeds", "2")
    assert done.exit_code == 0, done.output
    assert "60 runs made, 0 were there" in done.output
    folder = tmp_path / "debiased-contrastive"
    frame = pd.read_csv(folder / "results.csv")
    assert frame["knn"].between(0.2, 1).all()
    assert frame["linear"].between(0.2, 1).all()
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert sum(line.startswith("| digits-150") for line in text.splitlines()) == 2 * (2 + 6)
    assert "nan" not in text
    assert (folder / "accuracy.png").stat().st_size > 0


def test_runs_repeat_exactly_and_depend_on_alpha() -> None:
    settings = Settings(epochs=3)
    for method in (SIMCLR, T_SIMCLR, CHUANG):
        first = {"method": method, "alpha": 0.2, "batch": 64}
        assert run(DIGITS, 1, first, settings) == run(DIGITS, 1, first, settings)
        z, ids = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(10).repeat(2)
        values = [float(method_of({**first, "alpha": alpha}, settings)(z, ids)) for alpha in (0.0, 0.2, 0.6)]
        assert len(set(values)) == 3


def test_views_move_by_a_pixel_and_tell_images_from_vectors() -> None:
    still = Settings(noise=1e-9, vector_noise=1e-9)
    torch.manual_seed(0)
    image = torch.zeros(50, 8, 8)
    image[:, 3, 4] = 1
    views = View((8, 8), still)
    moved = views(image.flatten(1)).reshape(50, 8, 8)
    places = (moved > 0.5).nonzero()
    assert len(places) == 50
    assert {tuple(place.tolist()) for place in places[:, 1:]} == {(r, c) for r in (2, 3, 4) for c in (3, 4, 5)}
    vectors = torch.ones(4, 64)
    torch.testing.assert_close(View(None, still)(vectors), vectors)
    assert torch.equal(views.eval()(image.flatten(1)), image.flatten(1))  # after the training there is one view


def test_features_without_an_image_and_unknown_labels() -> None:
    y = np.asarray(DIGITS.y)
    plain = Dataset("plain", DIGITS.x, y=y)
    assert run(plain, 0, {"method": SIMCLR, "alpha": 0.0, "batch": 64}, Settings(epochs=1))["knn"] > 0.2
    with pytest.raises(ValueError, match="labels: got unknown ones of some"):
        tasks(EXPERIMENT, [Dataset("some", DIGITS.x, y=np.where(y == 0, -1, y))], 1, Settings())
