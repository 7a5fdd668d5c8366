"""TEMI: mutual information of a student's and a teacher's clusters, weighted by how far the teacher agrees with itself.

Adaloglou, Michels, Kalisch and Kollmann, "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC
2023, arXiv:2303.17896.

    L = −mean_i w_i log Σ_c (φˢ_ic φᵗ_jc)^β / m_c,   w_i = Σ_c φᵗ_ic φᵗ_jc,   j the other point of i's pair
    m ← μ m + (1 − μ) mean φᵗ before it is used, from 1/C;   φ = softmax(logits / T)

Teacher, weights and marginals are constants. The mean is over both points of all pairs; with several heads w is the
mean over the heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._math import Array, Scalar
from table.methods.pmi import TEMPERATURE, moved_marginals, pointwise, pointwise_slope, tempered, uniform


def value(student: Array, teacher: Array, partner: Array, marginals: Array, beta: float) -> Scalar:
    return (agreement(teacher, partner) * pointwise(student, teacher[partner], marginals, beta)).mean()


def gradient(student: Array, teacher: Array, partner: Array, marginals: Array, beta: float) -> tuple[Array]:
    slope = pointwise_slope(student, teacher[partner], marginals, beta)
    return (agreement(teacher, partner)[:, None] * slope / len(student),)


def agreement(teacher: Array, partner: Array) -> Array:
    """``w [n]``: the probability that the teacher puts a point and its partner into one cluster."""
    phi = tempered(teacher)
    shared: Array = (phi * phi[partner]).sum(axis=1)
    return shared


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \Big(\sum_c \phi^t_{ic}\,\phi^t_{i^+c}\Big) "
    r"\log \sum_c \frac{\left(\phi^s_{ic}\,\phi^t_{i^+c}\right)^{\beta}}{m_c}"
)


def other_of_pair(s: Sample) -> Any:
    """``[n]`` the row of the other view of each point."""
    together = np.equal.outer(s.ids, s.ids) & ~np.eye(s.n, dtype=bool)
    return together.argmax(axis=1)


def _first(s: Sample) -> Any:
    """The marginals of a first call: from 1/C towards the teacher."""
    return moved_marginals(uniform(), s.teacher_logits, 0.9)


def _moved(s: Sample) -> Any:
    """The marginals of a second call: from 1/C towards another teacher, then towards this one."""
    return moved_marginals(moved_marginals(uniform(), s.logits, 0.9), s.teacher_logits, 0.9)


def _second_call(s: Sample, student: torch.Tensor) -> torch.Tensor:
    loss = icon.method("temi", settings="authors")
    loss((student.detach(), torch.tensor(s.logits)), s.ids)
    return loss((student, torch.tensor(s.teacher_logits)), s.ids)


def program(students: Array, teachers: Array, marginals: Array, beta: float = 0.6, momentum: float = 0.9) -> Scalar:
    """What the program returns of one head, from logits ``[2, n, C]`` of two views: both directions, averaged."""
    teacher = tempered(teachers)
    seen = teacher.mean(axis=(0, 1))
    now = momentum * marginals + (1 - momentum) * seen
    weight = np.einsum("nc,nc->n", *teacher)
    s = tempered(students)
    total = 0.0
    for this, other in ((0, 1), (1, 0)):
        inner = np.einsum("nc,c->n", (s[this] * teacher[other]) ** beta, 1 / now)
        total = total - (weight * np.log(inner)).mean()
    return total / 2


def _views(s: Sample, rows: Array) -> Array:
    """Rows of points as ``[2, n/2, ...]``: the first and the second view of every instance."""
    order = np.argsort(s.ids, kind="stable").reshape(-1, 2)
    return np.stack([rows[order[:, 0]], rows[order[:, 1]]])


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z: icon.method("temi", temperature=TEMPERATURE)((z, torch.tensor(s.teacher_logits)), s.ids),
        lambda s, z: value(
            z, s.teacher_logits, other_of_pair(s), moved_marginals(uniform(), s.teacher_logits, 0.9), 0.6
        ),
        lambda s, z: gradient(
            z, s.teacher_logits, other_of_pair(s), moved_marginals(uniform(), s.teacher_logits, 0.9), 0.6
        ),
        form="first call, marginals from 1/C",
    ),
    Exact(
        ("logits",),
        _second_call,
        lambda s, z: value(z, s.teacher_logits, other_of_pair(s), _moved(s), 0.6),
        lambda s, z: gradient(z, s.teacher_logits, other_of_pair(s), _moved(s), 0.6),
        form="second call, moved marginals",
    ),
]

PROGRAM = Exact(
    ("logits",),
    lambda s, z: icon.method("temi", settings="authors").published((z, torch.tensor(s.teacher_logits)), s.ids),
    lambda s, z: program(_views(s, z), _views(s, s.teacher_logits), uniform()),
)
