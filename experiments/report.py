"""The report of an experiment, from its runs alone: CSV, and from the CSV the table, the figures and the study."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from experiments.record import Experiment
from experiments.store import Run, read, replace_text
from table.page.schema import Study

CSV = "results.csv"

#: Small, plain, and the same file for the same numbers; white under both themes of a page.
STYLE: Any = {
    "svg.hashsalt": "icon",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
}


def write(experiment: Experiment, folder: Path, settings: Any) -> list[Path]:
    """Write all files of the report into the folder of the runs, and return their paths.

    Of the runs, those with these settings count, and of a data set that has changed, those of its newest form; a seed
    that was stopped before its last configuration waits until it is complete.

    Raises:
        ValueError: no such runs.
    """
    runs = complete([run for run in read(folder / "runs.jsonl") if run["settings"] == asdict(settings)])
    if not runs:
        raise ValueError(f"runs: got none with these settings in {folder}, expected at least one complete seed")
    replace_text(folder / CSV, tidy(runs).to_csv(index=False))
    commands = dict.fromkeys(run["command"] for run in runs)
    return [folder / CSV, *from_csv(experiment, folder, settings, " && ".join(commands))]


def from_csv(experiment: Experiment, folder: Path, settings: Any, source: str) -> list[Path]:
    """Everything but the CSV, from the CSV alone."""
    frame = pd.read_csv(folder / CSV)
    written, pictures = [], {}
    for name, draw in experiment.figures.items():
        with mpl.rc_context(STYLE):
            figure = draw(frame)
            pictures[name] = as_svg(figure)
            figure.savefig(folder / f"{name}.png", dpi=150, bbox_inches="tight", metadata={"Software": None})
        (folder / f"{name}.svg").write_text(pictures[name], encoding="utf-8")
        written += [folder / f"{name}.png", folder / f"{name}.svg"]
    head, body = experiment.table(frame)
    study: Study = {
        "slug": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "findings": experiment.findings(frame),
        "head": head,
        "body": body,
        "figures": list(pictures.values()),
        "caption": experiment.caption(settings),
        "source": source,
    }
    texts = {
        "results.md": markdown(study, list(experiment.figures)),
        "study.json": json.dumps(study, indent=1, ensure_ascii=False, default=_plain) + "\n",
    }
    for name, text in texts.items():
        replace_text(folder / name, text)
    return [*written, *(folder / name for name in texts)]


def complete(runs: Sequence[Run]) -> list[Run]:
    """The runs of the newest form of each data set, of the seeds that have all their configurations."""
    newest = {run["dataset"]: run["fingerprint"] for run in runs}
    current = {run["key"]: run for run in runs if run["fingerprint"] == newest[run["dataset"]]}.values()
    found = Counter((run["dataset"], run["seed"]) for run in current)
    return [run for run in current if found[run["dataset"], run["seed"]] == run["siblings"]]


def tidy(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per measure of a run, in an order that does not depend on when the runs ended."""
    rows = [
        {"dataset": run["dataset"], "seed": run["seed"], **run["configuration"], "measure": name, "value": value}
        for run in runs
        for name, value in run["measures"].items()
    ]
    frame = pd.DataFrame(rows)
    return frame.sort_values([column for column in frame.columns if column != "value"], ignore_index=True)


def as_svg(figure: Figure) -> str:
    """The picture as text, from ``<svg`` on, without a date."""
    target = io.StringIO()
    figure.savefig(target, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    return text[text.index("<svg") :]


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    return value.item()


def markdown(study: Study, figures: Sequence[str]) -> str:
    """The study for a reader of the repository."""
    lines = [f"# {study['title']}", "", study["question"], "", *(f"* {line}" for line in study["findings"]), ""]
    lines += ["| " + " | ".join(study["head"]) + " |", "|" + "---|" * len(study["head"])]
    lines += ["| " + " | ".join("–" if cell is None else str(cell) for cell in row) + " |" for row in study["body"]]
    lines += ["", study["caption"], ""]
    for name in figures:
        lines += [f"![{name}]({name}.png)", ""]
    lines += [
        "Made by (the folder of the data sets' files from `--data` or `ICON_DATA`)",
        "",
        f"    {study['source']}",
        "",
    ]
    return "\n".join(lines)
