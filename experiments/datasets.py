"""One loader for every experiment: the digits, the .npz sets of a data folder, and a user's own files."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from icon import _checks as check
from icon.estimators.base import BLOCK, check_on_disk, on_disk
from icon.features import read_matrix, read_vector

FOLDER_VARIABLE = "ICON_DATA"

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Points to learn from, and labels to score with.

    Args:
        name: how results call it; a subset is called ``name-n``.
        x: float32 ``[n, d]``, the views side by side where there are several; a large array on disk stays there as it
            is.
        views: float32 ``[n, d_v]`` each, where the data set comes in several views.
        y: int64 ``[n]``, 0 to classes - 1, or -1 for an unknown label; None: no labels.
        shape: ``(height, width)`` where a row of x is the pixels of an image, in [0, 1], channel by channel.
        metric: of the nearest neighbours.
        test: other points, with labels, which are scored instead of these.
    """

    name: str
    x: Array
    views: tuple[Array, ...] = ()
    y: Array | None = None
    shape: tuple[int, int] | None = None
    metric: str = "sqeuclidean"
    test: Dataset | None = None

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def classes(self) -> int:
        """How many classes the known labels have; 0 without labels."""
        return 0 if self.y is None else len(np.unique(self.y[self.y >= 0]))

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the data: results of other data under the same name are not taken for these."""
        digest = hashlib.sha256()
        for array in (self.x, *self.views, self.y):
            if array is not None:
                digest.update(f"{array.shape} {array.dtype}".encode())
                for start in range(0, len(array), BLOCK):
                    digest.update(np.ascontiguousarray(array[start : start + BLOCK]).data)
        digest.update(b"" if self.test is None else self.test.fingerprint.encode())
        return digest.hexdigest()[:16]

    def subset(self, n: int, seed: int = 0) -> Dataset:
        """``n`` points drawn without replacement, in their old order."""
        if check.count(n, "subset") > self.n:
            raise ValueError(f"subset: got {n}, expected at most {self.n} (the points of {self.name})")
        kept = np.sort(np.random.default_rng(seed).choice(self.n, n, replace=False))
        return self.only(kept, f"{self.name}-{n}")

    def only(self, kept: Array, name: str) -> Dataset:
        """The points ``kept [m]``, in that order, under another name."""
        views, y = tuple(view[kept] for view in self.views), None if self.y is None else self.y[kept]
        return replace(self, name=name, x=_floats(self.x[kept]), views=views, y=y)


@lru_cache(maxsize=8)
def at_most(dataset: Dataset, points: int, seed: int = 0) -> Dataset:
    """A subset where the data set has more points, the same object at every call."""
    return dataset if dataset.n <= points else dataset.subset(points, seed)


@lru_cache(maxsize=4)
def inputs(dataset: Dataset, directions: int) -> Array:
    """``[n, d]`` float32: the features in at most so many principal directions."""
    return _principal(dataset.x, directions)


@lru_cache(maxsize=4)
def scaled(dataset: Dataset, directions: int) -> Array:
    """The same, centred, in units of their root mean square."""
    x = _principal(dataset.x - dataset.x.mean(axis=0), directions)
    return np.asarray(x / np.sqrt((x**2).mean()), dtype=np.float32)


def _principal(x: Array, directions: int) -> Array:
    most = min(directions, *x.shape)
    return x if x.shape[1] <= most else PCA(most, random_state=0).fit_transform(x).astype(np.float32)


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set of a name of `NAMES`: all but ``"digits"`` are files of a folder, by default ``ICON_DATA``."""
    check.choice(name, "dataset", NAMES)
    if name == "digits":
        digits = load_digits()
        return Dataset("digits", _floats(digits.data / 16), y=_labels(digits.target), shape=(8, 8))
    folder = folder or os.environ.get(FOLDER_VARIABLE)
    wanted = f"expected --data DIR (or {FOLDER_VARIABLE}) to name the folder that holds {SOURCES[name]}"
    if not folder:
        raise ValueError(f"data: got no folder for {name!r}, {wanted}")
    if not (path := Path(folder) / SOURCES[name]).is_file():
        raise ValueError(f"data: got {folder}, which has no such file, {wanted}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _read(name, arrays)
    except (KeyError, OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"data: got {path}, expected the arrays of {name} ({str(error).strip()})") from None


def from_files(
    features: Sequence[str], labels: str | None = None, key: str | None = None, stay: bool = False
) -> Dataset:
    """A user's own: files of features ``[n, d]`` through `icon.features`, several of the same points as several views;
    ``key`` is the array or column of a file that has several, and a large .npy file may ``stay`` on disk."""
    views = [read_matrix(path, key) for path in features]
    for path, view in zip(features, views, strict=True):
        if len(view) != len(views[0]):
            raise ValueError(f"features: got {len(view)} rows in {path}, expected {len(views[0])} as in {features[0]}")
    if stay and len(views) == 1 and on_disk(views[0]):
        check_on_disk(views[0])
    else:
        views = [_floats(view) for view in views]
        for view in views:
            check.matrix(view, "features")
    y = None
    if labels is not None:
        y = pd.factorize(read_vector(labels, expected=len(views[0])), sort=True)[0].astype(np.int64)
        if len(y) != len(views[0]):
            raise ValueError(f"labels: got {len(y)}, expected {len(views[0])} (one per row of the features)")
    several = len(views) > 1
    return Dataset(
        Path(features[0]).stem, np.hstack(views) if several else views[0], tuple(views) if several else (), y
    )


def with_test(dataset: Dataset, test: Dataset) -> Dataset:
    """The data set, and points of other files to score."""
    if (found := test.x.shape[1]) != (expected := dataset.x.shape[1]):
        raise ValueError(f"test-features: got {found} columns, expected {expected} as in the features")
    if not test.classes:
        raise ValueError("test-labels: got none, expected a file, one label per row of the test features, to score")
    return replace(dataset, test=test)


def _read(name: str, arrays: Mapping[str, Array]) -> Dataset:
    """The data set of a file: words, several views, images or vectors, by what arrays the file has."""
    y = _labels(arrays["y"])
    if "feat_data" in arrays:
        parts = (arrays["feat_data"], arrays["feat_indices"], arrays["feat_indptr"])
        return Dataset(name, _floats(sp.csr_array(parts, shape=tuple(arrays["feat_shape"])).toarray()), y=y)
    if "X0" in arrays:
        views = tuple(_floats(arrays[key]) for key in sorted(arrays) if key.startswith("X"))
        return Dataset(name, np.hstack(views), views, y)
    x = arrays["X_pca" if "X_pca" in arrays else "X"]
    if x.ndim == 2:
        return Dataset(name, _floats(x), y=y)
    kept = ~arrays["is_train"] if name == TEST_HALF else slice(None)
    pixels = x[kept].astype(np.float32)
    pixels = np.moveaxis(pixels, 3, 1) if pixels.ndim == 4 else pixels  # channels first
    low, high = pixels.min(), pixels.max()
    scaled = ((pixels - low) / (high - low)).reshape(len(pixels), -1)
    return Dataset(name, scaled, y=y[kept], shape=(pixels.shape[-2], pixels.shape[-1]))


def _floats(values: ArrayLike) -> Array:
    return np.ascontiguousarray(values, dtype=np.float32)


def _labels(y: Array) -> Array:
    """0 to C - 1 in the order of the labels; negative ones, unknown, are -1."""
    return pd.factorize(pd.Series(y).where(y >= 0), sort=True)[0].astype(np.int64)


TEST_HALF = "fashion-mnist-10k"
#: The files of the data folder: labels are ``y [n]``; features ``X`` (``X_pca``; ``X0``, ``X1``, ... of several views;
#: ``feat_*`` where they are sparse), and ``is_train [n]`` where a name is the test half alone.
SOURCES = {
    "banking77": "banking77_minilm.npz",
    "clinc150": "clinc150_minilm.npz",
    "cifar10-mobilenetv2": "cifar10_mobilenetv2_feats.npz",
    "pbmc68k": "pbmc68k_reduced.npz",
    "fashion-mnist": "fashion_mnist.npz",
    TEST_HALF: "fashion_mnist.npz",
    "cifar10-images": "cifar10_test_images.npz",
    "coil20": "coil20_32x32.npz",
    "mfeat": "mfeat_6views.npz",
    "scene15": "scene15_3views.npz",
    "cora": "graph_cora.npz",
    "citeseer": "graph_citeseer.npz",
    "bladder": "bladder_pca50.npz",
    **{name: f"{name}.npz" for name in ("isolet", "letter", "pendigits", "satimage", "segment", "usps", "vowel")},
}
NAMES = ("digits", *SOURCES)

_SPLIT = (
    "banking77", "bladder", "cifar10-mobilenetv2", "clinc150", "coil20", "cora", "digits", "fashion-mnist-10k",
    "isolet", "letter", "mfeat", "pbmc68k", "pendigits", "satimage", "scene15", "segment", "usps", "vowel",
)  # fmt: skip
#: A third of the data sets, drawn once. They are run only once, by the final comparison: nothing is chosen on them,
#: though all but bladder were run in experiments before the draw.
VALIDATION = tuple(sorted(str(name) for name in np.random.default_rng(2026).permutation(_SPLIT)[:6]))
DEVELOPMENT = tuple(name for name in _SPLIT if name not in VALIDATION)


def refuse_validation(dataset: Dataset) -> None:
    """A ValueError for a data set of `VALIDATION` or a subset of one."""
    if any(f"{dataset.name}-".startswith(f"{name}-") for name in VALIDATION):
        expected = f"one of {', '.join(DEVELOPMENT)}, or features of your own"
        raise ValueError(f"dataset: got {dataset.name}, which is kept for validation, expected {expected}")
