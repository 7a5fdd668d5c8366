"""Any call of the command line ends well, or in one line that says what is wrong: calls drawn from a seed."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import icon
from icon.cli import cluster_report
from icon.estimators.clustering import Clustering
from icon.estimators.embedding import Embedding
from icon.features import read_features
from icon.tables import TableOptions
from tests.cli.drawn import Call, draw
from tests.cli.run import invoke

#: Seeds, in blocks. `ICON_FUZZ=1000:9000 pytest -m slow tests/cli/test_fuzz.py` draws others.
FIRST, LAST = map(int, os.environ.get("ICON_FUZZ", "0:300").split(":"))
BLOCK = 50
UNDECIDED = (
    r"--sep|--decimal|--header|--labels-header|--no-labels-header|--labels-key|--drop|--columns|--key|begin with #"
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, and a map by PCA."""
    monkeypatch.setattr(cluster_report, "LEARNED_MAP", 0)
    monkeypatch.setitem(Clustering.__init__.__kwdefaults__, "max_iter", 4)
    monkeypatch.setitem(Embedding.__init__.__kwdefaults__, "max_iter", 4)


def here(call: Call) -> tuple[Any, str, str]:
    """Exit status, standard output and standard error of the command in this process."""
    with warnings.catch_warnings(record=True) as warned:
        done = invoke(call.argv, call.stdin)
    assert all(issubclass(warning.category, UserWarning) for warning in warned), list(map(str, warned))
    return done.exit_code, done.stdout, done.stderr


def apart(call: Call) -> tuple[Any, str, str]:
    """The same of a process of its own."""
    place, encoding = str(Path(icon.__file__).parents[1]), "utf-8"
    # One thread, as in this process: several wait for each other where the machine is shared.
    environment = {**os.environ, "PYTHONPATH": place, "PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "icon", *call.argv]
    done = subprocess.run(command, input=call.stdin, capture_output=True, env=environment, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def check(call: Call, status: Any, stdout: str, stderr: str, before: dict[Path, bytes | None]) -> None:
    after = contents(Path.cwd())
    assert status in (0, 2)
    assert "Traceback" not in stderr
    if status == 2:
        lines = stderr.splitlines()
        assert re.match(r"error: \S", lines[-1])
        said = r"(warning|note|labels): |[\d,]+ rows? × "
        assert all(re.match(said, line) for line in lines[:-1])
        assert stdout == ""
        assert after == before
        assert not call.sure or call.refused
        assert not call.clean or call.refused or re.search(UNDECIDED, lines[-1])
        return
    assert not call.refused
    new = {path for path in after.keys() | before.keys() if after.get(path) != before.get(path)}
    assert all(call.out is not None and path.relative_to(Path.cwd()).parts[0] == call.out for path in new)
    if call.argv[0] in ("show", "table") or "--help" in call.argv:
        return
    found = re.findall(r"^([\d,]+) rows? × ([\d,]+) columns?.*?(?:labels: ([\d,]+) class(?:es)?)?$", stderr, re.M)
    assert len(found) == 1
    rows, columns, classes = (int(number.replace(",", "") or -1) for number in found[0])
    table = result(call, stdout)
    assert len(table) == rows
    assert call.rows in (None, rows)
    assert call.classes in (None, classes)
    numbers = table.filter(regex=r"^(cluster|probability|p\d+|z\d+)$").to_numpy(dtype=np.float64)
    assert numbers.shape[1] >= 1
    assert np.isfinite(numbers).all()
    if call.ids is not None:
        assert table.iloc[:, 0].tolist() == call.ids
    if call.values is not None:
        key = call.read.pop("key", None)
        options = TableOptions(**call.read)
        with patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(call.stdin), "utf-8")):
            read = read_features(call.argv[1], key, options).values
        assert read.shape == (rows, columns)
        sheet = call.argv[1].endswith(".xlsx")  # holds 15 digits
        np.testing.assert_allclose(read, call.values, rtol=1e-14 if sheet else 0)


def result(call: Call, stdout: str) -> pd.DataFrame:
    """The table that was written, its cells as text."""
    out = Path(call.out or "-")
    if out.is_dir():
        out /= "map.csv" if call.argv[0] == "embed" else "assignments.csv"
    if out.suffix == ".npy":
        array = np.load(out)
        return pd.DataFrame(array).add_prefix("p")
    if out.suffix == ".parquet":
        return pd.read_parquet(out).astype(str)
    source: Any = out if call.out else io.StringIO(stdout)
    return pd.read_csv(source, dtype=str, keep_default_na=False)


def tried(folder: Path, seed: int, run: Callable[[Call], tuple[Any, str, str]], mine: pytest.MonkeyPatch) -> Any:
    """The exit status of a call in a folder of its own, once all is as it should be."""
    place, scratch = folder / str(seed), folder / f"{seed}.scratch"
    place.mkdir()
    scratch.mkdir()
    mine.chdir(place)
    mine.setattr(tempfile, "tempdir", str(scratch))
    mine.setenv("TMPDIR", str(scratch))
    call, status, stdout, stderr = draw(seed), None, "", ""
    before = contents(place)
    try:
        status, stdout, stderr = run(call)
        check(call, status, stdout, stderr, before)
        assert [path for path in scratch.iterdir() if "torch" not in path.name] == []
    except BaseException:  # SystemExit and KeyboardInterrupt as well
        print(f"{call.argv} ({'; '.join(call.story)}): status {status}\n{stderr[-2000:]}")
        raise
    return status


@pytest.mark.slow
@pytest.mark.parametrize("block", range(FIRST, LAST, BLOCK))
def test_any_call_ends_well_or_says_what_is_wrong(
    block: int, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = range(block, min(block + BLOCK, LAST))
    statuses = [tried(tmp_path, seed, here, monkeypatch) for seed in seeds]
    assert statuses.count(0) > len(seeds) // 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FIRST, FIRST + 3))
def test_a_process_of_its_own_does_the_same(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried(tmp_path, seed, apart, monkeypatch)
