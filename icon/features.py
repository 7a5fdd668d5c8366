"""Read features and labels from the files that people have: arrays, and tables as `icon.tables` understands them."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icon import _checks as check
from icon._columns import Features, chosen, numbers
from icon._lazy import sp
from icon._sniff import MISSING, TRUTH, parse
from icon.tables import Layout, TableOptions, positions, quoted, read_columns, read_labels

IN_MEMORY = 2**28  # bytes up to which a file is simply read
TEXT = (".csv", ".tsv", ".txt")
SUFFIXES = (".npy", ".npz", *TEXT, *(suffix + ".gz" for suffix in TEXT), ".xlsx", ".parquet", ".safetensors")
_PACKAGES = {".xlsx": "openpyxl", ".parquet": "pyarrow"}


def read_matrix(path: str, key: str | None = None, options: TableOptions | None = None) -> NDArray[Any]:
    """The values of `read_features`; its notes are logged."""
    features = read_features(path, key, options)
    for note in features.notes:
        logging.getLogger(__name__).warning("%s: %s", path, note)
    return features.values


def read_features(path: str, key: str | None = None, options: TableOptions | None = None) -> Features:
    """Features ``[n, d]``: an array, or the columns of numbers of a table; ``-`` is delimited text on standard input.

    true and false become 1 and 0, lists of one length become columns. Columns of text, an index without a name and
    empty columns are left out with a note. A key tells which of several arrays, or which column of a table. What can be
    read in two ways is refused.
    """
    options = options or TableOptions()
    read = _read(path, "features", key, options)
    if isinstance(read, Features):
        return read
    read = _rows(read, "features", path)
    if options.columns is None and options.drop is None and options.id is None:
        return Features(read)
    used, kept = chosen([""] * read.shape[1], options)
    return Features(read[:, used], ids=None if kept is None else pd.Series(read[:, kept], name="id"))


def read_graph(path: str, n: int, header: bool | None = None) -> Any:
    """What `icon.p.Graph` takes, from the file of a graph of n points.

    It holds a matrix ``[n, n]``, one of SciPy's (.npz), or edges between points numbered from 0: from, to, and a weight
    if there is a third column; ``header`` is whether names stand above them, None: look at the file.
    """
    try:
        read = _read(path, "graph", None, TableOptions(header=header))
    except ValueError as error:
        raise ValueError(without_options(str(error), "features", "graph")) from None
    if sp.issparse(read):
        return read
    values = read.values if isinstance(read, Features) else _rows(read, "graph", path)
    if values.shape == (n, n):
        return values
    if values.shape[1] not in (2, 3):
        expected = f"{(n, n)}, or edges of two or three columns"
        raise ValueError(f"graph: got shape {values.shape} in {path}, expected {expected}")
    ends = values[:, :2].astype(np.int64)
    if not (ends == values[:, :2]).all():
        raise ValueError(f"graph: got edges whose ends are not integers in {path}, expected point numbers from 0")
    return ends.T, (values[:, 2] if values.shape[1] == 3 else np.ones(len(values)))


def _rows(array: NDArray[Any], argument: str, path: str) -> NDArray[Any]:
    """Numbers ``[n, d]``: images become rows."""
    array = array.reshape(len(array), -1) if array.ndim > 2 and array.size else array
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(f"{argument}: got shape {array.shape} of {array.dtype} in {path}, expected numbers (n, d)")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def without_options(message: str, argument: str, name: str) -> str:
    """What is said of features or labels, said of a file for whose table there are no options."""
    named = re.sub(f"^{argument}", name, message)
    named = re.sub(r", expected --(?!graph).*", ", expected a file that can be read in one way only", named)
    return re.sub(r", or --.*$| \(--.*\)$", "", named)


def read_vector(
    path: str, key: str | None = None, options: TableOptions | None = None, expected: int | None = None
) -> NDArray[Any]:
    """Labels ``[n]`` from a file of one column, or from the array or the column that a key names.

    Whole numbers are exact, true and false become 1 and 0, and an unknown label is None (NaN among decimals). Among
    labels of text an empty cell and -1 are unknown: NA and None may be classes. The expected number of labels tells a
    header from a label.
    """
    read = _read(path, "labels", key, options or TableOptions(), expected)
    if isinstance(read, list):
        return _classes(read)
    assert not isinstance(read, Features)
    read = read[:, 0] if read.ndim == 2 and read.shape[1] == 1 else read
    if read.ndim != 1:
        raise ValueError(f"labels: got shape {read.shape} in {path}, expected one column (n,)")
    return np.asarray(read.astype(np.int64) if read.dtype.kind == "b" else read)


# -- files ------------------------------------------------------------------------------------------------------------


def _read(path: str, argument: str, key: str | None, options: TableOptions, expected: int | None = None) -> Any:
    """An array; of a graph maybe a sparse one; of a table, `Features`, the cells of labels, or an array of labels."""
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if path.lower().endswith(s)), "")
    if path != "-" and not suffix:
        raise ValueError(
            f"{argument}: got {path}, expected one of {', '.join(SUFFIXES)}, or - for text on standard input"
        )
    if path != "-" and not os.path.isfile(path):  # of a path that is too long, too
        raise ValueError(f"{argument}: got {path}, expected a file that exists")
    package = _PACKAGES.get(suffix)
    if package and find_spec(package) is None and not (suffix == ".parquet" and find_spec("fastparquet")):
        raise ValueError(f"{argument}: got {path}, expected {package} to be installed to read {suffix}")
    try:
        if suffix in (".npy", ".npz", ".safetensors"):
            return _array(path, suffix, argument, key)
        if argument == "features" and key is not None:
            options = replace(options, columns=quoted(key))
        return _table(path, suffix, argument, key, options, expected)
    except Exception as error:  # parsers raise what they like on a broken file
        if type(error) is ValueError and re.match(
            rf"({argument}|features|columns|drop|id|sep|decimal): got", str(error)
        ):
            raise
        raise ValueError(f"{argument}: got {path}, expected a readable file ({check.reason(error)})") from None


def _array(path: str, suffix: str, argument: str, key: str | None) -> Any:
    if suffix == ".npz":
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:  # closed if it is no archive, too
            if argument != "labels" and {"format", "shape"} <= {*arrays.files}:  # as SciPy writes a sparse matrix
                if argument == "graph":
                    return sp.load_npz(path)
                expected = "a dense array (in Python the estimators take sparse matrices)"
                raise ValueError(f"features: got a sparse matrix in {path}, expected {expected}")
            return np.asarray(arrays[_choose(path, argument, key, list(arrays.files))])
    if suffix == ".safetensors":
        return _tensor(path, argument, key)
    # A large array stays on disk: what reads it does so in blocks.
    large = Path(path).stat().st_size > IN_MEMORY
    array: NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode="r" if large else None)
    return array


def _table(path: str, suffix: str, argument: str, key: str | None, options: TableOptions, expected: int | None) -> Any:
    if suffix == ".parquet":
        return _parquet(path, argument, key, options)
    source: str | bytes = path
    notes: list[str] = []
    if suffix == ".xlsx":
        source, notes = _sheet(path, argument == "labels")
        options = replace(options, sep=",", decimal=".")
    if argument == "labels":
        return read_labels(source, path, options, key, expected)
    frame, layout = read_columns(source, path, options, argument)
    layout.notes[:0] = notes
    return numbers(frame, layout, path, options)


def _tensor(path: str, argument: str, key: str | None) -> NDArray[Any]:
    import torch
    from safetensors import safe_open

    with safe_open(path, "pt") as tensors:
        tensor = tensors.get_tensor(_choose(path, argument, key, list(tensors.keys())))
    numpy_has = (torch.float16, torch.float32, torch.float64)
    return np.asarray(tensor.float() if tensor.is_floating_point() and tensor.dtype not in numpy_has else tensor)


def _sheet(path: str, blank: bool) -> tuple[bytes, list[str]]:
    """The first sheet as CSV, so that all is understood as in other tables; with the ``blank`` rows at its end."""
    with pd.ExcelFile(path) as book:
        names = [str(name) for name in book.sheet_names]
        rows = cast(Any, book.book)[names[0]].max_row or 0  # pandas drops the rows at the end that are blank
        frame = pd.read_excel(book, header=None, dtype=object, na_filter=False)
    text = frame.to_csv(header=False, index=False) + "\n" * (rows - len(frame) if blank else 0)
    return text.encode(), [f"read the sheet {names[0]} of {', '.join(names)}"] if len(names) > 1 else []


def _parquet(path: str, argument: str, key: str | None, options: TableOptions) -> Any:
    frame = pd.read_parquet(path)
    if options.id is not None and options.id in frame.index.names and options.id not in frame.columns:
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    frame.columns = pd.RangeIndex(len(names))
    if argument != "labels":
        return numbers(frame, Layout(None, None, None, names), path, options)
    if key is None and len(names) != 1:
        raise ValueError(f"labels: got columns {', '.join(names[:8])} in {path}, expected one (--labels-key)")
    column = frame[0 if key is None else positions(names, quoted(key), "labels-key", "labels")[0]]
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype if not column.hasnans else object)
    if pd.api.types.is_extension_array_dtype(column.dtype) or column.dtype == object:
        return _exact(column.astype(object).where(column.notna(), None).tolist())
    return column.to_numpy()


def _choose(path: str, argument: str, key: str | None, names: list[str]) -> str:
    if key is None and len(names) == 1:
        return names[0]
    if key in names:
        return str(key)
    given = "no key" if key is None else f"key {key!r}"
    option = "--key" if argument == "features" else "--labels-key"
    raise ValueError(f"{argument}: got {given} for {path}, expected one of {', '.join(names)} ({option})")


# -- labels -----------------------------------------------------------------------------------------------------------


def _classes(cells: list[str]) -> NDArray[Any]:
    known = [cell for cell in cells if cell not in MISSING]
    if known and all(re.fullmatch(r"[+-]?\d+(\.0*)?", cell) for cell in known):
        return _exact([None if cell in MISSING else int(cell.partition(".")[0]) for cell in cells])
    if known and all(cell.lower() in TRUTH for cell in known):
        return _exact([TRUTH.get(cell.lower()) for cell in cells])
    numbers = [np.nan if cell in MISSING else parse(cell, ".") for cell in cells]
    named = [None if cell in ("", "-1") else cell for cell in cells]
    return np.array(numbers, np.float64) if known and None not in numbers else _exact(named)


def _exact(values: list[Any]) -> NDArray[Any]:
    """Whole numbers as such where there are only those, else the objects themselves."""
    if values and all(isinstance(value, int) for value in values):
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= min(values) and max(values) <= np.iinfo(dtype).max:
                return np.array(values, dtype)
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects
