"""How much debiasing: wrong edges, edges kept aside, α selected without labels, and the bins of calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from experiments.clustering import debiasing_reading as reading
from experiments.clustering.edges import corrupted, held_out, held_out_loss
from experiments.clustering.protocol import union
from experiments.datasets import load

GRAPH = union(load("digits").subset(200), 10)


def test_corruption_keeps_the_number_of_edges() -> None:
    wrong = corrupted(GRAPH, 0.2, 0)
    assert wrong.nnz == GRAPH.nnz
    assert (wrong != wrong.T).nnz == 0
    assert not wrong.diagonal().any()
    assert set(wrong.data) == {1.0}
    assert GRAPH.multiply(wrong).nnz == GRAPH.nnz - 2 * round(0.2 * GRAPH.nnz / 2)
    assert (corrupted(GRAPH, 0.2, 0) != wrong).nnz == 0
    assert (corrupted(GRAPH, 0.2, 1) != wrong).nnz > 0
    assert (corrupted(GRAPH, 0.0, 0) != GRAPH).nnz == 0


def test_edges_kept_aside() -> None:
    graph, held = held_out(GRAPH, 0.1, 0)
    aside = sp.csr_array((np.ones(len(held)), held.T), shape=GRAPH.shape)
    assert len(held) == round(0.1 * GRAPH.nnz / 2)
    assert ((graph + aside + aside.T) != GRAPH).nnz == 0


def test_held_out_loss() -> None:
    """q_ij = sum_c φ_ic φ_jc / N_c of four points in two pairs is 1/2 within a pair."""
    phi = np.eye(2)[[0, 0, 1, 1]]
    inside, across = np.array([[0, 1], [2, 3]]), np.array([[0, 2]])
    assert held_out_loss(phi, inside, 0.0) == pytest.approx(np.log(2))
    assert held_out_loss(phi, inside, 0.1) == pytest.approx(-np.log(0.9 / 2 + 0.1 / 4))
    assert held_out_loss(phi, across, 0.1) == pytest.approx(-np.log(0.1 / 4))


def test_selections() -> None:
    """Two seeds: agreement is highest at 0.6 and 0.3, the held-out loss lowest at 0.3; 0.6 is best in hindsight."""
    values = {
        "accuracy": [[0.5, 0.7, 0.8], [0.5, 0.6, 0.8]],
        "agreement": [[0.1, 0.5, 0.9], [0.1, 0.9, 0.9]],
        "held-out": [[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]],
        "ece": [[0.3, 0.2, 0.1], [0.3, 0.2, 0.1]],
    }
    frame = pd.DataFrame(
        {"dataset": "a", "seed": seed, "alpha": alpha, "graph": "clean", "batch": 512}
        | {measure: table[seed][place] for measure, table in values.items()}
        for seed in (0, 1)
        for place, alpha in enumerate((0.0, 0.3, 0.6))
    )
    assert reading.agreement(frame)["alpha"].tolist() == [0.6, 0.3]
    assert reading.agreement(frame)["accuracy"].tolist() == [0.8, 0.6]
    assert reading.held_out(frame)["alpha"].tolist() == [0.3, 0.3]
    assert reading.fixed(frame, 0.25)["alpha"].tolist() == [0.3, 0.3]
    assert reading.hindsight(frame)["alpha"].tolist() == [0.6, 0.6]
    table = reading.table(frame)
    expected = ["a", "clean", 512, "50.0 ± 0.0", "65.0 ± 7.1", "70.0 ± 14.1", "65.0 ± 7.1", "80.0 ± 0.0", "0.6"]
    assert table.iloc[0].tolist()[:9] == expected
    mean = table.iloc[1].dropna().tolist()
    assert mean == ["mean", "clean", "50.0", "65.0", "70.0", "65.0", "80.0", "0.300", "0.200"]


def test_bins_are_pooled_by_the_points_they_hold() -> None:
    runs = pd.DataFrame({"bin 4 share": [0.2, 0.6], "bin 4 confidence": [0.4, 0.48], "bin 4 accuracy": [1.0, 0.0]})
    confidence, right = reading.pooled(runs.assign(**{"bin 9 share": [0.8, np.nan], "bin 9 accuracy": [0.5, np.nan]}))
    assert confidence == pytest.approx([0.46, 0])
    assert right == pytest.approx([0.25, 0.5])
