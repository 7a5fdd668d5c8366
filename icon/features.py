"""Read features and labels from the files that people have: .npy .npz .csv .parquet .safetensors, or CSV on stdin."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

IN_MEMORY = 2**28  # bytes up to which a file is simply read
SUFFIXES = (".npy", ".npz", ".csv", ".parquet", ".safetensors")


def read_matrix(path: str, key: str | None = None) -> NDArray[Any]:
    """Features ``[n, d]``. Of several arrays in a file, ``key`` names one; of a table, the numeric columns are taken.

    Raises:
        ValueError: no such file, not readable, several arrays and no key, or no numeric matrix in it.
    """
    array = _read(path, key)
    if array.ndim > 2:
        array = array.reshape(len(array), -1)  # images become rows
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(f"features: got shape {array.shape} of {array.dtype} in {path}, expected numbers (n, d)")
    return array


def read_vector(path: str, key: str | None = None) -> NDArray[Any]:
    """Labels ``[n]`` from a file of one column.

    Raises:
        ValueError: as `read_matrix`, or more than one column.
    """
    array = _read(path, key, numeric=False)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"labels: got shape {array.shape} in {path}, expected one column (n,)")
    return array


def _read(path: str, key: str | None, numeric: bool = True) -> NDArray[Any]:
    suffix = Path(path).suffix.lower()
    if path != "-" and suffix not in SUFFIXES:
        raise ValueError(f"features: got {path}, expected one of {', '.join(SUFFIXES)}, or - for CSV on standard input")
    if path != "-" and not Path(path).is_file():
        raise ValueError(f"features: got {path}, expected a file that exists")
    try:
        if suffix == ".npy":
            # A large array stays on disk: what reads it does so in blocks.
            large = Path(path).stat().st_size > IN_MEMORY
            array: NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode="r" if large else None)
            return array
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return np.asarray(arrays[_choose(path, key, list(arrays.files))])
        if suffix == ".safetensors":
            from safetensors.numpy import load_file

            tensors = load_file(path)
            return np.asarray(tensors[_choose(path, key, list(tensors))])
        frame = pd.read_parquet(path) if suffix == ".parquet" else _csv(sys.stdin if path == "-" else path)
    except ImportError:
        raise ValueError(f"features: got {path}, expected pyarrow to be installed to read .parquet") from None
    except (OSError, EOFError, zipfile.BadZipFile, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"features: got {path}, expected a readable file ({_first_line(error)})") from None
    except Exception as error:  # parsers raise what they like on a broken file
        if isinstance(error, ValueError) and str(error).startswith("features:"):
            raise
        raise ValueError(f"features: got {path}, expected a readable file ({_first_line(error)})") from None
    if key is not None:
        if key not in frame.columns:
            raise ValueError(f"features: got key {key!r}, expected one of {', '.join(map(str, frame.columns))}")
        return frame[key].to_numpy()
    text = [str(name) for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
    if numeric and text:
        raise ValueError(f"features: got text in columns {', '.join(text[:5])} of {path}, expected numbers only")
    return frame.to_numpy()


def _csv(source: Any) -> pd.DataFrame:
    """A table with a header, or plain numbers without one; an index column as pandas writes it is left out."""
    text = source.read() if hasattr(source, "read") else Path(source).read_text(encoding="utf-8")
    first = next(csv.reader(io.StringIO(text)), [])
    if all(_is_number(cell) for cell in first) and not _counts(first):
        return pd.read_csv(io.StringIO(text), header=None).dropna(axis=1, how="all")
    frame = pd.read_csv(io.StringIO(text))
    return frame.iloc[:, 1:] if first[0] == "" else frame


def _counts(first: list[str]) -> bool:
    """Whether a first line is the header that pandas gives columns without names: 0, 1, 2, ... One or two such numbers
    may as well be data, unless an index column precedes them."""
    indexed = first[:1] == [""]
    names = first[1:] if indexed else first
    return len(names) >= (1 if indexed else 3) and names == [str(number) for number in range(len(names))]


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _choose(path: str, key: str | None, names: list[str]) -> str:
    if key is None and len(names) == 1:
        return names[0]
    if key in names:
        return str(key)
    given = "no key" if key is None else f"key {key!r}"
    raise ValueError(f"features: got {given} for {path}, expected one of {', '.join(names)} (--key)")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
