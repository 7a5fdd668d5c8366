"""TEMI: the pointwise mutual information of a student's and a teacher's clusters.

Adaloglou, Michels, Kalisch and Kollmann, "Exploring the Limits of Deep Image Clustering using Pretrained Models", BMVC
2023, arXiv:2303.17896.

    L = −mean_i log Σ_c (φˢ_ic φᵗ_ic)^β / φ̄_c,   φ̄ ← m φ̄ + (1 − m) mean_i φᵗ_i,   φ = softmax(logits)

Row i of the teacher belongs to a neighbour of i. Teacher and marginals are constants: no gradient reaches them; a
cluster of marginal 0 contributes nothing. (The paper symmetrises over the pair, weights it by Σ_c φᵗ_ic φᵗ_jc and
averages over several heads.)
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, log_softmax, softmax


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
