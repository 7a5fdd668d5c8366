"""The study of debiasing: the engine has the reference's partition, and the findings are what the numbers say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from table import debiasing
from table.data import sample
from table.debiasing import Run, Setting
from table.methods import debiased_contrastive
from table.page.schema import Study
from table.studies import studies


@pytest.fixture(scope="module")
def study() -> Study:
    return debiasing.study()


@pytest.mark.parametrize("temperature", debiasing.TEMPERATURES)
@pytest.mark.parametrize("tau_plus", [0.0, 0.1, 0.5, 0.9])
def test_engine_has_the_references_weights(temperature: float, tau_plus: float) -> None:
    s = sample(1, 64)
    engine = debiasing.engine_weights(debiasing.estimate(temperature, tau_plus), s)
    reference = debiased_contrastive.implied_weights(s.pairs, s.ids, temperature, tau_plus)
    np.testing.assert_allclose(engine, reference, rtol=1e-10)


def test_without_debiasing_both_are_one_loss() -> None:
    found = debiasing.run(sample(0, 64), 0.5, 0.0)
    np.testing.assert_allclose(found.sums, 1)
    assert not found.clamped.any()
    assert found.loss == pytest.approx(found.kl)
    assert found.cosine == pytest.approx(1)


def test_only_mixing_sums_to_one() -> None:
    found = debiasing.run(sample(0, 64), 0.5, 0.3)
    assert found.off_one < debiasing.ROUNDING
    assert np.abs(found.sums - 1).max() > 0.1
    assert found.cross_entropy > found.kl


def test_false_negatives_by_hand() -> None:
    s: Any = type("Sample", (), {"ids": np.array([0, 1, 0, 1, 2, 2]), "y": np.array([7, 7, 3])})
    assert debiasing.share_of_false_negatives(s) == pytest.approx(8 / 24)  # 4 anchors with 2 of 4, 2 with none


def test_table_has_every_setting(study: Study) -> None:
    assert len(study["body"]) == len(debiasing.TEMPERATURES) * len(debiasing.ALPHAS)
    assert {len(line) for line in study["body"]} == {len(study["head"])}
    json.dumps(study, allow_nan=False)


def test_figure_stands_alone(study: Study) -> None:
    root = ElementTree.fromstring(study["figures"][0])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"<script|url\((?!#)", study["figures"][0])


def test_figure_is_the_same_twice(study: Study) -> None:
    assert debiasing.study()["figures"][0] == study["figures"][0]


def settings(sums: float, clamped: list[bool]) -> list[Setting]:
    """What a study might measure: the sums of the weights at α = 0.5, and who is clamped there."""

    def one(alpha: float) -> Run:
        ones = np.ones(2)
        then = np.array(clamped) & (alpha > 0)
        return Run(np.full(2, sums) if alpha else ones, then, 1 - alpha, ones, ones, 1 + alpha, 1.0, 1 - alpha)

    return [Setting(t, a, [one(a)] * 2) for t in debiasing.TEMPERATURES for a in (0.0, 0.5)]


def test_findings_follow_the_numbers() -> None:
    said = " ".join(debiasing.findings(settings(3.0, [True, False]), 0.1))
    assert "in the place of q is not one: at τ⁺ > 0 the weights of an anchor sum to numbers between 3 and 3." in said
    assert "active from τ⁺ = 0.5 on (50% of the anchors)" in said
    assert "loss goes from 1.00 to 0.50; the cross-entropy of debiased mixing goes from 1.00 to 1.50" in said
    other = " ".join(debiasing.findings(settings(1.0, [False, False]), 0.1))
    assert "in the place of q is one" in other
    assert "the clamp is never active" in other


def test_studies_reads_the_experiments(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debiasing, "study", lambda: study)
    assert studies(tmp_path / "absent") == [study]
    for name in ("width", "multi-view"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.json").write_text(json.dumps({**study, "slug": name}), encoding="utf-8")
    assert [found["slug"] for found in studies(tmp_path)] == [study["slug"], "multi-view", "width"]


@pytest.mark.parametrize(("text", "reason"), [("{", "no JSON object"), ("3", "no JSON object"), ("{}", "without body")])
def test_a_file_without_a_study_is_named(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setattr(debiasing, "study", lambda: study)
    (tmp_path / "width").mkdir()
    (tmp_path / "width" / "study.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"width.study\.json: got .*{reason}"):
        studies(tmp_path)
