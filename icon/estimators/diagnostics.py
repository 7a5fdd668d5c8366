"""Diagnostics of a clustering, without labels and with them."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import entropy
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from icon import _checks as check
from icon import metrics
from icon.estimators.clustering import Clustering
from icon.labels import classes_of
from icon.metrics.clustering import agreement, matched

BINS = 10
UNEVEN = 0.5  # the share of clusters that are effective, below which a few have most points


@dataclass(frozen=True)
class Diagnostics:
    """What the probabilities ``φ [n, C]`` of a clustering say, without labels and, where given, against them.

    Args:
        n_points: n.
        n_clusters: C.
        entropy: the mean entropy of a point's assignment, in nats.
        relative_entropy: the same as a share of ``log C``.
        sizes: points of each cluster by their most probable one.
        empty: the clusters without a point.
        effective_clusters: ``exp(H(mean φ))``: C where the clusters are equally heavy, 1 where one has all.
        restart_agreement: mean adjusted Rand index between pairs of restarts; None with fewer than two.
        n_labelled: how many labels were known; None where none were given, and then the scores are None, too.
        accuracy: of the best one-to-one matching of clusters and classes, see `icon.metrics`.
        nmi: normalised mutual information, see `icon.metrics`.
        ari: adjusted Rand index, see `icon.metrics`.
        calibration_error: of the probabilities after clusters and classes were matched, see
            `expected_calibration_error`; a point of a cluster without a class counts as wrong.
    """

    n_points: int
    n_clusters: int
    entropy: float
    relative_entropy: float
    sizes: tuple[int, ...]
    empty: tuple[int, ...]
    effective_clusters: float
    restart_agreement: float | None = None
    n_labelled: int | None = None
    accuracy: float | None = None
    nmi: float | None = None
    ari: float | None = None
    calibration_error: float | None = None

    def __str__(self) -> str:
        """A reading in words, a sentence a line."""
        sizes = f"{min(self.sizes)} to {max(self.sizes)} points"
        lines = [f"{self.n_points} points are in {check.counted(self.n_clusters, 'cluster')} of {sizes}."]
        if self.empty:
            lines.append(f"Without a point: {len(self.empty)} of the clusters. There may be fewer.")
        if self.effective_clusters < UNEVEN * self.n_clusters:
            lines.append(
                f"A few clusters have most points: they weigh as much as {self.effective_clusters:.1f} equal ones."
            )
        sure = _word(1 - self.relative_entropy, ("hardly", "moderately", "largely"), (0.5, 0.9))
        lines.append(
            f"Points are {sure} sure of their cluster (entropy {self.relative_entropy:.0%} of the most it can be)."
        )
        if self.restart_agreement is not None:
            agree = _word(self.restart_agreement, ("hardly agree", "agree in part", "agree"), (0.25, 0.75))
            lines.append(f"The restarts {agree} (adjusted Rand index {self.restart_agreement:.2f}).")
        if self.accuracy is not None:
            lines.append(
                f"Of {self.n_labelled} labelled points {self.accuracy:.1%} are in the cluster of their class "
                f"(NMI {self.nmi:.2f}, adjusted Rand index {self.ari:.2f})."
            )
            lines.append(f"Probabilities are off by {self.calibration_error:.2f} on average (calibration error).")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}


def diagnose(
    probabilities: Clustering | ArrayLike,
    restarts: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    starts: ArrayLike | None = None,
) -> Diagnostics:
    """Diagnose a clustering.

    >>> icon.diagnose(icon.Clustering(3).fit(x), labels=labels)

    Args:
        probabilities: a fitted `Clustering`, of whose points it speaks, or ``[n, C]``, rows that sum to one
            (``Clustering.predict_proba``).
        restarts: ``[s, n]`` clusters found by each restart; those of a fitted `Clustering` are known.
        labels: ``[n]`` names of any kind; None, NaN and -1 are unknown and left out of the scores.
        starts: the former name of ``restarts``.

    Raises:
        NotFittedError: the clustering is not fitted.
        TypeError: neither a clustering nor numbers.
        ValueError: rows that do not sum to one, lengths that differ, no label that is known, ``starts`` with
            ``restarts``.
    """
    if starts is not None:
        check.warn("starts is now restarts", DeprecationWarning)
        if restarts is not None:
            raise ValueError("starts: got some with restarts as well, expected the latter alone")
        restarts = starts
    if isinstance(probabilities, Clustering):
        check_is_fitted(probabilities, "probabilities_")
        restarts = probabilities.restarts_ if restarts is None else restarts
        probabilities = probabilities.probabilities_
    if isinstance(probabilities, BaseEstimator):
        kind = type(probabilities).__name__
        raise TypeError(f"probabilities: got {kind}, expected a fitted Clustering or probabilities [n, C]")
    phi = check.matrix(probabilities, "probabilities").double().detach().cpu().numpy()
    wrong = np.flatnonzero((phi < 0).any(axis=1) | (np.abs(phi.sum(axis=1) - 1) > 1e-3))
    if len(wrong):
        raise ValueError(f"probabilities: got rows {check.some(wrong.tolist())}, expected rows that sum to one")
    n, clusters = phi.shape
    assigned = phi.argmax(axis=1)
    together = None if restarts is None else np.asarray(restarts)
    if together is not None and (together.ndim != 2 or together.shape[1] != n):
        raise ValueError(f"restarts: got shape {together.shape}, expected (restarts, {n})")
    sizes = np.bincount(assigned, minlength=clusters)
    uncertainty = float(entropy(phi, axis=1).mean())
    scores: dict[str, Any] = {}
    if labels is not None:
        given = classes_of(labels, n=n)
        y, found = given.codes[given.known], assigned[given.known]
        scores = {
            "n_labelled": len(y),
            "accuracy": metrics.clustering_accuracy(y, found),
            "nmi": metrics.nmi(y, found),
            "ari": metrics.ari(y, found),
            "calibration_error": expected_calibration_error(np.minimum(phi[given.known], 1), matched(y, found)),
        }
    return Diagnostics(
        n, clusters, uncertainty, uncertainty / math.log(clusters) if clusters > 1 else 0.0,
        tuple(sizes.tolist()), tuple(np.flatnonzero(sizes == 0).tolist()),
        math.exp(float(entropy(phi.mean(axis=0)))),
        None if together is None else agreement(together), **scores,
    )  # fmt: skip


def expected_calibration_error(probabilities: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """``sum_b n_b / n |accuracy_b - confidence_b|`` over bins of equal width, in [0, 1].

    Probabilities are confidences ``[n]``, or ``[n, C]``, whose largest is the confidence; ``correct [n]`` tells whether
    the most probable one was right, see `matched`.

    Raises:
        ValueError: no probabilities, another number of entries of ``correct``, or others than 0 and 1.

    Source: Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017 (arXiv 1706.04599).
    """
    confidence = check.as_tensor(probabilities, "probabilities").double().detach().cpu().numpy()
    if confidence.ndim == 2 and confidence.shape[1] > 0:
        confidence = confidence.max(axis=1)
    right = check.as_tensor(correct, "correct").double().cpu().numpy()
    if confidence.ndim != 1 or right.shape != confidence.shape or not len(right):
        raise ValueError(f"correct: got shape {right.shape}, expected one entry per row of the probabilities")
    if not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise ValueError("probabilities: got entries outside [0, 1], expected probabilities")
    if not np.isin(right, (0, 1)).all():
        raise ValueError("correct: got entries other than 0 and 1, expected whether the most probable class was right")
    where = np.minimum((confidence * check.count(bins, "bins")).astype(np.int64), bins - 1)
    return float(np.abs(np.bincount(where, weights=right - confidence)).sum() / len(right))


def _word(value: float, words: tuple[str, str, str], bounds: tuple[float, float]) -> str:
    """The word for a value below the first bound, below the second, or above."""
    return words[sum(value >= bound for bound in bounds)]
