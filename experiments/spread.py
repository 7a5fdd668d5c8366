"""Means with their spread, and what may be said of a difference over seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student_t


def mean_std(values: ArrayLike, digits: int = 3) -> str:
    """``mean ± standard deviation`` (of the sample); of a single value, the value."""
    v = np.asarray(values, dtype=np.float64)
    return f"{v.mean():.{digits}f}" + (f" ± {v.std(ddof=1):.{digits}f}" if len(v) > 1 else "")


class Difference(NamedTuple):
    """A difference paired by seed: its mean, standard deviation, and half the width of its 95 % interval (Student)."""

    mean: float
    std: float
    half_width: float

    @property
    def verdict(self) -> str:
        """``"higher"``, ``"lower"``, or ``"not clearly different"`` where the interval holds zero."""
        if not abs(self.mean) > self.half_width:
            return "not clearly different"
        return "higher" if self.mean > 0 else "lower"

    def __str__(self) -> str:
        spread = "" if np.isnan(self.std) else f" ± {self.std:.3f}"
        return f"{self.mean:+.3f}{spread}"


def difference(first: ArrayLike, second: ArrayLike) -> Difference:
    """``first - second``, aligned by seed. Of a single seed nothing is clear."""
    d = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if len(d) < 2:
        return Difference(float(d.mean()), float("nan"), float("inf"))
    std = float(d.std(ddof=1))
    return Difference(float(d.mean()), std, float(student_t.ppf(0.975, len(d) - 1)) * std / len(d) ** 0.5)
