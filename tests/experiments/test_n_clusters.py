"""How many clusters there are: each rule on blobs, the errors by hand, and a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.clustering import n_clusters
from experiments.datasets import Dataset, load
from experiments.registry import EXPERIMENTS
from experiments.store import tasks
from tests.experiments.fakes import command, saved

Y = np.repeat(np.arange(4), (100, 80, 60, 40))
X = (15 * np.eye(4, 5)[Y] + np.random.default_rng(0).normal(size=(280, 5))).astype(np.float32)
BLOBS = Dataset("blobs", X, y=Y)
SETTINGS = n_clusters.Settings(directions=5, few=200, some=250)


@pytest.mark.parametrize("rule", n_clusters.RULES)
def test_every_rule_counts_blobs_that_are_apart(rule: str) -> None:
    found = n_clusters.run(BLOBS, 1, {"rule": rule}, SETTINGS)
    assert (found["chosen"], found["classes"]) == (4, 4)
    assert found["accuracy"] == found["nmi"] == 1


def test_the_eigengap_counts_the_parts_of_a_graph() -> None:
    """Blobs of two kinds: far apart in pairs, whose halves are far apart, too."""
    far = np.array([[0, 0], [0, 20], [900, 0], [900, 20]])[np.arange(280) % 4]
    x = (far + np.random.default_rng(0).normal(size=(280, 2))).astype(np.float32)
    assert n_clusters.eigengap(Dataset("pairs", x, y=np.arange(280) % 4), 0, SETTINGS) == 4


def test_validation_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="dataset: got digits, which is kept for validation"):
        tasks(EXPERIMENTS["n-clusters"], [load("digits")], 1, SETTINGS)


def _frame() -> pd.DataFrame:
    """Of 4 and 16 classes ours finds 8 and 16, and every other rule 2."""
    rows = [
        {
            "dataset": dataset,
            "seed": seed,
            "rule": rule,
            "classes": classes,
            "seconds": 1.0,
            "accuracy": 0.5,
            "nmi": 0.5,
        }
        | {"chosen": {n_clusters.OURS: ours, n_clusters.TRUE: classes}.get(rule, 2)}
        for dataset, classes, ours in (("one", 4, 8), ("two", 16, 16))
        for seed in (0, 1)
        for rule in n_clusters.RULES
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_errors_of_known_numbers() -> None:
    table = n_clusters.table(_frame()).set_index("rule")
    ours = table.loc[n_clusters.NAMES[n_clusters.OURS]]
    assert ours["mean absolute log2 error"] == "0.50"
    assert ours["mean log2"] == "+0.50"
    assert ours["within a factor of 1.5, %"] == "50"
    assert ours["largest error"] == "1.00 (one)"
    assert table.loc["HDBSCAN", ["mean absolute log2 error", "mean log2"]].tolist() == ["2.00", "-2.00"]
    assert 4 <= n_clusters.constant(_frame()) <= 16
    assert table.loc[f"{n_clusters.CONSTANT} ({n_clusters.constant(_frame())})", "mean absolute log2 error"] == "1.00"
    assert table.loc["HDBSCAN", "more than ours"].startswith("+1.50 ")
    each = n_clusters.per_dataset(_frame()).set_index("data set")
    assert each.loc["one", n_clusters.OURS] == "8, 8"
    assert each.loc["two", "classes"] == "16"


def test_the_command(tmp_path: Path) -> None:
    arguments = ["n-clusters", *saved(tmp_path, X, Y)]
    done = command(*arguments, "--seeds", "1", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "n-clusters" / "numbers.png").is_file()
    assert set(pd.read_csv(tmp_path / "n-clusters" / "results.csv")["rule"]) == set(n_clusters.RULES)
