"""The gallery: every coordinate of the table trained on the same points, and its picture kept."""

from __future__ import annotations

import base64
import io
import time
import zlib
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from PIL import Image
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from torch import Tensor, nn

import icon
from experiments import record
from experiments.datasets import Array, Dataset, at_most
from experiments.maps import features
from experiments.plots import panels
from experiments.record import Configuration, Experiment, Measures, labels_of
from experiments.store import complete, read
from icon.estimators.momentum import EXAGGERATION
from icon.methods.axes import COLUMNS, ROWS
from icon.metrics import clustering_accuracy, effective_rank, knn_probe
from icon.neighbors import nearest_neighbors
from icon.nn.mappers import MLP, Linear, Prototypes, Rescale
from icon.training import fit

POINTS, CELL = "points", "cell"  # the parts of the gallery, beside the sliders
SEEN = "seen.csv"  # beside the results: dataset, row, column, and a sentence on what is seen there
CLUSTERS, WIDE = "clusters", "gaussian-wide"
FREE = ("gaussian", "student-t", "identity", "graph", "knn")  # columns whose maps have a free place for each point
LABELLED = ("classes", "data-label")
RATE = 5e-3  # of the encoders
LEVELS = 4096  # places along the longer side of a map
POINT, LINE = 1e-3, 1.02  # a smaller spread, a lower effective rank: a point, a line


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
    "temperature": Slider("gaussian", "classes", (0.02, 0.05, 0.1, 0.2, 0.5), 2),
}


@dataclass(frozen=True)
class Settings(record.Settings):
    """The same for every cell; chosen beforehand and not tuned for any."""

    points: int = 2000
    directions: int = 50
    steps: int = 500
    frame_steps: int = 200
    encoder_steps: int = 150
    cluster_steps: int = 200
    near: int = 15
    kept: int = 90
    noise: float = 0.3


class Seen(NamedTuple):
    """A trained cell: places ``[n, d]`` or memberships ``[n, C]``, the loss of each step, and what was trained."""

    z: Array
    losses: list[float]
    mapper: str
    circle: bool = False


def configurations(dataset: Dataset) -> list[Configuration]:
    """What all pictures share, the 45 cells in the order of the table, and the frames of the sliders."""
    found: list[tuple[str, str, str, float | str]] = [(POINTS, "", "", "")]
    found += [(CELL, row, column, "") for row in ROWS for column in COLUMNS]
    found += [(knob, each.row, each.column, value) for knob, each in SLIDERS.items() for value in each.values]
    return [dict(zip(("part", "row", "column", "value"), entry, strict=True)) for entry in found]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The labels and images of the points; of a cell or a frame its map or clusters, the loss, and its measures."""
    dataset = at_most(dataset, settings.points)
    y = labels_of(dataset)
    part, row, column = (configuration[name] for name in ("part", "row", "column"))
    if part == POINTS:
        return {"labels": packed(y.astype("<u2")), "images": atlas(dataset)}
    began = time.perf_counter()
    seen = (
        trained(dataset, row, column, seed, settings)
        if part == CELL
        else framed(dataset, configuration, seed, settings)
    )
    seconds = time.perf_counter() - began
    z = seen.z.astype(np.float64)
    measures: Measures = {"seconds": seconds, "steps": len(seen.losses), "mapper": seen.mapper}
    measures["curve"] = " ".join(f"{value:.4g}" for value in thinned(seen.losses))
    measures["knn"] = float(knn_probe(z, y, k=min(10, dataset.n // 4)))
    if row == CLUSTERS:
        found = as_classes(z.argmax(axis=1), y, dataset.classes)
        measures |= {"clusters": packed(found.astype(np.uint8)), "occupied": len(np.unique(found))}
        return measures | {"clustering": clustering_accuracy(y, found)}
    spread = float(np.sqrt(((z - z.mean(axis=0)) ** 2).mean()))
    found = KMeans(dataset.classes, n_init=3, random_state=seed).fit_predict(z)
    measures |= {"map": packed(places(z)), "spread": spread, "circle": int(seen.circle)}
    return measures | {
        "rank": effective_rank(z) if spread > POINT else 0.0,
        "clustering": clustering_accuracy(y, found),
    }


def as_classes(found: Array, y: Array, count: int) -> Array:
    """Clusters ``[n]`` numbered as the classes whose points they hold, each class once: for the colours alone."""
    joint = np.bincount(found * count + y, minlength=count * count).reshape(count, count)
    return linear_sum_assignment(joint, maximize=True)[1][found]


# -- training ---------------------------------------------------------------------------------------------------------


def trained(dataset: Dataset, row: str, column: str, seed: int, settings: Settings) -> Seen:
    """A cell of the table."""
    if row == CLUSTERS and column in (*FREE, "classes"):
        return clustered(dataset, column, seed, settings)
    return (
        laid_out(dataset, row, column, seed, settings)
        if column in FREE
        else encoded(dataset, row, column, seed, settings)[0]
    )


def framed(dataset: Dataset, configuration: Configuration, seed: int, settings: Settings) -> Seen:
    """A frame of a slider, trained on from the result at its default."""
    knob, row, column, value = (configuration[name] for name in ("part", "row", "column", "value"))
    if column not in FREE:
        model = begun(dataset, row, column, seed, settings)[1]
        return encoded(dataset, row, column, seed, settings, {knob: value}, deepcopy(model))[0]
    value = int(value) if knob == "walks" else value
    return laid_out(
        dataset, row, column, seed, settings, {knob: value}, begun(dataset, row, column, seed, settings)[0].z
    )


@lru_cache(maxsize=4)
def begun(dataset: Dataset, row: str, column: str, seed: int, settings: Settings) -> tuple[Seen, nn.Module | None]:
    """What the frames of a slider start from."""
    if column not in FREE:
        return encoded(dataset, row, column, seed, settings)
    return laid_out(dataset, row, column, seed, settings), None


def laid_out(
    dataset: Dataset, row: str, column: str, seed: int, settings: Settings, hyper: Any = None, start: Any = "pca"
) -> Seen:
    """A map with a free place for each point; of the wide row, which has no minimum then, by orthonormal directions."""
    losses: list[float] = []
    x = features(dataset, settings.directions)
    mapper = "linear" if row == WIDE else "lookup"
    anew = isinstance(start, str)
    model = icon.Embedding(
        row=row, column=column, mapper=mapper, init=start, random_state=seed, tol=0,
        early_exaggeration=EXAGGERATION if anew else 1.0, max_iter=settings.steps if anew else settings.frame_steps,
        hyper=scale_of(dataset, row, column, settings) | (hyper or {}), callback=lambda step, loss, z: losses.append(loss),
    )  # fmt: skip
    z = model.fit(x, target(dataset, column, settings)).embedding_
    return Seen(z, losses, mapper)


def clustered(dataset: Dataset, column: str, seed: int, settings: Settings) -> Seen:
    """Soft clusters of the features, as many as there are classes, p as the column has it: no walks, no debiasing."""
    losses: list[float] = []
    model = icon.Clustering(
        dataset.classes, column, walks=1, debias=0, n_init=1, max_iter=settings.cluster_steps, random_state=seed,
        hyper=scale_of(dataset, CLUSTERS, column, settings), callback=lambda step, loss, z: losses.append(loss),
    )  # fmt: skip
    model.fit(features(dataset, settings.directions), target(dataset, column, settings))
    return Seen(model.probabilities_, losses, "mlp")


def encoded(
    dataset: Dataset, row: str, column: str, seed: int, settings: Settings, hyper: Any = None, model: Any = None
) -> tuple[Seen, nn.Module]:
    """A function of the points, trained by classes, labels, or two views of each point; all points at each step."""
    loss, x = loss_of(row, column, **(hyper or {})), inputs(dataset, settings)
    if column == "pairs" and getattr(loss.p, "join", False):  # first views are anchors, second ones candidates
        loss = loss.replace(p=replace(loss.p, join=False))
    y = torch.from_numpy(labels_of(dataset)) if column in LABELLED else None
    width = dataset.classes if row == CLUSTERS else 2
    orthonormal = (row, column) == (WIDE, "pairs")
    steps = settings.encoder_steps if model is None else settings.frame_steps // 2
    if model is None:
        torch.manual_seed(seed)
        model = encoder(x, column, width, dataset.classes, orthonormal, settings)
    found = fit(loss, model, x, y, steps=steps, learning_rate=RATE, seed=seed)
    with torch.no_grad():
        z = model.eval()(x)
        z = z if isinstance(z, Tensor) else z[0]
        circle = row != CLUSTERS and getattr(loss.q, "metric", "") == "cosine"
        z = z.softmax(dim=1) if row == CLUSTERS else nn.functional.normalize(z) if circle else z
    return Seen(z.numpy(), found.losses, "linear" if orthonormal else "mlp", circle), model


def loss_of(row: str, column: str, **hyper: Any) -> icon.Loss:
    """The loss of the first method that the table names in the cell, else the plain one.

    Wide × data-label is taken with the cosine: with the dot product it has no minimum.
    """
    named = [m.slug for m in icon.methods() if m.in_table and (m.row, m.column) == (row, column)]
    if (row, column) == (WIDE, "data-label"):
        return icon.loss(row, column, metric="cosine", **hyper)
    return icon.method(named[0], **hyper) if named else icon.loss(row, column, **hyper)


def inputs(dataset: Dataset, settings: Settings) -> Tensor:
    """Images ``[n, c, h, w]`` in [0, 1], or features ``[n, f]``."""
    if dataset.shape is not None:
        return torch.from_numpy(dataset.x.reshape(dataset.n, -1, *dataset.shape))
    return torch.from_numpy(features(dataset, settings.directions))


def encoder(x: Tensor, column: str, width: int, classes: int, orthonormal: bool, settings: Settings) -> nn.Module:
    """What the loss of a column takes: embeddings, those of two views or of two halves, or those and prototypes."""
    if column == "cross-modal":
        halves = Halves()
        return TwoViews(halves, *(network(half, width) for half in halves(x)))
    net = network(x, width, orthonormal)
    if column == "pairs":
        return TwoViews(icon.nn.RandomViews() if x.ndim == 4 else Noisy(settings.noise), net, net)
    return nn.Sequential(net, Prototypes(classes, width)) if column == "data-label" else net


def network(x: Tensor, width: int, orthonormal: bool = False) -> nn.Module:
    flat = x.flatten(1)
    head = Linear(flat.shape[1], width, orthonormal=True) if orthonormal else MLP(flat.shape[1], width)
    return nn.Sequential(nn.Flatten(), Rescale(flat), head)


class TwoViews(nn.Module):
    """Embeddings of the two views that a module makes of each point."""

    def __init__(self, views: nn.Module, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.views, self.first, self.second = views, first, second

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.views(x)
        return self.first(a), self.second(b)


class Halves(nn.Module):
    """The upper and the lower half of images, the first and the second half of features."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        across = 2 if x.ndim == 4 else 1
        if (size := x.shape[across]) < 2:
            raise ValueError(f"features: got {size} column, expected at least two, to make two modalities of them")
        return x.narrow(across, 0, size // 2), x.narrow(across, size // 2, size - size // 2)


class Noisy(nn.Module):
    """Features twice, with normal noise of their own while training."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return x, x
        return x + self.deviation * torch.randn_like(x), x + self.deviation * torch.randn_like(x)


def target(dataset: Dataset, column: str, settings: Settings) -> Any:
    """What p of a column is made from, beside the features."""
    if column == "graph":
        x = torch.from_numpy(features(dataset, settings.directions))
        return icon.p.KNN(min(settings.near, dataset.n - 1)).symmetrize("union")(x).to_scipy() > 0
    return labels_of(dataset) if column == "classes" else None


def scale_of(dataset: Dataset, row: str, column: str, settings: Settings) -> dict[str, Any]:
    """The Student-t of the features is as wide as the median distance to one of the nearest neighbours."""
    if column != "student-t":
        return {}
    x, near = features(dataset, settings.directions), min(settings.near, dataset.n - 1)
    last = nearest_neighbors(x, near, "exact").indices[:, -1]
    typical = float(np.median(np.linalg.norm(x - x[last], axis=1)))
    return {"target_sigma": typical} | ({} if row == CLUSTERS else {"n_neighbors": min(settings.kept, dataset.n - 1)})


# -- reading the results ----------------------------------------------------------------------------------------------


def packed(numbers: Array) -> str:
    """Whole numbers as text: their bytes, all first ones before all second ones, deflated and in base 64."""
    planes = np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, numbers.itemsize).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()


def unpacked(text: str, kind: str) -> Array:
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
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


def atlas(dataset: Dataset) -> str:
    """A grey PNG of all images, row by row, in base 64, and before it their width, height and number in a row."""
    if dataset.shape is None:
        return ""
    height, width = dataset.shape
    images = dataset.x.reshape(dataset.n, -1, height, width).mean(axis=1)
    across = int(np.ceil(np.sqrt(dataset.n)))
    down = -(-dataset.n // across)
    sheet = np.zeros((down * across, height, width), dtype=np.uint8)
    sheet[: dataset.n] = np.rint(255 * images)
    sheet = sheet.reshape(down, across, height, width).swapaxes(1, 2).reshape(down * height, across * width)
    drawn = io.BytesIO()
    Image.fromarray(sheet).save(drawn, format="png", optimize=True)
    return f"{width},{height},{across}," + base64.b64encode(drawn.getvalue()).decode()


def measured(found: Any) -> str:
    """A sentence from the measures of a cell alone."""
    if found.row == CLUSTERS:
        total, sizes = found.classes, found.sizes
        used = [size for size in sizes if size]
        return (
            f"{len(used)} of {total} clusters have points, {min(used)} to {max(used)} each, and "
            f"{100 * found.clustering:.0f} % of the points are in the cluster of their class."
        )
    if found.spread < POINT:
        return "Everything collapses to one point."
    where = "All points lie on a circle" if found.circle else "All points fall on a line" if found.rank < LINE else ""
    told = f"{100 * found.knn:.0f} % of the points have the class of most of their 10 nearest on the map."
    return f"{where}, and {told}" if where else told


def cells_of(frame: DataFrame) -> DataFrame:
    """The cells of the first seed of the first data set, in the order of the table, with the sizes of clusters."""
    runs = first_of(frame)
    y = labels_in(runs)
    cells = runs[runs["part"] == CELL].copy()
    order = {place: number for number, place in enumerate((row, column) for row in ROWS for column in COLUMNS)}
    cells["number"] = [order[place] for place in zip(cells["row"], cells["column"], strict=True)]
    cells["classes"] = int(y.max()) + 1
    cells["sizes"] = [
        np.bincount(unpacked(text, "u1"), minlength=int(y.max()) + 1).tolist() if isinstance(text, str) else None
        for text in cells["clusters"]
    ]
    return cells.sort_values("number")


def first_of(frame: DataFrame) -> DataFrame:
    return frame[(frame["dataset"] == frame["dataset"].iloc[0]) & (frame["seed"] == 0)]


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
    words = sentences(folder, name)
    shared = wide(common(cells))
    shown = [
        {
            "row": cell.row, "column": cell.column, "kind": "clusters" if cell.row == CLUSTERS else "map",
            "places": shared if cell.row == CLUSTERS else wide(map_of(cell.map)),
            "clusters": based(unpacked(cell.clusters, "u1")) if cell.row == CLUSTERS else None, "sizes": cell.sizes,
            "curve": [float(value) for value in cell.curve.split()], "steps": int(cell.steps), "mapper": cell.mapper,
            "uses_labels": cell.column in LABELLED, "knn": round(cell.knn, 4), "clustering": round(cell.clustering, 4),
            "seconds": round(cell.seconds, 2),
            "seen": words.get((cell.row, cell.column)) or measured(cell),
        }
        for cell in cells.itertuples()
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
    each = SLIDERS[knob]
    found = runs[runs["part"] == knob].sort_values("value")
    frames = [
        {"places": wide(map_of(frame.map)), "clusters": None, "knn": round(frame.knn, 4),
         "clustering": round(frame.clustering, 4)}
        for frame in found.itertuples()
    ]  # fmt: skip
    return {"knob": knob, "row": each.row, "column": each.column, "values": list(each.values),
            "default": each.default, "frames": frames}  # fmt: skip


def sentences(folder: Path, dataset: str) -> dict[tuple[str, str], str]:
    """By row and column, what somebody has written of the pictures of this data set."""
    path = folder / SEEN
    if not path.is_file():
        return {}
    found = pd.read_csv(path)
    found = found[found["dataset"] == dataset]
    return dict(zip(zip(found["row"], found["column"], strict=True), found["seen"], strict=True))


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
    shared, count = common(cells), len(COLUMNS)
    figure, axes = panels(len(ROWS), count, (1.35, 1.55))
    for number, cell in enumerate(cells.itertuples()):
        panel = axes[number // count, number % count]
        clusters = cell.row == CLUSTERS
        z, colours = (shared, unpacked(cell.clusters, "u1")) if clusters else (map_of(cell.map), y)
        panel.scatter(*z.T, c=mpl.colormaps["tab10"](colours % 10), s=1.2, linewidths=0)
        panel.set(xticks=[], yticks=[], xlim=(-150, LEVELS + 150), ylim=(-150, LEVELS + 150), aspect="equal")
        score = f"clusters {100 * cell.clustering:.0f} %" if clusters else f"k-NN {100 * cell.knn:.0f} %"
        panel.set_xlabel(score, fontsize=7, labelpad=2)
        if number < count:
            panel.set_title(COLUMNS[cell.column].name, fontsize=8)
        if number % count == 0:
            panel.set_ylabel(ROWS[cell.row].name, fontsize=8)
        if clusters:
            bars = panel.inset_axes((0.0, -0.42, 1.0, 0.2))
            bars.bar(range(len(cell.sizes)), cell.sizes, color=mpl.colormaps["tab10"](np.arange(len(cell.sizes)) % 10))
            bars.axis("off")
    return figure


def table(frame: DataFrame) -> DataFrame:
    """A row per cell of the first data set."""
    cells = cells_of(frame)
    shown = {"row": [ROWS[row].name for row in cells["row"]], "column": [COLUMNS[c].name for c in cells["column"]]}
    shown |= {"mapper": cells["mapper"], "labels train": np.where(cells["column"].isin(LABELLED), "yes", "no")}
    shown |= {name: [f"{100 * value:.1f}" for value in cells[key]] for key, name in SCORES.items()}
    shown |= {"effective rank": [None if np.isnan(rank) else f"{rank:.2f}" for rank in cells["rank"]]}
    shown |= {"loss, first": [f"{float(c.split()[0]):.3g}" for c in cells["curve"]]}
    shown |= {"loss, last": [f"{float(c.split()[-1]):.3g}" for c in cells["curve"]]}
    return DataFrame(shown | {"seconds": [f"{seconds:.1f}" for seconds in cells["seconds"]]})


def frames(frame: DataFrame) -> DataFrame:
    """A row per frame of a slider."""
    runs = first_of(frame)
    found = runs[runs["part"].isin(list(SLIDERS))]
    shown = {"slider": found["part"], "value": [f"{value:g}" for value in found["value"]]}
    shown |= {name: [f"{100 * value:.1f}" for value in found[key]] for key, name in SCORES.items()}
    return DataFrame(shown | {"seconds": [f"{seconds:.1f}" for seconds in found["seconds"]]})


SCORES = {"knn": "k-NN (%)", "clustering": "clustering (%)"}

EXPERIMENT = Experiment(
    name="gallery",
    question="What does each of the 45 coordinates of the table make of the same points?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=table,
    tables={"Sliders": frames},
    figures={"gallery": sheet},
    most_seeds=lambda configuration: 1,
)
