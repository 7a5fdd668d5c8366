"""A run that is killed at any moment, and called again, ends with the bits of one that was not."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.ranks import ROOT, environment


def started(world: int, *arguments: str) -> list[subprocess.Popen[str]]:
    """The ranks of a run, which can be killed without asking."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = []
    for rank in range(world):
        meet = {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        own = environment(**meet) if world > 1 else environment()
        command = [sys.executable, "-m", "tests.training.killed", *arguments]
        ranks.append(subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True))
    return ranks


def completed(world: int, checkpoint: Path, result: Path) -> list[torch.Tensor]:
    for rank in started(world, str(checkpoint), str(result)):
        rank.communicate(timeout=120)
        assert rank.returncode == 0
    return list(torch.load(result))


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_a_run_that_is_killed(world: int, tmp_path: Path) -> None:
    expected = completed(world, tmp_path / "whole", tmp_path / "whole.pt")
    moments = random.Random(world)
    for _ in range(4):
        ranks = started(world, str(tmp_path / "run"), str(tmp_path / "run.pt"))
        for _ in range(moments.randint(4, 20)):  # steps, of which each third one is written
            assert ranks[0].stdout is not None
            assert ranks[0].stdout.readline()
        time.sleep(moments.uniform(0.0, 0.02))
        for rank in ranks:
            rank.kill()
        for rank in ranks:
            rank.communicate()
    assert (tmp_path / "run").exists()
    found = completed(world, tmp_path / "run", tmp_path / "run.pt")
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
