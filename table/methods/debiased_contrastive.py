"""Debiased contrastive learning, and its variant with hard negatives.

Chuang, Robinson, Lin, Torralba and Jegelka, "Debiased Contrastive Learning", NeurIPS 2020, arXiv:2007.00224; Robinson,
Chuang, Sra and Jegelka, "Contrastive Learning with Hard Negative Samples", ICLR 2021, arXiv:2010.04592.

    L = −mean_i log [ e^{s⁺} / (e^{s⁺} + N g) ],   g = max( (m − τ⁺ e^{s⁺})/(1 − τ⁺), e^{−1/τ} ),   s = cos/τ
    value: m = (1/N) Σ_neg e^s          hard: m = Σ_neg e^{(1+β)s} / Σ_neg e^{βs}

Over 2n views, every anchor with one positive (s⁺) and N = 2n − 2 negatives. e^{−1/τ} is the least value that e^s can
take. The implied weights e^{s_ij}/(e^{s⁺} + N g), j ≠ i, sum to one only at τ⁺ = 0: they are not a distribution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import icon
from table.checks import Exact, Minimiser
from table.data import Sample
from table.methods._math import Array, Scalar, cosines, off_diagonal


def value(z: Array, ids: Array, temperature: float, tau_plus: float) -> Scalar:
    return hard(z, ids, temperature, tau_plus, beta=0.0)


def hard(z: Array, ids: Array, temperature: float, tau_plus: float, beta: float) -> Scalar:
    positive, negatives, _, _ = _parts(z, ids, temperature, tau_plus, beta)
    return np.log1p(negatives / positive).mean()


def implied_weights(z: Array, ids: Array, temperature: float, tau_plus: float) -> Array:
    """e^{s_ij}/(e^{s⁺} + N g) ``[n, n]``, the weights that stand where a softmax would; 0 on the diagonal."""
    positive, negatives, kernel, _ = _parts(z, ids, temperature, tau_plus, beta=0.0)
    return np.where(off_diagonal(len(z)), kernel / (positive + negatives)[:, None], 0.0)


def clamped(z: Array, ids: Array, temperature: float, tau_plus: float) -> Array:
    """Boolean ``[n]``: the anchors whose g is e^{−1/τ}."""
    return _parts(z, ids, temperature, tau_plus, beta=0.0)[3]


def _parts(z: Array, ids: Array, temperature: float, tau_plus: float, beta: float) -> tuple[Array, Array, Array, Array]:
    """e^{s⁺}, N g, e^s and who is clamped; the exponentials all divided by e^{1/τ}, so that none overflows."""
    together = np.equal.outer(ids, ids)
    if not (together.sum(axis=1) == 2).all():
        raise ValueError("ids: expected every id exactly twice (an anchor and its one positive)")
    negative = ~together
    n_negatives = len(z) - 2
    shifted = (cosines(z) - 1) / temperature
    kernel = np.exp(shifted)
    positive = np.where(together & off_diagonal(len(z)), kernel, 0.0).sum(axis=1)
    tilt = np.where(negative, np.exp(beta * shifted), 0.0)
    mean = (tilt * kernel).sum(axis=1) / tilt.sum(axis=1)
    estimate = (mean - tau_plus * positive) / (1 - tau_plus)
    floor = np.exp(-2 / temperature)
    at_floor = estimate.real < floor
    return positive, n_negatives * np.where(at_floor, floor, estimate), kernel, at_floor


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \log\frac{e^{s_i^+}}{e^{s_i^+} + N g_i},\quad g_i = "
    r"\max\left(\frac{\frac{1}{N}\sum_k e^{s_{ik}} - \tau^+ e^{s_i^+}}{1 - \tau^+},\; e^{-1/\tau}\right)"
)


def _row_sums(s: Sample) -> tuple[float, str]:
    """Row sums of Chuang's weights: ``exp(A_softmax - A_debiased)`` of the engine against the reference's."""
    z = torch.tensor(s.pairs)
    hyper: dict[str, Any] = {"temperature": 0.5, "reduction": "none"}
    plain = icon.loss("gaussian", "pairs", **hyper).terms(z, s.ids).cross_entropy
    debiased = icon.method("debiased-contrastive", tau_plus=0.3, **hyper).terms(z, s.ids).cross_entropy
    sums = (plain - debiased).exp().numpy()
    expected = implied_weights(s.pairs, s.ids, 0.5, 0.3).sum(axis=1)
    note = f"at τ⁺ = 0.3 they are {sums.min():.3f} to {sums.max():.3f}, and not one: no conditional distribution"
    return float(np.abs(sums / expected - 1).max()), note


def _mixing_sums(s: Sample) -> tuple[float, str]:
    rows = icon.p.Pairs().debias(0.3)(s.ids)
    return float((rows.to_dense().sum(dim=1) - 1).abs().max()), "debiased mixing at α = 0.3 stays a distribution"


def program(first: Array, second: Array, temperature: float = 0.5, tau_plus: float = 0.1) -> Scalar:
    """What a step of the program minimises, from two views ``[n, d]``: ``log(1 + N g/e^{s⁺})``, averaged."""
    n = len(first)
    kernel = np.exp(cosines(np.concatenate([first, second])) / temperature)
    image, count = np.tile(np.arange(n), 2), 2 * n - 2
    positive = np.tile(np.diagonal(kernel, n), 2)
    negatives = np.where(np.not_equal.outer(image, image), kernel, 0).sum(axis=1)
    rest = (negatives - tau_plus * count * positive) / (1 - tau_plus)
    least = count * np.exp(-1 / temperature)
    return np.log(1 + np.where(rest.real > least, rest, least) / positive).mean()


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z, t=t, tau=tau: icon.method("debiased-contrastive", temperature=t, tau_plus=tau)(z, s.ids),
        lambda s, z, t=t, tau=tau: value(z, s.ids, t, tau),
        form=f"cross-entropy, τ = {t:g}, τ⁺ = {tau:g}",
    )
    for t, tau in ((0.5, 0.1), (0.1, 0.5))
] + [
    Minimiser("row sums of the weights", _row_sums, 1e-9, "relative error"),
    Minimiser("row sums of debiased mixing", _mixing_sums, 1e-12, "largest distance from one"),
]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: icon.method("debiased-contrastive", settings="authors").published(torch.cat([a, b]), s.two_views),
    lambda s, a, b: program(a, b),
)
