"""Tables on the command line: what is said of them, what decides how they are read, and what comes out beside them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from icon.labels import classes_of
from tests.cli.run import invoke

X = np.vstack([np.random.default_rng(0).normal(c, 0.1, size=(20, 3)) for c in (0, 3, 6)])
Y = np.repeat(["cat", "dog", "owl"], 20)
QUICK = ["-k", "3", "--knn", "5", "--restarts", "1", "-q"]
FRAME = pd.DataFrame(X, columns=list("abc")).assign(sample=np.arange(60) + 100, site=Y)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("x.csv", sep=";", decimal=",", index=False, encoding="utf-8-sig")
    pd.Series(Y).to_csv("y.csv", index=False, header=False)
    return tmp_path


@pytest.mark.slow
def test_it_says_what_it_understood() -> None:
    done = invoke(["cluster", "x.csv", *QUICK, "--labels", "y.csv"])
    assert done.exit_code == 0, done.output
    lines = done.stderr.splitlines()
    assert "note: left out columns of text: site" in lines
    assert "warning: column sample counts upwards and is used as a feature (--drop sample or --id sample)" in lines
    assert "60 rows × 4 columns, header: yes, labels: 3 classes" in lines
    FRAME[["a", "b", "c"]].to_csv("plain.csv", index=False, header=False)
    done = invoke(["embed", "plain.csv", "--column", "knn", "--iterations", "50", "-q"])
    assert done.stderr.splitlines() == ["60 rows × 3 columns, header: no"]
    np.save("x.npy", X)
    assert invoke(["cluster", "x.npy", *QUICK]).stderr.splitlines() == ["60 rows × 3 columns"]
    np.save("x.npy", X[:, :1])
    assert invoke(["cluster", "x.npy", *QUICK]).stderr.splitlines() == ["60 rows × 1 column"]


@pytest.mark.parametrize("command", [["cluster", "-k", "3"], ["embed", "--column", "knn"]], ids=" ".join)
def test_it_says_so_before_the_fit(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise ValueError("stopped")

    monkeypatch.setattr(f"icon.cli.fits.{'Clustering' if command[0] == 'cluster' else 'Embedding'}.fit", failing)
    lines = invoke([*command, "x.csv"]).stderr.splitlines()
    assert "60 rows × 4 columns, header: yes" in lines
    assert lines[-1] == "error: stopped"


@pytest.mark.slow
@pytest.mark.parametrize("out", ["found", "found.csv", None])
def test_an_id_goes_into_the_output(out: str | None) -> None:
    where = [] if out is None else ["--out", out]
    done = invoke(["cluster", "x.csv", *QUICK, "--id", "sample", "--drop", "site", *where])
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines() == ["60 rows × 3 columns, header: yes"]
    source = io.StringIO(done.stdout) if out is None else "found/assignments.csv" if out == "found" else out
    frame = pd.read_csv(source)
    assert frame["sample"].tolist() == FRAME["sample"].tolist()
    if out == "found":
        assert json.loads(Path("found/report.json").read_text())["arguments"]["id"] == "sample"


@pytest.mark.slow
def test_options_reach_standard_input() -> None:
    text = FRAME.to_csv(sep="\t", index=False, header=False)
    arguments = ["embed", "-", "--column", "knn", "-q", "--sep", "tab", "--no-header", "--columns", "0:3", "--id", "3"]
    done = invoke(arguments, input=text)
    assert done.exit_code == 0, done.output
    frame = pd.read_csv(io.StringIO(done.stdout))
    assert list(frame) == ["id", "z0", "z1"]
    assert frame["id"].tolist() == FRAME["sample"].tolist()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["x.csv", "--sep", ","], "features: got"),
        (["x.csv", "--sep", "::"], "sep: got '::'"),
        (["x.csv", "--columns", "z"], "columns: got 'z', expected names (a, b, c, sample, site)"),
        (["x.csv", "--columns", "site"], "features: got text in column site"),
        (["x.csv", "--id", "sample", "--out", "c.npy"], "id: got sample"),
        (["x.csv", "--id", "sample", "--out", "found", "--format", "npy"], "id: got sample"),
        (["counts.csv"], "--header or --no-header"),
        (["x.npy", "--key", "X"], "key: got 'X' for x.npy, expected no --key, which says nothing of such a file"),
        (["x.npy", "--sep", ";"], "sep: got ';' for x.npy, expected no --sep"),
        (["x.npy", "--decimal", ","], "decimal: got ',' for x.npy"),
        (["x.npy", "--no-header"], "header: got False for x.npy"),
        (["x.npy", "--labels", "x.npy", "--labels-key", "y"], "labels-key: got 'y' for x.npy"),
        (["x.npy", "--labels", "absent.csv", "--sep", ";"], "labels: got absent.csv"),
        (["x.npy", "--labels-header"], "labels-header: got True for no file, expected no --labels-header"),
        (["gap.csv"], "features: got gaps in column a (row 2) of gap.csv, expected numbers only (--drop a)"),
        (["x.csv", "--labels", "absent.csv"], "labels: got absent.csv"),
        (["x.csv", "--labels", "x.csv"], "labels: got 5 columns"),
        (["x.csv", "--labels", "x.csv", "--labels-key", "z"], "labels: got 'z'"),
        (["x.csv", "--labels", "y.csv", "--labels-header"], "labels: got 59 entries, expected 60"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_tables_are_one_line_and_leave_nothing(arguments: list[str], named: str, folder: Path) -> None:
    np.save("x.npy", X)
    Path("counts.csv").write_text("1,2,3\n4,5,6\n7,8,9\n")
    Path("gap.csv").write_text("a,b\n1,2\nNA,3\n")
    before = sorted(folder.rglob("*"))
    done = invoke(["cluster", *arguments, *QUICK])
    assert done.exit_code == 2, done.output
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert named in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_labels_beyond_the_integers_of_floats_stay_apart() -> None:
    labels = np.array([2**53, 2**53 + 1, -1, 2**53], dtype=np.int64)
    assert classes_of(labels).codes.tolist() == [0, 1, -1, 0]
    objects = np.array([2**65, None, 2**65 + 1, -1], dtype=object)
    assert classes_of(objects).codes.tolist() == [0, -1, 1, -1]
