"""Pairs follow p, whatever is chained to it; of many points they are drawn without work over all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import icon
from icon.p.base import Sets
from icon.training import PairSampler, sampler
from icon.training.fit import fit
from tests.cases import Largest
from tests.training.runs import N, clusters, noisy

# -- partners and anchors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_partners_are_drawn_from_p(weighted: bool, x: Tensor) -> None:
    rows = clusters(0.25).p(x)
    pairs, counts, anchors = PairSampler(rows, weighted), torch.zeros(N, N), torch.zeros(N)
    for _ in range(3000):
        i, j, _ = pairs.draw(N)
        counts.index_put_((i, j), torch.ones(N), accumulate=True)
        anchors += torch.bincount(i, minlength=N)
    edges = torch.from_numpy(rows.to_scipy().toarray()).float() / 0.75
    assert torch.equal(counts > 0, edges > 0)
    assert torch.allclose(counts / anchors[:, None], edges, atol=0.05)
    expected = rows.anchor_marginal.float() if weighted else torch.full((N,), 1 / N)
    assert torch.allclose(anchors / anchors.sum(), expected, atol=2e-3)


def test_a_batch_estimates_the_positive_term_without_bias(x: Tensor) -> None:
    """The mean of ``s_ij`` over drawn pairs goes to ``mean_i sum_j p_ij s_ij``: the cross-entropy but its partition."""
    rows = icon.p.KNN(n_neighbors=4).walks(2)(x)
    z = torch.randn(N, 2, dtype=torch.float64)
    scores = -torch.cdist(z, z).square()
    exact = (rows.to_dense() * scores).sum(dim=1).mean().item()
    pairs = PairSampler(rows)
    drawn = torch.tensor([scores[i, j].mean() for i, j, _ in (pairs.draw(10) for _ in range(4000))])
    standard_error = (drawn.std() / len(drawn) ** 0.5).item()
    assert abs(drawn.mean().item() - exact) < 4 * standard_error
    assert standard_error < 0.05 * abs(exact)


def test_a_batch_has_one_partner_per_anchor_and_the_uniform_mass(x: Tensor) -> None:
    i, j, sampled = PairSampler(clusters(0.25).p(x)).draw(8)
    assert len(i) == len(j) == len(set(i.tolist())) == 8
    assert torch.allclose(sampled.to_dense(), 0.75 * torch.eye(8).double() + 0.25 / 8)


def test_a_p_that_finishes_its_rows_is_sampled_as_it_is(x: Tensor) -> None:
    class Finished(icon.p.KNN):
        def finish(self, rows: icon.Rows) -> icon.Rows:
            return rows.symmetrize("union")

    class Called(icon.p.KNN):
        def __call__(self, target: Any = None, sets: Sets = Sets()) -> icon.Rows:  # noqa: B008
            return super().__call__(target, sets).symmetrize("union")

    for p in (Finished(2).walks(2), Called(2)):
        sampled = PairSampler.of(icon.Loss(p, icon.q.StudentT()), x, Sets(N, N))
        assert torch.equal(sampled.rows.to_dense(), p(x).to_dense())


def test_empty_anchors_are_not_drawn() -> None:
    p = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    pairs = PairSampler(icon.p.Precomputed()(p))
    for _ in range(20):
        i, j, _ = pairs.draw(3)
        assert sorted(i.tolist()) == [0, 1]
        assert torch.equal(p[i, j], torch.ones(2))


@pytest.mark.filterwarnings("ignore:target")
def test_walks_that_end_early_are_left_out_as_they_are_of_p() -> None:
    """A node that no edge leaves: the walks that are drawn follow the average of those that are computed."""
    graph = torch.tensor([[0.0, 2, 1, 0], [1, 0, 1, 1], [1, 0, 0, 3], [0, 0, 0, 0]])
    loss = icon.Loss(icon.p.Graph().walks(3), icon.q.StudentT())
    copies = torch.kron(torch.eye(100), graph)
    pairs, counts = PairSampler.of(loss, copies, Sets(400, 400)), torch.zeros(4, 4)
    for _ in range(40):
        i, j, _ = pairs.draw(400)
        assert torch.equal(i // 4, j // 4)
        counts.index_put_((i % 4, j % 4), torch.ones(300), accumulate=True)
    assert counts.sum(dim=1).tolist() == [4000, 4000, 4000, 0]
    assert torch.allclose(counts / 4000, loss.p(graph).to_dense().float(), atol=0.03)


def test_a_p_of_uniform_mass_alone_has_no_batches(x: Tensor) -> None:
    joint = icon.Loss(icon.p.KNN(5).debias(1.0), icon.q.StudentT(), normalization="joint")
    with pytest.raises(ValueError, match=r"^target: got a p in which no anchor has a positive of its own"):
        fit(joint, noisy(), x, x, steps=1, batch_size=8)


def test_a_sampler_composes_as_p_does(x: Tensor) -> None:
    rows = icon.p.KNN(n_neighbors=4)(x)
    drawn = PairSampler(rows).walks(3).debias(0.2).debias(0.5)
    assert (drawn.steps, drawn.alpha, drawn.rows) == (3, pytest.approx(0.6), rows)
    computed = PairSampler(rows).walks(2).symmetrize("union")
    expected = rows.walks(2).symmetrize("union")
    assert torch.equal(computed.rows.to_dense(), expected.to_dense())
    assert computed.steps == 1


def test_a_number_of_pairs_that_is_none_is_refused() -> None:
    pairs = PairSampler(icon.p.KNN(2)(torch.randn(9, 2)), negatives=2)
    with pytest.raises(ValueError, match=r"^size: got -1, expected an integer >= 1"):
        pairs.draw(-1)
    with pytest.raises(ValueError, match=r"^negatives: got 0, expected an integer >= 1"):
        pairs.debias(0.1).sample(4, 0)
    assert pairs.sample(4, 0)[1].n == 4  # without debiasing there is no uniform mass


# -- many points -------------------------------------------------------------------------------------------------------

MANY = sampler.LARGE
LABELS = torch.arange(MANY) // 4


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("second", [None, icon.p.Classes()(LABELS // 2)], ids=["classes", "mixture"])
def test_a_draw_makes_nothing_of_the_size_of_all_points(weighted: bool, second: icon.Rows | None) -> None:
    rows = icon.p.Classes()(LABELS)
    pairs = PairSampler(rows if second is None else rows.mix(second, 0.5), weighted)
    pairs.draw(8)
    with Largest() as largest:
        anchors, partners, _ = pairs.draw(64)
    assert largest.numbers <= 64 * 64
    assert torch.equal(LABELS[anchors] // 2, LABELS[partners] // 2)
    assert not (anchors == partners).any()


def test_anchors_of_many_are_different_and_as_probable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "LARGE", 0)
    pairs = PairSampler(icon.p.Classes()(torch.tensor([0, 1, 1, 2, 2, 2])))  # the first has no positive
    drawn = torch.stack([pairs.draw(2)[0] for _ in range(2000)])
    assert (drawn[:, 0] != drawn[:, 1]).all()
    shares = torch.bincount(drawn.flatten(), minlength=6) / drawn.numel()
    torch.testing.assert_close(shares, torch.tensor([0.0] + 5 * [0.2]), rtol=0, atol=0.03)
    assert sorted(pairs.draw(9)[0].tolist()) == [1, 2, 3, 4, 5]


def test_a_seed_draws_the_same_of_many() -> None:
    pairs = PairSampler(icon.p.Classes()(LABELS))
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(pairs.draw(64)[:2])
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])
