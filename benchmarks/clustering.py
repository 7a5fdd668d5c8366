"""``python -m benchmarks.clustering``: a clustering with its defaults beside UMAP + k-means, k-means and spectral."""

from __future__ import annotations

import importlib.util
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Optional

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import icon
from benchmarks.measure import as_markdown, median_ratio
from icon.metrics import ari

Features = NDArray[np.float32]
SIZES, MANY = [300, 1000, 10_000], 100_000
CLUSTERS, APART = 10, 0.25  # how far the centres of clusters of unit variance lie from zero, in each feature
WARM = 5000  # points of the call that is not counted: UMAP compiles another search above 4096
REFERENCE = "UMAP + k-means"
SLOW = 60.0  # seconds of a fit beyond which a contender is measured once


class Timed(NamedTuple):
    """One fit: seconds on the clock, seconds of all threads of the process, adjusted Rand index."""

    seconds: float
    cpu: float
    ari: float


def blobs(n: int, features: int) -> tuple[Features, NDArray[np.int64]]:
    """Points ``[n, features]`` of ten Gaussian clusters that touch, and the cluster of each."""
    random = np.random.default_rng(0)
    centres = APART * random.standard_normal((CLUSTERS, features))
    y = random.integers(CLUSTERS, size=n)
    return (centres[y] + random.standard_normal((n, features))).astype(np.float32), y


def by_icon(x: Features) -> NDArray[Any]:
    return icon.Clustering(CLUSTERS).fit_predict(x)


def by_umap(x: Features) -> NDArray[Any]:
    from umap import UMAP

    return by_k_means(UMAP().fit_transform(x))


def by_k_means(x: Features) -> NDArray[Any]:
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(CLUSTERS).fit_predict(x))


def by_spectral(x: Features) -> NDArray[Any]:
    from sklearn.cluster import SpectralClustering

    return np.asarray(SpectralClustering(CLUSTERS, affinity="nearest_neighbors").fit_predict(x))


#: What clusters, all with their defaults, and how many points at most.
CONTENDERS: dict[str, tuple[Callable[[Features], NDArray[Any]], int]] = {
    "icon": (by_icon, 2**30),
    REFERENCE: (by_umap, 2**30),
    "k-means": (by_k_means, 2**30),
    "spectral clustering": (by_spectral, 20_000),
}


def timed(cluster: Callable[[Features], NDArray[Any]], x: Features, y: NDArray[np.int64]) -> Timed:
    """One fit, measured."""
    start, busy = time.perf_counter(), time.process_time()
    found = cluster(x)
    return Timed(time.perf_counter() - start, time.process_time() - busy, float(ari(y, found)))


def measured(n: int, features: int, rounds: int) -> dict[str, list[Timed]]:
    """The fits of each contender in rounds A B C A B C ..., so that all meet the same machine."""
    x, y = blobs(n, features)
    found: dict[str, list[Timed]] = {name: [] for name in CONTENDERS}
    taking_part = {name: cluster for name, (cluster, most) in CONTENDERS.items() if n <= most and _installed(name)}
    for cluster in taking_part.values():
        cluster(x[:WARM])
    for _ in range(rounds):
        for name, cluster in taking_part.items():
            if found[name] and found[name][-1].seconds > SLOW:
                continue
            found[name].append(timed(cluster, x, y))
    return found


def _installed(name: str) -> bool:
    return name != REFERENCE or importlib.util.find_spec("umap") is not None


def table_of(n: int, features: int, rounds: int) -> Table:
    """Medians over the rounds; ratios are those within a round."""
    fits = measured(n, features, rounds)
    heads = ("seconds", "CPU seconds", "times UMAP + k-means", "the same in CPU time", "adjusted Rand index")
    table = Table("contender", *heads, title=f"{CLUSTERS} clusters of {n:,} x {features}")
    reference = fits[REFERENCE]
    for name, own in fits.items():
        if not own:
            table.add_row(name, *["-" if _installed(name) else "not installed"] * len(heads))
            continue
        seconds, cpu, agreement = (statistics.median(each) for each in zip(*own, strict=True))
        ratios = ["-", "-"]
        if reference:
            ratios = [f"{median_ratio([fit[k] for fit in own], [fit[k] for fit in reference]):.2f}" for k in (0, 1)]
        table.add_row(name, f"{seconds:.2f}", f"{cpu:.2f}", *ratios, f"{agreement:.3f}")
    return table


def main(
    size: Annotated[Optional[list[int]], typer.Option("--size", help="Number of points (repeat the option).")] = None,  # noqa: UP045
    many: Annotated[bool, typer.Option("--many", help=f"Also {MANY:,} points.")] = False,
    features: Annotated[int, typer.Option(help="Of each point.")] = 512,
    rounds: Annotated[int, typer.Option(help="Counted rounds; medians are reported.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of PyTorch; the others take what they take.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder for clustering.md.")] = Path("out/bench"),
) -> None:
    """Every contender with its defaults. Each is called once before it counts: numba compiles UMAP then."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    setting = f"PyTorch {torch.__version__}, Python {platform.python_version()}, {threads} threads, {rounds} rounds."
    lines = [f"{setting} What numba compiles for UMAP is not counted.", ""]
    for n in [*(size or SIZES), *([MANY] if many else [])]:
        table = table_of(n, features, rounds)
        Console(width=120).print(table)
        lines += [*as_markdown(table), ""]
        (out / "clustering.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
