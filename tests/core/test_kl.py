"""KL is not negative, and rows of p sum to one, at any perplexity, degrees of freedom, unit and precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from tests.cases import assert_close, digits, normal


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("normalization", ["row", "joint"])
@pytest.mark.parametrize("perplexity", [5, 100, 119])
@pytest.mark.parametrize("dof", [0.5, 1, 10, 100])
def test_kl_is_not_negative(dof: float, perplexity: float, normalization: str, dtype: torch.dtype) -> None:
    x = digits(120)[0]
    p = icon.p.Gaussian(perplexity=perplexity)
    rows = p(x)
    assert_close(rows.to_dense().sum(dim=1), np.ones(120), rtol=1e-12)
    assert_close(rows.entropy().exp(), np.full(120, perplexity), rtol=1e-6)
    for scale in (1e-4, 1.0, 100.0):
        z = (normal(120, 2) * scale).to(dtype)
        assert float(icon.Loss(p, icon.q.StudentT(dof), normalization=normalization)(z, rows)) >= -1e-6
        assert float(icon.Loss(icon.p.StudentT(dof=dof), icon.q.StudentT(dof))(z, z)) >= -1e-6
