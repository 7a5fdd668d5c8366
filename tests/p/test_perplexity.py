"""The bandwidth of a perplexity: it is met, at both ends of its range too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import icon
from tests import dense
from tests.cases import assert_close, normal


@given(n=st.integers(3, 15), seed=st.integers(0, 10_000), share=st.floats(0.1, 0.95))
def test_perplexity_is_met(n: int, seed: int, share: float) -> None:
    perplexity = 1 + share * (n - 2)
    rows = icon.p.Gaussian(perplexity=perplexity)(normal(n, 3, seed=seed))
    assert_close(rows.entropy().exp(), np.full(n, perplexity), rtol=1e-9)


def test_largest_perplexity_is_uniform() -> None:
    assert_close(icon.p.Gaussian(perplexity=11)(normal(12, 3).numpy()).to_dense(), dense.others(12) / 11, rtol=1e-6)


def test_smallest_perplexity_is_the_nearest_neighbour() -> None:
    x = normal(12, 3).numpy()
    assert_close(icon.p.Gaussian(perplexity=1)(x).to_dense(), dense.p_knn(x, 1), rtol=1e-6)


@pytest.mark.parametrize("far", [1e3, 1e9, 1e12])
def test_points_that_are_far_from_others_change_nothing_among_these(far: float) -> None:
    x = normal(15, 3)
    for others in (torch.full((1, 3), far), far + normal(15, 3, seed=1)):
        both = torch.cat([x, others.double()])
        for p in (icon.p.Gaussian(perplexity=5), icon.p.Gaussian(sigma=0.7)):
            found = p(both).to_dense()
            assert_close(found[:15, :15], p(x).to_dense(), rtol=1e-6)
            if len(others) > 1:
                near = both[15:] - far  # as float64 has them
                assert_close(found[15:, 15:], p(near).to_dense(), rtol=1e-6)
