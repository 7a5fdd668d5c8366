"""The results of the gallery: maps as text, the contact sheet, the tables, and what a page shows."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame

from experiments.datasets import Array
from experiments.gallery_training import CLUSTERS, LABELLED
from experiments.plots import panels
from experiments.statistics import in_percent, ordered
from experiments.store import complete, read
from icon.methods.axes import COLUMNS, ROWS

POINTS, CELL = "points", "cell"  # the parts of the gallery, beside the sliders
SEEN = "seen.csv"  # beside the results: dataset, row, column, and a sentence on what is seen there
LEVELS = 2048  # places along the longer side of a map
POINT = 1e-3  # a map of a smaller spread is a point
SCORES = {"knn": "k-NN (%)", "clustering": "clustering (%)"}


class Slider(NamedTuple):
    """One hyper-parameter of a cell and the values that it is set to; ``default`` is what the others start from."""

    row: str
    column: str
    values: tuple[float, ...]
    default: int


SLIDERS = {
    "dof": Slider("student-t", "gaussian", (0.5, 1, 2, 5, 20, 100), 1),
    "debias": Slider("student-t", "knn", (0, 0.1, 0.3, 0.5, 0.7, 0.9), 0),
    "walks": Slider("student-t", "knn", (1, 2, 3, 5, 10), 0),
    "temperature": Slider("gaussian", "pairs", (0.02, 0.05, 0.1, 0.2, 0.5, 1), 2),
}


def packed(numbers: Array) -> str:
    """Whole numbers as text: their bytes, all first ones before all second ones, deflated and in base 85."""
    planes = np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, numbers.itemsize).T
    return base64.b85encode(zlib.compress(planes.tobytes(), 9)).decode()


def unpacked(text: str, kind: str) -> Array:
    planes = np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype=np.uint8)
    return np.ascontiguousarray(planes.reshape(np.dtype(kind).itemsize, -1).T).view(kind).ravel()


def places(z: Array) -> Array:
    """``[2, n]`` of ``LEVELS`` steps, the middle of the map in the middle; a map that is a point stays one."""
    low, high = z.min(axis=0), z.max(axis=0)
    side = float((high - low).max())
    unit = (z - (low + high) / 2) / side if side > 4 * POINT else np.zeros_like(z)
    return np.rint((LEVELS - 1) * (unit + 0.5)).astype("<u2").T


def thinned(losses: list[float], most: int = 60) -> list[float]:
    """At most so many of them, at equal distances, with the first and the last."""
    kept = np.linspace(0, len(losses) - 1, min(most, len(losses))).round().astype(int)
    return [losses[place] for place in kept]


def cells_of(frame: DataFrame) -> DataFrame:
    """The cells of the first seed of the first data set, in the order of the table, with the sizes of clusters.

    Of points that coincide there are no scores: what the nearest of them tell is rounding.
    """
    runs = first_of(frame)
    count = int(labels_in(runs).max()) + 1
    cells = ordered(runs[runs["part"] == CELL], row=list(ROWS), column=list(COLUMNS)).sort_values(["row", "column"])
    cells.loc[cells["spread"] < POINT, list(SCORES)] = np.nan
    cells["sizes"] = [
        np.bincount(unpacked(text, "u1"), minlength=count).tolist() if isinstance(text, str) else None
        for text in cells["clusters"]
    ]
    return cells


def first_of(frame: DataFrame) -> DataFrame:
    return DataFrame(frame[(frame["dataset"] == frame["dataset"].iloc[0]) & (frame["seed"] == 0)])


def tuples(frame: DataFrame) -> list[Any]:
    return list(frame.itertuples())


def labels_in(runs: DataFrame) -> Array:
    return unpacked(runs.loc[runs["part"] == POINTS, "labels"].iloc[0], "<u2").astype(np.int64)


def common(cells: DataFrame) -> Array:
    """The map on which clusters are drawn: that of t-SNE."""
    return map_of(cells[(cells["row"] == "student-t") & (cells["column"] == "gaussian")]["map"].iloc[0])


def map_of(text: str) -> Array:
    """``[n, 2]`` places of 0 to LEVELS - 1."""
    return unpacked(text, "<u2").reshape(2, -1).T


def page_data(folder: Path) -> dict[str, Any]:
    """What a page shows of the gallery: the points, the 45 cells and the frames of the sliders.

    Args:
        folder: of the results; where its ``seen.csv`` has words on this data set, its sentences stand with the cells.

    Raises:
        ValueError: no complete run there.
    """
    frame = complete(read(folder))
    if frame.empty:
        raise ValueError(f"folder: got {folder}, expected a gallery of which all cells are trained")
    runs = first_of(frame[frame["settings"] == frame["settings"].iloc[-1]])
    y, cells, name = labels_in(runs), cells_of(runs), runs["dataset"].iloc[0]
    path = folder / SEEN
    words = pd.read_csv(path).set_index(["dataset", "row", "column"])["seen"].to_dict() if path.is_file() else {}
    shared = wide(common(cells))
    shown = [
        {
            "row": cell.row, "column": cell.column, "kind": "clusters" if cell.row == CLUSTERS else "map",
            "places": shared if cell.row == CLUSTERS else wide(map_of(cell.map)),
            "clusters": based(unpacked(cell.clusters, "u1")) if cell.row == CLUSTERS else None, "sizes": cell.sizes,
            "curve": [float(value) for value in cell.curve.split()], "steps": int(cell.steps), "mapper": cell.mapper,
            "uses_labels": cell.column in LABELLED, **scores_of(cell), "seconds": round(cell.seconds, 2),
            "seen": words.get((name, cell.row, cell.column), ""),
        }
        for cell in tuples(cells)
    ]  # fmt: skip
    images = runs.loc[runs["part"] == POINTS, "images"].iloc[0]
    return {
        "dataset": name,
        "n": len(y),
        "classes": [str(number) for number in range(int(y.max()) + 1)],
        "labels": based(y.astype(np.uint8)),
        "images": pictures(images) if isinstance(images, str) and images else None,
        "cells": shown,
        "sliders": [slider_of(runs, knob) for knob in SLIDERS],
    }


def slider_of(runs: DataFrame, knob: str) -> dict[str, Any]:
    found = runs[runs["part"] == knob].sort_values("value")
    frames = [{"places": wide(map_of(frame.map)), "clusters": None, **scores_of(frame)} for frame in tuples(found)]
    return {"knob": knob, **SLIDERS[knob]._asdict(), "values": list(SLIDERS[knob].values), "frames": frames}


def scores_of(found: Any) -> dict[str, float | None]:
    values = {name: getattr(found, name) for name in SCORES}
    return {name: None if np.isnan(value) else round(value, 4) for name, value in values.items()}


def wide(z: Array) -> str:
    """Places of 0 to 65535, as pairs x, y of 16 bits in base 64."""
    return based(np.rint(z * (65535 / (LEVELS - 1))).astype("<u2"))


def based(numbers: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()


def pictures(text: str) -> dict[str, Any]:
    width, height, columns, png = text.split(",")
    return {"width": int(width), "height": int(height), "columns": int(columns), "png": png}


def sheet(frame: DataFrame) -> Figure:
    """The table with its maps. Points have the colours of their classes; those of clusters, of their clusters."""
    runs = first_of(frame)
    y, cells = labels_in(runs), cells_of(runs)
    shared = common(cells)
    figure, axes = panels(len(ROWS), len(COLUMNS), (1.35, 1.5))
    colour_of = mpl.colormaps["tab10"]
    for number, cell in enumerate(tuples(cells)):
        panel = axes.flat[number]
        clusters = cell.row == CLUSTERS
        z, colours = (shared, unpacked(cell.clusters, "u1")) if clusters else (map_of(cell.map), y)
        size = 1.2 if np.ptp(z) else 12  # of a map that is a point
        panel.scatter(*z.T, c=colour_of(colours % 10), s=size, linewidths=0)
        edge = (-LEVELS / 20, LEVELS * 1.05)
        panel.set(xticks=[], yticks=[], xlim=edge, ylim=edge, aspect="equal")
        panel.spines[:].set(visible=True, color="#cccccc", linewidth=0.6)
        name, value = ("accuracy", cell.clustering) if clusters else ("k-NN", cell.knn)
        score = "a point" if np.isnan(value) else f"{name} {100 * value:.0f} %"
        panel.set_xlabel(score, fontsize=7, labelpad=2)
        if number < len(COLUMNS):
            panel.set_title(COLUMNS[cell.column].name, fontsize=8)
        if number % len(COLUMNS) == 0:
            panel.set_ylabel(ROWS[cell.row].name, fontsize=8)
        if clusters:
            bars = panel.inset_axes((0, -0.36, 1, 0.2))
            bars.bar(range(len(cell.sizes)), cell.sizes, color=colour_of(np.arange(len(cell.sizes)) % 10))
            bars.axis("off")
    return figure


def table(frame: DataFrame) -> DataFrame:
    """A row per cell of the first data set."""
    cells = cells_of(frame)
    curves = cells["curve"].str.split()
    return DataFrame({
        "row": [ROWS[row].name for row in cells["row"]],
        "column": [COLUMNS[column].name for column in cells["column"]],
        "mapper": cells["mapper"],
        "labels train": np.where(cells["column"].isin(LABELLED), "yes", "no"),
        **{name: in_percent(cells[measure]) for measure, name in SCORES.items()},
        "effective rank": cells["rank"].map("{:.2f}".format, na_action="ignore"),
        "loss, first": [f"{float(losses[0]):.3g}" for losses in curves],
        "loss, last": [f"{float(losses[-1]):.3g}" for losses in curves],
        "seconds": cells["seconds"].map("{:.1f}".format),
    })  # fmt: skip


def frames(frame: DataFrame) -> DataFrame:
    """A row per frame of a slider."""
    found = ordered(first_of(frame), part=list(SLIDERS)).sort_values(["part", "value"])
    return DataFrame({
        "slider": found["part"],
        "value": found["value"].map("{:g}".format),
        **{name: in_percent(found[measure]) for measure, name in SCORES.items()},
        "seconds": found["seconds"].map("{:.1f}".format),
    })  # fmt: skip
