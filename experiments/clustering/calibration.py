"""Whether a cluster's probability is the probability of being right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from experiments.datasets import Array

BINS = 10


class Reliability(NamedTuple):
    """Per bin of confidence: the share of the points, their mean confidence and their accuracy (0 of an empty bin)."""

    share: Array
    confidence: Array
    accuracy: Array

    @property
    def error(self) -> float:
        """The expected calibration error, ``sum_b share_b |accuracy_b - confidence_b|`` (Guo et al. 2017)."""
        return float(self.share @ np.abs(self.accuracy - self.confidence))


def reliability(phi: Array, y: Array, bins: int = BINS) -> Reliability:
    """Confidence is the largest probability ``phi [n, C]``; right is a cluster matched with the class (Hungarian)."""
    clusters, confidence = phi.argmax(axis=1), phi.max(axis=1)
    counts = np.zeros((phi.shape[1], int(y.max()) + 1), dtype=np.int64)
    np.add.at(counts, (clusters, y), 1)
    matched = np.full(len(counts), -1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    matched[rows] = columns
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)  # (0, 0.1], (0.1, 0.2], ...
    number = np.bincount(place, minlength=bins)
    filled = np.maximum(number, 1)
    return Reliability(
        number / len(y),
        np.bincount(place, confidence, bins) / filled,
        np.bincount(place, matched[clusters] == y, bins) / filled,
    )
