"""The study of debiasing: its findings are what the numbers say, and it stands beside those of the experiments."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from table import debiasing
from table.data import sample
from table.page.schema import Study
from table.studies import RESULTS, studies


@pytest.fixture(scope="module")
def study() -> Study:
    with threadpool_limits(1):
        return debiasing.study()


def test_without_debiasing_both_are_one_loss() -> None:
    found = debiasing.measure(sample(0, 64), 0.5, 0.0)
    assert found["Least sum"] == pytest.approx(1)
    assert found["Largest sum"] == pytest.approx(1)
    assert found["Anchors clamped"] == 0
    assert found["Contrastive loss"] == pytest.approx(found["Mixing KL"])
    assert found["Cosine of the gradients"] == pytest.approx(1)


def test_only_mixing_sums_to_one() -> None:
    found = debiasing.measure(sample(0, 64), 0.5, 0.3)
    assert found["Sum of p̃"] == pytest.approx(1)
    assert found["Largest sum"] > 1.1
    assert found["Mixing cross-entropy"] > found["Mixing KL"]


def test_false_negatives_by_hand() -> None:
    s: Any = type("Sample", (), {"ids": np.array([0, 1, 0, 1, 2, 2]), "y": np.array([7, 7, 3])})
    assert debiasing.share_of_false_negatives(s) == pytest.approx(8 / 24)  # 4 anchors with 2 of 4, 2 with none


@pytest.mark.slow
def test_table_has_every_setting(study: Study) -> None:
    assert len(study["body"]) == len(debiasing.TEMPERATURES) * len(debiasing.ALPHAS)
    assert {len(line) for line in study["body"]} == {len(study["head"])}
    json.dumps(study, allow_nan=False)


@pytest.mark.slow
def test_figure_stands_alone(study: Study) -> None:
    root = ElementTree.fromstring(study["figures"][0])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"<script|url\((?!#)", study["figures"][0])


@pytest.mark.slow
def test_figure_is_the_same_twice() -> None:
    runs = pd.DataFrame(
        [debiasing.measure(sample(0, 64), t, a) for t in debiasing.TEMPERATURES for a in debiasing.ALPHAS]
    )
    assert debiasing.draw(runs) == debiasing.draw(runs)


def test_findings_follow_the_numbers() -> None:
    one = {"Sum of p̃": 1.0, "Mean sum of the weights": 2.0, "Least sum": 0.25, "Largest sum": 4.0}
    runs = [
        {
            **one,
            "Temperature": t,
            "α = τ⁺": a,
            "Anchors clamped": a,
            "Contrastive loss": 3 - a,
            "Mixing cross-entropy": 3 + a,
            "Mixing KL": 1.0,
            "Cosine of the gradients": 1 - a,
        }
        for t in debiasing.TEMPERATURES
        for a in (0.0, 0.5)
    ]
    said = " ".join(debiasing.words(pd.DataFrame(runs), 0.1).split())
    assert "10.0% of an anchor's negatives show its own digit" in said
    assert "sum to numbers between 0.25 and 4" in said
    assert "contrastive loss goes from 3.00 to 2.50, the cross-entropy of debiased mixing from 3.00 to 3.50" in said
    assert "its KL from 1.00 to 1.00. The share of clamped anchors goes from 0% to 50%" in said
    assert "the two losses from 1.00 to 0.50." in said


def test_studies_reads_the_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study: Any = {"slug": "the one that is measured here"}
    monkeypatch.setattr(debiasing, "study", lambda: study)
    assert studies(tmp_path / "absent") == [study]
    shutil.copytree(RESULTS / "multi-view", tmp_path / "multi-view")
    _, found = studies(tmp_path)
    assert (found["slug"], found["body"][0][:2]) == ("multi-view", ["digits", 2])
    assert {len(line) for line in found["body"]} == {len(found["head"])}
    assert found["findings"][0].startswith("More views help")
    assert found["caption"].startswith("CMC")
    assert len(found["figures"]) == 1
    for figure in found["figures"]:
        (picture,) = ElementTree.fromstring(figure)
        assert picture.attrib["href"].startswith("data:image/png;base64,")
    json.dumps(found, allow_nan=False)


@pytest.mark.slow
def test_a_protocol_keeps_its_paragraphs(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debiasing, "study", lambda: study)
    shutil.copytree(RESULTS / "gallery", tmp_path / "gallery")
    _, found = studies(tmp_path)
    parts = found["caption"].split("\n\n")
    assert sum(part.startswith("* **") for part in parts) == 3
    assert len(parts) > 5
    assert "\n" not in "".join(parts)


def test_theory_in_a_report_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study: Any = {"slug": "the one that is measured here"}
    monkeypatch.setattr(debiasing, "study", lambda: study)
    shutil.copytree(RESULTS / "multi-view", tmp_path / "multi-view")
    _, before = studies(tmp_path)
    report = tmp_path / "multi-view" / "README.md"
    text = report.read_text(encoding="utf-8")
    report.write_text(text.replace("## Protocol", "## Theory\n\n* A formula.\n\n## Protocol"), encoding="utf-8")
    assert studies(tmp_path) == [study, before]


def test_a_report_without_its_words_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debiasing, "study", dict)
    shutil.copytree(RESULTS / "multi-view", tmp_path / "multi-view")
    (tmp_path / "multi-view" / "README.md").write_text("# More views\n\n## Numbers\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"multi-view.README.md: got other parts"):
        studies(tmp_path)
