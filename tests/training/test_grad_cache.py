"""Chunks of a batch give what the whole batch gives: value, gradients, and random numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import icon
from icon.training import GradCache
from tests.ranks import run

N = 12


def encoder(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3)).double()


def data(seed: int) -> torch.Tensor:
    return torch.randn(N, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(*modules: nn.Module) -> list[torch.Tensor]:
    return [p.grad for module in modules for p in module.parameters() if p.grad is not None]


@pytest.mark.parametrize("chunk", [1, 7, N, 50])
def test_one_encoder_of_two_views(chunk: int) -> None:
    whole, parts, loss = encoder(), encoder(), icon.method("simclr", temperature=0.3)
    expected = loss((whole(data(0)), whole(data(1))))
    expected.backward()
    value = GradCache(loss, parts, chunk)((data(0), data(1)))
    assert value == pytest.approx(expected.item(), rel=1e-12)
    for ours, theirs in zip(gradients(parts), gradients(whole), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_two_encoders_a_mapping_and_a_learned_temperature() -> None:
    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = encoder()

        def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.net(tokens) * mask

    found = []
    mask = torch.linspace(0.5, 1, N, dtype=torch.float64)[:, None]
    for chunk in (None, 5):
        images, texts = encoder(), Text()
        loss = icon.method("clip", temperature=0.2, learnable=True).double()
        if chunk is None:
            loss((images(data(0)), texts(data(1), mask))).backward()
        else:
            GradCache(loss, (images, texts), chunk)((data(0), {"tokens": data(1), "mask": mask}))
        found.append(gradients(images, texts, loss))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_dropout_is_the_same_in_both_passes() -> None:
    """One chunk of all points draws what the whole batch draws; and the caller's stream goes on as after it."""
    whole, parts, loss, ids = encoder(0.5), encoder(0.5), icon.method("simclr"), torch.arange(N) // 2
    torch.manual_seed(1)
    loss(whole(data(0)), ids).backward()
    after = torch.rand(3)
    torch.manual_seed(1)
    GradCache(loss, parts, N)(data(0), ids)
    assert torch.equal(torch.rand(3), after)
    for ours, theirs in zip(gradients(parts), gradients(whole), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_draws_are_kept_of_the_device_of_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The points may lie elsewhere, where an encoder moves them to its own device."""
    seen: list[Any] = []
    monkeypatch.setattr("icon.training.grad_cache.get_device_states", lambda *x: seen.extend(x) or ([], []))
    net = encoder()
    GradCache(icon.method("simclr"), net, N)(data(0), torch.arange(N) // 2)
    assert any(x is net[0].weight for x in seen)


def test_weights_that_autocast_has_cast_without_a_graph_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older versions of torch would use them in the second pass, in which the weights would get no gradient."""
    seen: list[Any] = []
    monkeypatch.setattr(torch, "clear_autocast_cache", lambda: seen.append("cleared"))
    net = encoder()
    net.register_forward_pre_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    GradCache(icon.method("simclr"), net, N)(data(0), torch.arange(N) // 2)
    assert seen == [False, "cleared", True]


def test_the_graph_of_one_chunk_is_kept_at_a_time() -> None:
    """Counted by what autograd saves: never more than a chunk's rows of the hidden layer."""
    saved: list[int] = []

    def pack(x: torch.Tensor) -> torch.Tensor:
        if x.ndim == 2 and x.shape[1] == 8:
            saved.append(len(x))
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        GradCache(icon.method("simclr"), encoder(), 3)((data(0), data(1)))
    assert set(saved) == {3}  # rows of a chunk


def over_ranks(rank: int) -> float:
    """Through `DistributedDataParallel`, against one process."""
    whole, loss = encoder(), icon.method("simclr", temperature=0.3)
    loss((whole(data(0)), whole(data(1)))).backward()
    part = slice(0, 5) if rank == 0 else slice(5, N)
    parts = DistributedDataParallel(encoder())
    GradCache(loss.replace(group="world"), parts, 2)((data(0)[part], data(1)[part]))
    return max(float((a - b).abs().max()) for a, b in zip(gradients(parts), gradients(whole), strict=True))


@pytest.mark.slow
def test_over_ranks() -> None:
    assert max(run(over_ranks, 2)) < 1e-10


def none_on_a_rank(rank: int) -> list[Any]:
    """The first rank has no point; and a static graph is refused, which torch would fail on in the first chunk."""
    whole, loss = encoder(), icon.method("simclr", temperature=0.3)
    loss((whole(data(0)), whole(data(1)))).backward()
    part = slice(0, 0) if rank == 0 else slice(0, N)
    parts = DistributedDataParallel(encoder())
    GradCache(loss.replace(group="world"), parts, 5)((data(0)[part], data(1)[part]))
    with pytest.raises(ValueError, match=r"^encoders: got DistributedDataParallel with static_graph=True"):
        GradCache(loss, DistributedDataParallel(encoder(), static_graph=True), 5)
    return [float((a - b).abs().max()) for a, b in zip(gradients(parts), gradients(whole), strict=True)]


@pytest.mark.slow
def test_a_rank_without_points_takes_part() -> None:
    for off in run(none_on_a_rank, 2):
        assert max(off) < 1e-10


class OfTheFirstView(nn.Module):
    """A loss that stops the gradient of the second view, as SimSiam does."""

    def __init__(self, loss: icon.Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, views: Any, target: Any = None) -> torch.Tensor:
        return self.loss((views[0], views[1].detach()), target)


def without_a_gradient_of_the_last_view(rank: int) -> float:
    whole, loss = encoder(), icon.method("infonce", temperature=0.3)
    OfTheFirstView(loss)((whole(data(0)), whole(data(1)))).backward()
    part = slice(0, 5) if rank == 0 else slice(5, N)
    parts = DistributedDataParallel(encoder())
    GradCache(OfTheFirstView(loss.replace(group="world")), parts, 2)((data(0)[part], data(1)[part]))
    return max(float((a - b).abs().max()) for a, b in zip(gradients(parts), gradients(whole), strict=True))


@pytest.mark.slow
def test_ranks_exchange_gradients_where_the_last_view_has_none() -> None:
    assert max(run(without_a_gradient_of_the_last_view, 2)) < 1e-10


def test_one_of_two_encoders_may_be_frozen() -> None:
    locked, free = encoder().requires_grad_(False), encoder()
    icon.method("clip")((locked(data(0)), free(data(1)))).backward()
    expected = gradients(free)
    free.zero_grad()
    GradCache(icon.method("clip"), [locked, free], 3)((data(0), data(1)))
    assert max(float((a - b).abs().max()) for a, b in zip(gradients(free), expected, strict=True)) < 1e-10


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: GradCache(icon.method("simclr"), [], 3), "encoders: got list, expected a module"),
        (lambda: GradCache(icon.method("simclr"), None, 3), "encoders: got NoneType, expected a module, or several"),
        (lambda: GradCache(icon.method("simclr"), encoder(), 0), "chunk: got 0, expected an integer >= 1"),
        (lambda: GradCache(icon.method("clip"), [encoder()] * 2, 3)((data(0),)), "input: got 1 view, expected 2, one"),
        (lambda: GradCache(icon.method("simclr"), encoder(), 3)(data(0)[:0]), "input: got no point, expected some"),
        (lambda: GradCache(icon.method("simclr"), encoder(), 3)({}), "input: got no point, expected some"),
        (lambda: GradCache("simclr", encoder(), 3), "loss: got str, expected a loss, such as icon.method"),
        (
            lambda: GradCache(icon.method("simclr"), encoder(), 3)(data(0), scale=2.0),
            "scale: got 2.0, expected None or",
        ),
        (
            lambda: GradCache(icon.method("clip", reduction="none"), encoder(), 3)((data(0), data(1))),
            "loss: got a value of shape .* expected one number",
        ),
    ],
)
def test_bad_input(call: Any, told: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{told}"):
        call()


def test_an_encoder_without_a_row_for_each_point() -> None:
    cache = icon.training.GradCache(icon.method("simclr"), nn.Flatten(0), chunk=2)
    with pytest.raises(ValueError, match=r"^encoders: got an output of shape \(6,\), expected \(2,\), a row"):
        cache(torch.randn(4, 3), torch.arange(4) // 2)
