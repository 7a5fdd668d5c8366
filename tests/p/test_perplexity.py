"""The bandwidth of a perplexity: it is met, at both ends of its range too."""

from __future__ import annotations

import numpy as np
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
