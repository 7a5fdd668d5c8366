"""Clustering: what is learned is the probability of each cluster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from icon import _checks as check
from icon import p, q
from icon.core.loss import Loss
from icon.methods.registry import register_method as method

FAMILY = "cluster-learning"
CE = "exact: cross-entropy = reference"
KL = "exact: KL = reference"


def inertia(given: Loss, input: Any, target: Any) -> Tensor:
    """σ² (sum of KL(q‖p) - sum log Z + sum N log N)

    Z normalises p, N are the sizes of the clusters. Equal to the inertia where the memberships are hard.
    """
    x, logits = check.matrix(target, "target"), check.matrix(input, "input")
    variance = given.p.sigma**2  # type: ignore[attr-defined]
    scores = -torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist").square() / (2 * variance)
    sizes = (logits / given.q.softmax_temperature).softmax(dim=1).sum(dim=0)  # type: ignore[operator]
    value = given.replace(reduction="sum")(input, target)
    squares: Tensor = variance * (value - scores.logsumexp(dim=1).sum().to(value) + torch.xlogy(sizes, sizes).sum())
    return squares


@method("kmeans", "K-Means", cell=("clusters", "gaussian"), family=FAMILY, cite="macqueen1967kmeans",
       relation="exact: σ² (sum of KL(q‖p) - sum log Z + sum N log N) = inertia; forward KL in the limit σ → ∞; "
                "minimiser", sets=("softmax_temperature",))  # fmt: skip
def kmeans(sigma: float = 1.0) -> Loss:
    return Loss(p.Gaussian(sigma=sigma, exclude_self=False), q.Clusters(), divergence="reverse-kl")


@method("t-kmeans", "t K-Means", cell=("clusters", "student-t"), family="gap", relation=KL)
def t_kmeans(dof: float = 1.0) -> Loss:
    return Loss(p.StudentT(dof=dof, exclude_self=False), q.Clusters())


@method("ncut", "Normalized Cuts", cell=("clusters", "graph"), family=FAMILY, cite="shi2000ncut",
       relation="limit: (cross-entropy - L0) / ε → NCut - C + 1, order 1 in ε = 1 - leak; minimiser")  # fmt: skip
def ncut(leak: float = 0.99) -> Loss:
    return Loss(p.Graph(), q.Clusters(leak=leak, weights="stationary"), anchor_weights="stationary")


@method("dcd", "DCD", cell=("clusters", "knn"), family=FAMILY, cite="yang2012dcd",
       relation="exact: cross-entropy = reference / (n k)", sets=("log_prior",))  # fmt: skip
def dcd(n_neighbors: int = 10, dirichlet: float = 1.0) -> Loss:
    prior = check.number(dirichlet, "dirichlet", least=1) - 1
    return Loss(p.KNN(n_neighbors), q.Clusters(log_prior=prior / n_neighbors))


@method("infonce-clustering", "InfoNCE Clustering", cell=("clusters", "pairs"), family=FAMILY,
       cite="alshammari2025icon", relation=f"{CE} = PMI + log n")  # fmt: skip
def infonce_clustering() -> Loss:
    return Loss(p.Pairs(), q.Clusters())


@method("supervised-clustering", "Supervised Clustering", cell=("clusters", "classes"), family="gap", relation=KL)
def supervised_clustering() -> Loss:
    return Loss(p.Classes(), q.Clusters())


@method("pmi", "PMI Clustering", cell=("clusters", "pairs"), family=FAMILY, cite="adaloglou2023temi", relation=CE,
       variant="Clusters (moving marginals, exponent) × Positive pairs",
       sets=("exponent", "softmax_temperature"))  # fmt: skip
def pmi(beta: float = 1.0, momentum: float = 0.9, temperature: float = 1.0) -> Loss:
    return Loss(p.Pairs(), _with_teacher(beta, momentum, temperature))


@method("temi", "TEMI", cell=("clusters", "pairs"), family=FAMILY, cite="adaloglou2023temi", relation=CE,
       variant="Clusters (moving marginals, exponent, weights of agreement) × Positive pairs",
       sets=("exponent", "softmax_temperature"))  # fmt: skip
def temi(beta: float = 0.6, momentum: float = 0.9, temperature: float = 1.0) -> Loss:
    return Loss(p.Pairs(exclude_self=True), _with_teacher(beta, momentum, temperature, agreement=True))


def _with_teacher(beta: float, momentum: float, temperature: float, agreement: bool = False) -> q.Clusters:
    return q.Clusters(
        exponent=check.positive(beta, "beta"), marginals="moving", momentum=momentum, detach_candidates=True,
        softmax_temperature=temperature, agreement=agreement,
    )  # fmt: skip


@method("scan", "SCAN", cell=("clusters", "knn"), family=FAMILY, cite="vangansbeke2020scan",
       relation="exact: loss = reference - log C; no KL of two conditionals, the entropy term is a regulariser",
       variant="Clusters (uniform marginals, an entropy beside it) × Uniform k-NN")  # fmt: skip
def scan(n_neighbors: int = 20, entropy_weight: float = 5.0) -> Loss:
    return Loss(p.KNN(n_neighbors), q.Clusters(marginals="uniform", entropy_weight=entropy_weight))
