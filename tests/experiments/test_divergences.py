"""Divergences: the whole command on 150 digits, and what the protocol promises."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from experiments.__main__ import main
from experiments.datasets import load
from experiments.divergences.findings import findings
from experiments.divergences.protocol import CELLS, DIVERGENCES, RANDOM, SNE, Settings, run

DIGITS = load("digits").subset(150)


def _command(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, list(arguments))


def test_the_command(tmp_path: Path) -> None:
    quick = [part for name in ("cluster_epochs=1", "class_epochs=1", "map_steps=3") for part in ("--set", name)]
    done = _command("divergences", "--subset", "150", "--seeds", "2", *quick, "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert f"{2 * len(CELLS) * len(DIVERGENCES)} runs made, 0 were there" in done.output
    folder = tmp_path / "divergences"
    frame = pd.read_csv(folder / "results.csv")
    assert set(frame.loc[frame["measure"].str.startswith("map "), "seed"]) == {0}
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert [len(row) for row in study["body"]] == [3 + len(DIVERGENCES)] * 10
    assert not any("nan" in str(cell) for row in study["body"] for cell in row)
    assert (folder / "maps.png").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_training_learns_with_every_divergence(divergence: str) -> None:
    settings = Settings(cluster_epochs=60, class_epochs=40, map_steps=60)
    for cell, (measure, _) in CELLS.items():
        configuration = {"cell": cell, "divergence": divergence}
        measures = run(DIGITS, 1, configuration, settings)
        assert measures[measure] > (0.4 if cell == RANDOM else 0.6), cell
        assert measures == run(DIGITS, 1, configuration, settings)


def test_only_the_first_seed_keeps_its_map() -> None:
    settings = Settings(map_steps=2, drawn=5)
    configuration = {"cell": SNE, "divergence": "tv"}
    kept, others = (run(DIGITS, seed, configuration, settings) for seed in (0, 1))
    assert sum(name.startswith("map ") for name in kept) == 15
    assert set(others) == {"knn", "trustworthiness"}


def test_claims_are_judged_by_the_numbers() -> None:
    """Made-up runs in which total variation is always five points above KL, and nothing else differs."""
    rows = []
    for cell in CELLS:
        for divergence in DIVERGENCES:
            for measure in ("accuracy", "nmi", "clusters", "knn", "trustworthiness"):
                for seed in range(3):
                    value = 0.5 + 0.01 * seed + (0.05 + 0.001 * seed if divergence == "tv" else 0)
                    rows.append(("made-up", seed, cell, divergence, measure, value))
    frame = pd.DataFrame(rows, columns=["dataset", "seed", "cell", "divergence", "measure", "value"])
    said = findings(frame)
    assert "improves clustering (random start): holds here. made-up" in said[0]
    assert "(+5.1: higher)" in said[0]
    assert "not seen here" in said[3]


@pytest.mark.parametrize("debias", [0.0, 1.0])
def test_reverse_kl_needs_some_uniform_mass(debias: float) -> None:
    with pytest.raises(ValueError, match="debias: got"):
        Settings(debias=debias)
