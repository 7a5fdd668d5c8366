"""Results by seed and over data sets: mean and spread, whether a difference is clear, ranks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pandas import DataFrame, Series
from scipy.stats import friedmanchisquare, studentized_range, ttest_rel


def mean_std(values: ArrayLike, digits: int = 3) -> str:
    """``mean ± standard deviation`` (of the sample); of a single value, the value."""
    v = np.asarray(values, dtype=np.float64)
    return f"{v.mean():.{digits}f}" + (f" ± {v.std(ddof=1):.{digits}f}" if len(v) > 1 else "")


def percent(values: ArrayLike) -> str:
    """The same of shares, in percent."""
    return mean_std(100 * np.asarray(values, dtype=np.float64), 1)


def in_percent(values: Series) -> Series:
    """Shares as text, in percent; what is missing stays so."""
    return (100 * values).map("{:.1f}".format, na_action="ignore")


def long(frame: DataFrame, measures: dict[str, str], name: str) -> DataFrame:
    """A row per run and measure that it has: the measure's title under ``name``, its number under ``value``."""
    others = [column for column in frame.columns if column not in measures]
    return frame.rename(columns=measures).melt(others, list(measures.values()), name).dropna(subset="value")


def ordered(frame: DataFrame, **orders: Sequence[Any]) -> DataFrame:
    """With columns that sort as their entries are given here; runs with other entries are left out."""
    for column, order in orders.items():
        frame = frame[frame[column].isin(order)]
        frame = frame.assign(**{column: frame[column].astype("category").cat.set_categories(order, ordered=True)})
    return frame


def paired_difference(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """The mean of ``first - second``, and Student's 95 % interval of it: NaN where there is one pair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one pair, or no spread at all
        low, high = ttest_rel(first, second).confidence_interval()
    return float(np.mean(np.subtract(first, second))), float(low), float(high)


def clearly(first: ArrayLike, second: ArrayLike) -> int:
    """1 where the first is higher, paired by seed, -1 where it is lower, 0 where the 95 % interval holds zero."""
    _, low, high = paired_difference(first, second)
    return int(low > 0) - int(high < 0)


def difference(first: ArrayLike, second: ArrayLike, digits: int = 1) -> str:
    """``mean [low, high]`` of `paired_difference`, with signs; of one pair the difference alone."""
    mean, low, high = (f"{number:+.{digits}f}" for number in paired_difference(first, second))
    return mean if low == "+nan" else f"{mean} [{low}, {high}]"


def friedman(scores: DataFrame) -> float:
    """The probability of mean ranks of methods (rows) over data sets that differ so much where all methods are alike;
    NaN below three methods."""
    return float(friedmanchisquare(*scores.to_numpy()).pvalue) if len(scores) > 2 else math.nan


def critical_difference(methods: int, datasets: int) -> float:
    """How far apart two mean ranks are at least for the methods to differ, at 5 % for all pairs together (Nemenyi).

    Source: Demšar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7.
    """
    quantile = float(studentized_range.ppf(0.95, methods, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * datasets))
