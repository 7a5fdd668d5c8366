"""Two p that are mixed: as one sparse matrix where both have few edges, as a sum of both else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from icon.p.masses import Debiased, Mixture, Sparse
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
