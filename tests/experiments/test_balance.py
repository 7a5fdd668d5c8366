"""How much equal sizes should be worth: criteria on tiny graphs, unequal versions, and a whole run on blobs."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.clustering import balance, protocol
from experiments.datasets import DEVELOPMENT, VALIDATION, Dataset, load, refuse_validation
from experiments.registry import EXPERIMENTS
from experiments.store import tasks
from icon.estimators.merging import balance_of, grouped, merge, normalized_cut
from tests.experiments.fakes import DATASET, command, saved

Y = np.repeat(np.arange(4), (100, 80, 60, 40))
CENTRES = 12 * np.eye(4, 5)
BLOBS = Dataset("blobs", (CENTRES[Y] + np.random.default_rng(0).normal(size=(280, 5))).astype(np.float32), y=Y)
TABLE = np.array([[0.4, 0.1], [0.1, 0.4]])
EDGES = np.array([[0, 1], [2, 3]])
TOGETHER, ACROSS = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])


# -- the criteria ------------------------------------------------------------------------------------------------------


def test_edges_counted_between_groups() -> None:
    edges = np.array([[0, 1], [1, 2], [2, 3]])
    assert balance.counted(edges, TOGETHER).tolist() == [[2, 1], [1, 2]]


def test_criteria_of_a_table() -> None:
    information = 0.8 * np.log(1.6) + 0.2 * np.log(0.4)
    assert balance.informed(TABLE) == pytest.approx(information / np.log(2))
    assert balance.informed(np.ones((1, 1))) == 0
    assert normalized_cut(TABLE) == pytest.approx(0.4)


def test_information_on_edges_kept_aside() -> None:
    assert balance.held_out_information(EDGES, TOGETHER) == pytest.approx(np.log(2))
    assert balance.held_out_information(EDGES, np.zeros(4, dtype=int)) == pytest.approx(0)
    path = np.array([[0, 1], [1, 2], [2, 3]])  # ends 2, 1, 1, 2 of 6
    expected = 2 / 3 * np.log(4 / 3) + 1 / 3 * np.log(2 / 3)
    assert balance.held_out_information(path, TOGETHER) == pytest.approx(expected)


def test_stability_and_agreement() -> None:
    """The adjusted Rand index of two pairs against two pairs across is -1/2."""
    assert balance.agreement(np.stack([TOGETHER, 1 - TOGETHER, TOGETHER])) == pytest.approx(1)
    assert balance.agreement(np.stack([TOGETHER, TOGETHER, ACROSS])) == pytest.approx((1 - 1 / 2 - 1 / 2) / 3)
    assert np.mean([balance.ari(other, TOGETHER) for other in (ACROSS, TOGETHER)]) == pytest.approx(1 / 4)


def test_description_length_of_two_edges() -> None:
    """6 groupings into two pairs, 3 ways to share 2 ends among 2 points in each group, and 1 or 2 graphs of those."""
    assert balance.description_length(EDGES, TOGETHER) == pytest.approx(np.log(6 * 3 * 3) / 4)
    assert balance.description_length(EDGES, ACROSS) == pytest.approx(np.log(6 * 3 * 3 * 2) / 4)


def test_description_length_counts_graphs() -> None:
    """With degrees of one, the edges' share is the logarithm of the number of matchings with as many edges between."""
    groups = np.array([0, 0, 0, 0, 1, 1])
    edges = np.array([[0, 1], [2, 4], [3, 5]])
    ends = balance.counted(edges, groups).tolist()
    alike = {
        frozenset(frozenset(pair) for pair in np.reshape(order, (3, 2)).tolist())
        for order in itertools.permutations(range(6))
        if balance.counted(np.reshape(order, (3, 2)), groups).tolist() == ends
    }
    degrees = np.log(35) + np.log(3)  # 4 ends among 4 points, 2 among 2
    expected = np.log(15) + degrees + np.log(len(alike))
    assert balance.description_length(edges, groups) == pytest.approx(expected / 6)


# -- the data sets -----------------------------------------------------------------------------------------------------


def test_the_draw_of_validation_sets() -> None:
    assert VALIDATION == ("banking77", "bladder", "cifar10-mobilenetv2", "digits", "pbmc68k", "pendigits")
    assert len(DEVELOPMENT) == 12
    assert not set(DEVELOPMENT) & set(VALIDATION)


def test_validation_sets_are_refused_before_any_run() -> None:
    for dataset in (load("digits"), load("digits").subset(50), Dataset("pbmc68k", DATASET.x, y=DATASET.y)):
        message = f"dataset: got {dataset.name}, which is kept for validation, expected one of clinc150, coil20"
        with pytest.raises(ValueError, match=message):
            tasks(EXPERIMENTS["balance"], [BLOBS, dataset], 1, balance.Settings())
    refuse_validation(Dataset("digits2", DATASET.x))
    assert len(tasks(EXPERIMENTS["balance"], [BLOBS], 2, balance.Settings())) == 40


def test_unequal_sizes() -> None:
    y = np.repeat(np.arange(3), 200)
    alike = Dataset("alike", np.arange(600, dtype=np.float32)[:, None], (np.zeros((600, 2)),), y)
    found = balance.unequal(alike, 20, 8)
    assert found.y is not None
    assert found.name == "alike-unequal"
    assert sorted(np.bincount(found.y), reverse=True) == [200, round(200 / 20**0.5), 10]
    assert found.views[0].shape == (found.n, 2)
    assert (y[found.x[:, 0].astype(int)] == found.y).all()
    again = balance.unequal(Dataset("alike", alike.x, y=y), 20, 8)
    assert again.fingerprint == Dataset("other", found.x, y=found.y).fingerprint
    few = balance.unequal(Dataset("few", alike.x[::4], y=y[::4]), 20, 8)
    assert few.y is not None
    assert np.bincount(few.y).min() == 8


def test_the_largest_version_for_which_the_points_suffice() -> None:
    found = balance.unequal(BLOBS, 20, 8).y
    assert found is not None
    sizes = np.bincount(found)
    order = np.argsort(-sizes)
    own, shares = np.bincount(Y)[order], 20.0 ** -np.linspace(0, 1, 4)
    expected = np.maximum(np.round((own / shares).min() * shares), 8)
    assert (sizes[order] == expected).all()


# -- the choice --------------------------------------------------------------------------------------------------------


def _frame() -> pd.DataFrame:
    """Best at 0.6; the cut chooses 0.3, where it is lowest, and of equals every other one 1, the largest."""
    values = {"accuracy": (0.7, 0.7, 0.9, 0.5), balance.CUT: (3.0, 3.0, 2.0, 1.0), balance.LENGTH: (1.0, 1.0, 1.0, 2.0)}
    rows = [
        {"dataset": dataset, "seed": seed, "sizes": sizes, "balance": b, balance.OURS: 0.6 if sizes == "unequal" else 1}
        | dict.fromkeys(balance.CRITERIA, 0.5)
        | {name: value[place] - (name == "accuracy") * seed / 10 for name, value in values.items()}
        for dataset in ("one", "two")
        for seed in (0, 1)
        for sizes in balance.SIZES
        for place, b in enumerate((1.0, 0.8, 0.6, 0.3))
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_regret() -> None:
    means = balance.regrets(_frame()).groupby(["criterion", "sizes"])[["balance", "regret"]].mean()
    for name, expected in {
        "constant 0.6": (0.6, 0),
        "smallest normalised cut": (0.3, 40),
        "highest stability": (1, 20),
    }.items():
        assert means.loc[(name, "unequal")].tolist() == pytest.approx(list(expected)), name
    assert means.loc[(balance.RULE, "as they are")].tolist() == pytest.approx([1, 20])
    table = balance.table(_frame()).set_index("criterion")
    cut = ["40.0", "40.0", "40.0", "40.0 (one, as they are)", "0.30", "0.30"]
    assert table.loc["smallest normalised cut"].tolist() == cut
    ours = ["20.0", "0.0", "10.0", "20.0 (one, as they are)", "1.00", "0.60"]
    assert table.loc["`balance_of` (ours)"].tolist() == ours
    more = balance.against_ours(_frame()).set_index("criterion")
    assert [text.split()[0] for text in more.loc["smallest normalised cut"]] == ["+20.0", "+40.0", "+30.0"]
    assert len(more) == len(table) - 1
    same = {f"constant {b}": regret for b, regret in (("1", "20.0"), ("0.8", "20.0"), ("0.6", "0.0"), ("0.3", "40.0"))}
    assert table["both"].filter(like="constant").to_dict() == same


# -- a whole run -------------------------------------------------------------------------------------------------------


def test_measures_of_a_run() -> None:
    settings = balance.Settings(directions=3)
    found = balance.run(BLOBS, 1, {"sizes": "as they are", "balance": 0.4}, settings)
    made = balance.problem(BLOBS, 1, settings)
    groups = merge(made.joints[0], 4, 0.4)
    assert found[balance.CUT] == pytest.approx(normalized_cut(grouped(made.joints[0], groups)), abs=1e-8)
    assert found[balance.OURS] == balance_of(made.joints[0], 4)
    assert found["accuracy"] == 1
    assert found[balance.STABILITY] == found[balance.AGREEMENT] == 1
    assert 2 * len(made.edges) == protocol.union(BLOBS, 10).nnz
    assert len(made.held) == round(0.5 * len(made.edges))
    assert not (made.parts[0] == made.parts[1]).all()


@pytest.mark.slow
def test_ours_is_small_for_separated_groups_of_unequal_sizes() -> None:
    y = np.repeat(np.arange(3), (900, 60, 40))
    x = 8 * np.eye(3, 5)[y] + np.random.default_rng(0).normal(size=(1000, 5))
    made = balance.problem(Dataset("three", x.astype(np.float32), y=y), 0, balance.Settings())
    assert made.ours == balance_of(made.joints[0], 3) == 0.1
    assert balance.problem(BLOBS, 0, balance.Settings()).ours == 1


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    arguments = ["balance", *saved(tmp_path, BLOBS.x, Y)]
    done = command(*arguments, "--seeds", "1", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "20 runs made" in done.output
    frame = pd.read_csv(tmp_path / "balance" / "results.csv")
    assert set(frame["sizes"]) == set(balance.SIZES)
    assert frame.loc[frame["sizes"] == "as they are", "accuracy"].max() == 1
    assert (tmp_path / "balance" / "accuracy.png").is_file()
    refused = command("balance", "--dataset", "digits", "--out", str(tmp_path / "none"))
    assert refused.exit_code == 2
    assert "got digits, which is kept for validation" in refused.output
    assert not (tmp_path / "none").exists()
