"""`icon cluster`: what it writes, that it writes all or nothing, and that bad input is one line and status 2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from icon.cli import cluster_report
from icon.estimators import embedding
from icon.estimators.embedding import Embedding
from icon.labels import classes_of
from tests.cli.run import invoke

X = np.vstack([np.random.default_rng(0).normal(c, 0.1, size=(20, 3)) for c in (0, 3, 6)])
Y = np.repeat([0, 1, 2], 20)
QUICK = ["-k", "3", "--knn", "5", "--restarts", "1", "-q"]
TWICE = [*QUICK, "--restarts", "2"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster_report, "LEARNED_MAP", 0)  # a map by PCA: the learned one has a test of its own
    np.save("x.npy", X)
    np.save("y.npy", Y)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "npy", "parquet"])
def test_a_folder(form: str, folder: Path) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    for _ in range(2):  # an earlier result is replaced
        done = invoke(["cluster", "x.npy", *TWICE, "--labels", "y.npy", "--out", "found", "--format", form])
        assert done.exit_code == 0, done.output
    assert sorted(os.listdir("found")) == sorted([f"assignments.{form}", "clusters.png", "report.json"])
    assert sorted(os.listdir()) == ["found", "x.npy", "y.npy"]
    path = f"found/assignments.{form}"
    columns = ["cluster", "probability", "p0", "p1", "p2"]
    if form == "npy":
        table = pd.DataFrame(np.load(path), columns=columns)
    else:
        table = pd.read_csv(path) if form == "csv" else pd.read_parquet(path)
    assert list(table) == columns
    phi = table[["p0", "p1", "p2"]].to_numpy()
    assert phi.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-4)
    assert (phi.argmax(axis=1) == table["cluster"]).all()
    assert phi.max(axis=1) == pytest.approx(table["probability"].to_numpy())
    report = json.loads(Path("found/report.json").read_text())
    assert report["arguments"]["clusters"] == 3
    assert report["points"] == [60, 3]
    assert len(report["losses"]) == 2
    assert report["loss"] == min(report["losses"])
    assert report["versions"].keys() >= {"icon", "python", "torch", "numpy"}
    assert report["diagnostics"]["accuracy"] > 0.9
    assert sum(report["diagnostics"]["sizes"]) == 60
    assert Path("found/clusters.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_scores_only_with_labels_and_labels_change_nothing() -> None:
    assert invoke(["cluster", "x.npy", *TWICE, "--out", "without"]).exit_code == 0
    assert invoke(["cluster", "x.npy", *TWICE, "--labels", "y.npy", "--out", "with"]).exit_code == 0
    assert Path("with/assignments.csv").read_bytes() == Path("without/assignments.csv").read_bytes()
    diagnostics = json.loads(Path("without/report.json").read_text())["diagnostics"]
    assert "accuracy" not in diagnostics
    assert "calibration_error" not in diagnostics
    assert diagnostics.keys() >= {"entropy", "sizes", "effective_clusters", "restart_agreement"}


def test_several_files_are_several_spaces() -> None:
    np.save("a.npy", X[:, :1])
    np.save("b.npy", 1000 * X[:, 1:])
    done = invoke(["cluster", "a.npy", "b.npy", *QUICK, "--labels", "y.npy", "--out", "found"])
    assert done.exit_code == 0, done.output
    report = json.loads(Path("found/report.json").read_text())
    assert report["arguments"]["features"] == ["a.npy", "b.npy"]
    assert report["points"] == [60, 3]
    assert report["diagnostics"]["accuracy"] > 0.9


def test_ids_of_several_files_are_the_same() -> None:
    for name, ids in (("a", range(60)), ("b", range(60)), ("c", reversed(range(60)))):
        pd.DataFrame(X, columns=["u", "v", "w"]).assign(name=[f"p{i}" for i in ids]).to_csv(f"{name}.csv", index=False)
    done = invoke(["cluster", "a.csv", "b.csv", *QUICK, "--id", "name"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("name,cluster,probability\np0,")
    done = invoke(["cluster", "a.csv", "c.csv", *QUICK, "--id", "name"])
    assert done.exit_code == 2
    assert done.stderr == "error: id: got different ids in c.csv, expected those of a.csv, in their order\n"


def test_ids_may_be_missing() -> None:
    names = [f"p{i}" if i % 3 else None for i in range(60)]
    pd.DataFrame(X, columns=["u", "v", "w"]).assign(name=names).to_parquet("a.parquet")
    done = invoke(["cluster", "a.parquet", "a.parquet", *QUICK, "--id", "name"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("name,cluster,probability\n,")


def test_ids_with_the_name_of_a_result() -> None:
    """A Parquet file does not take two columns of one name, which was told after the fit."""
    pd.DataFrame(X, columns=["u", "v", "w"]).assign(cluster=[f"p{i}" for i in range(60)]).to_csv("a.csv", index=False)
    done = invoke(["cluster", "a.csv", *QUICK, "--id", "cluster", "--out", "o.parquet"])
    assert done.exit_code == 0, done.output
    assert list(pd.read_parquet("o.parquet"))[:2] == ["id", "cluster"]


def test_unknown_labels_are_left_out() -> None:
    y = Y.copy()
    y[:5], y[20:25] = -1, -1
    np.save("some.npy", y)
    done = invoke(["cluster", "x.npy", *QUICK, "--labels", "some.npy", "--out", "found"])
    assert done.exit_code == 0, done.output
    assert json.loads(Path("found/report.json").read_text())["diagnostics"]["n_labelled"] == 50
    words = np.where(Y == 0, "cat", "dog").astype(object)
    words[3] = None
    assert (classes_of(words).codes == np.where(np.arange(60) == 3, -1, Y > 0)).all()
    assert (classes_of(np.array([0.0, np.nan, 2.0, -1.0])).codes == [0, -1, 1, -1]).all()


def test_a_number_that_is_found(folder: Path) -> None:
    done = invoke(["cluster", "x.npy", "-k", "auto", "--restarts", "1", "-q", "--out", "found"])
    assert done.exit_code == 0, done.output
    assert "clusters: 3 found" in done.stderr
    report = json.loads(Path("found/report.json").read_text())
    assert report["arguments"]["clusters"] == "auto"
    assert report["diagnostics"]["sizes"] == [20, 20, 20]
    assert list(pd.read_csv("found/assignments.csv")) == ["cluster", "probability", "p0", "p1", "p2"]


@pytest.mark.parametrize("given", ["many", "2.5", ""])
def test_neither_a_number_nor_auto(given: str) -> None:
    done = invoke(["cluster", "x.npy", "-k", given])
    assert done.exit_code == 2
    assert f"--clusters/-k: got {given!r}, expected a number or auto" in done.stderr


def test_keys(folder: Path) -> None:
    np.savez("both.npz", X=X, y=Y)
    arguments = ["cluster", "both.npz", "--key", "X", "--labels", "both.npz", "--labels-key", "y"]
    done = invoke([*arguments, *QUICK])
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 61
    assert done.stdout.startswith("cluster,probability\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-k", "61"], "n_clusters"),
        (["--labels", "short.npy"], "labels: got 5"),
        (["--labels", "x.npy"], "labels"),
        (["--labels", "absent.npy"], "expected a file that exists"),
        (["--labels", "halves.npy"], "labels: got 0.5"),
        (["--labels", "unknown.npy"], "labels: got no label that is known"),
        (["--out", "absent/found"], "out: got absent/found"),
        (["--out", "x.npy/found"], "out"),
        (["--out", "others"], "out: got others, which holds mine.txt"),
        (["--out", "plain"], "out: got plain"),
        (["--out", "found.txt"], "out: got found.txt"),
        (["--out", "."], "out: got ., expected the name of a file or a folder"),
        (["--out", "a" * 300 + ".csv"], "expected a place that can be written (File name too long)"),
        (["--restarts", "0"], "n_init: got 0, expected an integer >= 1 (--restarts)"),
        (["--knn", "60"], "n_neighbors: got 60, expected less than the number of points, 60 (--knn)"),
        (["few.npy"], "X: got spaces of 60, 5 points, expected the same points in each"),
        (["y.npy"], "features: got shape (60,) of int64 in y.npy"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments: list[str], named: str, folder: Path) -> None:
    np.save("short.npy", Y[:5])
    np.save("few.npy", X[:5])
    np.save("halves.npy", np.full(60, 0.5))
    np.save("unknown.npy", np.full(60, -1))
    (folder / "others").mkdir()
    Path("others/mine.txt").write_text("keep")
    Path("plain").write_text("keep")
    before = sorted(folder.rglob("*"))
    out = [] if "--out" in arguments else ["--out", "found"]
    done = invoke(["cluster", "x.npy", *QUICK, *out, *arguments])
    assert done.exit_code == 2, done.output
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert named in done.stderr
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_a_failure_while_writing_leaves_the_earlier_result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke(["cluster", "x.npy", *QUICK, "--out", "found"]).exit_code == 0
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cluster_report, "draw", full)
    done = invoke(["cluster", "x.npy", *QUICK, "--seed", "1", "--out", "found"])
    assert done.exit_code == 2
    assert "No space left" in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_a_full_disk_leaves_the_earlier_map(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("map.csv").write_text("earlier")
    before = sorted(folder.rglob("*"))

    def full(table: pd.DataFrame, path: Path, **_: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    done = invoke(["embed", "x.npy", "--column", "knn", "--iterations", "50", "--out", "map.csv", "-q"])
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].endswith(
        "got map.csv, expected a place that can be written (No space left on device)"
    )
    assert sorted(folder.rglob("*")) == before
    assert Path("map.csv").read_text() == "earlier"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("command", [["cluster", "x.npy", *QUICK], ["show", "simclr"]], ids=" ".join)
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_one_line(command: list[str], buffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": buffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "icon", *command], stdout=full, stderr=subprocess.PIPE, text=True, env=environment,
            check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: standard output: No space left on device"
    assert "Traceback" not in done.stderr


def test_the_learned_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_report, "LEARNED_MAP", 2000)
    shown, z, name = cluster_report.planar(X, 0)
    assert len(shown) == len(z) == 60
    assert "icon.Embedding" in name
    monkeypatch.setattr(cluster_report, "LEARNED_MAP", 10)
    monkeypatch.setattr(cluster_report, "SHOWN", 50)
    shown, z, name = cluster_report.planar(X, 0)
    assert len(shown) == len(z) == 50
    assert name == "PCA of 50 of 60 points"
    assert cluster_report.planar(X[:, :1], 0)[1].shape == (50, 2)


def test_the_learned_map_is_that_of_the_features_in_any_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(n_components: int, **arguments: Any) -> Embedding:
        return Embedding(n_components, **{**arguments, "max_iter": 20})

    monkeypatch.setattr(cluster_report, "LEARNED_MAP", 2000)
    monkeypatch.setattr(embedding, "Embedding", quick)
    x = X.astype(np.float64)
    expected = cluster_report.planar(x, 0)[1]
    for power in (-600, 600):
        assert np.array_equal(cluster_report.planar(2.0**power * x, 0)[1], expected)


@pytest.mark.parametrize("clusters", [1, *(pytest.param(clusters, marks=pytest.mark.slow) for clusters in (3, 15)), 40])
def test_figure_of_any_number_of_clusters(clusters: int, folder: Path) -> None:
    rng = np.random.default_rng(0)
    phi = rng.dirichlet(np.ones(clusters), size=60).astype(np.float32)
    cluster_report.draw(folder / "f.png", X, phi.argmax(axis=1), phi, 0)
    assert len({tuple(colour) for colour in cluster_report.palette(clusters)}) == clusters


@pytest.mark.slow
def test_as_a_module() -> None:
    command = [sys.executable, "-m", "icon", "cluster", "x.npy", "-k", "3", "--restarts", "1", "--knn", "5"]
    root = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=root, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 61
    assert "loss" in done.stderr  # the progress bar


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX")
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_nothing_behind(ending: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    command = [sys.executable, "-m", "icon", "cluster", "x.npy", "-k", "2", "--restarts", "500", "--out", "found", "-q"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    for _ in range(600):  # until it has begun to write
        if sorted(folder.rglob("*")) != before or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(getattr(signal, ending))
    assert process.wait(60) == 128 + getattr(signal, ending)
    assert sorted(folder.rglob("*")) == before


def test_a_map_of_wide_features_makes_no_matrix_of_them() -> None:
    x = np.random.default_rng(0).normal(size=(20, 30_000)) * np.linspace(9, 1, 20)[:, None]
    _, z, name = cluster_report.planar(x, seed=0)
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    assert np.abs(np.corrcoef(z.T, (u * s)[:, :2].T)[:2, 2:].diagonal()) == pytest.approx([1, 1], abs=1e-4)
    assert name == "PCA of 20 points"
