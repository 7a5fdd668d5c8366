"""Each formula of the theory of debiasing, by the loss itself on small exact p.

Clusters have shares s of the points. p is uniform within the cluster of a point (itself included), up to wrong edges,
and ``p_α = (1-α) p + α u``. A head of sharpness t gives ``φ = t e_c + (1-t) s``: t = 1 is a hard head, t = 0 a constant
one. Its q is ``t² (uniform within the cluster) + (1-t²) u``, which is p_α where ``t² = (1-α) λ``.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from torch import Tensor

import icon
from experiments.clustering import debiasing as theory
from experiments.datasets import Array

UNEQUAL = ([0.9, 0.1], [0.5, 0.3, 0.2], [0.7, 0.2, 0.05, 0.05])
SHARES = (*([1 / clusters] * clusters for clusters in (2, 3, 10)), *UNEQUAL)


def signal(wrong: float, clusters: int, walks: int = 1) -> float:
    """λ: what wrong edges leave of p beside the uniform distribution: p = λ (uniform within the cluster) + (1-λ) u.

    One step leaves ``1 - w C / (C-1)``, and the mean of 1 to K walks the mean of the powers of it.

    Args:
        wrong: w in [0, 1], share of p that goes to other clusters, to all their points alike.
        clusters: C >= 2, of equal sizes.
        walks: K >= 1.
    """
    step = 1 - wrong * clusters / (clusters - 1)
    return sum(step**k for k in range(1, walks + 1)) / walks


def head(shares: ArrayLike, sharpness: float) -> Array:
    """``[C, C]``: φ of a point of each cluster, ``t e_c + (1-t) s``."""
    s = np.asarray(shares, dtype=np.float64)
    return np.asarray(sharpness * np.eye(len(s)) + (1 - sharpness) * s)


def collapse(shares: ArrayLike, sharpness: float) -> float:
    """α above which a head of this sharpness t costs more than one that puts all points into one cluster (λ = 1).

    ``A / (A - B + G)`` with ``f_a = log(1 + t² (1-s_a) / s_a)``, ``A = sum_a s_a f_a``, ``B = sum_a s_a² f_a`` and
    ``G = (1 - sum_a s_a²) log(1 / (1-t²))``. It goes to zero as t goes to one.
    """
    s, square = np.asarray(shares, dtype=np.float64), sharpness**2
    gain = np.log1p(square * (1 - s) / s)
    cost = -(1 - (s**2).sum()) * math.log1p(-square)
    return float(s @ gain / (s @ gain - s**2 @ gain + cost))


def swallowed(shares: ArrayLike) -> float:
    """α above which `head`, at its optimum, gives the smallest cluster to the largest: ``1 - (Δ / (1+Δ))²``, Δ the
    difference of their shares (λ = 1)."""
    difference = float(np.ptp(np.asarray(shares, dtype=np.float64)))
    return 1 - (difference / (1 + difference)) ** 2


def least_balance(shares: ArrayLike, alpha: float) -> float:
    """b above which separate clusters cost less than one for all: ``1 - I / H`` (λ = 1).

    I is the mutual information of the clusters of a pair of p_α, and H the entropy of the shares.
    """
    s = np.asarray(shares, dtype=np.float64)
    joint = (1 - alpha) * np.diag(s) + alpha * np.outer(s, s)
    return 1 + float((joint * np.log(joint / np.outer(s, s))).sum() / (s @ np.log(s)))


def members(shares: list[float]) -> Array:
    """``[n]`` the cluster of each of 20 points, or of two per cluster."""
    n = max(20, 2 * len(shares))
    return np.repeat(np.arange(len(shares)), np.rint(n * np.array(shares)).astype(int))


def rows(y: Array, wrong: float = 0.0) -> Array:
    """``[n, n]``: uniform within the cluster, self included, but for a share that goes to other clusters."""
    same = (y[:, None] == y).astype(np.float64)
    return (1 - wrong) * same / same.sum(axis=1) + wrong * (1 - same) / np.maximum(1, (1 - same).sum(axis=1))


def loss_of(alpha: float, balance: float = 1.0, walks: int = 1) -> icon.Loss:
    return icon.Loss(icon.p.Precomputed().walks(walks).debias(alpha), icon.q.Clusters(balance=balance))


def logits_of(phi: Array, y: Array) -> Tensor:
    """``[n, C]`` from what the head gives each cluster."""
    return torch.from_numpy(phi[y]).log().requires_grad_()


def trained(loss: icon.Loss, target: Array, start: Tensor) -> tuple[Array, float]:
    """φ ``[n, C]`` and the loss after L-BFGS in float64."""
    z = start.clone().requires_grad_()
    prepared = loss.p(target)
    optimizer = torch.optim.LBFGS(
        [z], max_iter=2000, history_size=50, tolerance_grad=1e-13, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def step() -> Tensor:
        optimizer.zero_grad()
        value = loss(z, prepared)
        value.backward()
        return value

    optimizer.step(step)  # type: ignore[no-untyped-call]
    return z.detach().softmax(dim=1).numpy(), float(loss(z, prepared).detach())


def separated(phi: Array, y: Array) -> bool:
    """Whether points have the same most probable cluster exactly where they are of the same one."""
    found = phi.argmax(axis=1)
    return bool(((found[:, None] == found) == (y[:, None] == y)).all())


@pytest.mark.parametrize("alpha", [0.1, 0.6, 0.95])
@pytest.mark.parametrize("shares", SHARES, ids=str)
def test_a_soft_head_matches_the_debiased_p_exactly(shares: list[float], alpha: float) -> None:
    y = members(shares)
    z = logits_of(head(shares, math.sqrt(1 - alpha)), y)
    value = loss_of(alpha)(z, rows(y))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert z.grad is not None
    assert z.grad.abs().max() < 1e-13
    assert loss_of(alpha)(1.1 * z.detach(), rows(y)).item() > 1e-6


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("clusters", [2, 5])
def test_training_from_hard_clusters_finds_the_confidence(clusters: int, alpha: float) -> None:
    y = members([1 / clusters] * clusters)
    phi, value = trained(loss_of(alpha), rows(y), 4 * torch.eye(clusters, dtype=torch.float64)[y])
    assert value == pytest.approx(0, abs=1e-12)
    assert phi.max(axis=1) == pytest.approx(theory.confidence(clusters, alpha), abs=1e-6)
    assert separated(phi, y)


@pytest.mark.parametrize("walks", [1, 3])
@pytest.mark.parametrize("wrong", [0.1, 0.4])
def test_wrong_edges_act_as_debiasing(wrong: float, walks: int) -> None:
    clusters, alpha = 4, 0.3
    y = members([1 / clusters] * clusters)
    left = signal(wrong, clusters, walks)
    start = 4 * torch.eye(clusters, dtype=torch.float64)[y]
    phi, _ = trained(loss_of(alpha, walks=walks), rows(y, wrong), start)
    assert phi.max(axis=1) == pytest.approx(theory.confidence(clusters, alpha, left), abs=1e-6)
    assert theory.signal_of(theory.confidence(clusters, 0, left), clusters) == pytest.approx(left)
    same, _ = trained(loss_of(1 - (1 - alpha) * left), rows(y), start)
    assert phi == pytest.approx(same, abs=1e-6)


@pytest.mark.parametrize("clusters", [2, 4])
def test_a_constant_head_is_a_saddle_that_flattens_with_alpha(clusters: int) -> None:
    """Along logits ``a v_i w_c``, v separating clusters and w centred, the loss falls by ``(1-α) λ a² / C``."""
    alpha, wrong, size = 0.6, 0.2, 1e-3
    y = members([1 / clusters] * clusters)
    v = np.array([1.0, -1.0, 0.0, 0.0][:clusters])[y]
    w = np.array([1.0, -1.0, 0.0, 0.0][:clusters]) / math.sqrt(2)
    z = torch.from_numpy(np.outer(v / np.sqrt((v**2).mean()), w))
    values = [loss_of(alpha)(scale * z, rows(y, wrong)).item() for scale in (0.0, size)]
    fall = (1 - alpha) * signal(wrong, clusters) / clusters
    assert (values[0] - values[1]) / size**2 == pytest.approx(fall, rel=1e-4)


@pytest.mark.parametrize("wrong", [0.0, 0.1])
@pytest.mark.parametrize("clusters", [2, 3, 5, 10])
def test_the_triangular_optimum_is_ambiguous_from_there_on(clusters: int, wrong: float) -> None:
    """It is ``φ_ac = M_ac sum_b M_bc`` with ``M M' = p_α``, the masses between clusters, and M triangular."""
    y = members([1 / clusters] * clusters)
    left = signal(wrong, clusters)
    for distance in (-0.01, 0.01):
        alpha = theory.ambiguous(clusters, left) + distance
        kept = (1 - alpha) * left
        root = np.linalg.cholesky(kept * np.eye(clusters) + (1 - kept) / clusters)
        phi = root * root.sum(axis=0)
        z = torch.from_numpy(np.log(np.maximum(phi, 1e-300))[y])
        assert loss_of(alpha)(z, rows(y, wrong)).item() == pytest.approx(0, abs=1e-12)
        assert separated(phi[y], y) == (distance < 0)


def least_margin(clusters: int, alpha: float, seed: int) -> float | None:
    """The least m for which an optimum gives cluster 0 and the last one no column that is larger than column 0 by more
    than m: below zero, column 0 is the most probable one of both. None where the search fails."""
    between = (1 - alpha) * np.eye(clusters) + alpha / clusters
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(np.eye(clusters) + random.choice([0.1, 0.3, 1.0]) * random.normal(size=(clusters, clusters)))[0]
    values, vectors = np.linalg.eigh(between)
    start = np.abs(vectors * np.sqrt(values) @ vectors.T @ turn * np.sign(np.diag(turn)))

    def beside(found: Array) -> Array:
        root = found[:-1].reshape(clusters, clusters)
        phi = (root * root.sum(axis=0))[[0, -1]]
        return np.asarray(found[-1] - (phi[:, 1:] - phi[:, :1]).ravel())

    def missed(found: Array) -> Array:
        root = found[:-1].reshape(clusters, clusters)
        return np.asarray((root @ root.T - between)[np.triu_indices(clusters)])

    done = minimize(
        lambda found: found[-1], np.append(start, 0.5), method="SLSQP", options={"maxiter": 300, "ftol": 1e-10},
        bounds=[(0, None)] * clusters**2 + [(None, None)],
        constraints=[{"type": "eq", "fun": missed}, {"type": "ineq", "fun": beside}],
    )  # fmt: skip
    return float(done.fun) if done.success and np.abs(missed(done.x)).max() < 1e-7 else None


@pytest.mark.parametrize("clusters", [2, 3, *(pytest.param(clusters, marks=pytest.mark.slow) for clusters in (4, 5))])
def test_a_search_finds_no_ambiguous_optimum_before(clusters: int) -> None:
    for distance, sign in ((-0.01, 1), (0.01, -1)):
        alpha = theory.ambiguous(clusters) + distance
        margins = [found for seed in range(8) if (found := least_margin(clusters, alpha, seed)) is not None]
        assert np.sign(min(margins)) == sign


@pytest.mark.slow
def test_training_from_random_starts_separates_up_to_there() -> None:
    """Of those starts that find the loss zero."""
    clusters = 3
    y = members([1 / clusters] * clusters)
    random = np.random.default_rng(0)
    starts = [torch.from_numpy(3 * random.normal(size=(clusters, clusters))[y]) for _ in range(20)]
    told: dict[float, list[bool]] = {}
    for distance in (-0.05, 0.25):
        loss = loss_of(theory.ambiguous(clusters) + distance)
        found = [trained(loss, rows(y), start) for start in starts]
        told[distance] = [separated(phi, y) for phi, value in found if value < 1e-10]
    assert len(told[-0.05]) > 5
    assert all(told[-0.05])
    assert not all(told[0.25])


def test_above_a_further_alpha_every_rotation_is_an_optimum() -> None:
    clusters = 5
    y = members([1 / clusters] * clusters)
    alpha = 1 - 1 / (clusters - 1) ** 2
    ones = np.full((clusters, clusters), 1 / clusters)
    basis = np.linalg.svd(np.eye(clusters) - ones)[0][:, :-1]
    for seed in range(5):
        turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(clusters - 1, clusters - 1)))[0]
        phi = ones + math.sqrt(1 - alpha) * basis @ turn @ basis.T
        assert phi.min() > 0
        assert loss_of(alpha)(logits_of(phi, y), rows(y)).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sharpness", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("shares", SHARES, ids=str)
def test_a_head_that_is_too_hard_costs_more_than_one_cluster(shares: list[float], sharpness: float) -> None:
    y, limit = members(shares), collapse(shares, sharpness)
    hard, one = logits_of(head(shares, sharpness), y), torch.zeros(len(y), len(shares), dtype=torch.float64)
    for alpha, dearer in ((limit - 1e-6, False), (limit + 1e-6, True)):
        loss = loss_of(alpha)
        assert bool(loss(hard, rows(y)) > loss(one, rows(y))) == dearer


def test_a_hard_head_costs_the_mass_across_clusters() -> None:
    """For ``t = 1 - ε`` the loss grows as ``α (1 - sum_c s_c²) log(1/ε)``."""
    shares, alpha = [0.5, 0.3, 0.2], 0.2
    y = members(shares)
    values = [loss_of(alpha)(logits_of(head(shares, 1 - size), y), rows(y)).item() for size in (1e-6, 1e-7)]
    across = alpha * (1 - sum(share**2 for share in shares))
    assert (values[1] - values[0]) / math.log(10) == pytest.approx(across, rel=1e-5)


@pytest.mark.parametrize("shares", UNEQUAL, ids=str)
def test_the_largest_cluster_swallows_the_smallest(shares: list[float]) -> None:
    limit, smallest = swallowed(shares), int(np.argmin(shares))
    for alpha, own in ((limit - 1e-6, True), (limit + 1e-6, False)):
        assert (head(shares, math.sqrt(1 - alpha))[smallest].argmax() == smallest) == own


@pytest.mark.parametrize("alpha", [0.1, 0.5])
@pytest.mark.parametrize("shares", UNEQUAL, ids=str)
def test_training_keeps_small_clusters(shares: list[float], alpha: float) -> None:
    y = members(shares)
    phi, value = trained(loss_of(alpha), rows(y), 4 * torch.eye(len(shares), dtype=torch.float64)[y])
    assert value == pytest.approx(0, abs=1e-12)
    assert separated(phi, y)


@pytest.mark.parametrize("alpha", [0.1, 0.6])
@pytest.mark.parametrize("shares", SHARES, ids=str)
def test_separate_clusters_need_the_balance(shares: list[float], alpha: float) -> None:
    y, least = members(shares), least_balance(shares, alpha)
    one = torch.zeros(len(y), len(shares), dtype=torch.float64)
    one[:, 0] = 800.0
    apart = logits_of(head(shares, math.sqrt(1 - alpha)), y)
    loss = loss_of(alpha, balance=least)
    assert loss(apart, rows(y)).item() == pytest.approx(loss(one, rows(y)).item(), rel=1e-12)


def test_a_calibrated_alpha_has_the_confidence_of_the_accuracy() -> None:
    alpha = theory.calibrated(0.75, 10, 0.8)
    assert 0 < alpha < 1
    assert theory.confidence(10, alpha, 0.8) == pytest.approx(0.75)
    assert theory.calibrated(0.95, 10, 0.8) == 0
