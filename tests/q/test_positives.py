"""Partitions that tell positives from negatives, against a dense double loop and autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import icon

N = 12


def points(seed: int = 0, n: int = N) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=(n, 4)), requires_grad=True)


def dense(z: torch.Tensor, labels: Any, temperature: float, tau_plus: float, beta: float, decoupled: bool) -> Any:
    """Loop over anchors; several positives enter by their mean."""
    unit = torch.nn.functional.normalize(z, dim=1)
    total = []
    for i in range(len(z)):
        s = unit @ unit[i] / temperature
        others = torch.arange(len(z)) != i
        same = torch.as_tensor(labels == labels[i]) & others
        positive, negative = s[same], s[~same & others]
        if decoupled:
            total.append(negative.exp().sum().log() - positive.mean())
            continue
        kept = positive.exp().mean()
        hard = ((beta * negative).softmax(dim=0) * negative.exp()).sum()
        g = (hard - tau_plus * kept) / (1 - tau_plus)
        g = torch.maximum(g, torch.tensor(-1 / temperature, dtype=z.dtype).exp())
        total.append((kept + len(negative) * g).log() - positive.mean())
    return torch.stack(total).mean()


CASES = [
    ({"partition": "decoupled"}, {}),
    ({"partition": "debiased", "tau_plus": 0.2}, {}),
    ({"partition": "debiased", "tau_plus": 0.2, "beta": 1.5}, {}),
    ({"partition": "debiased", "tau_plus": 0.9}, {}),
    ({"partition": "debiased", "beta": 3.0}, {}),
]


@pytest.mark.parametrize("block", [1, 5, N])
@pytest.mark.parametrize("hyper", [hyper for hyper, _ in CASES], ids=str)
@pytest.mark.parametrize("temperature", [0.5, 0.05])
def test_value_and_gradient(hyper: dict[str, Any], block: int, temperature: float) -> None:
    labels = np.arange(N) % 4
    z = points()
    loss = icon.loss("gaussian", "classes", temperature=temperature, block=block, **hyper)(z, labels)
    (mine,) = torch.autograd.grad(loss, z)
    settings = (hyper.get("tau_plus", 0.0), hyper.get("beta", 0.0), hyper["partition"] == "decoupled")
    expected = dense(z, labels, temperature, *settings)
    (theirs,) = torch.autograd.grad(expected, z)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(mine, theirs)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 2))
def test_without_correction_it_is_infonce(seed: int, temperature: float) -> None:
    ids = np.arange(N) // 2
    plain = icon.loss("gaussian", "pairs", temperature=temperature).terms(points(seed), ids).cross_entropy
    loss = icon.loss("gaussian", "pairs", temperature=temperature, partition="debiased")(points(seed), ids)
    torch.testing.assert_close(loss, plain)


def test_float32_at_a_small_temperature() -> None:
    ids = np.arange(N) // 2
    loss = icon.method("hard-negatives", temperature=0.01, tau_plus=0.3)
    z = points().float().detach().requires_grad_()
    value = loss(z, ids)
    value.backward()
    torch.testing.assert_close(value.double(), loss(points(), ids), rtol=1e-4, atol=1e-5)
    assert torch.isfinite(z.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["debiased-contrastive", "decoupled-contrastive"])
def test_what_it_cannot_do(name: str) -> None:
    with pytest.raises(ValueError, match=r"^p: got one mixed with the uniform"):
        icon.method(name, debias=0.1)(points(), np.arange(N) // 2)
    with pytest.raises(ValueError, match=r"^target: got 12 anchors whose candidates are all positives"):
        icon.method(name)(points(), np.zeros(N, dtype=int))
    with pytest.raises(ValueError, match=r"^normalization: got 'joint'"):
        icon.method(name, normalization="joint")


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"partition": "debiased", "tau_plus": 1.0}, "tau_plus: got 1"),
        ({"partition": "debiased", "tau_plus": -0.1}, "tau_plus"),
        ({"partition": "debiased", "beta": -1.0}, "beta"),
        ({"partition": "debiased", "metric": "dot"}, "partition: got 'debiased' with metric='dot'"),
        ({"partition": "debiased", "learnable": True}, "temperature: got"),
        ({"partition": "logsumexp", "tau_plus": 0.1}, "tau_plus, beta: got 0.1 and 0.0"),
        ({"preprocess": "whiten"}, "preprocess: got 'whiten'"),
    ],
)
def test_bad_hyper_parameters(hyper: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        icon.loss("gaussian", "pairs", temperature=0.5, **hyper)


# -- features preprocessed over the batch ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:target. got")
def test_curvature_beside_an_anchor_without_a_positive() -> None:
    z, direction, ids = points(n=6), points(1, 6).detach(), torch.tensor([0, 0, 1, 1, 2, 0])
    loss = icon.loss("gaussian", "pairs", temperature=0.5, partition="debiased", tau_plus=0.1, beta=0.5)

    def gradient(x: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(loss(x, ids), x, create_graph=True)[0]

    (found,) = torch.autograd.grad((gradient(z) * direction).sum(), z)
    ends = [gradient((z + step * direction).detach().requires_grad_()) for step in (1e-5, -1e-5)]
    torch.testing.assert_close(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-7)


def test_preprocess() -> None:
    a, b = points(0), points(1)
    centred = [x - x.mean(dim=0) for x in (a, b)]
    standard = [x / x.square().mean(dim=0).sqrt() for x in centred]
    for name, views in (("center", centred), ("standardize", standard)):
        plain = icon.loss("gaussian", "pairs", metric="dot", temperature=2.0)(tuple(views))
        loss = icon.loss("gaussian", "pairs", metric="dot", temperature=2.0, preprocess=name)((3 + a, b))
        torch.testing.assert_close(loss, plain)


def test_a_constant_dimension_is_nothing() -> None:
    z = torch.cat([points().detach(), torch.full((N, 1), 1e3, dtype=torch.float64)], dim=1).requires_grad_()
    loss = icon.method("barlow-twins")
    value = loss(z, np.arange(N) // 2)
    value.backward()
    torch.testing.assert_close(value, loss(points(), np.arange(N) // 2))
    assert torch.isfinite(z.grad).all()  # type: ignore[arg-type]
