"""What open_clip documents of ClipLoss: aligned unit features of two modalities and a learned scale."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

import icon
from tests.cases import assert_close, gradients, normal
from tests.peers._peers import Functions, Package, agree, each


def our_slope(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """The parameter is the logarithm of the temperature, and theirs that of its inverse."""
    loss = icon.method("clip", temperature=1 / scale, learnable=True)
    return -gradients(loss((a, b)), [*loss.parameters()])[0]


OURS = {"clip": lambda a, b, scale: icon.method("clip", temperature=1 / scale)((a, b)), "slope": our_slope}


def theirs() -> Functions:
    """The loss alone: the package's front door imports vision models."""
    package: Any = importlib.util.find_spec("open_clip")
    path = Path(package.submodule_search_locations[0]) / "loss.py"
    spec: Any = importlib.util.spec_from_file_location("open_clip_loss", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clip = module.ClipLoss()

    def slope(a: Tensor, b: Tensor, scale: float) -> Tensor:
        log_scale = torch.tensor(scale).log().requires_grad_()
        return gradients(clip(a, b, log_scale.exp()), [log_scale])[0]

    return {"clip": clip, "slope": slope}


EACH = each(OURS, "open_clip", theirs)


def written_out(a: Tensor, b: Tensor, scale: float) -> Tensor:
    scores, pairs = scale * a @ b.T, torch.arange(len(a))
    return (cross_entropy(scores, pairs) + cross_entropy(scores.T, pairs)) / 2


@EACH
@pytest.mark.parametrize("scale", [1.0, 1 / 0.07, 100.0])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_value_gradient_and_slope(package: Package, n: int, scale: float) -> None:
    """One pair costs nothing. The slope is the derivative by the logarithm of the scale."""
    leaves = [normal(n, 5, seed=seed, grad=True) for seed in range(2)]
    a, b = (normalize(leaf, dim=1) for leaf in leaves)
    agree(package["clip"](a, b, scale), written_out(a, b, scale), leaves)
    up, down = (written_out(a, b, scale * factor) for factor in (1 + 1e-4, 1 - 1e-4))
    assert_close(package["slope"](a, b, scale), (up - down) / 2e-4, rtol=1e-5)


@EACH
def test_pairs_have_no_order_and_the_modalities_are_alike(package: Package) -> None:
    a, b = (normalize(normal(6, 5, seed=seed), dim=1) for seed in range(2))
    expected, order = package["clip"](a, b, 10.0), torch.tensor([3, 1, 5, 0, 2, 4])
    assert_close(package["clip"](a[order], b[order], 10.0), expected)
    assert_close(package["clip"](b, a, 10.0), expected)
    assert abs(package["clip"](a[order], b, 10.0) - expected) > 0.1
