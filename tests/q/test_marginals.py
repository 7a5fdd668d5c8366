"""Clusters with given, uniform or moving marginals, an exponent, and the entropy beside the loss."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import icon

N, C = 14, 3
LABELS = np.arange(N) // 2


def logits(seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=(N, C)), requires_grad=True)


def dense(z: torch.Tensor, t: torch.Tensor, marginals: torch.Tensor, beta: float) -> torch.Tensor:
    """-mean_i log sum_c (φ_ic φ_ic')^β / m_c, candidates aligned row by row."""
    return -((z.softmax(dim=1) * t.softmax(dim=1)) ** beta / marginals).sum(dim=1).log().mean()


@pytest.mark.parametrize("beta", [0.6, 1.0, 2.0])
def test_given_marginals(beta: float) -> None:
    marginals = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    z, t = logits(0), logits(1)
    loss = icon.loss("clusters", "pairs", marginals=marginals, exponent=beta)((z, t))
    torch.testing.assert_close(loss, dense(z, t, marginals, beta))
    mine = torch.autograd.grad(loss, (z, t))
    theirs = torch.autograd.grad(dense(z, t, marginals, beta), (z, t))
    torch.testing.assert_close(mine, theirs)


def test_exponent_with_the_sizes_of_the_batch() -> None:
    z, t = logits(0), logits(1)
    loss = icon.loss("clusters", "pairs", exponent=0.5)((z, t))
    torch.testing.assert_close(loss, dense(z, t, t.softmax(dim=1).sum(dim=0), 0.5))


def test_uniform_is_one_over_c() -> None:
    z, t = logits(0), logits(1)
    loss = icon.loss("clusters", "pairs", marginals="uniform")((z, t))
    torch.testing.assert_close(loss, dense(z, t, torch.full((C,), 1 / C, dtype=torch.float64), 1.0))


def test_moving_marginals_begin_uniform_and_follow_the_candidates() -> None:
    loss = icon.method("pmi", beta=0.6, momentum=0.75)
    expected = torch.full((C,), 1 / C, dtype=torch.float64)
    for step in range(3):
        z, t = logits(step), logits(10 + step)
        expected = 0.75 * expected + 0.25 * t.softmax(dim=1).mean(dim=0).detach()
        torch.testing.assert_close(loss((z, t)), dense(z, t.detach(), expected, 0.6))
    kept = loss.q.marginals.clone()  # type: ignore[operator]
    loss.eval()
    loss((logits(5), logits(6)))
    assert torch.equal(loss.q.marginals, kept)  # type: ignore[arg-type]


def test_only_an_evaluated_loss_in_training_mode_moves_the_marginals() -> None:
    loss, pair = icon.method("pmi"), (logits(0), logits(1))
    loss.eval()
    loss(pair)
    assert not loss.q.marginals.numel()  # type: ignore[operator]
    loss.train()
    loss(pair)
    kept = loss.q.marginals.clone()  # type: ignore[operator]
    other = (logits(2), logits(3))
    terms = loss.terms(other)
    assert torch.equal(loss.q.marginals, kept)  # type: ignore[arg-type]
    torch.testing.assert_close(loss(other), terms.kl)


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_a_temperature_divides_the_logits(temperature: float) -> None:
    z, t = logits(0), logits(1)
    sharp = icon.loss("clusters", "pairs", marginals="uniform", softmax_temperature=temperature, entropy_weight=1.0)
    plain = icon.loss("clusters", "pairs", marginals="uniform", entropy_weight=1.0)
    torch.testing.assert_close(sharp((z, t)), plain((z / temperature, t / temperature)))
    ours, theirs = icon.loss("clusters", "pairs", softmax_temperature=temperature), icon.loss("clusters", "pairs")
    torch.testing.assert_close(ours(z, LABELS), theirs(z / temperature, LABELS))


class TestAgreement:
    """TEMI: the divergence of each anchor times the probability that the teacher agrees with itself about its pair."""

    def test_weights_multiply_the_values_without_them(self) -> None:
        z, t = logits(0), logits(1)
        phi, partner = t.softmax(dim=1).detach(), torch.arange(N) ^ 1
        weight = (phi * phi[partner]).sum(dim=1)
        plain = icon.method("pmi", beta=0.6, reduction="none")((z, t[partner]))
        torch.testing.assert_close(icon.method("temi", reduction="none")((z, t), LABELS), weight * plain)
        torch.testing.assert_close(icon.method("temi")((z, t), LABELS), (weight * plain).mean())

    def test_several_positives_are_averaged(self) -> None:
        z, t, ids = logits(0), logits(1), np.arange(N) % 4
        phi = t.softmax(dim=1).detach()
        p = torch.tensor(np.equal.outer(ids, ids) & ~np.eye(N, dtype=bool)).double()
        p = p / p.sum(dim=1, keepdim=True)
        weight = (p * (phi @ phi.T)).sum(dim=1)
        plain = icon.method("pmi", beta=0.6, reduction="none", exclude_self=True)((z, t), ids)
        torch.testing.assert_close(icon.method("temi", reduction="none")((z, t), ids), weight * plain)

    def test_parts_of_a_batch(self) -> None:
        z, t = logits(0), logits(1)
        whole = icon.method("temi", reduction="none").eval()((z, t), LABELS)
        parts = [
            icon.method("temi", reduction="none").eval()((z, t), LABELS, anchors=slice(*s)) for s in ((0, 5), (5, N))
        ]
        torch.testing.assert_close(torch.cat(parts), whole)

    def test_weights_of_the_candidates_change_the_sizes_alone(self) -> None:
        z, settings = logits(0), {"weights": np.arange(1.0, N + 1), "reduction": "none"}
        phi = z.softmax(dim=1)
        weight = (phi * phi[torch.arange(N) ^ 1]).sum(dim=1)
        plain = icon.loss("clusters", "pairs", **settings)(z, LABELS)
        torch.testing.assert_close(
            icon.loss("clusters", "pairs", agreement=True, **settings)(z, LABELS), weight * plain
        )

    def test_it_is_a_constant_in_forward_mode_too(self) -> None:
        z, v = logits(0), logits(1)

        def call(x: torch.Tensor) -> torch.Tensor:
            return icon.loss("clusters", "pairs", marginals="uniform", agreement=True)(x, LABELS)

        _, along = torch.func.jvp(call, (z,), (v,))
        torch.testing.assert_close(along, (torch.func.grad(call)(z) * v).sum())

    def test_rows_that_are_only_aligned_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^exclude_self: got True where i matches i of the other set"):
            icon.method("temi")((logits(0), logits(1)))
        with pytest.raises(ValueError, match=r"^target: got aligned sets, expected ids"):
            icon.loss("clusters", "pairs", marginals="uniform", agreement=True)((logits(0), logits(1)))

    def test_pairs_of_all_points_have_no_anchors_to_weigh(self) -> None:
        with pytest.raises(ValueError, match=r"^agreement: got True with normalization='joint'"):
            icon.loss("clusters", "pairs", agreement=True, normalization="joint")


@pytest.mark.parametrize("name", ["scan", "dcd"])
def test_a_term_beside_the_loss_in_half_precision(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(N, 2))
    hyper = {"n_neighbors": 3} | ({"dirichlet": 1.5} if name == "dcd" else {})
    loss = icon.method(name, **hyper)
    torch.testing.assert_close(loss(logits().bfloat16(), x).double(), loss(logits(), x), rtol=1e-2, atol=1e-2)


def test_more_clusters_than_points_of_a_batch() -> None:
    z, t = torch.randn(4, 9), torch.randn(4, 9)
    assert torch.isfinite(icon.method("pmi")((z, t)))
    with pytest.raises(ValueError, match=r"^input: got 9 clusters, expected at most 4, the number of points"):
        icon.loss("clusters", "pairs")((z, t))


def test_the_teacher_gets_no_gradient() -> None:
    z, t = logits(0), logits(1)
    icon.method("temi")((z, t), LABELS).backward()
    assert z.grad is not None
    assert t.grad is None


def test_saved_with_its_marginals(tmp_path: Path) -> None:
    loss = icon.method("temi")
    loss((logits(0), logits(1)), LABELS)
    loss.save(tmp_path / "temi")
    again = icon.load(tmp_path / "temi")
    assert torch.equal(again.q.marginals, loss.q.marginals)
    pair = (logits(2), logits(3))
    assert torch.equal(again(pair, LABELS), loss(pair, LABELS))
    fresh = icon.method("temi")
    fresh.load_state_dict(loss.state_dict())
    assert torch.equal(fresh.q.marginals, loss.q.marginals)  # type: ignore[arg-type]


def test_entropy_of_the_mean_assignment() -> None:
    z = logits()
    phi = z.softmax(dim=1)
    mean = phi.mean(dim=0)
    plain = icon.loss("clusters", "pairs")(z, LABELS)
    loss = icon.loss("clusters", "pairs", entropy_weight=2.0)(z, LABELS)
    torch.testing.assert_close(loss - plain, 2 * (mean * mean.log()).sum())
    (mine,) = torch.autograd.grad(loss - plain, z)
    (theirs,) = torch.autograd.grad(2 * (z.softmax(dim=1).mean(dim=0).log() * z.softmax(dim=1).mean(dim=0)).sum(), z)
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("balance", [0.0, 0.4, 1.0])
def test_balance_of_separated_clusters(balance: float) -> None:
    """Of clusters that p never leaves the cross-entropy is log n - b H(sizes), approached as exp(-scale)."""
    sizes = torch.tensor([12, 5, 3])
    ids = torch.arange(3).repeat_interleave(sizes)
    share = sizes.double() / 20
    expected = math.log(20) + balance * float((share * share.log()).sum())
    loss = icon.loss("clusters", "classes", balance=balance)
    errors = []
    for scale in (5.0, 10.0, 15.0, 40.0):
        z = scale * torch.nn.functional.one_hot(ids).double()
        cross_entropy = loss(z, ids) - loss.terms(z, ids).kl + loss.terms(z, ids).cross_entropy
        errors.append(abs(float(cross_entropy) - expected))
    assert errors[-1] < 1e-12
    assert errors[1] / errors[0] == pytest.approx(math.exp(-5), rel=0.1)
    assert errors[2] / errors[1] == pytest.approx(math.exp(-5), rel=0.1)


def test_an_empty_cluster_costs_nothing_with_an_exponent_below_one() -> None:
    z = torch.cat([logits().detach(), torch.full((N, 1), -1e3)], dim=1).requires_grad_()
    loss = icon.loss("clusters", "pairs", exponent=0.6)
    torch.testing.assert_close(loss(z.float(), LABELS), loss(z[:, :-1].float(), LABELS))
    assert torch.isfinite(torch.autograd.grad(loss(z.float(), LABELS), z)[0]).all()


def test_entropy_of_an_empty_cluster_is_finite() -> None:
    z = torch.zeros(N, C).index_fill_(1, torch.tensor([2]), -1e4).requires_grad_()
    loss = icon.method("scan", n_neighbors=3)(z, np.random.default_rng(0).normal(size=(N, 2)))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"marginals": [0.5, 0.5, 0.0]}, "marginals: got an entry 0"),
        ({"marginals": [0.5, -0.5, 1.0]}, "marginals: got shape"),
        ({"marginals": "batch"}, "marginals: got 'batch'"),
        ({"exponent": 0}, "exponent: got 0"),
        ({"momentum": 2}, "momentum: got 2"),
        ({"entropy_weight": -1}, "entropy_weight"),
        ({"balance": -0.1}, "balance"),
        ({"balance": 1.5}, "balance"),
        ({"marginals": "uniform", "leak": 0.1}, "leak, weights: got one of them with marginals"),
    ],
)
def test_bad_hyper_parameters(hyper: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        icon.loss("clusters", "pairs", **hyper)


def test_marginals_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"^marginals: got 2, expected 3"):
        icon.loss("clusters", "pairs", marginals=[0.5, 0.5])((logits(0), logits(1)))
