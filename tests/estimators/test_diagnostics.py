"""Diagnostics of a clustering against hand counts, and the suggested number of clusters on groups that are apart."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

import icon
from icon.estimators.diagnostics import (
    diagnose,
    expected_calibration_error,
    matched,
)

PHI = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.5, 0.5, 0.0]])


def test_without_labels() -> None:
    found = diagnose(PHI)
    by_hand = -sum(v * math.log(v) for v in PHI.ravel() if v > 0) / 4
    assert found.entropy == pytest.approx(by_hand)
    assert found.relative_entropy == pytest.approx(by_hand / math.log(3))
    assert found.sizes == (3, 1, 0)
    assert found.empty == (2,)
    mean = PHI.mean(axis=0)[:2]
    assert found.effective_clusters == pytest.approx(math.exp(-(mean * np.log(mean)).sum()))
    assert found.accuracy is None
    assert found.restart_agreement is None
    assert json.loads(json.dumps(found.as_dict()))["sizes"] == [3, 1, 0]


@pytest.mark.parametrize("clusters", [1, 2, 7])
def test_extremes(clusters: int) -> None:
    uniform = diagnose(np.full((5, clusters), 1 / clusters))
    assert uniform.effective_clusters == pytest.approx(clusters)
    assert uniform.entropy == pytest.approx(math.log(clusters))
    one = diagnose(np.eye(clusters)[np.zeros(5, dtype=int)])
    assert one.effective_clusters == pytest.approx(1)
    assert one.entropy == one.relative_entropy == 0
    assert len(one.empty) == clusters - 1


def test_is_read_in_words() -> None:
    found = str(diagnose(PHI, np.array([[0, 0, 1, 1], [0, 1, 0, 1]]), ["a", "a", "b", "a"])).splitlines()
    assert found[:2] == [
        "4 points are in 3 clusters of 0 to 3 points.",
        "Without a point: 1 of the clusters. There may be fewer.",
    ]
    assert found[2] == "Points are moderately sure of their cluster (entropy 50% of the most it can be)."
    assert found[3] == "The restarts hardly agree (adjusted Rand index -0.50)."
    assert found[4].startswith("Of 4 labelled points 100.0% are in the cluster of their class (NMI 1.00")
    uneven = str(diagnose(np.eye(5)[[0] * 95 + [1, 2, 3, 4, 1]]))
    assert "A few clusters have most points: they weigh as much as 1.3 equal ones." in uneven
    assert "Points are largely sure of their cluster" in uneven


def test_labels_and_restarts() -> None:
    phi = np.array([[0.95, 0.05], [0.85, 0.15], [0.25, 0.75], [0.35, 0.65], [0.15, 0.85]])
    labels = np.array([4, 4, 2, 4, -1])  # one of four known ones is wrong; classes need not be 0, 1, ...
    starts = np.array([[0, 0, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0]])
    found = diagnose(phi, starts, labels)
    assert found.n_labelled == 4
    assert found.accuracy == 0.75
    assert found.ari == pytest.approx(adjusted_rand_score([1, 1, 0, 1], [0, 0, 1, 1]))
    assert found.calibration_error == pytest.approx((0.05 + 0.15 + 0.25 + 0.65) / 4)
    pairs = [adjusted_rand_score(starts[a], starts[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert found.restart_agreement == pytest.approx(np.mean(pairs))
    assert diagnose(phi, starts[:1]).restart_agreement is None


def test_noise_of_a_restart_is_a_cluster() -> None:
    noisy, other = [0, 0, 1, 1, -1, -1], [0, 0, 1, 1, 0, 1]
    expected = adjusted_rand_score(noisy, other)
    for restarts in ([noisy, other], [other, noisy]):
        assert diagnose(np.eye(2)[other], restarts).restart_agreement == pytest.approx(expected)


def test_a_cluster_without_a_class_counts_as_wrong() -> None:
    phi = np.eye(3)
    found = diagnose(phi, labels=[0, 0, 1])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.calibration_error == pytest.approx(1 / 3)


def test_calibration_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=200_000)
    assert expected_calibration_error(confidence, rng.uniform(size=200_000) < confidence) < 0.01
    assert expected_calibration_error(np.full(10, 0.8), np.zeros(10, dtype=bool)) == pytest.approx(0.8)
    assert expected_calibration_error([1.0, 1.0], [True, False], bins=1) == 0.5
    # Two errors that cancel in one bin do not in two.
    assert expected_calibration_error([0.3, 0.7], [True, False], bins=1) == pytest.approx(0)
    assert expected_calibration_error([0.3, 0.7], [True, False], bins=2) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PHI * 2,), "probabilities: got rows 0, 1, 2, 3"),
        ((PHI - [0.5, -0.5, 0],), "probabilities: got rows 2"),
        ((PHI, np.zeros((2, 3), dtype=int)), r"restarts: got shape \(2, 3\), expected \(restarts, 4\)"),
        ((PHI, [[0, 1, 1, 0.5]] * 2), "restarts: got 0.5, expected whole"),
        ((PHI, [[0, 1, 1, None]] * 2), "restarts: got None or NaN, expected a cluster"),
        ((PHI, None, [0, 1]), "labels: got 2 entries, expected 4"),
        ((PHI, None, [-1, -1, -1, -1]), "labels: got no label that is known"),
    ],
)
def test_bad_input(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        diagnose(*arguments)
    with pytest.raises(ValueError, match=r"^labels: got 0\.5, expected whole"):
        diagnose(PHI, labels=[0.5, 1, 0, 0])
    with pytest.raises(ValueError, match=r"^correct: got shape"):
        expected_calibration_error([0.5, 0.5], [True])
    with pytest.raises(ValueError, match=r"^probabilities: got entries outside"):
        expected_calibration_error([1.5, 0.5], [True, True])
    for labels in ([2, 1], [np.nan, 1]):
        with pytest.raises(ValueError, match=r"^correct: got entries other than 0 and 1"):
            expected_calibration_error([0.5, 0.5], labels)


def test_calibration_error_by_hand() -> None:
    """Cluster 0 is class 1, cluster 1 is class 0; the third point is wrong."""
    phi = np.array([[0.95, 0.05], [0.92, 0.08], [0.93, 0.07], [0.35, 0.65]])
    right = matched(phi.argmax(axis=1), np.array([1, 1, 0, 0]))
    assert right.tolist() == [True, True, False, True]
    expected = 0.25 * 0.35 + 0.75 * ((0.95 + 0.92 + 0.93) / 3 - 2 / 3)
    assert expected_calibration_error(phi, right) == pytest.approx(expected)
    assert diagnose(phi, labels=[1, 1, 0, 0]).calibration_error == pytest.approx(expected)


def test_more_clusters_than_classes_are_wrong_where_no_class_is_left() -> None:
    assert matched(np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1])).sum() == 3


def test_the_former_name_of_restarts() -> None:
    restarts = np.zeros((2, len(PHI)), dtype=int)
    with pytest.warns(DeprecationWarning, match="starts is now restarts"):
        assert diagnose(PHI, starts=restarts) == diagnose(PHI, restarts)
    with (
        pytest.warns(DeprecationWarning, match="starts is now restarts"),
        pytest.raises(ValueError, match=r"^starts: got some with restarts as well, expected the latter alone"),
    ):
        diagnose(PHI, restarts, starts=restarts)


def test_of_a_fitted_clustering(tmp_path: Path) -> None:
    """What it knows is what its parts say, also when it was saved and loaded."""
    x, y = make_blobs(60, centers=3, random_state=0)
    fitted = icon.Clustering(3, max_iter=20, random_state=0).fit(x)
    expected = diagnose(fitted.predict_proba(x), fitted.restarts_, y)
    assert diagnose(fitted, labels=y) == expected
    fitted.save(tmp_path / "clusters")
    assert diagnose(icon.load(tmp_path / "clusters"), labels=y) == expected


def test_another_estimator_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^probabilities: got Embedding, expected a fitted Clustering or"):
        diagnose(icon.Embedding())
