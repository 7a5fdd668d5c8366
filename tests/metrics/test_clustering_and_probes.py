"""Scores against cases with a known answer, and against scikit-learn."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from icon import metrics

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], 20)
POINTS = RNG.normal(size=(60, 4)) + 5 * np.eye(3, 4)[LABELS]


def test_accuracy_does_not_mind_names() -> None:
    assert metrics.clustering_accuracy(LABELS, (LABELS + 1) % 3) == 1.0
    assert metrics.clustering_accuracy(LABELS, np.zeros(60, dtype=int)) == pytest.approx(1 / 3)
    assert metrics.clustering_accuracy([0, 0, 1, 1], [5, 5, 5, 1]) == 0.75


def test_accuracy_with_more_clusters_than_classes() -> None:
    assert metrics.clustering_accuracy([0, 0, 0, 0], [0, 1, 2, 3]) == 0.25


def test_nmi_and_ari() -> None:
    assert metrics.nmi(LABELS, (LABELS + 1) % 3) == pytest.approx(1)
    assert metrics.ari(LABELS, (LABELS + 1) % 3) == pytest.approx(1)
    assert abs(metrics.ari(LABELS, RNG.integers(0, 3, 60))) < 0.2


def test_probes_say_how_they_scored() -> None:
    for probe, word in (
        (metrics.knn_probe(POINTS, LABELS, k=3), "3-NN"),
        (metrics.linear_probe(POINTS, LABELS), "logistic"),
    ):
        assert float(probe) > 0.9
        assert word in probe.protocol
        assert "5-fold" in probe.protocol


def test_trustworthiness_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As scikit-learn has it, without a matrix of all pairs."""
    x, z, n = RNG.normal(size=(1500, 4)), RNG.normal(size=(1500, 2)), 1500
    monkeypatch.setattr("icon.metrics.probes.TILE_ENTRIES", 2**16)
    tracemalloc.start()
    found = metrics.trustworthiness(x, z, k=7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx(trustworthiness(x, z, n_neighbors=7), abs=1e-12)
    assert peak < n * n * 8 / 2
    with pytest.raises(ValueError, match=r"^z: got 1499 rows, expected 1500"):
        metrics.trustworthiness(x, z[1:])


@pytest.mark.parametrize("measure", [metrics.trustworthiness, metrics.neighborhood_preservation])
def test_a_number_of_few_bits_does_not_overflow(measure: Callable[..., float]) -> None:
    x, z = RNG.normal(size=(300, 3)), RNG.normal(size=(300, 2))
    assert measure(x, z, np.uint8(90)) == measure(x, z, 90)


def test_neighbourhoods() -> None:
    assert metrics.trustworthiness(POINTS, POINTS) == pytest.approx(1)
    assert [metrics.neighborhood_preservation(POINTS, 2 * POINTS + 1, k) for k in range(1, 60)] == [1.0] * 59
    other = RNG.normal(size=(60, 2))
    first, second = (NearestNeighbors(n_neighbors=5).fit(a).kneighbors(return_distance=False) for a in (POINTS, other))
    expected = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(first, second, strict=True)])
    assert metrics.neighborhood_preservation(POINTS, other, k=5) == pytest.approx(expected)


def test_any_of_equal_points_is_a_neighbour() -> None:
    """Which of them is the nearest in a map is chance: ten of the 29 others were expected."""
    x = np.repeat(POINTS[:8], 30, axis=0)
    assert metrics.neighborhood_preservation(x, x + 1e-6 * RNG.normal(size=x.shape)) == 1
    assert metrics.neighborhood_preservation(x[::30] * 1e-200, -x[::30] * 1e200, k=2) == 1
    few, other = POINTS[:8], RNG.normal(size=(8, 2))
    kept = metrics.neighborhood_preservation(few, other, k=2)
    assert metrics.neighborhood_preservation(few * 1e-200, other, k=2) == kept < 1
    grid = np.arange(9.0)[:, None] / 10  # in which 0.3 - 0.2 is less than 0.1
    assert metrics.neighborhood_preservation(grid, grid + 1e-6 * RNG.normal(size=grid.shape), k=1) == 1


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: metrics.clustering_accuracy([0, 1], [0, 1, 2]), ValueError, "clusters: got 3 entries, expected 2"),
        (lambda: metrics.nmi([0.5, 1.5], [0, 1]), ValueError, "labels: got 0.5, expected whole numbers"),
        (lambda: metrics.ari([-1, -1], [0, 1]), ValueError, "labels: got no label that is known"),
        (lambda: metrics.knn_probe(POINTS, LABELS[:5]), ValueError, "labels: got 5 entries, expected 60"),
        (lambda: metrics.knn_probe(POINTS, LABELS, seed=-1), ValueError, "^seed: got -1, expected None or an integer"),
        (lambda: metrics.linear_probe(POINTS, LABELS, seed=1.5), ValueError, "^seed: got 1.5, expected None or"),
    ],
)
def test_bad_input(call: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        (lambda: metrics.knn_probe(np.eye(10), [0, 1] * 5), "k: got 10, expected at most 8, the known points"),
        (lambda: metrics.knn_probe(np.eye(8), ["a", "b"] * 4, k=1), "folds: got 5, expected at most 4, the known"),
        (lambda: metrics.linear_probe(np.eye(10), ["a"] * 10), "labels: got one class, expected at least two"),
        (lambda: metrics.trustworthiness(np.eye(10), np.eye(10)), "k: got 10, expected less than half of the 10"),
        (lambda: metrics.neighborhood_preservation(np.eye(9), np.eye(8), k=2), "z: got 8 rows, expected 9"),
        (
            lambda: metrics.neighborhood_preservation(np.eye(9), np.eye(9), k=9),
            "k: got 9, expected less than the number",
        ),
    ],
)
def test_few_points_are_told(measure: Callable[[], object], told: str) -> None:
    """And never give NaN, as scikit-learn's cross-validation does."""
    with pytest.raises(ValueError, match=f"^{told}"):
        measure()


@pytest.mark.parametrize(
    "moved", [lambda z: z * 1e-200, lambda z: z * 1e200, lambda z: z * 1e-3 + 2.46e6], ids=[0, 1, 2]
)
def test_units_and_offsets_do_not_matter(moved: Callable[[np.ndarray], np.ndarray]) -> None:
    other = RNG.normal(size=(60, 2))
    for measure in (metrics.knn_probe, metrics.linear_probe):
        assert float(measure(moved(POINTS), LABELS)) == pytest.approx(float(measure(POINTS, LABELS)))
    assert metrics.trustworthiness(moved(POINTS), other) == pytest.approx(metrics.trustworthiness(POINTS, other))
