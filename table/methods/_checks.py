"""What several methods are checked with."""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt
from typing import Any

import torch

import icon
from table.checks import Bound, Limit
from table.data import Sample

PERPLEXITY = 20.0
K = 10


def ce(loss: icon.Loss, *arguments: Any) -> torch.Tensor:
    """The cross-entropy form, in which most papers state their loss."""
    return loss.terms(*arguments).cross_entropy


def wide(column: str, arrays: tuple[str, ...], target: Any, reference: Any, **hyper: Any) -> Limit:
    """``T (CE - log |S|)`` of the finite Gaussian towards the σ → ∞ row, in σ (Euclidean) or τ (cosine)."""
    euclidean = "temperature" not in hyper

    def finite(s: Sample, scale: float) -> float:
        scale_name = "sigma" if euclidean else "temperature"
        rest = {k: v for k, v in hyper.items() if k != "temperature"}
        loss = icon.loss("gaussian", column, **{scale_name: scale}, **rest)
        tensors = [torch.tensor(getattr(s, a)) for a in arrays]
        rows = loss.terms(tensors[0] if len(tensors) == 1 else tuple(tensors), target(s))
        size = len(tensors[-1]) - (len(tensors) == 1 and column == "classes")
        return (2 * scale**2 if euclidean else scale) * (rows.cross_entropy.item() - log(size))

    name = "σ → ∞" if euclidean else "τ → ∞"
    order = -2.0 if euclidean else -1.0
    scales = (30.0, 100.0, 300.0) if euclidean else (30.0, 300.0, 3000.0)
    return Limit(name, scales, finite, reference, order)


def narrow(column: str, arrays: tuple[str, ...], target: Any, reference: Any, margin: float, size: Any) -> Bound:
    """``T CE`` of the finite Gaussian (the margin in units of the score) towards the σ → 0 row."""
    euclidean = column == "pairs"

    def finite(s: Sample, temperature: float) -> float:
        scale = {"sigma": sqrt(temperature / 2)} if euclidean else {"temperature": temperature}
        loss = icon.loss("gaussian", column, **scale, margin=margin / temperature)
        tensors = [torch.tensor(getattr(s, a)) for a in arrays]
        return temperature * ce(loss, tensors[0] if len(tensors) == 1 else tuple(tensors), target(s)).item()

    return Bound("σ → 0", (1.0, 0.1, 0.01), finite, reference, size)


def hard(labels: Any, clusters: int) -> torch.Tensor:
    """Logits whose softmax is exactly one-hot in float64."""
    return torch.nn.functional.one_hot(torch.as_tensor(labels, dtype=torch.int64), clusters).double() * 2000.0


def minimise(logits: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor], steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam([logits], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(logits).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
