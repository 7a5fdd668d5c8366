"""Features of the same points in several spaces, and how heads see them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.utils.data import Dataset

from icon import _checks as check
from icon.estimators.base import on_disk, read
from icon.nn.mappers import Rescale

#: What a fit on several spaces keeps of them.
FITTED = ("space_widths_", "space_names_", "space_means_", "space_scales_")


def are_several(X: Any) -> bool:
    """Whether X is a list or tuple of feature spaces, and not of rows."""
    given = X if isinstance(X, (list, tuple)) else ()
    return any(isinstance(each, Dataset) or getattr(each, "ndim", 0) == 2 for each in given)


def read_spaces(estimator: Any, X: Any, reset: bool = True, least: int = 1) -> list[Any]:
    """The features of each space, ``[n, f]`` as `read` gives them; there is one where X is no list of spaces.

    A fit on several keeps their widths and the names of their features, with which later ones are compared.
    """
    given = list(X) if are_several(X) else [X]
    if reset:
        for name in FITTED:
            vars(estimator).pop(name, None)
    elif len(given) != (expected := len(getattr(estimator, "space_widths_", [0]))):
        raise ValueError(f"X: got {check.counted(len(given), 'feature space')}, expected {expected} as in fit")
    if len(given) == 1:
        return [read(estimator, given[0], reset, least)]
    names = {} if reset else dict(estimator.space_names_)
    features = []
    for number, x in enumerate(given):
        name, space, own = f"X[{number}]", FeatureSpace(), names.get(str(number))
        if on_disk(x):
            raise TypeError(f"{name}: got a large array on disk, expected several spaces in memory (numpy.array)")
        if own is not None:
            space.feature_names_in_, space.n_features_in_ = np.array(own, dtype=object), len(own)
        try:
            features.append(read(space, x, own is None, least))
        except (ValueError, TypeError) as error:
            raise type(error)(str(error).replace("X:", f"{name}:", 1)) from None
        if hasattr(space, "feature_names_in_"):
            names[str(number)] = space.feature_names_in_.tolist()
    if len({*(rows := [x.shape[0] for x in features])}) > 1:
        raise ValueError(f"X: got spaces of {check.some(rows)} points, expected the same points in each")
    widths = np.array([x.shape[1] for x in features])
    if reset:
        estimator.space_widths_, estimator.n_features_in_ = widths, int(widths.sum())
        estimator.space_names_ = names
        vars(estimator).pop("feature_names_in_", None)
    elif not np.array_equal(widths, expected := estimator.space_widths_):
        raise ValueError(f"X: got spaces of {check.some(widths)} features, expected {check.some(expected)} as in fit")
    return features


class FeatureSpace(BaseEstimator):  # type: ignore[misc]
    """What scikit-learn knows of one of several spaces, by the name that its messages tell."""


def side_by_side(estimator: Any, spaces: Sequence[Any], reset: bool = False) -> Any:
    """What heads see, ``[n, f]``: one space as it is; several centred and each divided by one number, so that the rows
    of all are equally long on average, wide or narrow, and the features together have a root mean square of one.

    Those that are sparse in a fit are not centred, and the whole is sparse where one is. A fit finds the means and the
    numbers anew.
    """
    if len(spaces) == 1:
        return spaces[0]
    if reset:
        scalings = [_scales(x) for x in spaces]
        estimator.space_means_ = np.concatenate([mean for mean, _ in scalings])
        shares = np.sqrt(estimator.space_widths_ / estimator.space_widths_.mean())
        estimator.space_scales_ = np.array([scale for _, scale in scalings]) * shares
    means = np.split(estimator.space_means_, estimator.space_widths_.cumsum()[:-1])
    parts = [_seen(*each) for each in zip(spaces, means, estimator.space_scales_, strict=True)]
    return sp.csr_array(sp.hstack(parts)) if any(map(sp.issparse, parts)) else np.hstack(parts)


def _scales(x: Any) -> tuple[NDArray[np.float64], float]:
    """The mean of each feature and the root mean square of all about them; of sparse ones about zero."""
    if sp.issparse(x):
        return np.zeros(x.shape[1]), float(np.sqrt((x.data**2).sum() / np.prod(x.shape))) or 1.0
    scaler = Rescale(torch.from_numpy(_array(x)))
    return scaler.mean.numpy(), float(scaler.rms)


def _seen(x: Any, mean: NDArray[np.float64], scale: float) -> Any:
    if sp.issparse(x) and not mean.any():
        return x / scale
    return ((_array(x) - mean) / scale).astype(np.float32)


def _array(x: Any) -> NDArray[np.float64]:
    dense = x.toarray() if sp.issparse(x) else x.cpu() if isinstance(x, Tensor) else x
    return np.asarray(dense, dtype=np.float64)
