"""Results by seed: their mean and spread, and whether a difference is clear."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pandas import DataFrame
from scipy.stats import ttest_rel


def mean_std(values: ArrayLike, digits: int = 3) -> str:
    """``mean ± standard deviation`` (of the sample); of a single value, the value."""
    v = np.asarray(values, dtype=np.float64)
    return f"{v.mean():.{digits}f}" + (f" ± {v.std(ddof=1):.{digits}f}" if len(v) > 1 else "")


def percent(values: ArrayLike) -> str:
    """The same of shares, in percent."""
    return mean_std(100 * np.asarray(values, dtype=np.float64), 1)


def long(frame: DataFrame, measures: dict[str, str], name: str) -> DataFrame:
    """A row per run and measure that it has: the measure's title under ``name``, its number under ``value``."""
    others = [column for column in frame.columns if column not in measures]
    found = frame.rename(columns=measures).melt(others, list(measures.values()), name)
    return found.dropna(subset="value")


def ordered(frame: DataFrame, **orders: Sequence[Any]) -> DataFrame:
    """With columns that sort as their entries are given here; runs with other entries are left out."""
    for column, order in orders.items():
        frame = frame[frame[column].isin(order)]
        frame = frame.assign(**{column: frame[column].astype("category").cat.set_categories(order, ordered=True)})
    return frame


def clearly(first: ArrayLike, second: ArrayLike) -> int:
    """1 where the first is higher, paired by seed, -1 where it is lower, 0 where the 95 % interval holds zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one seed, or no spread at all
        low, high = ttest_rel(first, second).confidence_interval()
    return int(low > 0) - int(high < 0)
