"""`icon advise`: what it prints and writes, and that bad input is one line and status 2."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from icon.cli.advise import OURS, page, ranking
from icon.estimators import candidates as trying
from icon.estimators.advice import Advice
from icon.labels import read_labels
from tests.cli.run import invoke

Y = np.repeat(np.arange(3), 20)
X = (6 * np.eye(3, 4)[Y] + np.random.default_rng(0).normal(size=(60, 4))).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trying, "STEPS", 20)
    np.save("x.npy", X)
    np.save("y.npy", Y)
    np.savetxt("ids.csv", np.arange(60) // 3, fmt="%d")
    ring = np.arange(60)
    np.save("edges.npy", np.c_[np.r_[ring, ring], np.r_[(ring + 1) % 60, (ring + 2) % 60]])
    return tmp_path


@pytest.mark.slow
def test_a_map() -> None:
    for _ in range(2):  # an earlier result is replaced
        done = invoke(["advise", "x.npy", "--labels", "y.npy", "--rounds", "1"])
        assert done.exit_code == 0, done.output
    assert sorted(os.listdir("advice")) == sorted(OURS)
    scores = pd.read_csv("advice/advice.csv")
    assert list(scores) == ["name", "round", "score", "seconds"]
    text = Path("advice/index.html").read_text(encoding="utf-8")
    assert text.count("<figure>") == text.count("data:image/png;base64,") == len(scores)
    assert "$" not in text
    assert "import icon\nmodel = icon.Embedding(" in done.stdout
    assert "3 classes" in done.output


@pytest.mark.slow
def test_its_page_is_accessible(driver: Any) -> None:
    from axe_core_python.selenium import Axe

    done = invoke(["advise", "x.npy", "--labels", "y.npy", "--rounds", "2", "-q"])
    assert done.exit_code == 0, done.output
    driver.get(Path("advice/index.html").resolve().as_uri())
    found = Axe().run(driver)["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []


@pytest.mark.slow
def test_labels_say_how_many_clusters_there_are() -> None:
    done = invoke(["advise", "x.npy", "--labels", "y.npy", "--for", "clusters", "--rounds", "1", "-q"])
    assert done.exit_code == 0, done.output
    assert "n_clusters=3" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("given", [["--pairs", "ids.csv"], ["--graph", "edges.npy"]], ids=["pairs", "graph"])
def test_other_files(given: list[str]) -> None:
    done = invoke(["advise", "x.npy", *given, "--for", "retrieval", "--rounds", "1", "-q", "--out", "found"])
    assert done.exit_code == 0, done.output
    assert f"× {given[0][2:]}" in done.stdout
    assert "the two leading principal directions" in Path("found/index.html").read_text(encoding="utf-8").lower()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--for", "maps"], "error: argument --for: invalid choice: 'maps'"),
        (
            ["--for", "classification"],
            "error: labels: got None, expected one for each point, y [n], for the goal 'classification'",
        ),
        (["--budget", "soon"], "error: budget: got 'soon'"),
        (["--labels", "few.npy"], "error: labels: got 5 entries, expected 60"),
        (["--out", "advice.csv"], "error: out: got advice.csv, expected a folder"),
        (["--out", "."], "error: out: got ."),
        (["--pairs", "absent.csv"], "error: pairs: got absent.csv"),
        (["--labels", "both.npz", "--labels-key", "z"], "error: labels: got key 'z' for both.npz"),
    ],
)
def test_bad_input(
    given: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from icon.cli.main import main

    np.save("few.npy", Y[:5])
    np.savez("both.npz", X=X, y=Y)
    before = sorted(os.listdir())
    monkeypatch.setattr("sys.argv", ["icon", "advise", "x.npy", "-q", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1
    assert sorted(os.listdir()) == before


def _advice(low: float) -> Advice:
    table = pd.DataFrame(
        {
            "name": ["a < b", "c"], "row": "a", "column": "b", "method": ["", "M & N"], "score": [0.9, 0.7],
            "difference": [0.0, 0.2], "low": [0.0, low], "high": [0.0, 0.4 - low], "tied": [True, not low > 0],
            "seconds": 1.0,
        }
    )  # fmt: skip
    outputs = {name: [X] for name in table["name"]}
    return Advice("map", "share", table, table, "a < b", "import icon", None, ["1 < 2"], [np.arange(60)], outputs)


@pytest.mark.parametrize(("low", "words"), [(0.1, ">worse<"), (-0.1, "not clearly worse"), (np.nan, "after one round")])
def test_a_page_says_how_clear_it_is(low: float, words: str) -> None:
    text = ranking(_advice(low))
    assert words in text
    assert "-0.200" in text
    assert "-0.000" not in ranking(_advice(1e-5))
    assert ("[-0.300, -0.100]" in text) == (low == 0.1)


def test_a_page_escapes_what_it_shows() -> None:
    text = page(_advice(0.1), X, None)
    assert "a &lt; b" in text
    assert "c (M &amp; N)" in text
    assert "<li>1 &lt; 2</li>" in text
    assert "a < b" not in text


def test_a_page_names_its_colours() -> None:
    text = page(_advice(0.1), X, read_labels(np.where(Y == 2, None, np.array(["ant", "<bee>", ""])[Y])))
    assert "the colours are the labels: <span" in text
    assert text.index("</span> &lt;bee&gt;, <span") < text.index("</span> ant, <span") < text.index("</span> unknown.")


def test_a_page_of_clusters_shows_them_on_one_map() -> None:
    given = _advice(0.1)
    clusters = Advice(**{**vars(given), "goal": "clusters", "outputs": {name: [Y] for name in given.outputs}})
    assert "on one map of its features" in page(clusters, X, None)
