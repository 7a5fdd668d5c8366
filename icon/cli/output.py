"""Where a command writes: a file, or a folder of files, all of them or nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import icon

FILES = (".csv", ".npy", ".parquet")  # an output that ends so is a file, any other a folder
_COUNTED = ("numpy", "scipy", "scikit-learn", "torch", "faiss-cpu", "pynndescent")


def check_output(out: Path | None, ours: Sequence[str]) -> None:
    """Refuse before any work what could not be written after it; ``ours`` are the files that a folder may hold."""
    # The functions of os.path are False, and raise nothing, for a name that is too long.
    if out is None:
        return
    if out.name in ("", ".."):  # it is replaced as a whole, which the folder where one stands cannot be
        raise ValueError(f"out: got {out}, expected the name of a file or a folder")
    if out.suffix and out.suffix not in FILES:
        raise ValueError(f"out: got {out}, expected a folder (without a suffix), or a file in {', '.join(FILES)}")
    if not os.path.isdir(out.parent):
        raise ValueError(f"out: got {out}, expected its parent to be a folder that exists")
    if out.suffix:
        if os.path.isdir(out):
            raise ValueError(f"out: got {out}, which is a folder, expected a file")
    elif os.path.isdir(out):
        if others := sorted(entry.name for entry in out.iterdir() if entry.name not in ours):
            raise ValueError(f"out: got {out}, which holds {others[0]}, expected an empty or a new folder")
    elif os.path.exists(out):
        raise ValueError(f"out: got {out}, which is a file without a suffix, expected a folder")
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"out: got {out}, expected a place that can be written")


def checked_form(out: Path | None, ours: Sequence[str], form: str) -> str:
    """`check_output`, and the ending of the table to be written: empty for standard output, ``.form`` in a folder."""
    check_output(out, ours)
    ending = "" if out is None else out.suffix or f".{form}"
    wanted = form == "parquet" or ending == ".parquet"
    if wanted and find_spec("pyarrow") is None and find_spec("fastparquet") is None:
        raise ValueError("format: got parquet, expected pyarrow to be installed to write it")
    return ending


@contextmanager
def staged(out: Path | None) -> Iterator[Path | None]:
    """A place beside ``out`` to write to, which becomes ``out`` when all is written, and is gone if anything failed."""
    if out is None:
        yield None
        return
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        stage = folder / out.name
        if not out.suffix:
            stage.mkdir()
        yield stage
        if out.is_dir():
            out.rename(folder / "before")  # an earlier result goes when the new one is complete
        stage.replace(out)
    except OSError as error:
        if folder and (folder / "before").exists() and not out.exists():
            (folder / "before").rename(out)
        raise ValueError(f"out: got {out}, expected a place that can be written ({error.strerror})") from None
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def write_table(table: pd.DataFrame, out: Path | None, name: str) -> None:
    """To standard output, to a file, or to one of this name in a folder: .csv, .parquet, or .npy (one matrix)."""
    if out is None:
        table.to_csv(sys.stdout, index=False)
        return
    path = out if out.suffix else out / name
    if path.suffix == ".npy":
        np.save(path, table.to_numpy(np.result_type(*table.dtypes)))
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False)


def versions() -> dict[str, str]:
    """Of the package, of Python, and of what results depend on."""
    by_name = {"icon": icon.__version__, "python": platform.python_version()}
    for name in _COUNTED:
        try:
            by_name[name] = version(name)
        except PackageNotFoundError:
            continue
    return by_name


UNKNOWN = (0.7, 0.7, 0.7)  # the colour of points without a label, beside those of labels


def palette(clusters: int) -> list[Any]:
    """Colours that can be told apart where there are few, and run around the circle where there are many."""
    import matplotlib as mpl

    if clusters <= 20:
        few = mpl.colormaps["tab10" if clusters <= 10 else "tab20"]
        return list(few.colors)[:clusters]  # type: ignore[attr-defined]
    golden = (np.arange(clusters) * 0.618034) % 1  # neighbouring numbers get distant hues
    return [mpl.colors.hsv_to_rgb((hue, 0.75, 0.6 + 0.3 * (c % 2))) for c, hue in enumerate(golden)]
