"""What `icon embed` writes into a folder: the coordinates, a picture, a page to look around in, and a report."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from icon import _checks as check
from icon.cli.output import UNKNOWN, palette, versions
from icon.estimators.embedding import Embedding
from icon.labels import Labels

OURS = ("map.csv", "map.npy", "map.parquet", "map.png", "map.html", "report.json")
SCATTERED, PIXELS = 5000, 1000  # points up to which each is drawn; the longest side of a picture of more
NAMED, LONGEST = 30, 30  # classes up to which they are named beside a picture, and characters of a name there


def write(folder: Path, model: Embedding, labels: Labels | None, told: dict[str, Any]) -> None:
    """report.json, with the arguments and the seconds that are told, a picture and a page of a map; labels colour and
    score it."""
    from icon.metrics import knn_probe

    z = model.embedding_
    report = {**told, "points": list(z.shape), "loss": float(model.loss_), "steps": model.n_iter_}
    report |= {"notes": model.notes_, "versions": versions()}
    if labels is not None and len(labels.names) > 1:
        try:
            report["k-NN accuracy in the map"] = float(knn_probe(z[labels.known], labels.codes[labels.known]))
        except ValueError as error:  # there are too few labels, which is no reason to lose the map
            check.warn(f"labels: the report has no k-NN accuracy in the map ({error})")
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if z.shape[1] <= 2:
        flat, name = np.pad(z, ((0, 0), (0, 2 - z.shape[1]))), model.method_name
        draw(folder / "map.png", flat, labels, f"{name} of {len(z):,} points")
        page(folder / "map.html", flat, labels, name)


def draw(path: Path, z: NDArray[np.float32], labels: Labels | None, title: str) -> None:
    """A picture of a map ``[n, 2]``: its points, or where there are many how many lie at each pixel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.6), dpi=150, layout="constrained")
    panel = figure.subplots()
    names = [] if labels is None else [str(name) for name in labels.names]
    classes = len(names)
    colours = np.array([(0.25, 0.35, 0.6) if classes == 0 else UNKNOWN, *palette(classes)])  # unknown first
    own = np.zeros(len(z), dtype=np.int64) if labels is None else labels.codes + 1
    if len(z) <= SCATTERED:
        order = np.random.default_rng(0).permutation(len(z))  # no class lies on top of all others
        size = float(np.clip(9000 / len(z), 3, 40))
        panel.scatter(z[order, 0], z[order, 1], c=colours[own[order]], s=size, linewidths=0, alpha=0.8)
    else:
        picture, box = shaded(z, colours[own])
        panel.imshow(picture, extent=box, origin="lower", interpolation="nearest")
    if 1 < classes <= NAMED:
        for name, colour in zip(names, colours[1:], strict=True):
            short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
            panel.scatter([], [], color=colour, s=25, label=f" {short}")  # a name that begins with _ would be hidden
        if (own == 0).any():
            panel.scatter([], [], color=colours[0], s=25, label=" unknown")
        legend = panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), title="label")
        for text in legend.get_texts():
            text.set_parse_math(False)  # $ is a part of the name
    panel.set_title(title, fontsize=10, loc="left")
    panel.set_aspect("equal", adjustable="datalim" if len(z) <= SCATTERED else "box")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_color("0.8")
    figure.savefig(path)


def shaded(
    z: NDArray[np.float32], colours: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[float, float, float, float]]:
    """An image ``[h, w, 4]`` and its box: the mean colour at each pixel, the more opaque the more points lie there."""
    low, high = z.min(axis=0), z.max(axis=0)
    side = min(PIXELS, 3 * int(len(z) ** 0.5))  # single points are to be seen
    pixel = max(float((high - low).max()), 1e-30) / (side - 1)
    place = ((z - low) / pixel).round().astype(np.int64)
    shape = tuple(int(side) for side in place.max(axis=0)[::-1] + 1)
    index = place[:, 1] * shape[1] + place[:, 0]
    counts = np.bincount(index, minlength=shape[0] * shape[1])
    mean = [np.bincount(index, colours[:, k], len(counts)) / np.maximum(counts, 1) for k in range(3)]
    opacity, seen = np.zeros(len(counts)), counts > 0
    opacity[seen] = 0.35 + 0.65 * rankdata(counts[seen], "max") / seen.sum()
    picture = np.stack([*mean, opacity], axis=1).reshape(*shape, 4)
    return picture, (float(low[0]), float(high[0] + pixel), float(low[1]), float(high[1] + pixel))


def page(path: Path, z: NDArray[np.float32], labels: Labels | None, title: str) -> None:
    """One HTML file that shows the map, moves and zooms, and tells number and label of the point under the pointer."""
    from matplotlib.colors import to_hex

    names = [] if labels is None else [str(name) for name in labels.names]
    own = np.full(len(z), -1) if labels is None else labels.codes
    data = {
        "title": f"{title}, {len(z):,} points",
        "points": base64.b64encode(np.ascontiguousarray(z, "<f4").tobytes()).decode(),
        "labels": base64.b64encode(own.astype("<i4").tobytes()).decode(),
        "names": names,
        "colours": [to_hex(c) for c in palette(len(names))],
        "unknown": "#a0a0a0" if names else "#40599b",
    }
    template = (Path(__file__).parent / "scatter.html").read_text(encoding="utf-8")
    safe = json.dumps(data).replace("</", "<\\/")
    path.write_text(template.replace("/* DATA */ null", safe), encoding="utf-8")
