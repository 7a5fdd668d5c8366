"""The command under torchrun: ranks share the work, and the first one alone prints and writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cases import digits
from tests.ranks import torchrun

pytestmark = pytest.mark.slow


@pytest.fixture
def features(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", digits(400)[0])
    return tmp_path / "x.npy"


def test_two_ranks_cluster_as_one_process(features: Path, tmp_path: Path) -> None:
    arguments = ["-m", "icon", "cluster", str(features), "-k", "10", "--restarts", "1", "-q", "--out"]
    subprocess.run([sys.executable, *arguments, str(tmp_path / "one.csv")], check=True, capture_output=True)
    done = torchrun(2, *arguments, str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    assert sorted(each.name for each in (tmp_path / "two").iterdir()) == [
        "assignments.csv",
        "clusters.png",
        "report.json",
    ]
    one, two = pd.read_csv(tmp_path / "one.csv"), pd.read_csv(tmp_path / "two" / "assignments.csv")
    assert (one["cluster"] == two["cluster"]).mean() > 0.97  # rounding may move a point between two clusters
    assert done.stderr.count("400 rows") == 1


def test_two_ranks_embed(features: Path) -> None:
    done = torchrun(2, "-m", "icon", "embed", str(features), "-q", "--row", "gaussian")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 401


def test_an_error_is_said_once(tmp_path: Path) -> None:
    done = torchrun(2, "-m", "icon", "cluster", str(tmp_path / "absent.npy"), "-k", "3")
    assert done.returncode != 0
    assert done.stderr.count("error: features: got ") == 1
