"""What "verified" means: the kinds of check, each giving measured numbers and never only "ok".

* `Exact`: value and gradient, ``icon = scale · reference + offset`` with both stated beforehand.
* `Limit`: the rescaled loss approaches the reference with the stated slope (log-log).
* `Bound`: where there is no slope (σ → 0), the error stays below ``T log |S_i|``.
* `Minimiser`: the minimum of the loss agrees with that of the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from table.data import Sample
from table.methods._math import complex_step
from table.page.schema import Check

EXACT = 1e-9
SLOPE = 0.15
DIRECTIONS = 8

Arrays = Sequence[Any]


@dataclass(frozen=True)
class Exact:
    """Value and gradient of the engine against a reference.

    Args:
        wrt: names of the arrays of the sample in which both are differentiated.
        icon: (sample, tensors...) to a scalar tensor.
        reference: (sample, arrays...) to a number; safe for the complex step.
        gradient: closed form, (sample, arrays...) to a tuple of arrays, where there is one.
        scale, offset: (sample) to a number; ``icon = scale · reference + offset``.
        form: what of the loss is compared, in words.
    """

    wrt: tuple[str, ...]
    icon: Callable[..., torch.Tensor]
    reference: Callable[..., Any]
    gradient: Callable[..., tuple[Any, ...]] | None = None
    scale: Callable[[Sample], float] = lambda s: 1.0
    offset: Callable[[Sample], float] = lambda s: 0.0
    form: str = "value"

    def run(self, sample: Sample) -> list[Check]:
        arrays = [getattr(sample, name) for name in self.wrt]
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        measured = self.icon(sample, *tensors)
        gradients = [gradient.numpy() for gradient in torch.autograd.grad(measured, tensors)]
        scale, offset = self.scale(sample), self.offset(sample)
        expected = scale * float(np.real(self.reference(sample, *arrays))) + offset
        results = [_check(self.form, sample.seed, abs(measured.item() - expected) / max(abs(expected), 1e-300), EXACT)]
        if self.gradient is not None:
            closed = [scale * np.asarray(g) for g in self.gradient(sample, *arrays)]
            size = max(np.abs(g).max() for g in closed)
            error = max(np.abs(g - c).max() for g, c in zip(gradients, closed, strict=True)) / size
            results.append(_check("gradient", sample.seed, error, EXACT, note="closed form of the reference"))
        results.append(self._directional(sample, arrays, gradients, scale))
        return results

    def _directional(self, sample: Sample, arrays: Arrays, gradients: Arrays, scale: float) -> Check:
        rng = np.random.default_rng(1000 + sample.seed)
        pairs = []
        for _ in range(DIRECTIONS):
            directions = [rng.normal(size=a.shape) for a in arrays]
            exact = scale * complex_step(lambda *z: self.reference(sample, *z), arrays, directions)
            pairs.append((sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True)), exact))
        size = max(abs(exact) for _, exact in pairs)
        error = max(abs(mine - exact) for mine, exact in pairs) / max(size, 1e-300)
        note = f"complex step of the reference along {DIRECTIONS} random directions"
        return _check("directional derivative", sample.seed, error, EXACT, note=note)


@dataclass(frozen=True)
class Limit:
    """``|finite(sample, t) - reference(sample)|`` at three scales t falls like ``t^order``."""

    name: str
    scales: tuple[float, float, float]
    finite: Callable[[Sample, float], float]
    reference: Callable[[Sample], float]
    order: float

    def run(self, sample: Sample) -> list[Check]:
        expected = self.reference(sample)
        errors = [abs(self.finite(sample, t) - expected) for t in self.scales]
        slope = float(np.polyfit(np.log(self.scales), np.log(np.maximum(errors, 1e-300)), 1)[0])
        note = "errors " + ", ".join(f"{e:.1e} at {t:g}" for t, e in zip(self.scales, errors, strict=True))
        return [_check(self.name, sample.seed, slope, SLOPE, unit="log-log slope", expected=self.order, note=note)]


@dataclass(frozen=True)
class Bound:
    """``|finite(sample, T) - reference(sample)| ≤ T log |S_i|`` at three temperatures, the largest ratio measured."""

    name: str
    temperatures: tuple[float, float, float]
    finite: Callable[[Sample, float], float]
    reference: Callable[[Sample], float]
    support: Callable[[Sample], int]

    def run(self, sample: Sample) -> list[Check]:
        expected = self.reference(sample)
        errors = [abs(self.finite(sample, t) - expected) for t in self.temperatures]
        ratios = [e / (t * np.log(self.support(sample))) for t, e in zip(self.temperatures, errors, strict=True)]
        note = "errors " + ", ".join(f"{e:.1e} at T = {t:g}" for t, e in zip(self.temperatures, errors, strict=True))
        return [_check(self.name, sample.seed, max(ratios), 1.0, unit="error / (T log |S|)", note=note)]


@dataclass(frozen=True)
class Minimiser:
    """A number of two minimisers that should agree: (sample) to (measured, note)."""

    name: str
    measure: Callable[[Sample], tuple[float, str]]
    tolerance: float
    unit: str

    def run(self, sample: Sample) -> list[Check]:
        measured, note = self.measure(sample)
        return [_check(self.name, sample.seed, measured, self.tolerance, self.unit, note=note)]


@dataclass(frozen=True)
class Number:
    """A number that must be within a tolerance of zero, for identities that fit no other kind."""

    name: str
    measure: Callable[[Sample], float]
    tolerance: float = EXACT
    unit: str = "relative error"
    note: str = ""

    def run(self, sample: Sample) -> list[Check]:
        return [_check(self.name, sample.seed, self.measure(sample), self.tolerance, self.unit, note=self.note)]


def _check(
    name: str,
    seed: int,
    measured: float,
    tolerance: float,
    unit: str = "relative error",
    expected: float | None = None,
    note: str = "",
) -> Check:
    return {
        "name": name,
        "seed": seed,
        "measured": float(measured),
        "tolerance": tolerance,
        "unit": unit,
        "passed": bool(abs(measured - (expected or 0.0)) <= tolerance),  # NaN fails
        "note": note,
        "expected": expected,
    }
