"""TEMI: the pointwise mutual information of a student's and a teacher's clusters.

Adaloglou, Michels, Kalisch and Kollmann, "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC
2023, arXiv:2303.17896.

    L = −mean_i log Σ_c (φˢ_ic φᵗ_ic)^β / φ̄_c,   φ̄ ← m φ̄ + (1 − m) mean_i φᵗ_i,   φ = softmax(logits)

Row i of the teacher belongs to a neighbour of i. Teacher and marginals are constants: no gradient reaches them; a
cluster of marginal 0 contributes nothing. (The paper symmetrises over the pair, weights it by Σ_c φᵗ_ic φᵗ_jc and
averages over several heads.)
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


def value(student: Array, teacher: Array, marginals: Array, beta: float) -> Scalar:
    used = marginals > 0
    shared = _log_shared(student, teacher, marginals, beta)[:, used]
    top = shared.real.max(axis=1)
    return -(top + np.log(np.exp(shared - top[:, None]).sum(axis=1))).mean()


def gradient(student: Array, teacher: Array, marginals: Array, beta: float) -> tuple[Array]:
    used = np.broadcast_to(marginals > 0, student.shape)
    blame = softmax(_log_shared(student, teacher, marginals, beta), used)  # each cluster's part of the sum
    return (beta * (softmax(student) - blame) / len(student),)


def moved_marginals(marginals: Array, teacher: Array, momentum: float) -> Array:
    return momentum * marginals + (1 - momentum) * softmax(teacher).mean(axis=0)


def _log_shared(student: Array, teacher: Array, marginals: Array, beta: float) -> Array:
    return beta * (log_softmax(student) + log_softmax(teacher)) - np.log(np.where(marginals > 0, marginals, 1.0))


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{n}\sum_i \log \sum_c \frac{\left(\phi^s_{ic}\,\phi^t_{ic}\right)^{\beta}}{m_c}"


def _temi(s: Sample, student: torch.Tensor) -> torch.Tensor:
    """The second call: the marginals are those of the first teacher, moved towards the second."""
    loss = icon.method("temi", beta=0.6, momentum=0.9)
    loss((student.detach(), torch.tensor(s.logits)))
    return ce(loss, (student, torch.tensor(s.teacher_logits)))


def _batch_marginals(s: Sample) -> Any:
    return moved_marginals(np.zeros(10), s.teacher_logits, 0.0)


def _moved(s: Sample) -> Any:
    """Marginals that start at the first teacher's and move towards the second's."""
    return moved_marginals(moved_marginals(np.zeros(10), s.logits, 0.0), s.teacher_logits, 0.9)


CHECKS = [
    Exact(
        ("logits",),
        lambda s, z: ce(icon.method("temi", beta=1.0), (z, torch.tensor(s.teacher_logits))),
        lambda s, z: value(z, s.teacher_logits, _batch_marginals(s), 1.0),
        lambda s, z: gradient(z, s.teacher_logits, _batch_marginals(s), 1.0),
        form="β = 1, marginals of the batch",
    ),
    Exact(
        ("logits",),
        lambda s, z: ce(icon.loss("clusters", "pairs"), (z, torch.tensor(s.teacher_logits))),
        lambda s, z: value(z, s.teacher_logits, _batch_marginals(s), 1.0),
        offset=lambda s: log(s.n),
        form="β = 1: InfoNCE clustering = TEMI + log n",
    ),
    Exact(
        ("logits",),
        _temi,
        lambda s, z: value(z, s.teacher_logits, _moved(s), 0.6),
        lambda s, z: gradient(z, s.teacher_logits, _moved(s), 0.6),
        form="β = 0.6, moving marginals",
    ),
]
