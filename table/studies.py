"""The studies that the page shows: those measured here, and the published results of the experiments."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from PIL import Image

from experiments import report
from experiments.record import Experiment
from experiments.registry import EXPERIMENTS
from table import debiasing
from table.page.schema import Study

RESULTS = Path(__file__).parent.parent / "experiments" / "results"
#: Of a report: its title and question, the findings, theory where there is some (which is not shown), the protocol.
PARTS = r"# (.+?)\n\n(.+?)\n\n## Findings\n\n(.+?)\n\n(?:## Theory\n\n.+?\n\n)?## Protocol\n\n(.+?)\n\n## Numbers\n"
#: Of the figures, whose pixels are finer than those of a page.
SCALE = 96 / report.DPI


def studies(results: Path = RESULTS) -> list[Study]:
    """The study of debiasing, then one for each experiment that has results.

    Raises:
        ValueError: a folder of results whose report lacks a part.
    """
    published = [experiment for name, experiment in EXPERIMENTS.items() if (results / name).is_dir()]
    return [debiasing.study(), *(_study(experiment, results / experiment.name) for experiment in published)]


def _study(experiment: Experiment, folder: Path) -> Study:
    frame = report.results(folder, experiment.settings())
    table = experiment.table(frame)
    text = (folder / report.README).read_text(encoding="utf-8")
    words = re.match(PARTS, text, re.S)
    if words is None:
        raise ValueError(f"{folder / report.README}: got other parts, expected a question, findings, protocol, numbers")
    title, question, findings, protocol = words.groups()
    return {
        "slug": experiment.name,
        "title": title,
        "question": " ".join(question.split()),
        "findings": [" ".join(finding.split()) for finding in re.split(r"^\* ", findings, flags=re.M)[1:]],
        "head": list(table.columns),
        "body": table.astype(object).where(table.notna(), None).to_numpy().tolist(),
        "figures": [_as_svg(folder / f"{name}.png") for name in experiment.figures],
        "caption": "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\n|\n(?=\* )", protocol)),
        "source": report.command(experiment, frame),
    }


def _as_svg(path: Path) -> str:
    """An SVG that holds the picture."""
    with Image.open(path) as picture:
        width, height = (round(SCALE * pixels) for pixels in picture.size)
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{data}"/></svg>'
    )
