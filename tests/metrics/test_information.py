"""The InfoNCE bound and the Gaussian measures: against loops and scipy, and against known values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import multivariate_normal, ortho_group

from icon import metrics

RNG = np.random.default_rng(1)
Z = RNG.normal(size=(40, 3)) @ RNG.normal(size=(3, 3)) + 5
ROTATION = ortho_group.rvs(3, random_state=0)
IDS = np.repeat(np.arange(5), 8)


def whitened(n: int, d: int, variance: float) -> NDArray[np.float64]:
    """Points with mean zero and covariance ``variance · I``, exactly."""
    z = RNG.normal(size=(n, d))
    u, _, _ = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    return math.sqrt(n * variance) * u


def correlated(n: int, d: int, rho: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, noise = np.random.default_rng(0).normal(size=(2, n, d))
    return a, rho * a + math.sqrt(1 - rho**2) * noise


# -- the InfoNCE bound ------------------------------------------------------------------------------------------------


def test_infonce_bound_is_log_m_less_the_cross_entropy() -> None:
    a, b = correlated(50, 4, 0.7)
    cosines = np.array([[x @ y / np.linalg.norm(x) / np.linalg.norm(y) for y in b] for x in a])
    expected = math.log(50) + np.mean(np.diag(log_softmax(cosines / 0.3, axis=1)))
    assert metrics.infonce_bound(a, b, temperature=0.3) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("d", "rho", "temperature"), [(4, 0.9, 0.1), (4, 0.5, 0.5), (8, 0.3, 0.3), (16, 0.9, 0.05)])
def test_infonce_bound_is_below_the_information_of_gaussians(d: int, rho: float, temperature: float) -> None:
    a, b = correlated(3000, d, rho)
    truth = -d / 2 * math.log(1 - rho**2)  # at least four standard errors above the bound of such a sample
    assert 0 < metrics.infonce_bound(a, b, temperature) < min(truth, math.log(3000))


def test_infonce_bound_ends_at_log_m() -> None:
    eye = np.eye(6)
    assert metrics.infonce_bound(eye, eye, temperature=1e-3) == math.log(6)
    assert metrics.infonce_bound(eye, np.ones((6, 6))) == pytest.approx(0, abs=1e-12)
    assert metrics.infonce_bound(eye, np.roll(eye, 1, axis=0), temperature=0.1) == pytest.approx(math.log(6) - 10, 1e-3)


def test_infonce_bound_does_not_see_rotation_or_length() -> None:
    a, b = correlated(50, 3, 0.7)
    expected = metrics.infonce_bound(a, b)
    assert metrics.infonce_bound(3 * a @ ROTATION, b @ ROTATION) == pytest.approx(expected, abs=1e-10)


# -- entropy ----------------------------------------------------------------------------------------------------------


def test_entropy_is_that_of_scipy() -> None:
    expected = multivariate_normal(Z.mean(axis=0), np.cov(Z.T, bias=True)).entropy()
    assert metrics.gaussian_entropy(Z) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("variance", [1e-6, 0.25, 1.0, 9.0])
def test_entropy_of_an_isotropic_gaussian(variance: float) -> None:
    d, n = 5, 100_000
    expected = d / 2 * math.log(2 * math.pi * math.e * variance)
    assert metrics.gaussian_entropy(whitened(60, d, variance)) == pytest.approx(expected, abs=1e-12)
    sample = math.sqrt(variance) * RNG.normal(size=(n, d))
    # The standard error is sqrt(d / 2n) = 0.005, the bias -d(d + 3)/4n = -0.0001: five standard errors.
    assert metrics.gaussian_entropy(sample) == pytest.approx(expected, abs=0.025)


def test_entropy_under_linear_maps() -> None:
    h, matrix = metrics.gaussian_entropy(Z), RNG.normal(size=(3, 3))
    assert metrics.gaussian_entropy(Z @ ROTATION + 100) == pytest.approx(h, abs=1e-10)
    assert metrics.gaussian_entropy(Z @ matrix) == pytest.approx(h + np.linalg.slogdet(matrix)[1], abs=1e-10)


def test_entropy_with_columns_of_any_scale() -> None:
    scale = np.array([1e-100, 1.0, 1e100])
    expected = metrics.gaussian_entropy(Z) + np.log(scale).sum()
    assert metrics.gaussian_entropy(Z * scale) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_a_dependent_column_is_found_in_every_precision(dtype: torch.dtype, offset: float) -> None:
    z = torch.randn(500, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + offset
    assert math.isfinite(metrics.gaussian_entropy(z.to(dtype)))
    z[:, 3] = z[:, 0] - 0.3 * z[:, 1]
    with pytest.raises(ValueError, match="z: got a covariance of rank 3 of 4"):
        metrics.gaussian_entropy(z.to(dtype))


def test_tensors_with_gradients_and_integers() -> None:
    z = torch.from_numpy(Z).requires_grad_()
    assert metrics.gaussian_entropy(z) == metrics.gaussian_entropy(Z)
    whole = RNG.integers(0, 9, size=(30, 2))
    assert metrics.gaussian_entropy(whole) == metrics.gaussian_entropy(whole.astype(float))


# -- the information bottleneck ---------------------------------------------------------------------------------------


def log_det(z: NDArray[np.float64]) -> float:
    return float(np.linalg.slogdet(np.cov(z.T, bias=True))[1])


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_bottleneck_by_a_loop_over_instances(beta: float) -> None:
    shuffled = RNG.permutation(40)
    z, ids = Z[shuffled], (10 * IDS)[shuffled]
    each = [log_det(z[ids == i]) for i in np.unique(ids)]
    expected = np.mean(each) + (1 - beta) / beta * log_det(z)
    assert metrics.gaussian_information_bottleneck(z, ids, beta) == pytest.approx(expected, abs=1e-11)


def test_bottleneck_with_a_shared_covariance() -> None:
    ids = np.repeat(np.arange(20), 2)  # too few views for a covariance of each
    pooled = np.zeros((3, 3))
    for i in range(20):
        views = Z[ids == i]
        for view in views:
            pooled += np.outer(view - views.mean(axis=0), view - views.mean(axis=0)) / 40
    expected = np.linalg.slogdet(pooled)[1] - 0.5 * log_det(Z)
    assert metrics.gaussian_information_bottleneck(Z, ids, 2, shared=True) == pytest.approx(expected, abs=1e-11)


def test_bottleneck_with_known_covariances() -> None:
    """Instances with covariance s² I around centres with covariance c² I: the parts are known to the last digit."""
    d, inner, outer, beta = 3, 0.04, 2.0, 2.5
    centres = whitened(10, d, outer)
    z = np.concatenate([whitened(12, d, inner) + centre for centre in centres])
    ids = np.repeat(np.arange(10), 12)
    expected = d * math.log(inner) + (1 - beta) / beta * d * math.log(inner + outer)
    for shared in (False, True):
        value = metrics.gaussian_information_bottleneck(z, ids, beta, shared=shared)
        assert value == pytest.approx(expected, abs=1e-11)


def test_bottleneck_under_rotation_and_scale() -> None:
    value = metrics.gaussian_information_bottleneck(Z, IDS, 2.0)
    assert metrics.gaussian_information_bottleneck(Z @ ROTATION - 7, IDS, 2.0) == pytest.approx(value, abs=1e-10)
    scaled = metrics.gaussian_information_bottleneck(10 * Z, IDS, 2.0)  # 2 d log 10 · (1 + (1-β)/β)
    assert scaled == pytest.approx(value + 2 * 3 * math.log(10) / 2, abs=1e-10)


# -- bad input --------------------------------------------------------------------------------------------------------

NAN = np.where(np.arange(40)[:, None] == 7, np.nan, Z)
FLAT = np.concatenate([Z, Z[:, :1] + Z[:, 1:2]], axis=1)
STUCK = np.concatenate([Z, np.full((40, 1), 0.1)], axis=1)
ONE_FLAT = np.where((IDS == 2)[:, None], Z * [1, 1, 0], Z)
bottleneck = metrics.gaussian_information_bottleneck


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: metrics.infonce_bound(NAN, Z), ValueError, "^za: got NaN or infinity in rows 7"),
        (lambda: metrics.infonce_bound(Z, NAN), ValueError, "^zb: got NaN or infinity in rows 7"),
        (lambda: metrics.infonce_bound(Z, Z[:5]), ValueError, r"^zb: got shape \(5, 3\), expected \(40, 3\)"),
        (lambda: metrics.infonce_bound(Z, Z[:, :2]), ValueError, r"^zb: got shape \(40, 2\), expected \(40, 3\)"),
        (lambda: metrics.infonce_bound(Z[0], Z), ValueError, r"^za: got shape \(3,\), expected two dimensions"),
        (lambda: metrics.infonce_bound(Z[:1], Z[:1]), ValueError, "^za: got 1 row, expected at least two"),
        (lambda: metrics.infonce_bound(Z, Z, 0), ValueError, "^temperature: got 0, expected a finite number > 0"),
        (lambda: metrics.infonce_bound(Z, Z, -0.1), ValueError, "^temperature: got -0.1"),
        (lambda: metrics.infonce_bound(Z, Z, "cold"), TypeError, "^temperature: got 'cold'"),
        (lambda: metrics.gaussian_entropy(NAN), ValueError, "^z: got NaN or infinity in rows 7"),
        (lambda: metrics.gaussian_entropy(Z[0]), ValueError, r"^z: got shape \(3,\)"),
        (lambda: metrics.gaussian_entropy("abc"), TypeError, "^z: got str"),
        (lambda: metrics.gaussian_entropy(Z[:1]), ValueError, "^z: got a covariance of rank 0 of 3"),
        (lambda: metrics.gaussian_entropy(Z[:3]), ValueError, "^z: got a covariance of rank 2 of 3"),
        (lambda: metrics.gaussian_entropy(FLAT), ValueError, "^z: got a covariance of rank 3 of 4"),
        (lambda: metrics.gaussian_entropy(STUCK), ValueError, "^z: got a covariance of rank 3 of 4"),
        (lambda: metrics.gaussian_entropy(Z * 0 + 0.1), ValueError, "^z: got a covariance of rank 0 of 3"),
        (lambda: bottleneck(NAN, IDS, 1.0), ValueError, "^z: got NaN or infinity in rows 7"),
        (lambda: bottleneck(Z, IDS[:9], 1.0), ValueError, "^ids: got 9 entries, expected 40"),
        (lambda: bottleneck(Z, IDS - 1, 1.0), ValueError, "^ids: got negative entries in rows 0"),
        (lambda: bottleneck(Z, IDS / 2, 1.0), TypeError, "^ids: got dtype torch.float64, expected integers"),
        (lambda: bottleneck(Z, IDS, 0.0), ValueError, "^beta: got 0.0, expected a finite number > 0"),
        (lambda: bottleneck(Z, IDS, -1), ValueError, "^beta: got -1"),
        (lambda: bottleneck(Z, IDS, None), TypeError, "^beta: got None"),  # type: ignore[arg-type]
        (
            lambda: bottleneck(Z, np.arange(40) // 2, 1.0),
            ValueError,
            r"^ids: got fewer than d \+ 1 = 4 views of instances 0, 1, 2, 3, 4, ... \(20 in all\)",
        ),
        (lambda: bottleneck(Z[:39], np.arange(39) // 3, 1.0), ValueError, "^ids: got fewer than d"),
        (lambda: bottleneck(ONE_FLAT, IDS, 1.0), ValueError, "^z: got a covariance of instance 2 of rank 2 of 3"),
        (
            lambda: bottleneck(Z, np.arange(40), 1.0, shared=True),
            ValueError,
            "^z: got a covariance within instances of rank 0 of 3",
        ),
        (lambda: bottleneck(FLAT, IDS, 1.0, shared=True), ValueError, "within instances of rank 3 of 4"),
    ],
)
def test_bad_input(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
