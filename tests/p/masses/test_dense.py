"""p as a matrix: far candidates, whose masses are below the smallest float, keep their logarithms."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

import icon
from icon.p.masses import Dense, DenseFromLogs
from tests.cases import normal


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 20.0])
def test_k_means_on_raw_digits_at_any_sigma(dtype: torch.dtype, sigma: float) -> None:
    """p of far digits is below the smallest float, its logarithm is not."""
    x = load_digits().data[:200]
    logits = normal(200, 10).to(dtype)
    squares = ((x[:, None] - x) ** 2).sum(axis=-1) / (2 * sigma**2)
    log_p = torch.from_numpy(-squares).log_softmax(dim=1)
    phi = logits.double().softmax(dim=1)
    q = phi @ (phi / phi.sum(dim=0)).T
    expected = (q * (q.log() - log_p)).sum(dim=1).mean().item()
    for block in (None, 64):
        found = icon.method("kmeans", sigma=sigma).replace(block=block)(logits.requires_grad_(), x)
        assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("p", "kind"),
    [
        (icon.p.StudentT(), Dense),
        (icon.p.StudentT(dof=1e4), DenseFromLogs),
        (icon.p.Gaussian(sigma=0.1), DenseFromLogs),
    ],
)
def test_logarithms_are_kept_beside_masses_that_single_precision_does_not_hold(
    p: icon.p.Distribution, kind: type
) -> None:
    assert type(p(10 * normal(20, 3)).masses) is kind
