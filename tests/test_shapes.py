"""The shapes in the signatures of icon hold: its own contract checks run again with every call checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def checked(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "ICON_CHECK_SHAPES": "1"}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_shapes_in_signatures() -> None:
    files = ("tests/test_testing.py", "tests/core/test_divergence.py", "tests/q", "tests/p", "tests/nn/test_mappers.py")
    # What is refused has a wrong type or shape, and is then refused by the hook before icon can.
    done = checked(
        "-m", "pytest", "-q", "-k", "not bad", *files, "tests/table/test_checks.py::test_every_method_is_verified[pcl]"
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
def test_a_wrong_shape_is_found() -> None:
    script = "\n".join(
        [
            "import tests.conftest, torch, icon",
            "tile = torch.ones(2, 3)",
            "icon.divergence.TotalVariation()(tile, tile, torch.ones(2, 4))",
        ]
    )
    done = checked("-c", script)
    assert done.returncode != 0
    assert "log_q" in done.stderr
