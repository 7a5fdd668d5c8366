"""What lightly documents of the losses of two views: NTXentLoss, DCLLoss, negative cosine, SwaVLoss and DINOLoss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

import icon
from table import peers
from tests.cases import assert_close, gradients, normal
from tests.peers._peers import Functions, Package, agree, each

TEMPERATURE, SHARP, EPSILON = 0.1, 0.04, 0.05
METHODS = ["simclr", "decoupled", "byol", "swav", "dino"]


def of_views(slug: str, a: Tensor, b: Tensor) -> Tensor:
    ids = torch.arange(len(a)).repeat(2)
    return icon.method(slug, temperature=TEMPERATURE).terms(torch.cat([a, b]), ids).cross_entropy


def of_codes(a: Tensor, b: Tensor, code_a: Tensor, code_b: Tensor) -> Tensor:
    """Scores of two views with the prototypes, each against the code of the other one."""
    loss, prototypes = icon.method("dino", temperature=TEMPERATURE), torch.eye(a.shape[1], dtype=a.dtype)
    return loss.terms((torch.cat([a, b]), prototypes), torch.cat([code_b, code_a])).cross_entropy


OURS = {
    "simclr": lambda a, b: of_views("simclr", a, b),
    "decoupled": lambda a, b: of_views("decoupled-contrastive", a, b),
    "byol": lambda a, b: icon.method("byol").terms((a, b)).cross_entropy,
    "swav": lambda a, b: of_codes(a, b, *(icon.sinkhorn(s, EPSILON, 3, tolerance=None) for s in (a, b))),
    "dino": lambda a, b: of_codes(a, b, *map(icon.nn.Centering(a.shape[1], SHARP).eval(), (a, b))),
}


def theirs() -> Functions:
    swav, dino = peers.lightly_loss("swav_loss", "SwaVLoss"), peers.lightly_loss("dino_loss", "DINOLoss")
    return {
        "simclr": peers.lightly_loss("ntx_ent_loss", "NTXentLoss")(TEMPERATURE),
        "decoupled": peers.lightly_loss("dcl_loss", "DCLLoss")(TEMPERATURE),
        "byol": peers.lightly_loss("negative_cosine_similarity", "NegativeCosineSimilarity")(),
        "swav": lambda a, b: swav(TEMPERATURE, 3, EPSILON)([a, b], []).squeeze(),
        "dino": lambda a, b: dino(a.shape[1]).to(a.dtype)([a.detach(), b.detach()], [a, b]),
    }


EACH = each(OURS, "lightly", theirs)


def written_out(method: str, a: Tensor, b: Tensor) -> Tensor:
    n = len(a)
    if method == "byol":
        return -(normalize(a, dim=1) * normalize(b, dim=1)).sum(dim=1).mean()
    if method in ("simclr", "decoupled"):
        z, own = normalize(torch.cat([a, b]), dim=1), torch.eye(2 * n, dtype=torch.bool)
        scores, other = z @ z.T / TEMPERATURE, own.roll(n, dims=1)
        competing = scores.masked_fill(own | other if method == "decoupled" else own, -torch.inf)
        return (competing.logsumexp(dim=1) - scores[other]).mean()
    codes = []
    for view in (b.detach(), a.detach()):
        code = ((view - view.max()) / (EPSILON if method == "swav" else SHARP)).exp()
        for _ in range(3 if method == "swav" else 0):
            code = code / code.sum(dim=0)
            code = code / code.sum(dim=1, keepdim=True)
        codes.append(code / code.sum(dim=1, keepdim=True))
    return -(torch.cat(codes) * (torch.cat([a, b]) / TEMPERATURE).log_softmax(dim=1)).sum(dim=1).mean()


def views(n: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Two views of n images; as scores they are those of unit vectors."""
    return [(normal(n, 5, seed=seed) / 4).clamp(-1, 1).to(dtype).requires_grad_() for seed in range(2)]


@EACH
@pytest.mark.parametrize(("method", "n"), [(m, n) for m in METHODS for n in (1, 2, 7) if (m, n) != ("decoupled", 1)])
def test_value_and_gradient(package: Package, method: str, n: int) -> None:
    """In BYOL the target has no gradient: lightly leaves that to the caller."""
    a, b = views(n)
    leaves = [a] if method == "byol" else [a, b]
    agree(package[method](a, b), written_out(method, a, b), leaves, rtol=1e-6 if method == "dino" else 1e-9)


@EACH
@pytest.mark.parametrize("method", METHODS)
def test_neither_the_order_of_the_views_nor_the_lengths_of_embeddings_matter(package: Package, method: str) -> None:
    a, b = views(6)
    expected, lengths = package[method](a, b), torch.logspace(-3, 3, 6, dtype=torch.float64)[:, None]
    assert_close(package[method](b, a), expected)
    if method not in ("swav", "dino"):
        assert_close(package[method](lengths * a, b / lengths), expected)


@EACH
def test_one_image_has_no_negatives(package: Package) -> None:
    """A softmax over one candidate costs 0, without gradient, and BYOL is minus the cosine.

    The decoupled loss is the logarithm of an empty sum: minus infinity in lightly, refused by icon.
    """
    a, b = views(1)
    value = package["simclr"](a, b)
    assert value == 0
    assert not any(bool(gradient.any()) for gradient in gradients(value, [a, b]))
    assert_close(package["byol"](a, b), -torch.cosine_similarity(a, b).squeeze())
    if package.is_icon:
        with pytest.raises(ValueError, match="expected some negatives"):
            package["decoupled"](a, b)
    else:
        assert package["decoupled"](a, b) == -torch.inf


@EACH
@pytest.mark.parametrize(
    ("method", "lowest"),
    [
        ("simclr", math.log1p(2 * math.exp(-2 / TEMPERATURE))),
        ("decoupled", math.log(2) - 2 / TEMPERATURE),
        ("byol", -1.0),
    ],
)
def test_equal_views_of_opposite_images_are_the_minimum(package: Package, method: str, lowest: float) -> None:
    z = normal(1, 5)
    best = torch.cat([z, -z])
    assert_close(package[method](best, best), np.float64(lowest))
    a, b = normal(2, 5, seed=1), normal(2, 5, seed=2)
    for near in (0.1, 1.0):
        assert package[method](best + near * a, best + near * b) > lowest


@EACH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
def test_half_precision(package: Package, method: str, dtype: torch.dtype) -> None:
    a, b = views(6, dtype)
    found = package[method](a, b)
    assert_close(found, written_out(method, a.double(), b.double()), rtol=3e-2)
    assert bool(gradients(found, [a, b])[0].isfinite().all())


@EACH
@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_zero_and_of_equal_rows_are_finite(package: Package, method: str) -> None:
    for z in (torch.zeros(3, 4, requires_grad=True), torch.ones(3, 4, requires_grad=True)):
        value = package[method](z, z)
        assert bool(value.isfinite())
        assert bool(gradients(value, [z])[0].isfinite().all())
