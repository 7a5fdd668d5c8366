"""What the page shows of studies and experiments: the study measured here, and the published results."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import cast

from PIL import Image

from experiments import report
from experiments.gallery import page_data
from experiments.record import Experiment
from experiments.registry import EXPERIMENTS
from table import debiasing
from table.page.schema import Gallery, Study
from table.report import study

RESULTS = Path(__file__).parent.parent / "experiments" / "results"
#: Of the figures, whose pixels are finer than those of a page.
SCALE = 96 / report.DPI


def studies(results: Path = RESULTS) -> list[Study]:
    """The study of debiasing, then one for each experiment that has results.

    Raises:
        ValueError: a folder of results whose report lacks a part.
    """
    published = [experiment for name, experiment in EXPERIMENTS.items() if (results / name).is_dir()]
    return [debiasing.study(), *(_study(experiment, results / experiment.name) for experiment in published)]


def gallery(results: Path = RESULTS) -> Gallery | None:
    """The maps that the experiment of that name published; None where there are none."""
    folder = results / "gallery"
    return cast("Gallery", page_data(folder)) if folder.is_dir() else None


def _study(experiment: Experiment, folder: Path) -> Study:
    frame = report.results(folder, experiment.settings())
    path = folder / report.README
    figures = [_as_svg(folder / f"{name}.png") for name in experiment.figures]
    source = report.command(experiment, frame)
    try:
        return study(experiment.name, path.read_text(encoding="utf-8"), experiment.table(frame), figures, source)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _as_svg(path: Path) -> str:
    """An SVG that holds the picture."""
    with Image.open(path) as picture:
        width, height = (round(SCALE * pixels) for pixels in picture.size)
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{data}"/></svg>'
    )
