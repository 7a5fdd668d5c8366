"""Multi-Label SupCon; its reference is beside that of `table.methods.soft_supcon`."""

from __future__ import annotations

import numpy as np

import icon
from table.checks import Exact
from table.data import Sample
from table.methods import soft_supcon
from table.methods._checks import ce
from table.methods._math import Array, Scalar, off_diagonal, unit

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \sum_{j \ne i} p_{ij} \log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{k \ne i} e^{z_i "
    r"\cdot z_k/\tau}},\quad p_{ij} \propto \frac{|Y_i \cap Y_j|}{|Y_i \cup Y_j|}"
)


def program(z: Array, labels: Array, temperature: float = 0.2) -> Scalar:
    """What the program returns of unit rows z: the overlap of the labels weights the candidates, not the positives."""
    n, others = len(z), off_diagonal(len(z))
    common = labels @ labels.T
    either = labels.sum(axis=1)[:, None] + labels.sum(axis=1) - common
    scores = z @ z.T / temperature
    highest = scores.real.max(axis=1)
    kernel = np.where(others, np.exp(scores - highest[:, None]), 0.0) + 1e-20
    normaliser = highest + np.log((common / np.where(either > 0, either, 1) * kernel).sum(axis=1))
    return temperature / 0.07 * (normaliser - np.where(others, scores, 0.0).sum(axis=1) / (n - 1)).mean()


def _same(s: Sample) -> Array:
    """Two labels, which all points have."""
    return np.ones((s.n, 2))


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: ce(icon.method("multi-label-supcon", temperature=0.1), z, s.label_sets),
        lambda s, z: soft_supcon.value(z, s.label_sets, 0.1, "jaccard"),
        lambda s, z: soft_supcon.gradient(z, s.label_sets, 0.1, "jaccard"),
        form="cross-entropy",
    )
]

PROGRAM = Exact(
    ("z",),
    lambda s, z: ce(icon.method("multi-label-supcon", temperature=0.2), z, _same(s)),
    lambda s, z: program(unit(z), _same(s)),
    scale=lambda s: 0.07 / 0.2,
    form="all points with the same labels: loss = program · 0.07/τ",
)
