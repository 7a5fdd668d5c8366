"""Contrastive multiview coding.

Tian, Krishnan and Isola, "Contrastive Multiview Coding", ECCV 2020, arXiv:1906.05849.

    L(V_a, V_b) = CE(a→b) + CE(b→a),   CE(a→b) = −(1/n) Σ_i log softmax_j(cos(a_i, b_j)/τ)_i
    core: Σ_{b>1} L(V_1, V_b)          full: Σ_{a<b} L(V_a, V_b)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

import icon
from table.checks import Exact
from table.methods import clip
from table.methods._checks import ce
from table.methods._math import Array, Scalar, label_losses, unit


def value(views: Sequence[Array], temperature: float, graph: str) -> Scalar:
    # CLIP's loss is the mean of the two directions, CMC's their sum.
    return sum(2 * clip.value(views[a], views[b], temperature) for a, b in _edges(len(views), graph))


def gradient(views: Sequence[Array], temperature: float, graph: str) -> tuple[Array, ...]:
    totals = [np.zeros_like(view) for view in views]
    for a, b in _edges(len(views), graph):
        from_a, from_b = clip.gradient(views[a], views[b], temperature)
        totals[a] += 2 * from_a
        totals[b] += 2 * from_b
    return tuple(totals)


def _edges(n_views: int, graph: str) -> list[tuple[int, int]]:
    if graph not in ("core", "full"):
        raise ValueError(f"graph={graph!r}: expected 'core' or 'full'")
    return [(a, b) for a, b in combinations(range(n_views), 2) if graph == "full" or a == 0]


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\sum_{v < w} \left(L_{v \to w} + L_{w \to v}\right),\quad L_{v \to w} = -\frac{1}{n}\sum_i "
    r"\log\frac{e^{a_i \cdot b_i/\tau}}{\sum_{k} e^{a_i \cdot b_k/\tau}}"
)


def program(views: Sequence[Array], memories: Sequence[Array], temperature: float = 0.07) -> Scalar:
    """What the program (--softmax) returns of two views that draw every row of the other's memory once, a constant."""
    own = np.arange(len(views[0]))
    return sum(
        label_losses(unit(z) @ memory.T / temperature, own).mean()
        for z, memory in zip(views, reversed(memories), strict=True)
    )


def _exact(graph: str, directions: int) -> Exact:
    return Exact(
        ("za", "zb", "zc"),
        lambda s, *views: ce(icon.method("cmc", temperature=0.07, graph=graph), views),
        lambda s, *views: value(views, 0.07, graph),
        lambda s, *views: gradient(views, 0.07, graph),
        scale=lambda s: 1 / directions,
        form=f"cross-entropy = reference / {directions}, {graph} graph of three views",
    )


CHECKS = [_exact("core", 4), _exact("full", 6)]

PROGRAM = Exact(
    ("za", "zb"),
    lambda s, a, b: icon.method("cmc", settings="authors").published((a, b)),
    lambda s, a, b: program((a, b), (unit(s.za), unit(s.zb))),
    form="softmax, the memory being the batch",
)
