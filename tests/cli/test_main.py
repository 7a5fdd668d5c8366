"""The command line: what it prints, what it writes, and one clear line with status 2 on bad input."""

from __future__ import annotations

import inspect
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from PIL import Image

import icon
from icon.cli.main import parsers
from icon.cli.map_report import draw
from icon.features import read_graph, read_matrix, read_vector
from icon.labels import read_labels
from tests.cli.run import invoke

X = np.vstack([np.random.default_rng(0).normal(c, 0.1, size=(20, 3)) for c in (0, 3, 6)])
Y = np.repeat([0, 1, 2], 20)


def test_table() -> None:
    done = invoke(["table"])
    assert done.exit_code == 0
    for name in ("t-SNE", "SupCon", "K-Means"):
        assert name in done.stdout
    frame = pd.read_csv(io.StringIO(invoke(["table", "--style", "csv"]).stdout), index_col=0, na_filter=False)
    assert (frame.to_numpy() == icon.table().to_numpy()).all()
    assert set(json.loads(invoke(["table", "--style", "json"]).stdout)) == set(icon.table().index)
    assert invoke(["table", "--style", "markdown"]).stdout.count("\n") == 7


@pytest.mark.parametrize("name", [m.slug.upper() for m in icon.methods()] + ["t-SNE", "K-Means"])
def test_show_a_method(name: str) -> None:
    done = invoke(["show", name])
    assert done.exit_code == 0
    assert "icon.method(" in done.stdout


def test_the_symbols_of_a_published_number_are_explained() -> None:
    shown = invoke(["show", "scan"]).stdout
    assert "loss.published: L + log C (C: columns of the input, L: the loss)" in shown
    assert "authors' program: none found\nloss.published: CE" in invoke(["show", "cross-entropy"]).stdout


@pytest.mark.parametrize("row", icon.table().index)
@pytest.mark.parametrize("column", icon.table().columns)
def test_show_a_coordinate(row: str, column: str) -> None:
    done = invoke(["show", row, column])
    assert done.exit_code == 0
    assert f'icon.loss("{row}", "{column}")' in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "simcrl"],
        ["show", "gaussian", "pears"],
        ["show", "gaussian"],
        ["cluster", "absent.npy", "-k", "3"],
        ["cluster", "x.npy", "-k", "100"],
        ["cluster", "x.npy", "-k", "3", "--debias", "2"],
        ["cluster", "x.npy", "-k", "3", "--balance", "2"],
        ["cluster", "x.npy", "-k", "3", "--knn", "60"],
        ["cluster", "x.npy", "-k", "3", "--labels", "short.npy"],
        ["cluster", "x.npy", "-k", "3", "--out", "absent/c.csv"],
        ["cluster", "nan.npy", "-k", "3"],
        ["embed", "x.npy", "--row", "gauss"],
        ["embed", "x.npy", "--out", "map.txt"],
        ["embed", "x.npy", "--method", "tsen"],
        ["embed", "x.npy", "--column", "classes"],
        ["embed", "x.npy", "--column", "graph", "--graph", "x.npy", "--iterations", "2"],
        ["embed", "x.npy", "--labels", "short.npy"],
        ["embed", "x.npy", "--perplexity", "100"],
        ["embed", "named.csv", "--id", "name", "--format", "npy", "--out", "map"],
        ["embed", "broken.npz"],
        ["embed", "sparse.npz"],
        ["embed", "x.txt"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("short.npy", Y[:5])
    np.save("nan.npy", np.where(np.arange(60)[:, None] == 7, np.nan, X))
    pd.DataFrame({"name": [f"p{i}" for i in range(60)], "a": X[:, 0], "b": X[:, 1]}).to_csv("named.csv", index=False)
    Path("broken.npz").write_bytes(b"PK not really")
    sp.save_npz("sparse.npz", sp.csr_array(X))
    before = set(tmp_path.iterdir())
    done = invoke([*arguments, "-q"] if arguments[0] != "show" else arguments)
    assert done.exit_code == 2, done.output
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert set(tmp_path.iterdir()) == before


def test_an_option_says_whether_a_file_of_a_graph_has_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    Path("e.csv").write_text("0,1\n1,2\n2,0\n")
    base, found = ["embed", "x.npy", "--column", "graph", "--graph", "e.csv", "--iterations", "5", "-q"], []
    for header in ("--graph-header", "--no-graph-header"):
        found.append(invoke([*base, header]))
        assert found[-1].exit_code == 0, found[-1].output
    assert found[0].stdout != found[1].stdout
    refused = invoke(["embed", "x.npy", "--graph-header"]).stderr
    assert refused == (
        "error: graph-header: got True for no file, expected no --graph-header, which says nothing of such a file\n"
    )


def test_edges_between_many_points_are_no_decimals(tmp_path: Path) -> None:
    """In a file of features, lines like 7,100001 may be one number with a comma."""
    (tmp_path / "e.csv").write_text("7,100001\n8,100002\n7,9\n")
    index, _ = read_graph(str(tmp_path / "e.csv"), 200_000)
    assert index.T.tolist() == [[7, 100001], [8, 100002], [7, 9]]


def test_a_file_of_a_graph_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("ids.npy", Y)
    done = invoke(["embed", "x.npy", "--column", "graph", "--graph", "ids.npy", "-q"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: graph: got shape (60,)")


def test_the_numbers_of_a_map_are_the_same_in_a_file_and_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    for out in (["--out", "map.npy"], ["--format", "npy", "--out", "folder"]):
        assert invoke(["embed", "x.npy", "--iterations", "5", "--perplexity", "5", "-q", *out]).exit_code == 0
    one, other = np.load("map.npy"), np.load("folder/map.npy")
    assert one.dtype == other.dtype == np.float32
    assert np.array_equal(one, other)


def test_cluster(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    out = tmp_path / "clusters.csv"
    files = [str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy"), "--out", str(out)]
    done = invoke(["cluster", *files, "-k", "3", "--knn", "5", "--restarts", "1", "-q"])
    assert done.exit_code == 0, done.output
    frame = pd.read_csv(out)
    assert list(frame) == ["cluster", "probability"]
    assert len(frame) == 60
    assert json.loads(done.stderr.strip().splitlines()[-1])["accuracy"] > 0.9


def test_embed_standard_input() -> None:
    text = pd.DataFrame(X, columns=list("abc")).to_csv(index=False)
    done = invoke(["embed", "-", "--column", "knn", "--iterations", "50", "-q"], input=text)
    assert done.exit_code == 0, done.output
    frame = pd.read_csv(io.StringIO(done.stdout))
    assert list(frame) == ["z0", "z1"]
    assert len(frame) == 60
    assert np.isfinite(frame.to_numpy()).all()


def test_embed_writes_a_folder(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    files = [str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy"), "--out", str(tmp_path / "map")]
    for form in ("csv", "npy", "parquet"):
        how = ["--perplexity", "5", "--iterations", "60", "--format", form, "-q"]
        done = invoke(["embed", *files, *how])
        assert done.exit_code == 0, done.output
        names = {path.name for path in (tmp_path / "map").iterdir()}
        assert names == {f"map.{form}", "map.png", "map.html", "report.json"}
    assert pd.read_parquet(tmp_path / "map/map.parquet").shape == (60, 2)
    report = json.loads((tmp_path / "map/report.json").read_text())
    assert report["k-NN accuracy in the map"] > 0.9
    assert report["steps"] == 60
    assert report["arguments"]["perplexity"] == 5


def test_a_map_is_kept_where_labels_are_too_few_for_its_score(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20, 3)))
    np.save(tmp_path / "y.npy", np.arange(20) // 17)
    files = [str(tmp_path / name) for name in ("x.npy", "y.npy", "map")]
    done = invoke(
        ["embed", files[0], "--labels", files[1], "--perplexity", "3", "--iterations", "2", "--out", files[2]]
    )
    assert done.exit_code == 0
    assert (
        "warning: labels: the report has no k-NN accuracy in the map (folds: got 5, expected at most 3" in done.stderr
    )
    assert "k-NN accuracy in the map" not in json.loads((tmp_path / "map" / "report.json").read_text())


def test_embed_tells_what_it_will_take_and_refuses_what_memory_cannot_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 3)))
    command = ["embed", str(tmp_path / "x.npy"), "--out", str(tmp_path / "map.csv"), "--iterations", "3"]
    done = invoke(command)
    assert done.exit_code == 0, done.output
    assert "note: about 1 s and 0.1 GiB: p of all 60 x 60 pairs, 3 steps of exact sums" in done.stderr
    (tmp_path / "map.csv").unlink()
    monkeypatch.setattr("icon._checks.available_memory", lambda: 1000)
    done = invoke(command)
    assert done.exit_code == 2
    expected = (
        "features: got 60 points, a map of which needs 0.0 GiB, but 0.0 GiB are free; give fewer points, --landmarks"
    )
    assert expected in done.stderr
    assert not (tmp_path / "map.csv").exists()


def test_embed_places_all_points_about_landmarks(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 3)))
    out = tmp_path / "map.npy"
    command = ["embed", str(tmp_path / "x.npy"), "--out", str(out), "--iterations", "3", "--landmarks", "40"]
    done = invoke(command)
    assert done.exit_code == 0, done.output
    assert np.load(out).shape == (60, 2)


def test_embed_from_a_graph_and_from_pairs(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    edges = [(i, (i + step) % 60) for i in range(60) for step in (1, 59)]
    pd.DataFrame(edges, columns=["from", "to"]).to_csv(tmp_path / "edges.csv", index=False)
    sp.save_npz(tmp_path / "edges.npz", sp.coo_array((np.ones(120), tuple(np.array(edges).T)), shape=(60, 60)))
    np.save(tmp_path / "ids.npy", np.arange(60) // 2)
    base, found = ["embed", str(tmp_path / "x.npy"), "--iterations", "20", "-q"], []
    for options in (
        ["--column", "graph", "--graph", str(tmp_path / "edges.csv")],
        ["--method", "tsne-graph", "--graph", str(tmp_path / "edges.npz")],
        ["--row", "gaussian", "--column", "pairs", "--pairs", str(tmp_path / "ids.npy")],
    ):
        done = invoke([*base, *options])
        assert done.exit_code == 0, done.output
        found.append(done.stdout)
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pairs", "ids.csv"], "pairs: got ids.csv for the column gaussian, expected the column pairs"),
        (["--column", "pairs", "--graph", "e.npy"], "pairs: got no file, expected --pairs FILE for the column pairs"),
        (["--column", "pairs", "--pairs", "ids.csv"], "pairs: got 2 columns in ids.csv (a, b), expected one"),
        (["--column", "pairs", "--pairs", "absent.csv"], "pairs: got absent.csv, expected a file that exists"),
        (
            ["--column", "graph", "--graph", "y.npz"],
            "adjacency: got shape (60, 9), expected (60, 60) for this input (features [n, d] are no graph) (--graph)",
        ),
        (
            ["--column", "graph", "--graph", "e.csv"],
            "graph: got '0 1 ' in the first line of e.csv, which is names or a row, expected --graph-header or "
            "--no-graph-header",
        ),
        (
            ["--column", "graph", "--graph", "cut.npz"],
            "graph: got cut.npz, expected a readable file (File is not a zip file)",
        ),
        (["--column", "graph", "--graph", "t.csv"], "graph: got only text in u in t.csv, expected numbers"),
        (
            ["--column", "graph", "--graph", "r.csv"],
            "graph: got 3 cells in row 2 of r.csv and 2 in others (separated by ','), expected rows of one length",
        ),
        (["--labels", "both.npz"], "labels: got no key for both.npz, expected one of X, y (--labels-key)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_embed_says_which_file_is_wrong(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("both.npz", X=X, y=np.arange(60) % 3)
    pd.DataFrame({"a": np.arange(60) // 2, "b": 1}).to_csv("ids.csv", index=False)
    Path("e.csv").write_text("0,1,\n1,2,1.5\n2,3,1.0\n")
    Path("t.csv").write_text("u\na\nb\n")
    Path("r.csv").write_text("0,1\n1,2,3\n2,0\n")
    sp.save_npz("y.npz", sp.csr_array((60, 9)))
    Path("cut.npz").write_bytes(Path("y.npz").read_bytes()[:-9])
    done = invoke(["embed", "both.npz", "--key", "X", "-q", *options])
    assert done.exit_code == 2
    assert done.stderr == f"error: {message}\n"


def test_embed_by_a_linear_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 4)) * [4, 2, 1, 1]
    np.save("x.npy", x)
    done = invoke(["embed", "x.npy", "--method", "pca", "--mapper", "linear", "--out", "map.npy", "-q"])
    assert done.exit_code == 0, done.output
    principal, _, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    own, _, _ = np.linalg.svd(np.load("map.npy") - np.load("map.npy").mean(axis=0), full_matrices=False)
    assert np.linalg.svd(own.T @ principal[:, :2])[1].min() > 0.999  # the cosines between both planes


def test_embed_takes_features_and_labels_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("both.npz", X=X, y=np.arange(60) % 3)
    options = ["--key", "X", "--labels", "both.npz", "--labels-key", "y", "--column", "classes", "--iterations", "2"]
    done = invoke(["embed", "both.npz", *options, "-q"])
    assert done.exit_code == 0, done.output
    assert done.stderr.endswith("60 rows × 3 columns, labels: 3 classes\n")


@pytest.mark.parametrize("n", [300, 20_000])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_picture_of_a_map_is_neither_empty_nor_full(n: int, labelled: bool, tmp_path: Path) -> None:
    z = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    names = np.array(["$a", "_b", "c" * 99])[np.arange(n) % 3]
    draw(tmp_path / "map.png", z, read_labels(names) if labelled else None, "a map")
    pixels = np.asarray(Image.open(tmp_path / "map.png").convert("RGB")).reshape(-1, 3)
    coloured = (pixels.max(axis=1) - pixels.min(axis=1) > 30).mean()
    assert 0.01 < coloured < 0.7


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".safetensors"])
def test_formats(suffix: str, tmp_path: Path) -> None:
    path = str(tmp_path / f"x{suffix}")
    if suffix == ".npy":
        np.save(path, X)
    elif suffix == ".npz":
        np.savez(path, X=X, y=Y)
        with pytest.raises(ValueError, match=r"^features: got no key .* expected one of X, y"):
            read_matrix(path)
        assert (read_vector(path, "y") == Y).all()
    elif suffix == ".csv":
        pd.DataFrame(X).to_csv(path, index=False, header=False)
    else:
        from safetensors.numpy import save_file

        save_file({"X": X}, path)
    assert np.allclose(read_matrix(path, "X" if suffix == ".npz" else None), X)


def test_csv_without_a_header_keeps_its_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1.5,2\n3,4\n"))
    assert read_matrix("-").tolist() == [[1.5, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("columns", [None, ["a", "b", "c"]])
def test_csv_as_pandas_writes_it(index: bool, columns: list[str] | None, tmp_path: Path) -> None:
    """Columns without names get the header 0, 1, 2: no row of the data."""
    x = np.array([[0.5, 1.0, 2.0], [3.0, 4.0, 5.0]])
    pd.DataFrame(x, columns=columns).to_csv(tmp_path / "x.csv", index=index)
    assert read_matrix(str(tmp_path / "x.csv")).tolist() == x.tolist()


def test_labels_as_pandas_writes_them(tmp_path: Path) -> None:
    pd.Series([3, 4]).to_csv(tmp_path / "y.csv")
    assert read_vector(str(tmp_path / "y.csv")).tolist() == [3, 4]
    (tmp_path / "y.csv").write_text("0\n1\n", encoding="utf-8")  # no header: labels often begin with 0
    assert read_vector(str(tmp_path / "y.csv")).tolist() == [0, 1]


SAME = {
    "cluster": (
        icon.Clustering,
        {"walks": "walks", "debias": "debias", "restarts": "n_init", "knn": "n_neighbors", "balance": "balance"},
    ),
    "embed": (
        icon.Embedding,
        {name: name for name in ("row", "column", "n_components", "method", "dof", "perplexity", "n_neighbors")}
        | {"max_iter": "max_iter"},
    ),
}


def test_the_command_and_the_class_have_the_same_defaults() -> None:
    """An option that is absent leaves it to the class."""
    for command, (kind, names) in SAME.items():
        own, theirs = parsers()[1][command], inspect.signature(kind).parameters
        for option, argument in names.items():
            default = theirs[argument].default
            assert own.get_default(option) == (None if default == "auto" else default), option


@pytest.mark.slow
def test_a_warning_is_one_line_without_source(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(8, 2)))
    done = subprocess.run(
        [sys.executable, "-m", "icon", "cluster", str(tmp_path / "x.npy"), "-k", "2", "--quiet"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.splitlines() == [
        "warning: n_neighbors: lowered from 10 to 3 for 8 points and 2 clusters", "8 rows × 2 columns",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"), [("gaussian", "row and of a column"), ("clusters", "row"), ("KNN", "column")]
)
def test_a_row_or_a_column_alone_is_told_how_it_is_shown(name: str, kind: str) -> None:
    expected = f"error: method: got '{name}', the name of a {kind}, expected a method, or a row and a column, as in "
    assert invoke(["show", name]).stderr == f"{expected}icon show student-t gaussian\n"


def test_version() -> None:
    assert invoke(["--version"]).output == f"{icon.__version__}\n"
