"""The paper's protocol on blobs that lie on disk: the command, scores of other points, an error for each mistake."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import Result

from experiments.clustering import comparison, methods, paper
from experiments.clustering.protocol import fitted, scores
from experiments.datasets import Dataset, from_files, with_test
from icon.estimators.base import on_disk
from tests.experiments.fakes import command

CLASSES, WIDTH = 4, 16
FEW = paper.Settings(steps=30, batch=64)


def _blobs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    centres = 3 * np.random.default_rng(0).normal(size=(CLASSES, WIDTH))
    random, y = np.random.default_rng(seed), np.arange(n) % CLASSES
    return (centres[y] + random.normal(size=(n, WIDTH))).astype(np.float16), y


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the features and labels of 400 points, and of 100 others, all of which stay on disk."""
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    for seed, (name, n) in enumerate({"train": 400, "val": 100}.items()):
        for part, array in zip(("", "_labels"), _blobs(n, seed), strict=True):
            np.save(tmp_path / f"{name}{part}.npy", array)
    return tmp_path


def _dataset(files: Path) -> Dataset:
    train, val = (
        from_files([f"{files}/{name}.npy"], f"{files}/{name}_labels.npy", stay=True) for name in ("train", "val")
    )
    return with_test(train, val)


def _command(files: Path, *more: str, name: str = "imagenet", test: bool = True) -> Result:
    given = ["--features", f"{files}/train.npy", "--labels", f"{files}/train_labels.npy", "--seeds", "1"]
    given += ["--test-features", f"{files}/val.npy", "--test-labels", f"{files}/val_labels.npy"] if test else []
    few = ["--set", "steps=30", "--set", "batch=64", "--out", str(files / "out")]
    return command(name, *given, *few, *more)


def test_first_parameters_are_random_unless_ours_are_asked_for(files: Path) -> None:
    dataset = paper.by_cosine(_dataset(files))
    assert fitted(dataset, 0, FEW).init == "random"
    assert fitted(dataset, 0, FEW, init="merged-k-means").init == "merged-k-means"


@pytest.mark.slow
def test_the_command(files: Path) -> None:
    done = _command(files)
    assert done.exit_code == 0, done.output
    assert f"{len(paper.VARIANTS)} runs made, 0 were there" in done.output
    frame = pd.read_csv(files / "out" / "imagenet" / "results.csv").set_index("variant")
    assert set(frame.index) == set(paper.VARIANTS)
    assert frame["accuracy"].between(0.2, 1).all()
    assert frame.loc[["k-means", paper.MERGED], "accuracy"].min() > 0.9
    text = (files / "out" / "imagenet" / "README.md").read_text(encoding="utf-8")
    for part in (
        "### Ingredients",
        "### Comparison",
        "paper, ImageNet, DINO ViT-S / B / L",
        "| 55.51 /",
        "/ 64.87±0.19 /",
        "/ 60.15",
    ):
        assert part in text
    assert f"{len(paper.VARIANTS)} were there" in _command(files).output


def test_other_points_are_scored(files: Path) -> None:
    dataset = _dataset(files)
    found = methods.k_means(dataset, 0, FEW)
    assert found.test is not None
    assert found.test.shape == (100,)
    assert dataset.test is not None
    measured = paper.run(dataset, 0, {"variant": "k-means"}, FEW)
    assert measured["accuracy"] == scores(dataset.test, found.test)["accuracy"]
    assert dataset.fingerprint != Dataset("train", dataset.x, y=dataset.y).fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("name", ["k-means", "TEMI", "+ EMA", paper.MERGED])
def test_the_file_is_never_read_whole(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many features of few points: the parts that are in memory at a time stay below the whole."""
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    for module in ("icon.estimators.base", "experiments.datasets", "experiments.clustering.methods"):
        monkeypatch.setattr(f"{module}.BLOCK", 64)
    monkeypatch.setattr("experiments.clustering.protocol.BLOCK", 64)
    monkeypatch.setattr("icon.neighbors.blocks.QUERIES", 64)
    monkeypatch.setattr("icon.neighbors.blocks.CANDIDATES", 64)
    monkeypatch.setattr("icon.neighbors.blocks.GATHERED", 2**16)
    monkeypatch.setattr("icon.estimators.base.SOME", 64)
    monkeypatch.setattr("icon.estimators.initialization.SUBSET", 64)
    monkeypatch.setattr("icon.estimators.initialization.BATCH", 64)
    monkeypatch.setattr(methods, "SAMPLE", 64)
    n, of_array = 1500, torch.from_numpy

    def part(array: np.ndarray) -> torch.Tensor:
        assert not isinstance(array, np.memmap)
        return of_array(array)

    monkeypatch.setattr(torch, "from_numpy", part)
    x, y = _blobs(n, 0)
    np.save(tmp_path / "x.npy", np.tile(x, (1, 64)))
    np.save(tmp_path / "y.npy", y)
    whole = n * 64 * WIDTH * np.dtype(np.float32).itemsize
    torch.optim.Adam([torch.zeros(1)])  # torch imports much with the first optimiser
    tracemalloc.start()
    dataset = from_files([str(tmp_path / "x.npy")], str(tmp_path / "y.npy"), stay=True)
    assert on_disk(dataset.x)
    assert len(dataset.fingerprint) == 16
    paper.run(dataset, 0, {"variant": name}, paper.Settings(steps=3, batch=64))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < whole / 2


def test_the_head_sees_all_features_as_they_are(files: Path) -> None:
    mapper = FEW.options(_dataset(files), 3)["mapper"]
    assert [tuple(p.shape) for p in mapper.parameters()] == [(CLASSES, WIDTH), (CLASSES,)]
    again = FEW.options(_dataset(files), 3)["mapper"]
    assert all((a == b).all() for a, b in zip(mapper.parameters(), again.parameters(), strict=True))


def test_without_other_points_those_of_the_fit_are_scored(files: Path) -> None:
    dataset = from_files([f"{files}/train.npy"], f"{files}/train_labels.npy", stay=True)
    assert paper.run(dataset, 0, {"variant": "k-means"}, FEW)["accuracy"] > 0.9  # type: ignore[operator]


def test_neighbours_are_those_by_cosine(files: Path) -> None:
    dataset = paper.by_cosine(_dataset(files))
    unit = np.asarray(dataset.x, dtype=np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -1)
    found = comparison.union(dataset, 3)
    assert (found[np.arange(400), cosine.argmax(axis=1)] == 1).all()


def test_mistakes(files: Path) -> None:
    np.save(files / "narrow.npy", np.zeros((100, 3), np.float32))
    np.save(files / "broken.npy", np.full((400, 3), np.nan, np.float32))
    for more, message in (
        (("--test-features", str(files / "narrow.npy")), "test-features: got 3 columns, expected 16"),
        (("--test-labels", str(files / "train_labels.npy")), "labels: got 400, expected 100"),
        (("--features", str(files / "train.npy")), "test-features: got 2 files of --features, expected one"),
        (("--test-features", str(files / "absent.npy")), "expected a file that exists"),
    ):
        done = _command(files, *more)
        assert done.exit_code == 2
        assert message in done.output
        assert done.output.count("error") == 1
    for more, message in (
        (("--test-features", str(files / "val.npy")), "test-labels: got none"),
        (("--test-labels", str(files / "val_labels.npy")), "test-labels: got a file without --test-features"),
        (("--features", str(files / "broken.npy")), "NaN or infinity"),
        (("--set", "debias=2"), "debias: got 2"),
    ):
        done = _command(files, *more, test=False)
        assert done.exit_code == 2
        assert message in done.output
    assert "test-features: got some for comparison" in _command(files, name="comparison").output
