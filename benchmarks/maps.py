"""``python -m benchmarks.maps``: maps beside openTSNE, scikit-learn, TorchDR and UMAP: time, memory, quality."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Optional

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import icon
from benchmarks.measure import as_markdown, forget_peak, peak_of_this_process
from icon.core.evaluators import Grid
from icon.estimators.momentum import EXAGGERATION_STEPS

Map = NDArray[np.float32]
Steps = tuple[int, int]  # with exaggeration, and without


class Timed(NamedTuple):
    """A map, and the seconds of its p and of its steps; of those with exaggeration, where they can be told apart."""

    map: Map
    p: float
    steps: float
    early: float = math.nan


JUDGED = 5000  # points of the measures that take n² numbers


@cache
def data(name: str) -> tuple[Map, NDArray[Any]]:
    """Features and labels: the digits, Fashion-MNIST by 50 principal components, or so many points of 100 clusters."""
    if name == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        return x.astype(np.float32), y
    if name == "fashion-mnist":
        from sklearn.decomposition import PCA

        from experiments.datasets import FOLDER_VARIABLE

        with np.load(Path(os.environ[FOLDER_VARIABLE]) / "fashion_mnist.npz") as file:
            pixels, y = file["X"].reshape(-1, 784).astype(np.float32) / 255, file["y"]
        return PCA(50, random_state=0).fit_transform(pixels).astype(np.float32), y
    n, random = int(name), np.random.default_rng(0)
    y = random.integers(100, size=n)
    centres = 4 * random.standard_normal((100, 50), dtype=np.float32)
    return centres[y] + random.standard_normal((n, 50), dtype=np.float32), y


class Clocked(Grid):
    """The grid, which remembers when each step began."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[float] = []

    def per_anchor(self, problem: Any) -> tuple[torch.Tensor, ...]:
        self.began.append(time.perf_counter())
        return super().per_anchor(problem)


def by_icon(x: Map, steps: Steps) -> Timed:
    start = time.perf_counter()
    rows = icon.p.Gaussian(perplexity=30, n_neighbors=90)(torch.from_numpy(x)).symmetrize()
    prepared, grid = time.perf_counter(), Clocked()
    # Three of four steps are without exaggeration, or all after the first 250.
    model = icon.Embedding(max_iter=sum(steps), tol=0, random_state=0, n_jobs=2, evaluator=grid).fit(x, affinity=rows)
    done = time.perf_counter()
    early = min(EXAGGERATION_STEPS, sum(steps) // 4)
    return Timed(model.embedding_, prepared - start, done - prepared, grid.began[early] - grid.began[0])


def by_opentsne(x: Map, steps: Steps) -> Timed:
    from openTSNE import TSNEEmbedding, affinity, initialization

    start = time.perf_counter()
    p = affinity.PerplexityBasedNN(x, perplexity=30, n_jobs=2, random_state=0)
    first = initialization.pca(x, random_state=0)
    prepared = time.perf_counter()
    z = TSNEEmbedding(first, p, n_jobs=2, random_state=0).optimize(steps[0], exaggeration=12, momentum=0.5)
    relaxed = time.perf_counter()
    z = z.optimize(steps[1], momentum=0.8)
    return Timed(np.asarray(z, dtype=np.float32), prepared - start, time.perf_counter() - prepared, relaxed - prepared)


def by_scikit_learn(x: Map, steps: Steps) -> Timed:
    from sklearn.manifold import TSNE

    start = time.perf_counter()
    z = TSNE(init="pca", max_iter=sum(steps), n_jobs=2, random_state=0).fit_transform(x)
    return Timed(z, math.nan, time.perf_counter() - start)


def by_umap(x: Map, steps: Steps) -> Timed:
    from umap import UMAP

    start = time.perf_counter()
    z = UMAP(random_state=0, n_jobs=1).fit_transform(x)
    return Timed(z.astype(np.float32), math.nan, time.perf_counter() - start)


def by_torchdr(x: Map, steps: Steps) -> Timed:
    from torchdr import TSNE

    start = time.perf_counter()
    model = TSNE(perplexity=30, max_iter=sum(steps), init="pca", backend=None, device="cpu", random_state=0)
    return Timed(np.asarray(model.fit_transform(x), dtype=np.float32), math.nan, time.perf_counter() - start)


#: What makes a map, and of how many points at most.
CONTENDERS: dict[str, tuple[Callable[[Map, Steps], Timed], int]] = {
    "icon": (by_icon, 2**30),
    "openTSNE": (by_opentsne, 2**30),
    "scikit-learn, Barnes-Hut": (by_scikit_learn, 20_000),
    "TorchDR, exact": (by_torchdr, 2000),
    "UMAP": (by_umap, 2**30),
}


def measured(contender: str, name: str, file: Path, steps: Steps) -> dict[str, float] | None:
    """Seconds and MiB above the data, in a process of its own that leaves its map in a file; None: not installed."""
    command = [sys.executable, "-m", "benchmarks.maps", "--of", contender, "--data", name, "--out", str(file)]
    command += ["--steps", *map(str, steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "ModuleNotFoundError" not in done.stderr:
        raise RuntimeError(f"{contender}: {done.stderr}")
    return None if done.returncode else dict(json.loads(done.stdout.splitlines()[-1]))


def _measure(contender: str, name: str, file: Path, steps: Steps) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    x = data(name)[0]
    make, _ = CONTENDERS[contender]
    make(data("digits")[0][:1200], (20, 60))  # what is compiled or loaded once is no part of it
    forget_peak()
    before = peak_of_this_process()
    found = make(x, steps)
    np.save(file, found.map)
    peak = peak_of_this_process() - before
    each = [1e3 * found.early / steps[0], 1e3 * (found.steps - found.early) / steps[1]]
    print(json.dumps({"p": found.p, "steps": found.steps, "early": each[0], "late": each[1], "peak": peak}))


def judged(z: Map, name: str) -> tuple[float, float, float]:
    """KL under one p for all, trustworthiness of a sample, and accuracy of the nearest neighbours in the map."""
    from sklearn.manifold import trustworthiness

    x, y = data(name)
    loss = icon.method("tsne").replace(evaluator=Grid(1e-4))
    some = np.random.default_rng(0).permutation(len(x))[:JUDGED]
    value = float(loss(torch.from_numpy(z), _rows(name)))
    return value, float(trustworthiness(x[some], z[some])), float(icon.metrics.knn_probe(z, y))


@cache
def _rows(name: str) -> Any:
    return icon.p.Gaussian(perplexity=30, n_neighbors=90)(torch.from_numpy(data(name)[0])).symmetrize()


def main(
    name: Annotated[Optional[list[str]], typer.Option("--data", help="digits, fashion-mnist, or a number.")] = None,  # noqa: UP045
    of: Annotated[str, typer.Option(help="Measure this contender alone, and write its map.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for maps.md.")] = Path("out/bench"),
    steps: Annotated[tuple[int, int], typer.Option(help="With exaggeration, and without: 1 to 3.")] = (250, 750),
    judge: Annotated[bool, typer.Option(help="Measure the maps, too.")] = True,
) -> None:
    """t-SNE of perplexity 30 from principal components, on two threads; UMAP as it comes."""
    names = name or ["digits", "20000"]
    if of:
        _measure(of, names[0], out, steps)
        return
    warnings.simplefilter("ignore")
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"PyTorch {torch.__version__}, 2 threads, one run each.", ""]
    for each in names:
        columns = ("s: p", "s: steps", "ms early", "ms late", "peak MiB", "KL", "trustworthiness", "k-NN accuracy")
        table = Table("contender", *columns, title=f"maps of {each}, {len(data(each)[0]):,} points")
        for contender, (_, most) in CONTENDERS.items():
            if len(data(each)[0]) > most:
                continue
            file = out / "map.npy"
            found = measured(contender, each, file, steps)
            if found is None:
                table.add_row(contender, "not installed")
                continue
            value, *others = judged(np.load(file), each) if judge else (math.nan,) * 3
            numbers = [found[key] for key in ("p", "steps", "early", "late", "peak")]
            shown = ["-" if math.isnan(number) else f"{number:.3g}" for number in numbers]
            of_map = [math.nan if contender == "UMAP" else value, *others]
            table.add_row(contender, *shown, *("-" if math.isnan(number) else f"{number:.4f}" for number in of_map))
            file.unlink()
        Console(width=140).print(table)
        lines += [*as_markdown(table), ""]
        (out / "maps.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
