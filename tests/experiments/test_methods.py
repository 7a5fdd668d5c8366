"""Methods that ours is compared with: each finds blobs, repeats exactly, and is the formula of its paper."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from torch.nn.functional import cross_entropy

from experiments.clustering import comparison, deep, methods, protocol
from experiments.datasets import Dataset

X, Y = make_blobs(240, 12, centers=3, cluster_std=1.5, random_state=1)
X = X.astype(np.float32)
BLOBS = Dataset("blobs", X, (X[:, :6], X[:, 6:]), Y)
FEW = protocol.Settings(steps=40, restarts=2)
NEW = [
    pytest.param(name, marks=pytest.mark.slow) if name.startswith("UMAP") else name  # which compiles for 20 seconds
    for name in comparison.METHODS
    if name.startswith(("self", "Ward", "HDB", "UMAP", "TURTLE", "PRCut")) or name.endswith(comparison.FROM_START)
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW)
def test_blobs_are_found_again_and_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.startswith("UMAP"):
        pytest.importorskip("umap", exc_type=ImportError)
    monkeypatch.setattr(deep, "TURTLE_PLAN", {"steps": 300, "learning_rate": 1e-2})
    monkeypatch.setattr(deep, "PRCUT_PLAN", {"steps": 300, "learning_rate": 1e-2})
    threads = torch.get_num_threads()
    first, again = (comparison.METHODS[name](BLOBS, 1, FEW) for _ in range(2))
    assert torch.get_num_threads() == threads
    assert protocol.scores(BLOBS, first.labels)["accuracy"] > 0.95
    assert (first.labels == again.labels).all()
    assert first.loss == again.loss


def test_a_missing_umap_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"umap: not installed, expected it for .*: pip install umap-learn"):
        comparison.METHODS["UMAP + k-means"](BLOBS, 0, FEW)


def test_ward_of_many_points_merges_along_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = methods.ward(BLOBS, 0, FEW).labels
    monkeypatch.setattr(methods, "WHOLE", 100)
    assert protocol.scores(BLOBS, methods.ward(BLOBS, 0, FEW).labels) == protocol.scores(BLOBS, whole)


def test_hdbscan_calls_lonely_points_noise() -> None:
    far = 1000 * np.eye(12, dtype=np.float32)
    labels = methods.hdbscan(Dataset("far", np.concatenate([X, far]), y=np.append(Y, np.zeros(12))), 0, FEW).labels
    assert (labels[-12:] == -1).all()
    assert len(np.unique(labels[labels >= 0])) == 3  # which it is not told


def test_self_tuned_affinities() -> None:
    found = methods.self_tuned(BLOBS, 10).toarray()
    distance = np.linalg.norm(X[:, None].astype(float) - X, axis=2)
    scale = np.sort(distance, axis=1)[:, 7]  # the first is the point itself
    expected = np.exp(-(distance**2) / np.outer(scale, scale)) * protocol.union(BLOBS, 10).toarray()
    assert found == pytest.approx(expected, abs=1e-4)
    assert (found == found.T).all()
    copies = Dataset("copies", np.repeat(X[:20], 12, axis=0), y=np.repeat(Y[:20], 12))
    assert np.isfinite(methods.self_tuned(copies, 10).data).all()


def test_prcut() -> None:
    """The cut of each cluster over its size, and its gradient as the paper writes it, less 100 times the entropy."""
    views = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    loss = deep.PRCut(3)
    phi, partner = (view.softmax(dim=1).requires_grad_() for view in views)
    mean = phi.mean(dim=0).detach()
    sizes = 0.2 / 3 + 0.8 * mean
    cut = (phi * (1 - partner) + partner * (1 - phi)).detach().mean(dim=0)
    value = loss((phi.log(), partner.log()))
    assert value.item() == pytest.approx(float((cut / sizes).sum() + 100 * (mean * mean.log()).sum()), rel=1e-5)
    (found,) = torch.autograd.grad(value, phi)
    expected = ((1 - 2 * partner) / sizes - cut / sizes**2 + 100 * (mean.log() + 1)) / 6
    # Through the softmax, a gradient along the probabilities of a point vanishes.
    expected = expected - (expected * phi).sum(dim=1, keepdim=True)
    assert torch.allclose(found, expected.detach(), atol=1e-4)
    assert torch.allclose(loss.sizes, sizes)


@pytest.mark.slow
def test_turtle() -> None:
    """The outer loss of Gadetsky et al. 2024, its classifiers by autograd from the same first weights."""
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    encoder = deep.TaskEncoder([3, 2], 4)
    loss = deep.Turtle(encoder, 7)
    value = loss(encoder(x))
    (gradient,) = torch.autograd.grad(value, encoder.linear[0].bias)
    draws = torch.Generator().manual_seed(7)
    phi = [linear(part).softmax(dim=1) for linear, part in zip(encoder.linear, x.split([3, 2], dim=1), strict=True)]
    labels, expected = (phi[0] + phi[1]) / 2, torch.zeros(())
    for space, part in zip(phi, x.split([3, 2], dim=1), strict=True):
        width = part.shape[1]
        first = (2 * torch.rand(4, width + 1, generator=draws).mT - 1) / width**0.5
        weight, bias = first[:-1].clone().requires_grad_(), first[-1].clone().requires_grad_()
        optimizer = torch.optim.Adam([weight, bias], lr=1e-3)
        for _ in range(10):
            optimizer.zero_grad()
            cross_entropy(part @ weight + bias, labels.detach()).backward()
            optimizer.step()
        mean = space.mean(dim=0)
        expected = expected + cross_entropy((part @ weight + bias).detach(), labels) + 10 * (mean * mean.log()).sum()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(gradient, torch.autograd.grad(expected, encoder.linear[0].bias)[0], atol=1e-6)
