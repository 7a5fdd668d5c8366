"""The report of an experiment, from its CSV alone: the figures, and the numbers of its README.md."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
from pandas import DataFrame
from PIL import Image

from experiments.datasets import NAMES
from experiments.plots import STYLE
from experiments.record import Experiment
from experiments.store import FILE, complete, digest, read
from icon.serialization import put

README = "README.md"
NUMBERS = "## Numbers"
DPI = 120


def write(experiment: Experiment, folder: Path, settings: Any) -> list[Path]:
    """Draw the figures and write README.md, of which what stands before the numbers is kept, and return their paths."""
    frame, path = results(folder, settings), folder / README
    for name, draw in experiment.figures.items():
        drawn = io.BytesIO()
        with mpl.rc_context(STYLE):
            draw(frame).savefig(drawn, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
        few = Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE)
        few.save(folder / f"{name}.png", optimize=True)
    words = f"# {experiment.name}\n\n{experiment.question}\n\n"
    words = path.read_text(encoding="utf-8").partition(NUMBERS)[0] if path.is_file() else words
    parts = [NUMBERS, markdown(experiment.table(frame))]
    parts += [f"### {title}\n\n{markdown(table(frame))}" for title, table in experiment.tables.items()]
    parts += [f"![{name}]({name}.png)" for name in experiment.figures]
    parts.append("Settings: " + ", ".join(f"`{name}={value}`" for name, value in asdict(settings).items()) + ".")
    if settings == experiment.settings() and {*frame["dataset"]} <= {*NAMES}:
        parts += ["Made by (`environment.json` has the exact calls and versions)", f"    {command(experiment, frame)}"]
    else:  # a subset, other settings or features of a file, which the CSV does not tell
        parts.append("`environment.json` has the exact calls and versions.")
    put(path, (words + "\n\n".join(parts) + "\n").encode())
    return [folder / FILE, *(folder / f"{name}.png" for name in experiment.figures), path]


def results(folder: Path, settings: Any) -> DataFrame:
    """The runs of a folder that count: with these settings, the newest data and complete seeds."""
    frame = read(folder)
    frame = complete(frame[frame["settings"] == digest(settings)])
    if frame.empty:
        raise ValueError(f"results: got none with these settings in {folder}, expected at least one complete seed")
    return frame


def command(experiment: Experiment, frame: DataFrame) -> str:
    """What makes these results, if they are of named data sets and the settings are the experiment's own."""
    names = " ".join(f"--dataset {name}" for name in frame["dataset"].unique())
    return f"python -m experiments {experiment.name} {names} --seeds {frame['seed'].nunique()}"


def markdown(table: DataFrame) -> str:
    """A table of the report."""
    return str(table.astype(object).where(table.notna(), "–").to_markdown(index=False, disable_numparse=True))
