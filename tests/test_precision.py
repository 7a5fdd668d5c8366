"""Products are rounded by nothing that a caller has set, and the settings stay as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import icon
from icon import _precision
from icon.neighbors import exact_neighbors
from tests.cases import normal
from tests.versions import recent_torch

needs_new_names = pytest.mark.skipif(not _precision._HAS_NEW_NAMES, reason="torch 2.9 has the newer names")


def settings() -> tuple[str, ...]:
    try:
        old = torch.get_float32_matmul_precision()
    except RuntimeError:
        old = "of no use"
    return old, torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    if _precision._HAS_NEW_NAMES:
        torch.backends.fp32_precision = "none"
        torch.backends.cuda.matmul.fp32_precision = torch.backends.mkldnn.matmul.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")


WAYS: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "of the CPU": lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
    "of a device": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "of all": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
}


@needs_new_names
@pytest.mark.parametrize("way", WAYS)
def test_settings_are_restored(way: str) -> None:
    """Torch's older names raise once one of the newer ones is used, so that neither is mixed with the other."""
    WAYS[way]()
    before = settings()
    with _precision.full_precision(torch.zeros(1)):
        assert settings()[2] in ("ieee", "none")
    assert settings() == before
    with _precision.full_precision(torch.empty(1, device="meta")):  # as on a device
        assert settings() == ("highest", "ieee", "ieee")
    assert settings() == before
    icon.method("simclr", matmul_precision="bfloat16")(normal(8, 3).float(), [0, 0, 1, 1, 2, 2, 3, 3])
    assert settings() == before


@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_older_names_serve_older_versions(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_precision, "_HAS_NEW_NAMES", False)
    torch.set_float32_matmul_precision(before)
    with _precision.full_precision(torch.zeros(1)):
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before


def nearest_in_a_queue(z: Tensor) -> Tensor:
    queue = icon.training.Queue(200, z.shape[1])
    queue.push(z[:200])
    return queue.nearest(z[200:])


COMPUTED: dict[str, Callable[[Tensor], Any]] = {
    "squared distances": lambda z: exact_neighbors(z, z, 5)[0],
    "cosines": lambda z: exact_neighbors(z, z, 5, "cosine")[0],
    "products": lambda z: exact_neighbors(z, z, 5, "dot")[0],
    "k-NN": lambda z: icon.p.KNN(5)(z).to_dense(),
    "a queue": nearest_in_a_queue,
    "own negatives": lambda z: icon.nn.own_negatives(z, z.roll(1, 0), z.roll(2, 0)[:, None])[0][0],
}


@recent_torch
def test_a_queue_compiles_whole() -> None:
    queue = icon.training.Queue(8, 3)
    queue.push(normal(8, 3).float())
    z = normal(4, 3, seed=1).float()
    assert torch.equal(torch.compile(queue.nearest, fullgraph=True, backend="eager")(z), queue.nearest(z))


@pytest.mark.parametrize("what", COMPUTED)
def test_autocast_rounds_no_products(what: str) -> None:
    z = torch.rand(600, 2, generator=torch.Generator().manual_seed(0)) + 20 * (torch.arange(600) % 2)[:, None]
    expected = COMPUTED[what](z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = COMPUTED[what](z)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


def test_a_device_without_autocast() -> None:
    with FakeTensorMode():
        x = torch.empty(8, 3, device="lazy")
    assert not _precision.can_autocast(x)
    with _precision.without_autocast(x):
        assert not torch.is_autocast_enabled("cpu")


def test_tensors_without_numbers_have_no_autocast() -> None:
    z = torch.empty(8, 3, device="meta")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert icon.method("simclr")(z, torch.arange(8) // 2).device.type == "meta"


def test_own_negatives_of_half_precision_are_scored_in_single() -> None:
    z = normal(32, 8).bfloat16()
    scores = [icon.nn.own_negatives(x, x.roll(1, 0), x.roll(2, 0)[:, None])[0][0] for x in (z, z.float())]
    assert torch.equal(*scores)
