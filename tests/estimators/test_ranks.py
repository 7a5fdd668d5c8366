"""Estimators over ranks: each rank ends with what one process finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import icon
from tests.cases import digits
from tests.ranks import assert_told, run

pytestmark = pytest.mark.slow

CLUSTERINGS: dict[str, dict[str, Any]] = {
    "over-clustering": {},
    "k-means": {"init": "k-means", "ema": 0.9, "batch_size": 64},
    "lookup": {"mapper": "lookup", "init": "random"},
}
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "t-SNE": {"max_iter": 60},
    "SupCon": {"row": "gaussian", "column": "classes", "mapper": "mlp", "max_iter": 20},
    "cross-entropy": {"row": "gaussian", "column": "data-label", "mapper": "linear", "max_iter": 20},
    "SNE by batches": {"row": "gaussian", "mapper": "mlp", "batch_size": 32, "max_iter": 20},
    "SupCon by batches": {"row": "gaussian", "column": "classes", "mapper": "mlp", "batch_size": 32, "max_iter": 20},
    "t-SNE about landmarks": {"max_iter": 60, "landmarks": 90},
}


def clusterings(rank: int) -> dict[str, Any]:
    x, found = digits(150)[0], {}
    for name, settings in CLUSTERINGS.items():
        alone, together = (
            icon.Clustering(5, max_iter=30, n_init=2, random_state=0, **settings, group=group).fit(x)
            for group in (None, "world")
        )
        found[name] = float((alone.labels_ == together.labels_).mean())
        found[f"{name}, loss"] = abs(alone.loss_ - together.loss_)
    # Nobody gives a seed: the ranks agree on one.
    found["labels"] = icon.Clustering(5, max_iter=10, n_init=1, group="world").fit(x).labels_
    found["number"] = icon.Clustering("auto", max_iter=10, n_init=1, group="world").fit(x).labels_
    return found


def test_clusterings() -> None:
    first, second = run(clusterings, 2)
    for name in CLUSTERINGS:
        assert first[name] > 0.97, name
        assert first[f"{name}, loss"] < 0.02, name
    for name in ("labels", "number"):
        assert np.array_equal(first[name], second[name]), name


def embeddings(rank: int) -> dict[str, Any]:
    (x, y), found = digits(120), {}
    for name, settings in EMBEDDINGS.items():
        weights = None if name == "cross-entropy" else np.linspace(0.5, 1.5, len(x))
        alone, together = (
            icon.Embedding(random_state=0, **settings, group=group).fit(x, y if "column" in settings else None, weights)
            for group in (None, "world")
        )
        found[name] = abs(alone.loss_ - together.loss_)
    found["z"] = icon.Embedding(max_iter=10, group="world").fit_transform(x)
    return found


def test_embeddings() -> None:
    first, second = run(embeddings, 2)
    for name in EMBEDDINGS:
        assert first[name] < 0.02, name
    assert np.array_equal(first["z"], second["z"])


def refusals(rank: int) -> list[str]:
    x, told = digits(60)[0], []
    calls = (
        lambda: icon.Clustering(3, group="world").fit(x if rank == 0 else x * np.nan),
        lambda: icon.Clustering(3 if rank == 0 else 0, group="world").fit(x),
        lambda: icon.Clustering(3, group="world").fit(x, sample_weight=np.ones(60)),
        lambda: icon.Embedding(group="world", column="graph").fit(x, None if rank == 0 else np.ones((60, 60))),
        lambda: icon.Embedding(group="world", random_state=rank, max_iter=2).fit(x),
        lambda: icon.Embedding(group="world", max_iter=2, mapper="mlp").fit(x + rank),
    )
    for call in calls:
        try:
            call()
            told.append("nothing")
        except (ValueError, TypeError) as error:
            told.append(str(error))
    return told


def test_errors_are_told_on_all_ranks() -> None:
    expected = [
        "X: got NaN or infinity in rows 0",
        "n_clusters: got 0",
        "sample_weight: got weights with group=, expected None",
        "y: requires y to be passed",
        "nothing",
        "data: got different values on ranks 0 and 1",
    ]
    assert_told(run(refusals, 2), expected)


def saved(rank: int, folder: str) -> str:
    model = icon.Clustering(3, max_iter=4, n_init=1, random_state=0, group="world").fit(digits(60)[0])
    model.save(f"{folder}/{rank}")
    return str(icon.load(f"{folder}/{rank}").group)


def test_a_group_is_not_saved(tmp_path: Path) -> None:
    assert run(saved, 2, str(tmp_path)) == ["None", "None"]


def test_a_group_that_is_none() -> None:
    with pytest.raises(RuntimeError, match=r"^group: got 'world' where torch.distributed is not initialised"):
        icon.Clustering(3, group="world").fit(digits(60)[0])
