"""Debiased contrastive learning: the whole command on 150 digits, and what the protocol promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from experiments.__main__ import main
from experiments.datasets import Dataset, load
from experiments.debiased_contrastive.protocol import (
    CHUANG,
    SIMCLR,
    T_SIMCLR,
    Settings,
    configurations,
    method_of,
    run,
    view,
)

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
    assert frame["value"].between(0.2, 1).all()
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert len(study["body"]) == 2 * (2 + 6)
    assert len(study["findings"]) == 8
    assert not any("nan" in str(cell) for row in study["body"] for cell in row)
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
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(50, 8, 8)
    image[:, 3, 4] = 1
    moved = view(image.flatten(1), (8, 8), still, generator).reshape(50, 8, 8)
    places = (moved > 0.5).nonzero()
    assert len(places) == 50
    assert {tuple(place.tolist()) for place in places[:, 1:]} == {(r, c) for r in (2, 3, 4) for c in (3, 4, 5)}
    vectors = torch.ones(4, 64)
    torch.testing.assert_close(view(vectors, None, still, generator), vectors)


def test_features_without_an_image_and_unknown_labels() -> None:
    y = np.asarray(DIGITS.y)
    plain = Dataset("plain", DIGITS.x, y=y)
    assert run(plain, 0, {"method": SIMCLR, "alpha": 0.0, "batch": 64}, Settings(epochs=1))["knn"] > 0.2
    with pytest.raises(ValueError, match="labels: got unknown ones of some"):
        configurations(Dataset("some", DIGITS.x, y=np.where(y == 0, -1, y)), Settings())
    with pytest.raises(ValueError, match="expected one with features"):
        configurations(Dataset("graph", None, y=y), Settings())
