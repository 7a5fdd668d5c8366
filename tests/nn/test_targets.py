"""Balanced codes, a teacher's centred codes, and concentrations of prototypes."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

import icon


def cosines(n: int, m: int, seed: int = 0, d: int = 6) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    a, b = (normalize(torch.tensor(rng.normal(size=(k, d))), dim=1) for k in (n, m))
    return a @ b.T


class TestSinkhorn:
    @pytest.mark.parametrize("epsilon", [1.0, 0.05, 0.01])
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    def test_rows_and_columns_are_balanced(self, epsilon: float, dtype: torch.dtype) -> None:
        codes = icon.sinkhorn(cosines(60, 7).to(dtype), epsilon)
        assert codes.dtype == dtype
        assert (codes.double().sum(dim=1) - 1).abs().max() < 1e-6
        assert (codes.double().sum(dim=0) / (60 / 7) - 1).abs().max() < 1e-6 + 10 * torch.finfo(dtype).eps

    @settings(max_examples=25, deadline=None)
    @given(st.integers(2, 20), st.integers(2, 8), st.floats(0.05, 2), st.integers(0, 1000))
    def test_any_marginals(self, n: int, m: int, epsilon: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        rows, columns = rng.uniform(0.1, 1, n), rng.uniform(0.1, 1, m)
        codes = icon.sinkhorn(cosines(n, m, seed), epsilon, 20_000, row_weights=rows, column_weights=columns)
        plan = (rows / rows.sum())[:, None] * codes.numpy()
        np.testing.assert_allclose(plan.sum(axis=0), columns / columns.sum(), rtol=2e-6)
        np.testing.assert_allclose(codes.sum(dim=1), 1, rtol=1e-12)

    def test_zero_mass_on_either_side(self) -> None:
        """A column without mass is as if it were not there, and a row without mass has codes but no say."""
        scores = cosines(6, 4)
        rows, columns = np.array([1.0, 1, 0, 2, 1, 1]), np.array([1.0, 0, 2, 1])
        codes = icon.sinkhorn(scores, 0.2, row_weights=rows, column_weights=columns)
        assert bool((codes[:, 1] == 0).all())
        kept = icon.sinkhorn(scores[rows > 0][:, columns > 0], 0.2, row_weights=rows[rows > 0],
                             column_weights=columns[columns > 0])  # fmt: skip
        np.testing.assert_allclose(codes[rows > 0][:, columns > 0], kept, atol=1e-6)
        np.testing.assert_allclose(codes.sum(dim=1), 1)

    def test_weights_whose_sum_is_too_large_for_a_float(self) -> None:
        scores, weights = cosines(6, 3, 0), torch.tensor([1e308, 1e308, 1e308], dtype=torch.float64)
        torch.testing.assert_close(icon.sinkhorn(scores, column_weights=weights), icon.sinkhorn(scores))

    @pytest.mark.parametrize(
        ("weights", "found"),
        [
            ([1, -1, 2, 1], "negative"),
            ([0, 0, 0, 0], "only zeros"),
            ([1, 2], r"shape \(2,\)"),
            ([1, math.nan, 1, 1], "NaN"),
        ],
    )
    def test_a_bad_marginal_is_named(self, weights: list[float], found: str) -> None:
        with pytest.raises(ValueError, match=rf"^column_weights: got .*{found}.*, expected 4 finite numbers >= 0"):
            icon.sinkhorn(cosines(6, 4), column_weights=weights)

    def test_it_is_the_optimum_of_the_entropic_problem(self) -> None:
        """log P = s/ε + a row term + a column term: a 2 x 2 minor of log P equals that of s/ε."""
        scores, epsilon = cosines(9, 4), 0.2
        logs = icon.sinkhorn(scores, epsilon, tolerance=1e-12).log()
        minor = lambda x: x[1:, 1:] - x[:-1, 1:] - x[1:, :-1] + x[:-1, :-1]  # noqa: E731
        np.testing.assert_allclose(minor(logs), minor(scores / epsilon), atol=1e-11)

    def test_shifting_rows_and_columns_changes_nothing(self) -> None:
        scores = cosines(9, 4)
        shifted = scores + torch.arange(9.0)[:, None] + 3 * torch.arange(4.0)
        a, b = (icon.sinkhorn(s, 0.5, 100_000, tolerance=1e-12) for s in (scores, shifted))
        np.testing.assert_allclose(a, b, atol=1e-9)

    def test_momentum_changes_the_way_and_not_the_end(self) -> None:
        scores = cosines(50, 5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            slow = icon.sinkhorn(scores, 0.05, 5000, tolerance=None)
            fast = icon.sinkhorn(scores, 0.05, tolerance=1e-12)
        np.testing.assert_allclose(slow, fast, atol=1e-10)

    def test_three_rounds_are_those_of_swav(self) -> None:
        plan = np.exp(cosines(12, 4).numpy() / 0.3)
        plan /= plan.sum()
        for _ in range(3):
            plan /= plan.sum(axis=0) * 4
            plan /= plan.sum(axis=1, keepdims=True) * 12
        np.testing.assert_allclose(icon.sinkhorn(cosines(12, 4), 0.3, 3, tolerance=None), plan * 12, rtol=1e-12)

    def test_residual_is_reported(self) -> None:
        with pytest.warns(UserWarning, match=r"^sinkhorn: the columns are off by \d\.\de-?\d+ of their mass after 2"):
            icon.sinkhorn(cosines(60, 7), 0.01, n_iters=2)

    def test_no_gradient(self) -> None:
        assert not icon.sinkhorn(cosines(5, 3).requires_grad_(), 0.5).requires_grad

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"epsilon": 0}, "epsilon: got 0"),
            ({"n_iters": 0}, "n_iters: got 0"),
            ({"tolerance": -1.0}, "tolerance: got -1"),
            ({"row_weights": [1.0, 2.0]}, r"row_weights: got shape \(2,\), expected 5"),
            ({"column_weights": [1.0, -1.0, 1.0]}, "column_weights: got negative"),
            ({"scores": np.full((5, 3), np.nan)}, "scores: got NaN"),
            ({"scores": np.ones(3)}, "scores: got shape"),
        ],
    )
    def test_bad_input(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=f"^{message}"):
            icon.sinkhorn(**{"scores": cosines(5, 3), **arguments})


class TestCentering:
    def test_the_centre_is_a_moving_average_of_earlier_calls(self) -> None:
        rng = np.random.default_rng(0)
        batches = [torch.tensor(rng.normal(size=(6, 4))) for _ in range(3)]
        centering = icon.nn.Centering(4, temperature=0.5, momentum=0.8)
        center = torch.zeros(4, dtype=torch.float64)
        for batch in batches:
            torch.testing.assert_close(centering(batch), ((batch - center) / 0.5).softmax(dim=1))
            center = 0.8 * center + 0.2 * batch.mean(dim=0)
        torch.testing.assert_close(centering.center, center)

    def test_evaluation_leaves_the_centre(self) -> None:
        centering = icon.nn.Centering(3).eval()
        centering(torch.randn(5, 3, requires_grad=True))
        assert centering.center.tolist() == [0, 0, 0]

    def test_state_dict(self) -> None:
        first, second = icon.nn.Centering(3), icon.nn.Centering(3)
        first(torch.randn(5, 3))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first.center, second.center)

    def test_half_precision_and_bad_input(self) -> None:
        codes = icon.nn.Centering(3)(torch.randn(5, 3, dtype=torch.bfloat16))
        assert codes.dtype == torch.float32
        with pytest.raises(ValueError, match=r"^logits: got 4 columns, expected 3"):
            icon.nn.Centering(3)(torch.randn(5, 4))
        with pytest.raises(ValueError, match=r"^momentum"):
            icon.nn.Centering(3, momentum=1.5)


class TestConcentration:
    def test_formula(self) -> None:
        rng = np.random.default_rng(0)
        z, prototypes, labels = rng.normal(size=(30, 5)), rng.normal(size=(3, 5)), np.arange(30) % 3
        v = z / np.linalg.norm(z, axis=1, keepdims=True)
        expected = [
            np.linalg.norm(v[labels == c] - prototypes[c], axis=1).sum() / (10 * math.log(10 + 4)) for c in range(3)
        ]
        np.testing.assert_allclose(icon.nn.concentration(z, prototypes, labels, 4, None, "paper"), expected, rtol=1e-12)
        scaled = icon.nn.concentration(z, prototypes, labels, temperature=0.2)
        assert float(scaled.mean()) == pytest.approx(0.2)

    @pytest.mark.parametrize("seed", range(4))
    def test_by_default_as_the_authors_estimate_it(self, seed: int) -> None:
        """Clusters of no or one point get the largest, all are clipped to the 10th and 90th percentile, then scaled."""
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(60, 5))
        v = z / np.linalg.norm(z, axis=1, keepdims=True)
        labels = rng.integers(0, 8, 60)
        labels[0] = 8  # alone; cluster 9 is empty
        centroids = np.stack([v[labels == c].mean(axis=0) if (labels == c).any() else np.zeros(5) for c in range(10)])
        expected = np.zeros(10)
        for c in range(8):
            members = v[labels == c]
            expected[c] = np.linalg.norm(members - centroids[c], axis=1).mean() / np.log(len(members) + 10)
        expected[8:] = expected.max()
        expected = np.clip(expected, np.percentile(expected, 10), np.percentile(expected, 90))
        expected = 0.2 * expected / expected.mean()
        np.testing.assert_allclose(icon.nn.concentration(z, centroids, labels), expected, rtol=1e-12)

    def test_the_length_of_the_rows_plays_no_part(self) -> None:
        rng = np.random.default_rng(0)
        z, prototypes, labels = rng.normal(size=(30, 5)), rng.normal(size=(3, 5)), np.arange(30) % 3
        expected = icon.nn.concentration(z, prototypes, labels)
        np.testing.assert_allclose(icon.nn.concentration(1e-200 * z, prototypes, labels), expected, rtol=1e-9)

    @pytest.mark.parametrize("rule", ["authors", "paper"])
    def test_empty_and_point_clusters_are_usable_temperatures(self, rule: str) -> None:
        z = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
        prototypes = torch.tensor([[1.0, 0.2], [0.0, 1.0], [1.0, 1.0]])
        phi = icon.nn.concentration(z, prototypes, [0, 0, 0, 1], rule=rule)
        assert phi[1] == phi[0] == phi[2] > 0
        icon.method("pcl", temperature=phi)((z, prototypes), [0, 0, 0, 1])

    @pytest.mark.parametrize(
        ("z", "prototypes", "labels", "hyper", "message"),
        [
            (np.ones((3, 2)), np.ones((1, 2)), [0, 1, 0], {}, "prototypes: got shape"),
            (np.ones((3, 2)), np.ones((2, 3)), [0, 1, 0], {}, "prototypes: got shape"),
            (np.ones((3, 2)), np.ones((2, 2)), [0, 1], {}, "assignments: got 2"),
            (np.ones((3, 2)), np.eye(2), [0, 1, 0], {"smoothing": 0.5}, "smoothing: got 0.5"),
            (np.ones((3, 2)), np.full((2, 2), 0.5**0.5), [0, 1, 0], {}, "z: got no point away from its prototype"),
        ],
    )
    def test_bad_input(self, z: Any, prototypes: Any, labels: Any, hyper: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=f"^{message}"):
            icon.nn.concentration(z, prototypes, labels, **hyper)


class TestPrecision:
    def test_concentration_of_singletons_and_in_half_precision(self) -> None:
        rng = np.random.default_rng(0)
        z = torch.tensor(rng.normal(size=(200, 32)), dtype=torch.float32)
        for i in range(50):  # centres of unit length, each its own point up to rounding
            labels = torch.arange(200) % 9
            labels[i] = 9
            unit = normalize(z, dim=1)
            centres = normalize(torch.stack([unit[labels == c].mean(dim=0) for c in range(10)]), dim=1)
            assert icon.nn.concentration(z, centres, labels, rule="paper").min() > 0.01
        centre, labels = torch.randn(1, 32), torch.zeros(200, dtype=torch.int64)
        exact = icon.nn.concentration(z, centre, labels, temperature=None)
        for dtype in (torch.bfloat16, torch.float16):
            torch.testing.assert_close(
                icon.nn.concentration(z.to(dtype), centre.to(dtype), labels, temperature=None), exact, rtol=1e-2, atol=0
            )

    def test_a_centre_in_half_precision_keeps_moving(self) -> None:
        centering = icon.nn.Centering(3).bfloat16()
        for _ in range(300):
            centering(torch.full((4, 3), 5.0, dtype=torch.bfloat16))
        torch.testing.assert_close(centering.center, torch.full((3,), 5.0))
