"""Divergences as functions of p and q: identities between them, and against SciPy."""

from __future__ import annotations

import itertools
from functools import partial, wraps
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from torch import Tensor, nn

import icon
from icon.core.divergence import Alpha, Divergence, Hellinger, JensenShannon, ReverseKL, TotalVariation, takes_log_p
from tests import dense
from tests.cases import assert_close, normal

ALL: list[Divergence] = [ReverseKL(), JensenShannon(), TotalVariation(), Hellinger(), Alpha(0.3), Alpha(0.8)]


def pair(seed: int, m: int = 6, zeros: bool = False) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(m), 4), rng.dirichlet(np.ones(m), 4)
    if zeros:
        p[:, 0] = 0
        p /= p.sum(axis=1, keepdims=True)
        q[:, 1] = 0
        q /= q.sum(axis=1, keepdims=True)
    return torch.from_numpy(p), torch.from_numpy(q)


def value(divergence: Divergence, p: Tensor, q: Tensor) -> Tensor:
    return divergence(p, q, q.log().masked_fill(q == 0, -1e4))  # what underflows has a logarithm


@given(seed=st.integers(0, 10_000), zeros=st.booleans())
def test_against_scipy_and_textbooks(seed: int, zeros: bool) -> None:
    p, q = pair(seed, zeros=zeros)
    a, b = p.numpy(), q.numpy()
    assert_close(value(JensenShannon(), p, q), jensenshannon(a, b, axis=1) ** 2, rtol=1e-12)
    assert_close(value(TotalVariation(), p, q), np.abs(a - b).sum(axis=1) / 2, rtol=1e-12)
    assert_close(value(Hellinger(), p, q), 1 - np.sqrt(a * b).sum(axis=1), rtol=1e-12)
    overlap = (a**0.3 * b**0.7).sum(axis=1)
    assert_close(value(Alpha(0.3), p, q), (1 - overlap) / (0.3 * 0.7), rtol=1e-12)
    if not zeros:
        assert_close(value(ReverseKL(), p, q), rel_entr(b, a).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("divergence", ALL, ids=repr)
@pytest.mark.parametrize("zeros", [False, True])
def test_the_derivative_by_log_q_is_right_and_finite(divergence: Divergence, zeros: bool) -> None:
    p, q = pair(0, zeros=zeros)
    if zeros:  # where p is 0 reverse KL is refused
        q[:, 0] = 0 if isinstance(divergence, ReverseKL) else q[:, 0]
    log_q = q.log().masked_fill(q == 0, -60.0).requires_grad_()

    def of_logs(logs: Tensor) -> Tensor:
        inside = torch.as_tensor(q > 0)
        return divergence(p, torch.where(inside, logs.exp(), 0.0), torch.where(inside, logs, 0.0))

    (slope,) = torch.autograd.grad(of_logs(log_q).sum(), log_q)
    assert bool(torch.isfinite(slope).all())
    for k in range(p.shape[1]):
        step = torch.zeros_like(p)
        step[:, k] = 1e-6
        numeric = (of_logs(log_q.detach() + step) - of_logs(log_q.detach() - step)) / 2e-6
        assert_close(slope[:, k], numeric, rtol=1e-7 / max(1e-3, float(numeric.abs().max())))


@pytest.mark.parametrize("divergence", ALL, ids=repr)
def test_zero_at_itself_and_positive_elsewhere(divergence: Divergence) -> None:
    p, q = pair(1)
    assert float(value(divergence, p, p).abs().max()) < 1e-15
    assert float(value(divergence, p, q).min()) > 0


def test_alpha_interpolates() -> None:
    p, q = pair(2)
    assert_close(value(Alpha(0.5), p, q), 4 * value(Hellinger(), p, q), rtol=1e-12)
    assert_close(value(Alpha(1 - 1e-7), p, q), rel_entr(p.numpy(), q.numpy()).sum(axis=1), rtol=1e-6)
    assert_close(value(Alpha(1e-7), p, q), value(ReverseKL(), p, q), rtol=1e-6)


@pytest.mark.parametrize("divergence", [JensenShannon(), TotalVariation(), Hellinger()], ids=repr)
def test_symmetric_ones(divergence: Divergence) -> None:
    p, q = pair(3)
    assert_close(value(divergence, p, q), value(divergence, q, p), rtol=1e-12)


@given(seed=st.integers(0, 10_000))
def test_inequalities_between_them(seed: int) -> None:
    p, q = pair(seed)
    tv, hellinger, js = (value(d, p, q) for d in (TotalVariation(), Hellinger(), JensenShannon()))
    kl = torch.from_numpy(rel_entr(p.numpy(), q.numpy()).sum(axis=1))
    assert bool((hellinger <= tv + 1e-12).all())
    assert bool((tv <= (2 * hellinger).sqrt() + 1e-12).all())
    assert bool((2 * tv**2 <= kl + 1e-12).all())  # Pinsker
    assert bool((js <= np.log(2) + 1e-12).all())


def test_reverse_kl_refuses_mass_where_p_has_none() -> None:
    with pytest.raises(ValueError, match=r"divergence: got reverse-kl with p = 0 where q > 0, expected .*debias"):
        icon.Loss(icon.p.Classes(), icon.q.StudentT(), divergence="reverse-kl")(normal(6, 2), np.arange(6) % 2)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.5, 2.0])
def test_alpha_out_of_range(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"alpha: got .*, expected a number"):
        Alpha(alpha)


def test_reverse_kl_of_clusters_is_the_inertia_of_k_means() -> None:
    """σ² [Σ KL(q_i‖p_i) − Σ log Z_i + Σ N_c log N_c] = inertia, for hard clusters and any σ."""
    x, labels, sigma = normal(30, 4).numpy(), np.arange(30) % 3, 1.7
    logits = torch.from_numpy(np.eye(3)[labels]) * 1e4
    rows = icon.p.Gaussian(sigma=sigma, exclude_self=False)
    total = icon.Loss(rows, icon.q.Clusters(), divergence="reverse-kl", reduction="sum")(logits, x)
    log_z = np.log(np.exp(-dense.distances(x) / (2 * sigma**2)).sum(axis=1)).sum()
    inertia = sum(((x[labels == c] - x[labels == c].mean(axis=0)) ** 2).sum() for c in range(3))
    assert_close(sigma**2 * (total - log_z + 30 * np.log(10)), inertia)


@pytest.mark.parametrize(("name", "kind"), list(itertools.product(["js", "hellinger"], ["row", "joint"])))
def test_names_and_records_are_the_same(name: str, kind: str) -> None:
    record = {"js": JensenShannon(), "hellinger": Hellinger()}[name]
    x, z = normal(12, 3).numpy(), normal(12, 2)
    values = [
        icon.Loss(icon.p.StudentT(), icon.q.StudentT(2.0), divergence=d, normalization=kind)(z, x)
        for d in (name, record)
    ]
    assert torch.equal(*values)


@pytest.mark.parametrize("divergence", [JensenShannon(), TotalVariation(), Hellinger(), Alpha(0.999999)], ids=repr)
@pytest.mark.filterwarnings("ignore:target. got 2 of 5 anchors without a positive")
def test_joint_pairs_of_anchors_without_a_positive_count(divergence: Divergence) -> None:
    z = normal(5, 2)
    pairs = np.zeros((5, 5))
    pairs[0, 1] = pairs[1, 0] = pairs[2, 0] = 1.0
    q = dense.joint_q(dense.student_t_scores(z, z, 1.0), torch.as_tensor(dense.others(5)))
    p, q = torch.from_numpy(pairs / 3).reshape(1, -1), q.reshape(1, -1)
    found = icon.Loss(icon.p.Graph(), icon.q.StudentT(), normalization="joint", divergence=divergence)(z, pairs)
    assert_close(found, value(divergence, p, q).squeeze(), rtol=1e-10)
    if isinstance(divergence, Alpha):  # which tends to KL
        kl = icon.Loss(icon.p.Graph(), icon.q.StudentT(), normalization="joint")(z, pairs)
        assert_close(found, kl, rtol=1e-4)


def _with_log_p(p: Tensor, q: Tensor, log_q: Tensor, *, log_p: Tensor) -> Tensor:
    return (p * (log_p - log_q)).sum(dim=1)


class _Module(nn.Module):
    def forward(self, p: Tensor, q: Tensor, log_q: Tensor, log_p: Tensor) -> Tensor:
        return _with_log_p(p, q, log_q, log_p=log_p)


@wraps(_with_log_p)
def _wrapped(*tiles: Tensor, **more: Tensor) -> Tensor:
    return _with_log_p(*tiles, **more)


@pytest.mark.parametrize("divergence", [_with_log_p, _Module(), _wrapped, partial(_with_log_p), ReverseKL()])
def test_log_p_is_asked_for_in_whatever_form(divergence: Any) -> None:
    assert takes_log_p(divergence)


@pytest.mark.parametrize("divergence", [Hellinger(), lambda p, q, log_q: (p * (p - q)).sum(dim=1)])
def test_log_p_is_not_given_where_nobody_asks(divergence: Any) -> None:
    assert not takes_log_p(divergence)
