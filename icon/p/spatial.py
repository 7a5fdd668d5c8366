"""What the distributions that are made from features share: one set of them, or two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from icon import _checks as check
from icon import distances
from icon._scales import precise
from icon.neighbors import METRICS
from icon.p.base import Distribution, Sets


@dataclass(frozen=True, repr=False, kw_only=True)
class Spatial(Distribution):
    """Shared by the distributions that are made from features ``x [n, d]``, or ``(xa, xb)`` for two sets."""

    @property
    def _metric(self) -> distances.Metric:
        """The metric by the one name that it has here."""
        return distances.metric_of(self.metric)  # type: ignore[attr-defined] # a field of each subclass, in its place

    def features(self, target: Any, sets: Sets) -> tuple[Any, Any]:
        """Both sets as tensors in double precision, or as `icon.distances` takes them."""
        two = are_two(target)
        if two and sets.n is not None and not sets.paired:
            raise ValueError("features: got a pair for one set of points, expected one matrix [n, d]")
        pair = target if two else (target, target)
        if pair[0] is None:
            raise TypeError(f"target: got None, expected features [n, d] for icon.p.{type(self).__name__}")
        elsewhere = any(distances.needed(x, self._metric) for x in pair)
        read = partial(distances.prepared, metric=self._metric) if elsewhere else in_precision
        if self._stays_on_disk(target):
            xa = xb = target
        elif pair[0] is pair[1]:
            xa = xb = read(pair[0], "features")
        else:
            xa, xb = read(pair[0], "features[0]"), read(pair[1], "features[1]")
        for x, expected in ((xa, sets.n), (xb, sets.m)):
            if expected is not None:
                check.as_many(x.shape[0], expected, "features", "row")
        if xa.shape[1] != xb.shape[1]:
            raise ValueError(f"features: got {xa.shape[1]} and {xb.shape[1]} columns, expected the same number")
        return xa, xb

    def _stays_on_disk(self, target: Any) -> bool:
        """Whether features are read in blocks: one set of them, of whose pairs few are kept."""
        return isinstance(target, np.memmap) and self._metric in METRICS and target.ndim == 2


def in_precision(value: Any, name: str) -> Tensor:
    """p is a constant of the optimisation and worth full precision (where the device has it); it is cast when used."""
    x = check.with_numbers(check.matrix(value, name), name)
    return x.to(precise(x))


def are_two(target: Any) -> bool:
    return isinstance(target, tuple) and len(target) == 2
