"""``python -m benchmarks``: speed and memory of the contrastive losses against the peers, as ratios."""

from __future__ import annotations

import importlib.util
import platform
import statistics
from pathlib import Path
from typing import Annotated, Optional

import torch
import typer
from rich.console import Console
from rich.table import Table

import icon
from benchmarks.contenders import CONTENDERS, UNCHECKED, of_icon
from benchmarks.measure import as_markdown, import_seconds, interleaved, median_ratio, peak_memory
from benchmarks.overhead import overhead

SMALL, LARGE = [64, 128, 256, 512, 1024], [4096, 8192, 16384]
PACKAGES = {"lightly NTXentLoss": "lightly"} | {
    f"pytorch-metric-learning {loss}": "pytorch_metric_learning" for loss in ("NTXentLoss", "SupConLoss")
}

Sizes = Annotated[Optional[list[int]], typer.Option("--size", help="Number of points (repeat the option).")]  # noqa: UP045
Rounds = Annotated[int, typer.Option(help="Counted rounds; medians are reported.")]
Threads = Annotated[int, typer.Option(help="Threads of PyTorch.")]
Memory = Annotated[bool, typer.Option(help="Measure peak memory, each contender in a process of its own.")]
Out = Annotated[Path, typer.Option(help="Folder for benchmark.md.")]


def main(
    size: Sizes = None, rounds: Rounds = 5, threads: Threads = 2, memory: Memory = True, out: Out = Path("out/bench")
) -> None:
    """Value and gradient of SimCLR (NT-Xent), SupCon, CLIP and cross-entropy, d = 128, float32."""
    torch.set_num_threads(threads)
    console = Console(width=120)
    small = [n for n in size or SMALL if n <= max(SMALL)]
    large = [n for n in size or LARGE if n > max(SMALL)]
    tables = [_overhead()] if small else []
    # A step of a small batch is short: many rounds, so that the median is one of an undisturbed machine.
    tables += [_speed(task, small, max(rounds, 100), "plain dense PyTorch") for task in CONTENDERS if small]
    tables += [_speed(task, large, rounds, "three products") for task in CONTENDERS if large]
    if memory and large:
        tables += [_memory(task, sorted({*large, 65536})) for task in ("simclr", "supcon")]
    tables.append(_imports(rounds))
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        f"PyTorch {torch.__version__}, Python {platform.python_version()}, {threads} threads, {rounds} rounds.",
        "",
    ]
    for table in tables:
        console.print(table)
        lines += [*as_markdown(table), ""]
    (out / "benchmark.md").write_text("\n".join(lines), encoding="utf-8")
    console.print(f"written to {out / 'benchmark.md'}", highlight=False)


def _installed(name: str) -> bool:
    return name not in PACKAGES or importlib.util.find_spec(PACKAGES[name]) is not None


def _speed(task: str, sizes: list[int], rounds: int, reference: str) -> Table:
    """Medians of the ratios to the reference, and of how many times slower than icon a peer is."""
    title = f"{task}: value + gradient; median time as a multiple of {reference} (times icon)"
    table = Table("contender", *(f"n = {n}" for n in sizes), title=title)
    cells: dict[str, list[str]] = {name: [] for name in CONTENDERS[task]}
    for n in sizes:
        steps = {k: b(task, n) for k, (b, most) in CONTENDERS[task].items() if n <= most and _installed(k)}
        # A slow peer empties the caches for whoever comes next: peers have rounds of their own.
        peers = {name: step for name, step in steps.items() if name in PACKAGES}
        own = interleaved({k: step for k, step in steps.items() if k not in (*PACKAGES, UNCHECKED)}, rounds)
        beside = interleaved({name: steps[name] for name in (reference, "icon", *peers)}, rounds) if peers else {}
        bare = {name: steps[name] for name in (reference, UNCHECKED)} if UNCHECKED in steps else {}
        with icon.set_validation(False):
            unchecked = interleaved(bare, rounds)
        for name in CONTENDERS[task]:
            if name not in steps:
                cells[name].append("-" if _installed(name) else "not installed")
                continue
            seconds = beside if name in peers else unchecked if name == UNCHECKED else own
            text = f"{median_ratio(seconds[name], seconds[reference]):.2f}"
            if name == reference:
                text += f" ({1e3 * statistics.median(seconds[name]):.3g} ms)"
            elif not name.startswith("icon"):
                text += f" ({median_ratio(seconds[name], seconds['icon']):.1f}x icon)"
            cells[name].append(text)
    for name, row in cells.items():
        table.add_row(name, *row)
    return table


def _overhead() -> Table:
    """Counts that do not depend on how busy the machine is."""
    title = "one call: calls into icon, hops between its files (forward), tensor operations (both ways), new memory"
    heads = ("task", "n", "calls", "hops", "operations", "looks at values", "MiB written", "without validation")
    table = Table(*heads, title=title)
    for task in CONTENDERS:
        for n in (64, 1024, 4096):
            _, loss = of_icon(task, n)
            *checked, written = overhead(loss)
            with icon.set_validation(False):
                unchecked = overhead(loss)
            bare = f"{unchecked.operations} operations, {unchecked.looks} looks"
            table.add_row(task, str(n), *map(str, checked), f"{written / 2**20:.3g}", bare)
    return table


def _memory(task: str, sizes: list[int]) -> Table:
    table = Table(
        "contender", *(f"n = {n}" for n in sizes), title=f"{task}: peak memory of one step above its inputs, MiB"
    )
    for name, (_, most) in CONTENDERS[task].items():
        if name in ("three products", "checked by hand", UNCHECKED):
            continue
        row = []
        for n in sizes:
            found = peak_memory(task, name, n) if n <= most and _installed(name) else None
            row.append("-" if found is None else f"{found:.0f}")
        table.add_row(name, *row)
    return table


def _imports(rounds: int) -> Table:
    table = Table("import", "seconds (median)", "ratio to torch", title="import time, interpreter included")
    torch_seconds, icon_seconds = [], []
    for _ in range(rounds):
        torch_seconds += import_seconds("torch", 1)
        icon_seconds += import_seconds("icon", 1)
    for name, seconds in (("torch", torch_seconds), ("icon", icon_seconds)):
        table.add_row(name, f"{statistics.median(seconds):.2f}", f"{median_ratio(seconds, torch_seconds):.2f}")
    return table


if __name__ == "__main__":
    typer.run(main)
