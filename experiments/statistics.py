"""Results by seed: their mean and spread, and whether a difference is clear."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pandas import DataFrame, Series
from scipy.stats import ttest_rel


def by_seed(frame: DataFrame, measure: str, **where: Any) -> Series:
    """The values of a measure by seed, of the runs with these entries."""
    for column, entry in where.items():
        frame = frame[frame[column] == entry]
    return frame.set_index("seed")[measure].dropna().sort_index()


def mean_std(values: ArrayLike, digits: int = 3) -> str:
    """``mean ± standard deviation`` (of the sample); of a single value, the value."""
    v = np.asarray(values, dtype=np.float64)
    return f"{v.mean():.{digits}f}" + (f" ± {v.std(ddof=1):.{digits}f}" if len(v) > 1 else "")


def clearly(first: ArrayLike, second: ArrayLike) -> int:
    """1 where the first is higher, paired by seed, -1 where it is lower, 0 where the 95 % interval holds zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one seed, or no spread at all
        low, high = ttest_rel(first, second).confidence_interval()
    return int(low > 0) - int(high < 0)
