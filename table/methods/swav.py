"""SwAV: swapped prediction of balanced codes.

Caron, Misra, Mairal, Goyal, Bojanowski and Joulin, "Unsupervised Learning of Visual Features by Contrasting Cluster
Assignments", NeurIPS 2020, arXiv:2006.09882; the iteration: Cuturi, "Sinkhorn Distances: Lightspeed Computation of
Optimal Transport", NeurIPS 2013, arXiv:1306.0895.

    codes: Q = diag(u) exp(S/ε) diag(v), rows summing to 1 and columns to B/K
    L = ½ [ ℓ(z_a, Q_b) + ℓ(z_b, Q_a) ],   ℓ(z, Q) = −(1/B) Σ_i Σ_k Q_ik log softmax_k(cos(z_i, c_k)/τ)

Each round scales the columns first, then the rows. The codes are constants: no gradient reaches them. (The paper writes
Q with total mass 1, as K × B, and the sum of the two directions; its code halves it.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch

import icon
from table.checks import Exact, Number
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cosine_gradient, cosines, cross_entropies, log_softmax, softmax, unit
from table.peers import Package, lightly_loss, ours, relative


def codes(scores: Array, epsilon: float, n_iters: int) -> Array:
    if n_iters < 1:
        raise ValueError(f"n_iters={n_iters}: expected an integer of at least 1")
    n, n_prototypes = scores.shape
    log_q = scores / epsilon
    for _ in range(n_iters):
        log_q = log_softmax(log_q.T).T + np.log(n / n_prototypes)
        log_q = log_softmax(log_q)
    return np.exp(log_q)


def value(za: Array, zb: Array, prototypes: Array, codes_a: Array, codes_b: Array, temperature: float) -> Scalar:
    from_a = cross_entropies(codes_b, log_softmax(cosines(za, prototypes) / temperature))
    from_b = cross_entropies(codes_a, log_softmax(cosines(zb, prototypes) / temperature))
    return (from_a.mean() + from_b.mean()) / 2


def gradient(
    za: Array, zb: Array, prototypes: Array, codes_a: Array, codes_b: Array, temperature: float
) -> tuple[Array, Array, Array]:
    scale = 1 / (2 * len(za) * temperature)
    slope_a = scale * (softmax(cosines(za, prototypes) / temperature) - codes_b)
    slope_b = scale * (softmax(cosines(zb, prototypes) / temperature) - codes_a)
    from_a, prototypes_a = cosine_gradient(za, prototypes, slope_a)
    from_b, prototypes_b = cosine_gradient(zb, prototypes, slope_b)
    return from_a, from_b, prototypes_a + prototypes_b


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{2n}\sum_i \sum_c \left(q^b_{ic} \log p^a_{ic} + q^a_{ic} \log p^b_{ic}\right),\quad "
    r"p_{ic} \propto e^{z_i \cdot w_c/\tau},\; q \;\text{balanced}"
)
EPSILON = 0.05  # of SwAV's codes


def _swav_scores(s: Sample) -> tuple[Any, Any]:
    return cosines(s.za, s.prototypes), cosines(s.zb, s.prototypes)


def _swav_reference_codes(s: Sample) -> tuple[Any, Any]:
    a, b = _swav_scores(s)
    return _balanced(a.tobytes(), a.shape), _balanced(b.tobytes(), b.shape)


@lru_cache(maxsize=8)
def _balanced(scores: bytes, shape: tuple[int, int]) -> Any:
    """Twenty thousand rounds, once for the scores of a check and not for each of its numbers."""
    return codes(np.frombuffer(scores).reshape(shape), EPSILON, 20000)


def _swav(s: Sample, a: torch.Tensor, b: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """Swapped prediction in one call: each view against the codes of the other."""
    from_a, from_b = (icon.sinkhorn(v, EPSILON, 20000, tolerance=1e-13) for v in map(torch.tensor, _swav_scores(s)))
    return ce(icon.method("swav", temperature=0.1), (torch.cat([a, b]), prototypes), torch.cat([from_b, from_a]))


def _code_columns(s: Sample) -> float:
    codes = icon.sinkhorn(torch.tensor(_swav_scores(s)[0]).float(), 0.01)
    return float((codes.double().sum(dim=0) / (s.n / 10) - 1).abs().max())


def _code_rows(s: Sample) -> float:
    return float((icon.sinkhorn(torch.tensor(_swav_scores(s)[0]).float(), 0.01).double().sum(dim=1) - 1).abs().max())


def rounds(scores: Array, epsilon: float = EPSILON, n_iters: int = 3) -> Array:
    """The codes of the program ``[n, K]``, which stops after three rounds: columns first, then rows, which sum to 1."""
    q = np.exp(scores / epsilon)
    for _ in range(n_iters):
        q = q * (len(q) / q.shape[1] / q.sum(axis=0))
        q = q / q.sum(axis=1, keepdims=True)
    return q


def program(crops: tuple[Array, Array], prototypes: Array, temperature: float = 0.1) -> Scalar:
    """What a step of the program reports of two crops ``[n, d]``, its prototypes being of unit length already."""
    scores = [unit(z) @ prototypes.T for z in crops]
    assigned = [rounds(v.real) for v in reversed(scores)]  # to each crop the codes of the other
    each = [(q * log_softmax(v / temperature)).sum(axis=1).mean() for v, q in zip(scores, assigned, strict=True)]
    return -sum(each) / len(each)


def _published(s: Sample, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    from_a, from_b = (icon.sinkhorn(v, EPSILON, 3, tolerance=None) for v in map(torch.tensor, _swav_scores(s)))
    points, codes = torch.cat([a, b]), torch.cat([from_b, from_a])
    return icon.method("swav", settings="authors").published((points, torch.tensor(s.prototypes)), codes)


CHECKS = [
    Exact(
        ("za", "zb", "prototypes"),
        _swav,
        lambda s, a, b, c: value(a, b, c, *_swav_reference_codes(s), 0.1),
        lambda s, a, b, c: gradient(a, b, c, *_swav_reference_codes(s), 0.1),
        form="cross-entropy, swapped prediction",
    ),
    Number("rows of the codes", _code_rows, 1e-6, "largest distance from one", "float32, ε = 0.01"),
    Number("columns of the codes", _code_columns, 1e-6, "largest relative distance from B/K", "float32, ε = 0.01"),
]

PROGRAM = Exact(
    ("za", "zb"),
    _published,
    lambda s, a, b: program((a, b), unit(s.prototypes)),
    form="codes of three rounds; the gradient is that of the points",
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _lightly(s: Sample) -> float:
    """Three rounds of Sinkhorn-Knopp, each view against the codes of the other."""
    a, b, prototypes = (torch.nn.functional.normalize(torch.tensor(v), dim=1) for v in (s.za, s.zb, s.prototypes))
    scores = [view @ prototypes.T for view in (a, b)]
    theirs = lightly_loss("swav_loss", "SwaVLoss")(temperature=0.1)(scores, []).item()
    code_a, code_b = (icon.sinkhorn(score, 0.05, 3, tolerance=None) for score in scores)
    return relative(ours("swav", (torch.cat([a, b]), prototypes), torch.cat([code_b, code_a])), theirs)


def _pot(s: Sample) -> float:
    """Codes with unequal marginals on both sides, ε = 0.01, against POT's plan."""
    import ot

    scores = np.tanh(s.z @ s.prototypes.T)
    rows, columns = s.soft_labels[:, 0] + 0.5, np.arange(1.0, 11.0)
    rows, columns = rows / rows.sum(), columns / columns.sum()
    plan = ot.sinkhorn(rows, columns, -scores, 0.01, method="sinkhorn_log", stopThr=1e-10, numItermax=100_000)
    codes = icon.sinkhorn(scores, 0.01, 50_000, row_weights=rows, column_weights=columns, tolerance=1e-10)
    return float(np.abs(rows[:, None] * codes.numpy() - plan).max() / plan.max())


PEERS = (Package("lightly", "lightly", _lightly), Package("POT", "ot", _pot))
