"""Calibration by hand, wrong edges, edges kept aside, and rules that choose α."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from experiments.clustering import rules
from experiments.clustering.calibration import reliability
from experiments.clustering.edges import corrupted, held_out, held_out_loss
from experiments.clustering.protocol import union
from experiments.datasets import load

GRAPH = union(load("digits").subset(200), 10)


def test_reliability_by_hand() -> None:
    """Cluster 0 is class 1, cluster 1 is class 0; the third point is wrong."""
    phi = np.array([[0.95, 0.05], [0.92, 0.08], [0.93, 0.07], [0.35, 0.65]])
    found = reliability(phi, np.array([1, 1, 0, 0]))
    assert found.share[[6, 9]].tolist() == [0.25, 0.75]
    assert found.share.sum() == 1
    assert found.confidence[[6, 9]] == pytest.approx([0.65, (0.95 + 0.92 + 0.93) / 3])
    assert found.accuracy[[6, 9]] == pytest.approx([1, 2 / 3])
    assert found.error == pytest.approx(0.25 * 0.35 + 0.75 * ((0.95 + 0.92 + 0.93) / 3 - 2 / 3))


def test_a_certain_and_right_clustering_has_no_error() -> None:
    y = np.array([0, 1, 2, 2])
    found = reliability(np.eye(3)[[1, 2, 0, 0]], y)
    assert found.error == 0
    assert found.share[9] == 1


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
    split = held_out(GRAPH, 0.1, 0)
    aside = sp.csr_array((np.ones(len(split.held)), split.held.T), shape=GRAPH.shape)
    assert len(split.held) == round(0.1 * GRAPH.nnz / 2)
    assert ((split.graph + aside + aside.T) != GRAPH).nnz == 0


def test_held_out_loss() -> None:
    """q_ij = sum_c φ_ic φ_jc / N_c of four points in two pairs is 1/2 within a pair."""
    phi = np.eye(2)[[0, 0, 1, 1]]
    inside, across = np.array([[0, 1], [2, 3]]), np.array([[0, 2]])
    assert held_out_loss(phi, inside, 0.0) == pytest.approx(np.log(2))
    assert held_out_loss(phi, inside, 0.1) == pytest.approx(-np.log(0.9 / 2 + 0.1 / 4))
    assert held_out_loss(phi, across, 0.1) == pytest.approx(-np.log(0.1 / 4))


def test_rules() -> None:
    """Two seeds: agreement is highest at 0.6 and 0.3, the held-out loss lowest at 0.3; 0.6 is best in hindsight."""
    values = {
        "accuracy": [[0.5, 0.7, 0.8], [0.5, 0.6, 0.8]],
        "agreement": [[0.1, 0.5, 0.9], [0.1, 0.9, 0.9]],
        "held-out": [[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]],
        "ece": [[0.3, 0.2, 0.1], [0.3, 0.2, 0.1]],
    }
    frame = pd.DataFrame(
        {"dataset": "a", "seed": seed, "alpha": alpha, "graph": "clean", "batch": 512, "measure": measure, "value": v}
        for measure, table in values.items()
        for seed, row in enumerate(table)
        for alpha, v in zip((0.0, 0.3, 0.6), row, strict=True)
    )
    (cell,) = rules.cells(frame)
    assert cell.hindsight == 0.6
    assert rules.agreement(cell).tolist() == [0.6, 0.3]
    assert rules.under(cell, rules.agreement).tolist() == [0.8, 0.6]
    assert rules.regret(cell, rules.agreement) == pytest.approx(10)
    assert rules.regret(cell, rules.held_out) == pytest.approx(15)
    assert rules.regret(cell, rules.fixed(0.25)) == pytest.approx(15)
    head, body = rules.table(frame)
    assert [len(row) for row in body] == [len(head)] * 2
    assert body[0][:7] == ["a", "clean", 512, "50.0 ± 0.0", "65.0 ± 7.1", "70.0 ± 14.1", "65.0 ± 7.1"]
    assert any("rule agreement: mean accuracy 70.0, mean regret 10.0 points" in line for line in rules.findings(frame))
