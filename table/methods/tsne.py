"""t-SNE: the joint form of the paper, the row form of the table, and uniform affinities.

van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008; degrees of freedom: van der Maaten, "Learning a
Parametric Embedding by Preserving Local Structure", AISTATS 2009; uniform affinities: Böhm, Berens and Kobak,
"Attraction-Repulsion Spectrum in Neighbor Embeddings", JMLR 23, 2022, arXiv:2007.08902.

    C = KL(P‖Q) = Σ_{i≠j} P_ij log(P_ij/Q_ij),  P_ij = (p_{j|i} + p_{i|j})/2n,  Q_ij ∝ (1 + ‖z_i−z_j‖²/ν)^(−(ν+1)/2)
    ∂C/∂z_i = (2(ν+1)/ν) Σ_j (P_ij − Q_ij)(z_i − z_j)/(1 + ‖z_i−z_j‖²/ν)        (4 Σ_j ... at ν = 1)
    row     = mean_i KL(p_{.|i}‖q_{.|i}),  the same kernels normalised within each row

Chain rule: KL(P‖Q) = Σ_i P_i KL(P_{.|i}‖Q_{.|i}) + KL(P_i‖Q_i) with the row marginals P_i, Q_i.
"""

from __future__ import annotations

import logging

import numpy as np
import torch

import icon
from table.checks import Exact, Number
from table.data import Sample
from table.methods._checks import PERPLEXITY
from table.methods._math import (
    Array,
    Scalar,
    conditional_gaussian,
    distance_gradient,
    kl_divergences,
    log_softmax,
    log_student,
    off_diagonal,
    pull,
    softmax,
    squared_distances,
    uniform_neighbors,
)
from table.peers import Package, relative


def value(z: Array, x: Array, perplexity: float, dof: float) -> Scalar:
    return _joint_cost(z, _symmetrised(conditional_gaussian(x, perplexity)), dof)


def gradient(z: Array, x: Array, perplexity: float, dof: float) -> tuple[Array]:
    return (_joint_slope(z, _symmetrised(conditional_gaussian(x, perplexity)), dof),)


def uniform(z: Array, x: Array, n_neighbors: int) -> Scalar:
    return _joint_cost(z, _symmetrised(uniform_neighbors(x, n_neighbors)), dof=1.0)


def uniform_gradient(z: Array, x: Array, n_neighbors: int) -> tuple[Array]:
    return (_joint_slope(z, _symmetrised(uniform_neighbors(x, n_neighbors)), dof=1.0),)


def row(z: Array, x: Array, perplexity: float, dof: float) -> Scalar:
    log_q = log_softmax(log_student(squared_distances(z), dof), off_diagonal(len(z)))
    return kl_divergences(conditional_gaussian(x, perplexity), log_q).mean()


def row_gradient(z: Array, x: Array, perplexity: float, dof: float) -> tuple[Array]:
    d2 = squared_distances(z)
    excess = conditional_gaussian(x, perplexity) - softmax(log_student(d2, dof), off_diagonal(len(z)))
    return (distance_gradient(z, excess * (dof + 1) / (2 * dof) / (1 + d2 / dof) / len(z)),)


def conditional_and_marginal(z: Array, x: Array, perplexity: float, dof: float) -> tuple[Scalar, Scalar]:
    """The two terms of the chain rule, which add up to ``value``."""
    p, log_q = _symmetrised(conditional_gaussian(x, perplexity)), _joint_log_q(z, dof)
    p_row, log_q_row = p.sum(axis=1), np.log(np.exp(log_q).sum(axis=1))
    conditional = kl_divergences(p / p_row[:, None], log_q - log_q_row[:, None])
    return (p_row * conditional).sum(), kl_divergences(p_row, log_q_row)


def _symmetrised(p: Array) -> Array:
    return (p + p.T) / (2 * len(p))


def _joint_log_q(z: Array, dof: float) -> Array:
    scores = log_student(squared_distances(z), dof)
    return log_softmax(scores.ravel(), off_diagonal(len(z)).ravel()).reshape(scores.shape)


def _joint_cost(z: Array, p: Array, dof: float) -> Scalar:
    return kl_divergences(p, _joint_log_q(z, dof)).sum()


def _joint_slope(z: Array, p: Array, dof: float) -> Array:
    excess = p - np.exp(_joint_log_q(z, dof))
    return pull(z, 2 * (dof + 1) / dof * excess / (1 + squared_distances(z) / dof))


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\sum_{i \ne j} P_{ij} \log\frac{P_{ij}}{Q_{ij}},\quad Q_{ij} = \frac{(1+\lVert z_i - "
    r"z_j\rVert^2)^{-1}}{\sum_{k \ne l} (1+\lVert z_k - z_l\rVert^2)^{-1}}"
)


def _tsne_chain(s: Sample) -> float:
    """The joint KL of the engine against the references' conditional and marginal parts."""
    joint = icon.method("tsne", perplexity=PERPLEXITY)(torch.tensor(s.map2), s.x).item()
    return abs(joint - sum(conditional_and_marginal(s.map2, s.x, PERPLEXITY, 1.0))) / joint


def program(z: Array, x: Array, perplexity: float = 50.0) -> Scalar:
    """What the program reports after its early exaggeration, the widths of P found to the last digit."""
    p = conditional_gaussian(x, perplexity)
    p = p + p.T
    return divergence(z, p / p.sum())


def divergence(z: Array, p: Array) -> Scalar:
    """``Σ P_ij log(P_ij/Q_ij)`` over the pairs with P_ij > 0, Q that of t-SNE; without a guard against log 0."""
    i, j = np.nonzero(p)
    apart = squared_distances(z)
    total = (1 / (1 + apart)).sum() - len(z)  # a point is no pair with itself
    return (p[i, j] * (np.log(p[i, j] * total) + np.log(1 + apart[i, j]))).sum()


CHECKS = [
    Exact(
        ("map2",),
        lambda s, z, dof=dof: icon.method("tsne", perplexity=PERPLEXITY, dof=dof)(z, s.x),
        lambda s, z, dof=dof: value(z, s.x, PERPLEXITY, dof),
        lambda s, z, dof=dof: gradient(z, s.x, PERPLEXITY, dof),
        form=f"joint KL, {dof:g} degree{'s' if dof > 1 else ''} of freedom",
    )
    for dof in (1.0, 3.0)
] + [
    Exact(
        ("map2",),
        lambda s, z: icon.loss("student-t", "gaussian", perplexity=PERPLEXITY)(z, s.x),
        lambda s, z: row(z, s.x, PERPLEXITY, 1.0),
        lambda s, z: row_gradient(z, s.x, PERPLEXITY, 1.0),
        form="row form, KL",
    ),
    Number("chain rule", _tsne_chain, note="joint KL = Σ P_i KL(P_.|i ‖ Q_.|i) + KL(P_i ‖ Q_i)"),
]

PROGRAM = Exact(
    ("map2",),
    lambda s, z: icon.method("tsne", settings="authors").published(z, s.x),
    lambda s, z: program(z, s.x),
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _scikit_learn(s: Sample) -> float:
    from scipy.spatial.distance import squareform
    from sklearn.manifold._t_sne import _kl_divergence

    loss = icon.method("tsne", perplexity=20.0)
    rows = loss.p(s.x).symmetrize()
    joint = (rows.anchor_marginal[:, None] * rows.to_dense()).numpy()
    z = torch.tensor(s.map2, requires_grad=True)
    value = loss(z, rows)
    (slope,) = torch.autograd.grad(value, z)
    theirs, gradient = _kl_divergence(s.map2.ravel(), squareform(joint, checks=False), 1.0, s.n, 2)
    error = float(np.abs(slope.numpy().ravel() - gradient).max() / np.abs(gradient).max())
    return max(relative(value.item(), theirs), error)


def _open_tsne(s: Sample) -> float:
    from openTSNE.affinity import PerplexityBasedNN

    logging.getLogger("openTSNE").setLevel(logging.ERROR)  # it warns that all points are many neighbours
    theirs = PerplexityBasedNN(s.x, perplexity=20, method="exact", k_neighbors=s.n - 1).P.toarray()
    rows = icon.p.Gaussian(perplexity=20.0).symmetrize()(s.x)
    mine = (rows.anchor_marginal[:, None] * rows.to_dense()).numpy()
    return float(np.abs(mine - theirs).max() / theirs.max())


PEERS = (Package("scikit-learn", "sklearn", _scikit_learn), Package("openTSNE", "openTSNE", _open_tsne))
