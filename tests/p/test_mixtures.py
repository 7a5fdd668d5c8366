"""Two p that are mixed: as one sparse matrix where both have few edges, as a sum of both else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from icon.p.masses import Debiased, Mixture, Sparse
from icon.training.sampler import PairSampler
from tests.cases import assert_close, normal

N = 12
X, LABELS = normal(N, 3), np.arange(N) % 3
NEAR = icon.p.KNN(3)(X)


def mixed(weight: float = 0.4) -> icon.Rows:
    return icon.p.Classes()(LABELS).mix(NEAR, weight)


@pytest.fixture
def unmerged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icon.p.operations._MERGED", 0)


@pytest.mark.usefixtures("unmerged")
class TestASumOfBoth:
    def test_masses_and_entropies(self) -> None:
        expected = 0.6 * icon.p.Classes()(LABELS).to_dense() + 0.4 * NEAR.to_dense()
        rows = mixed()
        assert isinstance(rows.masses, Mixture)
        assert_close(rows.to_dense(), expected)
        assert_close(rows.entropy(), -torch.special.xlogy(expected, expected).sum(dim=1))
        assert rows.n_edges == int((expected > 0).sum())
        assert not rows.has_self_mass()

    @pytest.mark.parametrize("operate", [
        lambda rows: rows.debias(0.3), lambda rows: rows.symmetrize(), lambda rows: rows.symmetrize("union"),
        lambda rows: rows.walks(2), lambda rows: rows.transpose(), lambda rows: rows.debias(0.3).transpose(),
        lambda rows: rows.debias(0.2).debias(0.3), lambda rows: rows.mix(NEAR, 0.5), lambda rows: rows.part(2, 7),
        lambda rows: rows.debias(0.2).mix(NEAR.debias(0.1), 0.5),
    ])  # fmt: skip
    def test_every_operation_is_that_of_the_matrix(self, operate, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
        rows = operate(mixed())
        monkeypatch.setattr("icon.p.operations._MERGED", 2**24)
        one = operate(mixed())
        assert_close(rows.to_dense(), one.to_dense())
        assert_close(rows.marginal, one.marginal)
        assert_close(rows.entropy(), one.entropy())

    @pytest.mark.parametrize("debias", [0.0, 0.3])
    @pytest.mark.parametrize("loss", [icon.method("supcon"), icon.method("t-supcon"),
                                      icon.method("supcon").replace(evaluator="fused", block=5),
                                      icon.loss("gaussian", "classes", divergence="js", block=4)])  # fmt: skip
    def test_a_loss_is_that_of_the_matrix(
        self, loss: icon.Loss, debias: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        z = normal(N, 4, grad=True)
        found = loss(z, mixed().debias(debias))
        monkeypatch.setattr("icon.p.operations._MERGED", 2**24)
        one = mixed().debias(debias)
        assert isinstance(one.masses, Debiased if debias else Sparse)
        expected = loss(z, one)
        assert_close(found, expected)
        assert_close(torch.autograd.grad(found, z)[0], torch.autograd.grad(expected, z)[0])

    def test_an_anchor_that_only_one_of_them_knows(self) -> None:
        alone = np.array([0, 1, 1, *range(2, N - 1)])  # nobody but 1 and 2 has a member of its class
        rows = icon.p.Classes()(alone).mix(NEAR, 0.4)
        assert_close(rows.to_dense()[0], NEAR.to_dense()[0])
        assert_close(rows.masses.sums(), torch.ones(N, dtype=torch.float64))

    def test_draws_follow_the_masses(self) -> None:
        torch.manual_seed(0)
        anchors = torch.full((20_000,), 3)
        drawn = torch.bincount(mixed().masses.draw(anchors), minlength=N) / len(anchors)
        assert float((drawn - mixed().to_dense()[3]).abs().max()) < 0.015


def test_few_edges_are_merged() -> None:
    assert isinstance(mixed().masses, Sparse)


@pytest.mark.usefixtures("unmerged")
class TestRowsWithoutMassInOnePart:
    LABELS = torch.nn.functional.one_hot(torch.arange(N) % 3, 4).double().index_fill(0, torch.tensor([0, 5]), 0.0)

    def test_draws_are_from_the_other_part(self) -> None:
        rows = NEAR.mix(icon.p.Classes()(self.LABELS), 0.3)
        assert rows.n_empty == 0
        drawn = rows.masses.draw(torch.arange(N))
        assert bool((rows.to_dense()[torch.arange(N), drawn] > 0).all())
        _, _, among = PairSampler(rows).draw(N)
        assert among.n == N

    @pytest.mark.usefixtures("quiet")
    @pytest.mark.parametrize("divergence", ["kl", "js"])
    def test_a_part_of_weight_0_counts_for_nothing(self, divergence: str) -> None:
        plain = icon.p.Classes()(self.LABELS)
        rows = plain.mix(icon.p.Classes()(LABELS), 0.0)
        assert (rows.n_empty, rows.n_edges) == (2, plain.n_edges)
        assert_close(rows.marginal, plain.marginal)
        assert_close(rows.debias(0.3).to_dense(), plain.debias(0.3).to_dense())
        loss, z = icon.method("supcon").replace(divergence=divergence), normal(N, 4)
        assert_close(loss(z, rows.debias(0.1)), loss(z, plain.debias(0.1)))


@pytest.mark.usefixtures("unmerged")
def test_lists_of_edges_are_merged_however_long_they_are() -> None:
    assert isinstance(NEAR.mix(NEAR.symmetrize(), 0.5).masses, Sparse)


def test_a_gradient_of_the_other_p_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^mix: got a p with gradient"):
        NEAR.mix(icon.p.Gaussian(sigma=1.0, detach=False)(normal(N, 3, grad=True)), 0.5)


def test_a_joint_p_that_is_as_asked_is_itself() -> None:
    """Its entropies are not needed by what draws from it."""
    rows = NEAR.symmetrize()
    assert rows.to(torch.device("cpu"), torch.float64) is rows
