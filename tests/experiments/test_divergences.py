"""Divergences: the whole command on 150 digits, and what the protocol promises."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from experiments.datasets import load
from experiments.divergences import CELLS, DIVERGENCES, EXPERIMENT, RANDOM, SNE, Settings, run
from tests.experiments.fakes import command

DIGITS = load("digits").subset(150)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    quick = [part for name in ("cluster_epochs=1", "class_epochs=1", "map_steps=3") for part in ("--set", name)]
    done = command("divergences", "--subset", "150", "--seeds", "2", *quick, "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert f"{2 * len(CELLS) * len(DIVERGENCES)} runs made, 0 were there" in done.output
    folder = tmp_path / "divergences"
    frame = pd.read_csv(folder / "results.csv")
    assert set(frame.loc[frame["map"].notna(), "seed"]) == {0}
    table = EXPERIMENT.table(frame)
    assert table.shape == (8, 3 + len(DIVERGENCES))
    assert table.notna().all(axis=None)
    assert (folder / "maps.png").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_training_learns_with_every_divergence(divergence: str) -> None:
    settings = Settings(cluster_epochs=60, class_epochs=40, map_steps=60)
    for cell in CELLS:
        configuration = {"cell": cell, "divergence": divergence}
        measures = run(DIGITS, 1, configuration, settings)
        assert measures["accuracy" if "accuracy" in measures else "knn"] > (0.4 if cell == RANDOM else 0.6), cell
        assert measures == run(DIGITS, 1, configuration, settings)


def test_only_the_first_seed_keeps_its_map() -> None:
    settings = Settings(map_steps=2, drawn=5)
    configuration = {"cell": SNE, "divergence": "tv"}
    kept, others = (run(DIGITS, seed, configuration, settings) for seed in (0, 1))
    assert len(str(kept["map"]).split()) == 5
    assert set(others) == {"knn", "trustworthiness"}
