"""How things are measured: interleaved rounds and medians for time, a fresh process for memory and for imports."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.contenders import CONTENDERS
from table.page.markdown import sheet

Step = Callable[[], None]


PATIENCE = 25.0  # seconds that a step may take in all


def interleaved(steps: Mapping[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in each round: A B C A B C ..., after a warm-up, so that all meet the same machine.

    A step that would take more than `PATIENCE` seconds in all keeps the one measurement of its warm-up.
    """
    seconds = {name: [_warmed_up(step, PATIENCE / rounds)] for name, step in steps.items()}
    quick = [name for name, warm_up in seconds.items() if rounds * warm_up[0] <= PATIENCE]
    for name in quick:
        seconds[name].clear()
    for _ in range(rounds):
        for name in quick:
            seconds[name].append(_seconds(steps[name]))
    return seconds


def _warmed_up(step: Step, patience: float) -> float:
    """Seconds of the first call, or of the second one if that is quicker: the first may load what all need."""
    first = _seconds(step)
    return first if first <= patience else min(first, _seconds(step))


def _seconds(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def median_ratio(of: list[float], to: list[float]) -> float:
    """Median over the rounds of the ratio within a round; of the medians where one was measured once."""
    if len(of) != len(to):
        return statistics.median(of) / statistics.median(to)
    return statistics.median(a / b for a, b in zip(of, to, strict=True))


def peak_memory(task: str, name: str, n: int) -> float | None:
    """MiB that one step takes above its inputs, in a process of its own; None where it did not survive."""
    command = [sys.executable, "-m", "benchmarks.measure", task, name, str(n), str(torch.get_num_threads())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(json.loads(done.stdout.splitlines()[-1])) if done.returncode == 0 else None


def import_seconds(module: str, rounds: int) -> list[float]:
    """Wall time of ``python -c "import module"``, the interpreter's start included."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        seconds.append(time.perf_counter() - start)
    return seconds


def peak_of_this_process() -> float:
    """MiB. Linux's getrusage would report the parent's peak, which a child inherits; VmHWM is the process's own."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)


def forget_peak() -> None:
    """Let the peak of this process begin anew, where the system can (Linux)."""
    switch = Path("/proc/self/clear_refs")
    if switch.exists():
        switch.write_text("5")


def as_markdown(table: Table) -> list[str]:
    """The lines of a table."""
    rows = zip(*(column.cells for column in table.columns), strict=True)
    heads = [str(column.header) for column in table.columns]
    return [f"**{table.title}**", "", sheet(heads, (list(map(str, row)) for row in rows))]


def _main(task: str, name: str, n: int, threads: int) -> None:
    torch.set_num_threads(threads)
    build, _ = CONTENDERS[task][name]
    build(task, 256)()  # libraries and thread pools are no part of the loss
    step = build(task, n)
    before = peak_of_this_process()
    step()
    print(json.dumps(max(0.0, peak_of_this_process() - before)))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
