"""Maps: the whole command on 150 digits, and the parts of its measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.datasets import load
from experiments.maps import CELL, CELLS, EXPERIMENT, Settings, run, supervision
from tests.experiments.fakes import command

DIGITS = load("digits").subset(150)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    done = command("maps", "--subset", "150", "--seeds", "1", "--set", "steps=3", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    cells = len(CELLS)
    assert f"{cells} runs made, 0 were there" in done.output
    frame = pd.read_csv(tmp_path / "maps" / "results.csv")
    assert len(frame.drop_duplicates(list(CELL))) == cells == 24
    assert EXPERIMENT.table(frame).shape == (cells, 6)
    assert (tmp_path / "maps" / "maps.png").stat().st_size > 0


@pytest.mark.slow
def test_a_longer_map_keeps_more_of_the_neighbours() -> None:
    configuration = {"row": "student-t", "dof": 1.0, "column": "gaussian", "form": "joint", "alpha": 0.0}
    begun, done = (run(DIGITS, 1, configuration, Settings(steps=steps, perplexity=10)) for steps in (1, 300))
    for measure in ("trustworthiness", "preserved"):
        assert float(done[measure]) > float(begun[measure])
    assert "map" not in done


def test_pairs_are_matched_once() -> None:
    rows = supervision(DIGITS, "pairs", Settings())
    partners = rows.to_scipy()
    assert rows.n_empty == 0
    assert int(np.diff(partners.indptr).max()) == 1
    assert abs(partners - partners.T).max() == 0
