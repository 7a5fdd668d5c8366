"""The gallery: every coordinate of the table trained on the same points; its pictures, tables and what a page shows."""

from __future__ import annotations

import base64
import io
import time
import zlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame
from PIL import Image
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import confusion_matrix

from experiments.datasets import Array, Dataset, at_most
from experiments.gallery_training import CLUSTERS, LABELLED, Settings, framed, trained
from experiments.plots import panels
from experiments.record import Configuration, Experiment, Measures, labels_of
from experiments.statistics import in_percent, ordered
from experiments.store import complete, read
from icon.methods.axes import COLUMNS, ROWS
from icon.metrics import clustering_accuracy, knn_probe

MOST = 256  # classes: numbers of clusters take a byte
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


def configurations(dataset: Dataset) -> list[Configuration]:
    """What all pictures share, the 45 cells in the order of the table, and the frames of the sliders."""
    if dataset.y is not None and not 2 <= dataset.classes <= MOST:
        raise ValueError(f"labels: got {dataset.classes} classes of {dataset.name}, expected 2 to {MOST}")
    found: list[tuple[str, str, str, float | str]] = [(POINTS, "", "", "")]
    found += [(CELL, row, column, "") for row in ROWS for column in COLUMNS]
    found += [(knob, each.row, each.column, value) for knob, each in SLIDERS.items() for value in each.values]
    return [dict(zip(("part", "row", "column", "value"), entry, strict=True)) for entry in found]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The labels and images of the points; of a cell or a frame its map or clusters, the loss, and its measures."""
    dataset = chosen(dataset, settings.points)
    y, part, row = labels_of(dataset), configuration["part"], configuration["row"]
    if part == POINTS:
        return {"labels": packed(y.astype("<u2")), "images": atlas(dataset)}
    began = time.process_time()
    if part == CELL:
        seen = trained(dataset, row, configuration["column"], seed, settings)
    else:
        seen = framed(dataset, configuration, seed, settings)
    measures: Measures = {"seconds": time.process_time() - began, "steps": len(seen.losses), "mapper": seen.mapper}
    z = seen.z.astype(np.float64)
    measures["curve"] = " ".join(f"{value:.4g}" for value in thinned(seen.losses))
    measures["knn"] = float(knn_probe(z, y, k=min(10, dataset.n // 4)))
    if row == CLUSTERS:
        found = as_classes(z.argmax(axis=1), y, dataset.classes)
        measures["clusters"] = packed(found.astype(np.uint8))
    else:
        found = KMeans(dataset.classes, n_init=3, random_state=seed).fit_predict(z)
        measures |= {"map": packed(places(z)), "spread": float(np.sqrt(((z - z.mean(axis=0)) ** 2).mean()))}
    return measures | {"clustering": clustering_accuracy(y, found)}


@lru_cache(maxsize=2)
def chosen(dataset: Dataset, points: int) -> Dataset:
    """At most so many points, whose classes are numbered without a gap."""
    dataset = at_most(dataset, points)
    return replace(dataset, y=np.unique(labels_of(dataset), return_inverse=True)[1])


def as_classes(found: Array, y: Array, count: int) -> Array:
    """Clusters ``[n]`` numbered as the classes whose points they hold, each class once: for the colours alone."""
    joint = confusion_matrix(found, y, labels=range(count))
    return np.asarray(linear_sum_assignment(joint, maximize=True)[1][found])


def atlas(dataset: Dataset) -> str:
    """A grey PNG of all images, row by row, in base 64, and before it their width, height and number in a row."""
    if dataset.shape is None:
        return ""
    (height, width), across = dataset.shape, int(np.ceil(np.sqrt(dataset.n)))
    down = -(-dataset.n // across)
    tiles = np.zeros((down * across, height, width), dtype=np.uint8)
    tiles[: dataset.n] = np.rint(255 * dataset.x.reshape(dataset.n, -1, height, width).mean(axis=1))
    whole = tiles.reshape(down, across, height, width).swapaxes(1, 2).reshape(down * height, across * width)
    drawn = io.BytesIO()
    Image.fromarray(whole).save(drawn, format="png", optimize=True)
    return f"{width},{height},{across}," + base64.b64encode(drawn.getvalue()).decode()


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


def map_of(text: str) -> Array:
    """``[n, 2]`` places of 0 to LEVELS - 1."""
    return unpacked(text, "<u2").reshape(2, -1).T


def thinned(losses: list[float], most: int = 60) -> list[float]:
    """At most so many of them, at equal distances, with the first and the last."""
    kept = np.linspace(0, len(losses) - 1, min(most, len(losses))).round().astype(int)
    return [losses[place] for place in kept]


def cells_of(frame: DataFrame) -> tuple[Any, Any, Array]:
    """Of the first seed of the first data set the runs, the cells in the order of the table, and the labels ``[n]``.

    A cell has its ``places [n, 2]``, of clusters those of t-SNE and also ``found [n]``, the number of each point's, and
    their ``sizes``. Of points that coincide there are no scores: what the nearest of them tell is rounding.
    """
    runs = frame[(frame["dataset"] == frame["dataset"].iloc[0]) & (frame["seed"] == 0)]
    y = unpacked(runs.loc[runs["part"] == POINTS, "labels"].iloc[0], "<u2").astype(np.int64)
    cells: Any = ordered(runs[runs["part"] == CELL], row=list(ROWS), column=list(COLUMNS))
    cells = cells.sort_values(["row", "column"])
    cells.loc[cells["spread"] < POINT, list(SCORES)] = np.nan
    tsne = cells.loc[(cells["row"] == "student-t") & (cells["column"] == "gaussian"), "map"].iloc[0]
    found = [None if cell.row != CLUSTERS else unpacked(cell.clusters, "u1") for cell in cells.itertuples()]
    sizes = [None if each is None else np.bincount(each, minlength=y.max() + 1).tolist() for each in found]
    return runs, cells.assign(places=[map_of(text) for text in cells["map"].fillna(tsne)], found=found, sizes=sizes), y


def page_data(folder: Path) -> dict[str, Any]:
    """What a page shows of a folder of results: the points, the cells with the sentences of `SEEN`, and the sliders."""
    frame = complete(read(folder))
    if frame.empty:
        raise ValueError(f"folder: got {folder}, expected a gallery of which all cells are trained")
    runs, found, y = cells_of(frame[frame["settings"] == frame["settings"].iloc[-1]])
    name, path, drawn = runs["dataset"].iloc[0], folder / SEEN, runs.loc[runs["part"] == POINTS, "images"].iloc[0]
    words = pd.read_csv(path).set_index(["dataset", "row", "column"])["seen"].to_dict() if path.is_file() else {}
    cells = [
        {
            "row": cell.row, "column": cell.column, "kind": "map" if cell.found is None else "clusters",
            "places": wide(cell.places), "clusters": None if cell.found is None else based(cell.found),
            "sizes": cell.sizes, "curve": [float(value) for value in cell.curve.split()], "steps": int(cell.steps),
            "mapper": cell.mapper, "uses_labels": cell.column in LABELLED, **scores_of(cell),
            "seconds": round(cell.seconds, 2), "seen": words.get((name, cell.row, cell.column), ""),
        }
        for cell in found.itertuples()
    ]  # fmt: skip
    sliders = []
    for knob, slider in SLIDERS.items():
        own = runs[runs["part"] == knob].sort_values("value").itertuples()
        frames = [{"places": wide(map_of(run.map)), "clusters": None, **scores_of(run)} for run in own]
        sliders.append({"knob": knob, **slider._asdict(), "values": list(slider.values), "frames": frames})
    images = None
    if isinstance(drawn, str) and drawn:
        width, height, columns, png = drawn.split(",")
        images = {"width": int(width), "height": int(height), "columns": int(columns), "png": png}
    return {
        "dataset": name, "n": len(y), "classes": [str(number) for number in range(y.max() + 1)],
        "labels": based(y.astype(np.uint8)), "images": images, "cells": cells, "sliders": sliders,
    }  # fmt: skip


def scores_of(found: Any) -> dict[str, float | None]:
    values = {name: getattr(found, name) for name in SCORES}
    return {name: None if np.isnan(value) else round(value, 4) for name, value in values.items()}


def wide(z: Array) -> str:
    """Places of 0 to 65535, as pairs x, y of 16 bits in base 64."""
    return based(np.rint(z * (65535 / (LEVELS - 1))).astype("<u2"))


def based(numbers: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()


def sheet(frame: DataFrame) -> Figure:
    """The table with its maps. Points have the colours of their classes; those of clusters, of their clusters."""
    (_, cells, y), colour_of = cells_of(frame), mpl.colormaps["tab10"]
    figure, axes = panels(len(ROWS), len(COLUMNS), (1.35, 1.5))
    for panel, cell in zip(axes.flat, cells.itertuples(), strict=True):
        size = 1.2 if np.ptp(cell.places) else 12  # of a map that is a point
        colours = colour_of((y if cell.found is None else cell.found) % 10)
        panel.scatter(*cell.places.T, c=colours, s=size, linewidths=0)
        edge = (-LEVELS / 20, LEVELS * 1.05)
        panel.set(xticks=[], yticks=[], xlim=edge, ylim=edge, aspect="equal")
        panel.spines[:].set(visible=True, color="#cccccc", linewidth=0.6)
        name, value = ("k-NN", cell.knn) if cell.sizes is None else ("accuracy", cell.clustering)
        panel.set_xlabel("a point" if np.isnan(value) else f"{name} {100 * value:.0f} %", fontsize=7, labelpad=2)
        if panel in axes[0]:
            panel.set_title(COLUMNS[cell.column].name, fontsize=8)
        if panel in axes[:, 0]:
            panel.set_ylabel(ROWS[cell.row].name, fontsize=8)
        if cell.sizes is not None:
            bars = panel.inset_axes((0, -0.36, 1, 0.2))
            bars.bar(range(len(cell.sizes)), cell.sizes, color=colour_of(np.arange(len(cell.sizes)) % 10))
            bars.axis("off")
    return figure


def table(frame: DataFrame) -> DataFrame:
    """A row per cell of the first data set."""
    cells = cells_of(frame)[1]
    curves = cells["curve"].str.split()
    return DataFrame({
        "row": [ROWS[row].name for row in cells["row"]],
        "column": [COLUMNS[column].name for column in cells["column"]],
        "mapper": cells["mapper"],
        "labels train": np.where(cells["column"].isin(LABELLED), "yes", "no"),
        **{name: in_percent(cells[measure]) for measure, name in SCORES.items()},
        "loss, first": [f"{float(losses[0]):.3g}" for losses in curves],
        "loss, last": [f"{float(losses[-1]):.3g}" for losses in curves],
        "seconds": cells["seconds"].map("{:.1f}".format),
    })  # fmt: skip


EXPERIMENT = Experiment(
    name="gallery",
    question="What does each of the 45 coordinates of the table make of the same points?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=table,
    figures={"gallery": sheet},
    most_seeds=lambda configuration: 1,
)
