"""Labels are names: of text, numbers or truth values, some of them unknown."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from icon import _checks as check


class Labels(NamedTuple):
    """Labels as classes.

    ``codes [n]`` int64 is the number of each label's class, -1 where it is unknown; ``names [C]`` are the classes in
    their order (of numbers and text; as they come where they have none).
    """

    codes: NDArray[np.int64]
    names: NDArray[Any]

    @property
    def known(self) -> NDArray[np.bool_]:
        """``[n]`` bool: where the label is known."""
        return self.codes >= 0


def read_labels(value: Any, name: str = "labels", n: int | None = None, minus_one_is_unknown: bool = True) -> Labels:
    """The classes that labels ``[n]`` name, a list, array, tensor or series of text, whole numbers or truth values.

    None, NaN, a missing value of pandas and, unless it is to be a name, the number -1 are unknown labels. Text is a
    name as it stands, ``"NA"`` and ``"None"`` as well. Integers of any size stay exact, and memory is that of the
    labels, however large they are. Fractions and infinity are refused.
    """
    array = _as_array(value, name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name}: got shape {array.shape}, expected one label per row (n,)")
    if n is not None:
        check.as_many(len(array), n, name, "entry", "row")
    if len(array) == 0:
        raise ValueError(f"{name}: got an empty vector, expected at least one entry")
    if array.dtype.kind not in "iufbOUS":
        raise TypeError(f"{name}: got dtype {array.dtype}, expected text, integers or truth values")
    if not array.dtype.isnative:  # pandas wants the byte order of the machine
        array = array.astype(array.dtype.newbyteorder("="))
    try:
        codes, found = pd.factorize(array)
    except TypeError:
        raise TypeError(f"{name}: got lists or mappings as labels, expected text, integers or truth values") from None
    names = _whole(np.asarray(found), name)
    is_lost = names.astype(object) == -1
    order = np.flatnonzero(~is_lost if minus_one_is_unknown else np.ones(len(names), dtype=bool))
    with suppress(TypeError):  # names that cannot be compared stay as they come
        order = order[np.argsort(names[order], kind="stable")]
    place = np.full(len(names) + 1, -1)  # its last entry is what code -1 reads
    place[order] = np.arange(len(order))
    return Labels(place[codes], names[order])


def _as_array(value: Any, name: str) -> NDArray[Any]:
    if value is None:
        raise TypeError(f"{name}: got None, expected one label per row (n,)")
    if isinstance(value, Tensor):
        value = check.with_numbers(check.as_tensor(value, name), name).detach().cpu()
        array: NDArray[Any] = (value.double() if value.is_floating_point() else value).numpy()
        return array
    if hasattr(value, "to_numpy") and hasattr(value, "astype"):
        # A series of pandas keeps missing values and large integers in a dtype of its own ...
        is_plain = isinstance(getattr(value, "dtype", None), np.dtype)
        return np.asarray(value if is_plain else value.astype(object))
    if hasattr(value, "to_numpy"):  # ... and those of pyarrow and of polars keep them in a list
        value = getattr(value, "to_pylist", getattr(value, "to_list", value.to_numpy))()
    if isinstance(value, np.ma.MaskedArray):
        array = np.array(value.data, dtype=object)
        array[np.ma.getmaskarray(value)] = None
        return array
    try:
        array = np.asarray(value)
    except ValueError:
        raise TypeError(f"{name}: got lists of different lengths, expected one label per row (n,)") from None
    if array.dtype.kind in "USf" and not isinstance(value, np.ndarray):
        # A list of text and None is all text by now, and one of large integers and NaN has lost digits.
        array = np.asarray(value, dtype=object)
    return array


def _whole(names: NDArray[Any], name: str) -> NDArray[Any]:
    """Names, of which those that are floats have to be whole numbers, as integers."""
    if names.dtype.kind not in "fO":
        return names
    whole = np.empty(len(names), dtype=object)
    for i, each in enumerate(names):
        is_float = isinstance(each, (float, np.floating))
        if is_float and not float(each).is_integer():
            raise ValueError(f"{name}: got {float(each)}, expected whole numbers, text or truth values")
        whole[i] = int(each) if is_float else each
    fits = names.dtype.kind == "f" and float(np.abs(names).max(initial=0)) < 2**53
    return whole.astype(np.int64) if fits else whole


def classes_of(value: Any, name: str = "labels", n: int | None = None) -> Labels:
    """`read_labels` of which at least one is known."""
    labels = read_labels(value, name, n)
    if not labels.known.any():
        raise ValueError(f"{name}: got no label that is known (-1, None and NaN are unknown), expected some")
    return labels


def known_labels(value: Any, n: int, name: str = "labels") -> NDArray[np.int64]:
    """``[n]`` the number of each label's class, -1 where it is unknown; at least one is known."""
    return classes_of(value, name, n).codes


def keys(labels: Labels) -> NDArray[np.int64]:
    """``[n]`` classes, and for each unknown label a class of its own: such a point belongs to nobody."""
    codes = labels.codes.copy()
    unknown = ~labels.known
    codes[unknown] = len(labels.names) + np.arange(unknown.sum())
    return codes
