"""Ranks as processes: a function run on each, over gloo."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

ROOT = Path(__file__).parents[1]
#: Ranks are forked from one process that has imported what takes long, where a fork is safe.
START = "forkserver" if sys.platform == "linux" else "spawn"
IMPORTED = ["icon", "icon.estimators", "torch._dynamo", "tests.cases"]


def run(work: Callable[..., Any], world: int, *arguments: Any) -> list[Any]:
    """What ``work(rank, *arguments)`` gives on each rank; an error of one of them is raised here."""
    multiprocessing.set_forkserver_preload(IMPORTED)
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(_rank, (world, folder, work, arguments), nprocs=world, start_method=START)
        return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(world)]


def assert_told(every: list[list[str]], expected: list[str]) -> None:
    """All ranks were told the same, and each message begins as expected."""
    first, *others = every
    assert all(told == first for told in others)
    for message, start in zip(first, expected, strict=True):
        assert message.startswith(start), message


def environment(**more: str) -> dict[str, str]:
    """Of a process that a test starts from the checkout: one thread, and ranks meet on this machine alone."""
    own = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    if sys.platform == "linux":
        own["GLOO_SOCKET_IFNAME"] = "lo"  # whatever the network is
    return own | more


def torchrun(world: int, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of Python on so many ranks."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    return subprocess.run(
        [*start, *command], check=False, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300
    )


def _rank(rank: int, world: int, folder: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # whatever the network is
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    dist.barrier()  # or a rank that has nothing to exchange leaves while another still connects
    try:
        torch.save(work(rank, *arguments), Path(folder) / f"{rank}.pt")
        dist.barrier()  # PyTorch 2.6 can wait forever for what is not yet freed when the group ends
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        dist.destroy_process_group()
