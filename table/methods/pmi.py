"""PMI clustering: the pointwise mutual information of a student's and a teacher's clusters.

Adaloglou, Michels, Kalisch and Kollmann, "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC
2023, arXiv:2303.17896: the loss that TEMI weighs.

    L = −mean_i log Σ_c (φˢ_ic φᵗ_ic)^β / m_c,   m ← μ m + (1 − μ) mean_i φᵗ_i before it is used, from 1/C

Row i of the teacher belongs to a neighbour of i; φ = softmax(logits / T). Teacher and marginals are constants: no
gradient reaches them.
"""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, log_softmax, softmax

TEMPERATURE = 0.1


def value(student: Array, teacher: Array, marginals: Array, beta: float, temperature: float = TEMPERATURE) -> Scalar:
    return pointwise(student, teacher, marginals, beta, temperature).mean()


def gradient(
    student: Array, teacher: Array, marginals: Array, beta: float, temperature: float = TEMPERATURE
) -> tuple[Array]:
    return (pointwise_slope(student, teacher, marginals, beta, temperature) / len(student),)


def tempered(logits: Array, temperature: float = TEMPERATURE) -> Array:
    """φ: the memberships of each row."""
    return softmax(logits / temperature)


def uniform(clusters: int = 10) -> Array:
    """Marginals before the first call."""
    return np.full(clusters, 1 / clusters)


def moved_marginals(marginals: Array, teacher: Array, momentum: float, temperature: float = TEMPERATURE) -> Array:
    moved: Array = momentum * marginals + (1 - momentum) * tempered(teacher, temperature).mean(axis=0)
    return moved


def pointwise(student: Array, teacher: Array, marginals: Array, beta: float, temperature: float = TEMPERATURE) -> Array:
    """``−log Σ_c (φˢ_ic φᵗ_ic)^β / m_c``, one number per row."""
    shared = _log_shared(student, teacher, marginals, beta, temperature)
    top = shared.real.max(axis=1)
    losses: Array = -(top + np.log(np.exp(shared - top[:, None]).sum(axis=1)))
    return losses


def pointwise_slope(
    student: Array, teacher: Array, marginals: Array, beta: float, temperature: float = TEMPERATURE
) -> Array:
    """Its derivative by the student's logits ``[n, C]``: memberships less each cluster's part of the sum."""
    blame = softmax(_log_shared(student, teacher, marginals, beta, temperature))
    return beta / temperature * (tempered(student, temperature) - blame)


def _log_shared(student: Array, teacher: Array, marginals: Array, beta: float, temperature: float) -> Array:
    return beta * (log_softmax(student / temperature) + log_softmax(teacher / temperature)) - np.log(marginals)


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log \sum_c \frac{\left(\phi^s_{ic}\,\phi^t_{ic}\right)^{\beta}}{m_c}"


def program(student: Array, teacher: Array, marginals: Array, beta: float = 1.0, momentum: float = 0.9) -> Scalar:
    """What the program returns of one head, row i of the teacher being the other view of row i of the student."""
    s, t = tempered(student), tempered(teacher)
    now = momentum * marginals + (1 - momentum) * t.mean(axis=0)
    return -np.log(np.einsum("nc,nc,c->n", s**beta, t**beta, 1 / now)).mean()


def _second_call(s: Sample, student: torch.Tensor) -> torch.Tensor:
    loss = icon.method("pmi", beta=0.6, temperature=1.0)
    loss((student.detach(), torch.tensor(s.logits)))
    return ce(loss, (student, torch.tensor(s.teacher_logits)))


def _moved(s: Sample) -> Any:
    return moved_marginals(moved_marginals(uniform(), s.logits, 0.9, 1.0), s.teacher_logits, 0.9, 1.0)


def _of_the_batch(s: Sample) -> Any:
    return tempered(s.teacher_logits, 1.0).mean(axis=0)


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z: ce(icon.method("pmi", momentum=0.0), (z, torch.tensor(s.teacher_logits))),
        lambda s, z: value(z, s.teacher_logits, _of_the_batch(s), 1.0, 1.0),
        lambda s, z: gradient(z, s.teacher_logits, _of_the_batch(s), 1.0, 1.0),
        form="β = 1, marginals of the batch",
    ),
    Exact(
        ("logits",),
        lambda s, z: ce(icon.loss("clusters", "pairs"), (z, torch.tensor(s.teacher_logits))),
        lambda s, z: value(z, s.teacher_logits, _of_the_batch(s), 1.0, 1.0),
        offset=lambda s: log(s.n),
        form="β = 1: InfoNCE clustering = PMI + log n",
    ),
    Exact(
        ("logits",),
        _second_call,
        lambda s, z: value(z, s.teacher_logits, _moved(s), 0.6, 1.0),
        lambda s, z: gradient(z, s.teacher_logits, _moved(s), 0.6, 1.0),
        form="β = 0.6, moving marginals",
    ),
]

PROGRAM = Exact(
    ("logits",),
    lambda s, z: icon.method("pmi", settings="authors").published((z, torch.tensor(s.teacher_logits))),
    lambda s, z: program(z, s.teacher_logits, uniform()),
)
