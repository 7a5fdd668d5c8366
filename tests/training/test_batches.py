"""What a step sees: batches of pairs, of points with their targets, or of a sampler of your own."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import icon
from icon.nn.mappers import MLP, Lookup, Prototypes
from icon.training import PairSampler, PointSampler
from icon.training.fit import fit
from tests.training.runs import N, clusters, noisy, sne


@pytest.mark.parametrize(
    "loss", [clusters(), clusters(0.5), icon.method("tsne", perplexity=5), icon.loss("gaussian", "knn", n_neighbors=4)]
)
def test_minibatches_lower_the_loss_over_all_points(loss: icon.Loss, x: Tensor) -> None:
    lookup = Lookup(N, 3, start=torch.randn(N, 3))
    index = torch.arange(N)
    before = loss(lookup(index), x).item()
    fit(loss, lookup, index, x, steps=200, learning_rate=0.05, batch_size=15)
    assert loss(lookup(index), x).item() < before - 0.1


def test_minibatches_of_a_method_that_joins_its_views(x: Tensor) -> None:
    labels, mapper = torch.arange(N) % 3, MLP(5, 2)
    joined, plain = (
        fit(loss, copy.deepcopy(mapper), x, labels, steps=3, batch_size=8)
        for loss in (icon.method("supcon"), icon.loss("gaussian", "classes"))
    )
    assert joined == plain


def test_points_are_drawn_with_their_targets() -> None:
    labels = 10 * torch.arange(N)
    counts = torch.zeros(N)
    for _ in range(2000):
        index, target = PointSampler(labels).draw(N)
        assert torch.equal(target, labels[index])
        counts += torch.bincount(index, minlength=N)
    assert torch.allclose(counts / counts.sum(), torch.full((N,), 1 / N), atol=2e-3)


@pytest.mark.parametrize("soft", [False, True])
def test_minibatches_of_cross_entropy_are_plain_adam_on_rows_of_labels(soft: bool, x: Tensor) -> None:
    labels = (x[:, 0] > 0).long()
    target = torch.eye(2)[labels] if soft else labels
    torch.manual_seed(1)
    model = nn.Sequential(MLP(5, 4, 8), Prototypes(2, 4))
    twin = nn.Sequential(MLP(5, 4, 8), Prototypes(2, 4))
    twin.load_state_dict(model.state_dict())
    done = fit(icon.method("cross-entropy"), model, x, target, steps=10, batch_size=12, learning_rate=0.02, seed=3)
    optimizer, losses = torch.optim.Adam(twin.parameters(), 0.02), []
    torch.manual_seed(3)
    for _ in range(10):
        index = torch.randint(N, (12,))
        z, prototypes = twin(x[index])
        value = nn.functional.cross_entropy(z @ prototypes.T, labels[index])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert done.losses == pytest.approx(losses, rel=1e-5)


class Views:
    """A sampler of a user's own: two equal views of each point, with the number of the point as the target."""

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        index = torch.randperm(N)[:size]
        return index.repeat(2), torch.arange(size).repeat(2)


class InNumPy(Views):
    """The same, as arrays."""

    def draw(self, size: int) -> tuple[Any, Any]:
        return tuple(each.numpy() for each in super().draw(size))


def test_a_sampler_of_your_own(x: Tensor) -> None:
    start = MLP(5, 3)
    ours, theirs = (
        fit(icon.method("simclr"), copy.deepcopy(start), x, views, steps=2, batch_size=10)
        for views in (Views(), InNumPy())
    )
    assert ours == theirs
    done = fit(icon.method("simclr"), nn.Sequential(nn.Dropout(0.2), MLP(5, 3)), x, Views(), steps=30, batch_size=10)
    assert done.losses[-1] < done.losses[0]


def test_negatives_beside_a_sampler_are_refused(x: Tensor) -> None:
    sampler = PairSampler(clusters(0.25).p(x), negatives=2)
    with pytest.raises(
        ValueError, match=r"^negatives: got 3 with a sampler that has 2, expected None: the sampler decides"
    ):
        fit(clusters(), noisy(), x, sampler, steps=1, batch_size=8, negatives=3)
    fit(clusters(), noisy(), x, sampler, steps=1, batch_size=8, negatives=2)


@pytest.mark.parametrize(
    ("loss", "batch_size", "line"),
    [
        (lambda: clusters(0.25), None, r"^negatives: got 3 without batch_size, expected None: every step sees all"),
        (clusters, 8, r"^negatives: got 3 for a p without uniform mass to spread, expected p\.debias"),
        (
            lambda: icon.Loss(icon.p.KNN(5).debias(0.3), icon.q.Gaussian(partition="decoupled")),
            8,
            "^negatives: got 3, expected None: Gaussian.* tells positives from negatives",
        ),
        (
            lambda: icon.Loss(icon.p.KNN(5).debias(0.3), icon.q.Gaussian(margin=0.5)),
            8,
            "^negatives: got 3, expected None: Gaussian.* tells positives from negatives",
        ),
    ],
)
def test_negatives_that_would_not_count_are_refused(loss: Any, batch_size: int | None, line: str, x: Tensor) -> None:
    with pytest.raises(ValueError, match=line):
        fit(loss(), noisy(), x, x, steps=1, batch_size=batch_size, negatives=3)


@pytest.mark.parametrize("q", [{"partition": "decoupled"}, {"margin": 0.5}], ids=str)
def test_negatives_of_a_sampler_that_would_be_positives_are_refused(q: dict[str, Any], x: Tensor) -> None:
    loss = icon.Loss(icon.p.KNN(5).debias(0.3), icon.q.Gaussian(**q))
    with pytest.raises(ValueError, match=r"^negatives: got 2, expected None: Gaussian.* tells positives from"):
        fit(loss, noisy(), x, PairSampler(loss.p(x), negatives=2), steps=1, batch_size=8)
    fit(loss, noisy(), x, PairSampler(icon.p.KNN(5)(x), negatives=2), steps=1, batch_size=8)  # has no mass to spread


def test_batches_refuse_anchors_without_a_positive_where_the_loss_does(x: Tensor) -> None:
    loss = icon.Loss(icon.p.Classes(), icon.q.Gaussian("cosine", temperature=1.0), on_no_positive="raise")
    labels = torch.arange(N) // 2
    fit(loss, noisy(), x, labels, steps=1, batch_size=8)
    labels[0] = N
    with pytest.raises(
        ValueError, match=r"^target: got 2 of 30 anchors without a positive \(rows 0, 1\), expected none"
    ):
        fit(loss, noisy(), x, labels, steps=1, batch_size=8)


@pytest.mark.parametrize(
    "inputs",
    [
        pd.DataFrame(np.eye(N, 5)), sp.csr_array(np.eye(N, 5)), TensorDataset(torch.eye(N, 5)), [[0.0] * 5] * N,
        DataLoader(TensorDataset(torch.eye(N, 5)), batch_size=4), iter([torch.eye(N, 5)]), np.eye(N, 5).astype(object),
    ],
    ids=lambda inputs: type(inputs).__name__,
)  # fmt: skip
def test_batches_are_rows_of_a_tensor_or_an_array(inputs: Any) -> None:
    expected = rf"^inputs: got {type(inputs).__name__} \(.*\), expected a tensor or an array with batch_size"
    with pytest.raises(TypeError, match=expected):
        fit(icon.method("supcon"), MLP(5, 3), inputs, torch.arange(N) // 2, steps=1, batch_size=4)


class Named(nn.Linear):
    """A network with outputs by name, as those of some libraries."""

    def forward(self, x: Tensor) -> Any:
        return {"embedding": super().forward(x)}


@pytest.mark.parametrize("batch_size", [None, 8])
def test_a_mapper_gives_tensors(batch_size: int | None, x: Tensor) -> None:
    with pytest.raises(TypeError, match=r"^mapper: got an output of dict, expected a tensor, or a pair of them"):
        fit(icon.method("supcon"), Named(5, 3), x, torch.arange(N) // 2, steps=1, batch_size=batch_size)


def test_an_array_of_tokens_stays_one_of_integers() -> None:
    tokens = np.arange(2 * N).reshape(N, 2) % 7
    model = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2))
    ours, theirs = (
        fit(icon.method("supcon"), copy.deepcopy(model), x, torch.arange(N) // 2, steps=2, batch_size=8)
        for x in (tokens, torch.from_numpy(tokens))
    )
    assert ours == theirs


def test_a_sampler_of_pairs_is_one_of_all_points(x: Tensor) -> None:
    with pytest.raises(TypeError, match=r"^rows: got KNN, expected prepared ones, such as"):
        PairSampler(icon.p.KNN(4))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^target: got 20 rows, expected 30 \(one per row of the inputs\)"):
        fit(sne(), MLP(5, 3), x, PairSampler(sne().p(x[:20])), steps=1, batch_size=8)


def test_a_sampler_needs_a_number_of_rows(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^batch_size: got None with a sampler, expected how many rows it draws"):
        fit(sne(), MLP(5, 3), x, PairSampler(sne().p(x)), steps=1)


def test_batches_need_a_label_for_each_input() -> None:
    x, loss = torch.randn(20, 4), icon.method("cross-entropy")
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), Prototypes(5, 3))
    with pytest.raises(ValueError, match=r"^labels: got 10 entries, expected 20"):
        fit(loss, model, x, torch.zeros(10, dtype=torch.int64), steps=2, learning_rate=0.01, batch_size=4)
    rows = icon.p.DataLabel(n_classes=5)(torch.zeros(20, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"^target: got prepared rows with batch_size"):
        fit(loss, model, x, rows, steps=2, learning_rate=0.01, batch_size=4)
