"""The gallery: every coordinate of the table trained on the same points, and its picture kept."""

from __future__ import annotations

import base64
import io
import time
from dataclasses import replace
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import confusion_matrix

from experiments import gallery_reading as reading
from experiments.datasets import Array, Dataset, at_most
from experiments.gallery_reading import page_data
from experiments.gallery_training import CLUSTERS, Settings, framed, trained
from experiments.record import Configuration, Experiment, Measures, labels_of
from icon.methods.axes import COLUMNS, ROWS
from icon.metrics import clustering_accuracy, effective_rank, knn_probe

__all__ = ["EXPERIMENT", "page_data"]

MOST = 256  # classes: numbers of clusters take a byte


def configurations(dataset: Dataset) -> list[Configuration]:
    """What all pictures share, the 45 cells in the order of the table, and the frames of the sliders."""
    if dataset.y is not None and not 2 <= dataset.classes <= MOST:
        raise ValueError(f"labels: got {dataset.classes} classes of {dataset.name}, expected 2 to {MOST}")
    found: list[tuple[str, str, str, float | str]] = [(reading.POINTS, "", "", "")]
    found += [(reading.CELL, row, column, "") for row in ROWS for column in COLUMNS]
    found += [(knob, each.row, each.column, value) for knob, each in reading.SLIDERS.items() for value in each.values]
    return [dict(zip(("part", "row", "column", "value"), entry, strict=True)) for entry in found]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The labels and images of the points; of a cell or a frame its map or clusters, the loss, and its measures.

    ``seconds`` are those of the processor: the wall clock of one thread where nothing else runs.
    """
    dataset = chosen(dataset, settings.points)
    y = labels_of(dataset)
    part, row, column = (configuration[name] for name in ("part", "row", "column"))
    if part == reading.POINTS:
        return {"labels": reading.packed(y.astype("<u2")), "images": atlas(dataset)}
    began = time.process_time()
    is_cell = part == reading.CELL
    seen = trained(dataset, row, column, seed, settings) if is_cell else framed(dataset, configuration, seed, settings)
    seconds = time.process_time() - began
    z = seen.z.astype(np.float64)
    measures: Measures = {"seconds": seconds, "steps": len(seen.losses), "mapper": seen.mapper}
    measures["curve"] = " ".join(f"{value:.4g}" for value in reading.thinned(seen.losses))
    measures["knn"] = float(knn_probe(z, y, k=min(10, dataset.n // 4)))
    if row == CLUSTERS:
        found = as_classes(z.argmax(axis=1), y, dataset.classes)
        measures |= {"clusters": reading.packed(found.astype(np.uint8)), "occupied": len(np.unique(found))}
        return measures | {"clustering": clustering_accuracy(y, found)}
    spread = float(np.sqrt(((z - z.mean(axis=0)) ** 2).mean()))
    found = KMeans(dataset.classes, n_init=3, random_state=seed).fit_predict(z)
    measures |= {"map": reading.packed(reading.places(z)), "spread": spread, "circle": int(seen.circle)}
    measures["rank"] = effective_rank(z) if spread > reading.POINT else 0.0
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
    height, width = dataset.shape
    images = dataset.x.reshape(dataset.n, -1, height, width).mean(axis=1)
    across = int(np.ceil(np.sqrt(dataset.n)))
    down = -(-dataset.n // across)
    tiles = np.zeros((down * across, height, width), dtype=np.uint8)
    tiles[: dataset.n] = np.rint(255 * images)
    drawn = io.BytesIO()
    whole = tiles.reshape(down, across, height, width).swapaxes(1, 2).reshape(down * height, across * width)
    Image.fromarray(whole).save(drawn, format="png", optimize=True)
    return f"{width},{height},{across}," + base64.b64encode(drawn.getvalue()).decode()


EXPERIMENT = Experiment(
    name="gallery",
    question="What does each of the 45 coordinates of the table make of the same points?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=reading.table,
    tables={"Sliders": reading.frames},
    figures={"gallery": reading.sheet},
    most_seeds=lambda configuration: 1,
)
