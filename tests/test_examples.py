"""The examples run, and do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"  # whatever the network is
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_simclr() -> None:
    found = run(sys.executable, "examples/simclr.py", "--steps", "150")
    assert float(re.search(r"k-NN accuracy ([0-9.]+)", found)[1]) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("ranks", ["1", "2"])
def test_ranks(ranks: str) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", ranks]
    found = [float(value) for value in re.findall(r"loss of all .* ([0-9.]+)", run(*torchrun, "examples/ddp.py"))]
    assert found[-1] < found[0]
