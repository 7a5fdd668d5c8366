"""Clustering: what is learned is the probability of each cluster."""

from __future__ import annotations

from icon import _checks as check
from icon import p, q
from icon.core.loss import Loss
from icon.methods.registry import register_method as method

FAMILY = "cluster-learning"
CE = "exact: cross-entropy = reference"
KL = "exact: KL = reference"


@method("kmeans", "K-Means", cell=("clusters", "gaussian"), family=FAMILY, cite="macqueen1967kmeans",
       relation="exact: σ² (sum of KL(q‖p) - sum log Z + sum N log N) = inertia; forward KL in the limit σ → ∞; "
                "minimiser")  # fmt: skip
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
    return Loss(p.KNN(n_neighbors), q.Clusters(log_prior=(dirichlet - 1) / n_neighbors))


@method("infonce-clustering", "InfoNCE Clustering", cell=("clusters", "pairs"), family=FAMILY,
       cite="alshammari2025icon", relation=f"{CE} = PMI + log n")  # fmt: skip
def infonce_clustering() -> Loss:
    return Loss(p.Pairs(), q.Clusters())


@method("supervised-clustering", "Supervised Clustering", cell=("clusters", "classes"), family="gap", relation=KL)
def supervised_clustering() -> Loss:
    return Loss(p.Classes(), q.Clusters())


@method("temi", "TEMI", cell=("clusters", "pairs"), family=FAMILY, cite="adaloglou2023temi", relation=CE,
       variant="Clusters (moving marginals, exponent) × Positive pairs", sets=("exponent",))  # fmt: skip
def temi(beta: float = 0.6, momentum: float = 0.9) -> Loss:
    learned = q.Clusters(
        exponent=check.positive(beta, "beta"), marginals="moving", momentum=momentum, detach_candidates=True
    )
    return Loss(p.Pairs(), learned)


@method("scan", "SCAN", cell=("clusters", "knn"), family=FAMILY, cite="vangansbeke2020scan",
       relation="exact: loss = reference - log C; no KL of two conditionals, the entropy term is a regulariser",
       variant="Clusters (uniform marginals, an entropy beside it) × Uniform k-NN")  # fmt: skip
def scan(n_neighbors: int = 20, entropy_weight: float = 5.0) -> Loss:
    return Loss(p.KNN(n_neighbors), q.Clusters(marginals="uniform", entropy_weight=entropy_weight))
