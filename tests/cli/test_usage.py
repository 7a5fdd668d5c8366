"""A command that is not called as its help says: one line and status 2."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ["cluster", "x.npy"],
        *(
            pytest.param(a, marks=pytest.mark.slow)
            for a in (["cluster", "x.npy", "-k", "x"], ["frob"], ["table", "--no"])
        ),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "icon", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")
