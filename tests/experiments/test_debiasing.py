"""When debiasing helps: wrong edges, the runs, and what is read from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_blobs

import icon
from experiments.clustering import debiasing, protocol
from experiments.clustering.balance import held_out
from experiments.clustering.debiasing import corrupted
from experiments.clustering.protocol import union
from experiments.datasets import Dataset, at_most, load
from experiments.store import tasks
from tests.experiments.fakes import command, saved

X, Y, *_ = make_blobs(80, 5, centers=4, random_state=0)
BLOBS = Dataset("blobs", X.astype(np.float32), y=Y.astype(np.int64))
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


def test_one_factor_at_most_is_not_as_by_default() -> None:
    found = debiasing.configurations(BLOBS)
    assert len(found) == len({tuple(each.items()) for each in found}) == 10 * len(debiasing.ALPHAS)
    for configuration in found:
        changed = [name for name, level in debiasing.DEFAULT.items() if configuration[name] != level]
        assert len(changed) <= 1
    with pytest.raises(ValueError, match=r"^dataset: got digits, which is kept for validation"):
        tasks(debiasing.EXPERIMENT, [load("digits")], 1, debiasing.Settings())


@pytest.mark.parametrize(
    ("factor", "level"),
    [
        pytest.param(*setting, marks=[pytest.mark.slow] if k % 3 else [])
        for k, setting in enumerate(debiasing.SETTINGS.values())
    ],
)
def test_a_run_takes_its_factor(factor: str, level: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And α; the data set is cut to ``points``."""
    seen: dict[str, Any] = {}

    def fitted(dataset: Dataset, seed: int, settings: Any, graph: Any, **changes: Any) -> icon.Clustering:
        seen.update(changes, graph=graph, points=dataset.n)
        return protocol.fitted(dataset, seed, settings, graph, **changes)

    monkeypatch.setattr(debiasing, "fitted", fitted)
    settings = debiasing.Settings(steps=2, points=60, neighbors=3, hidden=4)
    configuration = {"alpha": 0.3} | debiasing.DEFAULT | {factor: level}
    found = debiasing.run(BLOBS, 0, configuration, settings)
    assert set(found) == {"accuracy", "nmi", "ari", "ece", "confidence", "reliability", "loss", "classes"}
    bins = [[int(count) for count in entry.split("/")] for entry in str(found["reliability"]).split()]
    right, points = np.array(bins).sum(axis=0)
    assert (len(bins), points) == (10, 60)
    assert right == round(60 * float(found["accuracy"]))
    assert (seen["debias"], seen["points"], found["classes"]) == (0.3, 60, 4)
    assert seen["mapper"] == configuration["head"]
    assert seen["init"] == configuration["start"]
    assert seen["n_clusters"] == 4 * configuration["clusters"]
    clean = protocol.union(at_most(BLOBS, 60), 3)
    assert ((seen["graph"] != clean).nnz > 0) == (configuration["wrong"] > 0)


def frame(**measures: Callable[[dict[str, Any]], float]) -> pd.DataFrame:
    """Two data sets of 10 and 4 classes with two seeds, all settings."""
    rows = [
        configuration | {"dataset": name, "seed": seed, "classes": classes, "accuracy": 0.5, "nmi": 0.5, "ece": 0.1}
        for name, classes in (("a", 10), ("b", 4))
        for seed in (0, 1)
        for configuration in debiasing.configurations(BLOBS)
    ]
    return pd.DataFrame(row | {name: measure(row) for name, measure in measures.items()} for row in rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:restarts. agree little", "ignore:n_clusters")
def test_the_command(tmp_path: Path) -> None:
    arguments = ["debiasing", *saved(tmp_path, BLOBS.x, Y)]
    done = command(*arguments, "--seeds", "1", "--set", "steps=20", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "50 runs made" in done.output
    assert pd.read_csv(tmp_path / "debiasing" / "results.csv")["accuracy"].between(0, 1).all()
    assert (tmp_path / "debiasing" / "effect.png").is_file()
    refused = command("debiasing", "--dataset", "digits", "--out", str(tmp_path / "none"))
    assert refused.exit_code == 2
    assert "got digits, which is kept for validation" in refused.output


def test_table_has_the_differences_and_their_intervals() -> None:
    """Of effects of -20 and -40 points Student's interval, one degree of freedom, reaches 127.1 points to each side."""
    steep = {"a": 0.2, "b": 0.4}

    def accuracy(row: dict[str, Any]) -> float:
        return 0.7 + 0.1 * row["seed"] - (steep[row["dataset"]] if row["alpha"] == 0.9 and row["batch"] == 256 else 0)

    found = debiasing.EXPERIMENT.table(frame(accuracy=accuracy, confidence=lambda row: 0.9)).set_index(
        ["setting", "measure (%)"]
    )
    assert len(found) == 2 * len(debiasing.SETTINGS)
    assert found.loc[("batches of 256", "accuracy"), "α = 0"] == "75.0"
    assert found.loc[("batches of 256", "accuracy"), "α = 0.9"] == "-30.0 [-157.1, +97.1]"
    assert found.loc[("default", "accuracy"), "α = 0.9"] == "+0.0 [+0.0, +0.0]"
    assert found.loc[("default", "calibration error"), "α = 0"] == "10.0"


def test_predictions_of_runs_that_are_as_predicted() -> None:
    def accuracy(row: dict[str, Any]) -> float:
        return 0.8 if row["alpha"] <= debiasing.ambiguous(row["classes"], 0.9) else 0.3

    def confidence(row: dict[str, Any]) -> float:
        return debiasing.confidence(row["classes"], row["alpha"], 0.9)

    runs = frame(accuracy=accuracy, confidence=confidence, ece=lambda row: abs(confidence(row) - accuracy(row)))
    found = debiasing.predictions(runs)
    assert found["confidence at α = 0.6"].tolist() == found["predicted confidence"].tolist()
    first = found.iloc[0]
    assert (first["data set"], first["wrong edges"], first["λ"]) == ("a", "0%", "0.90")
    assert (first["best calibrated α"], first["predicted α"]) == ("0.3", "0.33")
    assert (first["accuracy kept up to α"], first["predicted limit"]) == ("0.6", "0.74")


def test_figure_has_a_line_per_level_and_one_of_the_theory() -> None:
    runs = frame(confidence=lambda row: debiasing.confidence(row["classes"], row["alpha"], 0.9))
    panels = np.reshape(debiasing.effect(runs).axes, (len(debiasing.MEASURES), len(debiasing.FACTORS)))
    for column, others in zip(panels.T, debiasing.FACTORS.values(), strict=True):
        assert [len(panel.lines) for panel in column] == [len(others) + 1] * 2 + [2 * len(others) + 2]
    measured, predicted = panels[-1, 0].lines[:2]
    assert measured.get_ydata()[-1] == pytest.approx(predicted.get_ydata()[-1])


def test_reliability_diagram_has_the_accuracy_of_each_bin() -> None:
    """A quarter and three quarters of the points of two bins are right; bins of no seed with a point have no dot."""
    bins = " ".join({3: "1/4", 9: "6/8"}.get(place, "0/0") for place in range(10))
    figure = debiasing.reliability(frame(confidence=lambda row: 0.9).assign(reliability=bins))
    assert [panel.get_title() for panel in figure.axes] == ["a", "b"]
    for panel in figure.axes:
        *lines, diagonal = panel.lines
        assert len(lines) == len(debiasing.ALPHAS)
        assert list(zip(*lines[0].get_data(), strict=True)) == [(35, 25), (95, 75)]
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
        assert panel.collections[0].get_sizes().tolist() == pytest.approx([40, 80])
