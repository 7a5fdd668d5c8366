"""``python -m benchmarks.on_disk``: a whole fit of many points that lie on disk, its time, memory and result."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

import icon
from benchmarks.measure import peak_of_this_process
from icon.metrics import ari

DIRECTIONS = 16  # that the clusters differ in
BLOCK = 50_000


def mixture(path: Path, points: int, features: int, clusters: int) -> NDArray[np.int64]:
    """Write float16 features ``[points, features]`` of a Gaussian mixture; the true clusters ``[points]``."""
    random = np.random.default_rng(0)
    centres = 2 * random.normal(size=(clusters, DIRECTIONS))
    directions = random.normal(size=(DIRECTIONS, features)) / DIRECTIONS**0.5
    y = random.integers(clusters, size=points)
    x = np.lib.format.open_memmap(path, "w+", np.float16, (points, features))
    for start in range(0, points, BLOCK):
        z = centres[y[start : start + BLOCK]]
        z = (z + random.normal(size=z.shape)) @ directions
        x[start : start + BLOCK] = z + 0.05 * random.normal(size=z.shape)
    return y


def main(
    points: Annotated[int, typer.Option(help="How many.")] = 1_000_000,
    features: Annotated[int, typer.Option(help="Of each, in float16 on disk.")] = 384,
    clusters: Annotated[int, typer.Option(help="Of the mixture, and asked for.")] = 100,
    restarts: Annotated[int, typer.Option(help="Of the fit.")] = 1,
) -> None:
    """Fit `icon.Clustering` to a Gaussian mixture on disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        y = mixture(path, points, features, clusters)
        x = np.load(path, mmap_mode="r")
        begin = time.perf_counter()
        model = icon.Clustering(clusters, walks=3, debias=0.1, n_init=restarts, random_state=0).fit(x)
        seconds = time.perf_counter() - begin
        print(f"{points} x {features}, {x.nbytes / 2**20:.0f} MiB on disk; {clusters} clusters, {restarts} restart(s)")
        print(f"fit: {seconds:.0f} s; recall of the neighbours: {model.knn_recall_ or 1:.3f}")
        print(f"peak memory, pages of the file included: {peak_of_this_process():.0f} MiB")
        print(f"adjusted Rand index: {ari(y, model.labels_):.3f}")


if __name__ == "__main__":
    typer.run(main)
