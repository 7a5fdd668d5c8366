"""Maps and embeddings of points and graphs: t-SNE and its relatives, PCA and classical MDS, LINE and DeepWalk."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from icon import _checks as check
from icon import p, q
from icon.core.loss import Loss
from icon.methods.registry import register_method as method

FAMILY = "dimensionality-reduction"
CE = "exact: cross-entropy = reference"
KL = "exact: KL = reference"
HALF = sqrt(0.5)  # σ² = 1/2 makes the Gaussian exp(-‖z_i - z_j‖²), as in SNE


@method("sne", "SNE", cell=("gaussian", "gaussian"), family=FAMILY, cite="hinton2002sne",
       relation="exact: KL = reference / n")  # fmt: skip
def sne(perplexity: float | Sequence[float] = 30.0, sigma: float = HALF) -> Loss:
    return Loss(p.Gaussian(perplexity=perplexity), q.Gaussian("sqeuclidean", sigma=sigma))


@method("dual-tsne", "Dual t-SNE", cell=("gaussian", "student-t"), family="gap", relation=KL)
def dual_tsne(dof: float = 1.0, sigma: float = HALF) -> Loss:
    return Loss(p.StudentT(dof=dof), q.Gaussian("sqeuclidean", sigma=sigma))


@method("sne-graph", "SNE Graph Embeddings", cell=("gaussian", "graph"), family="gap", relation=KL)
def sne_graph(walks: int = 1, sigma: float = HALF) -> Loss:
    return Loss(p.Graph().walks(walks), q.Gaussian("sqeuclidean", sigma=sigma))


@method("sne-uniform", "SNE with Uniform Affinities", cell=("gaussian", "knn"), family=FAMILY,
       cite="bohm2022attraction", relation="exact: KL = reference / n")  # fmt: skip
def sne_uniform(n_neighbors: int = 15, sigma: float = HALF) -> Loss:
    return Loss(p.KNN(n_neighbors), q.Gaussian("sqeuclidean", sigma=sigma))


@method("tsne", "t-SNE", cell=("student-t", "gaussian"), family=FAMILY, cite="maaten2008tsne",
       relation=f"{KL}, joint normalisation")  # fmt: skip
def tsne(perplexity: float | Sequence[float] = 30.0, dof: float = 1.0) -> Loss:
    return Loss(p.Gaussian(perplexity=perplexity), q.StudentT(dof), normalization="joint")


@method("doubly-tsne", "Doubly t-SNE", cell=("student-t", "student-t"), family="gap", relation=KL,
       sets=("dof",))  # fmt: skip
def doubly_tsne(dof: float = 1.0) -> Loss:
    return Loss(p.StudentT(dof=dof), q.StudentT(dof))


@method("tsne-graph", "t-SNE Graph Embedding", cell=("student-t", "graph"), family=FAMILY, cite="kruiger2017tsnet",
       relation=KL)  # fmt: skip
def tsne_graph(walks: int = 1) -> Loss:
    return Loss(p.Graph().walks(walks), q.StudentT())


@method("tsne-uniform", "t-SNE with Uniform Affinities", cell=("student-t", "knn"), family=FAMILY,
       cite="bohm2022attraction", relation=f"{KL}, joint normalisation")  # fmt: skip
def tsne_uniform(n_neighbors: int = 15) -> Loss:
    return Loss(p.KNN(n_neighbors), q.StudentT(), normalization="joint")


@method("pca", "PCA", cell=("gaussian-wide", "identity"), family=FAMILY, cite="pearson1901pca",
       relation="exact: limit = reference; minimiser = principal subspace; order 2 in 1/σ")  # fmt: skip
def pca() -> Loss:
    return Loss(p.Identity(), q.Gaussian("sqeuclidean", partition="mean"))


@method("mds", "Classical MDS", cell=("gaussian-wide", "gaussian"), family=FAMILY, cite="torgerson1952mds",
       relation="limit: 2τ · loss + mean Var(x·x) → strain, order 1 in 1/τ; minimiser = PCA scores",
       variant="Gaussian, σ → ∞ (second order) × Gaussian, σ → ∞", sets=("temperature",))  # fmt: skip
def mds(temperature: float = 1e4) -> Loss:
    gram = p.Gaussian(metric="dot", center=True, temperature=temperature, exclude_self=False)
    return Loss(gram, q.Gaussian("dot", temperature=temperature, partition="second-order", preprocess="center"))


@method("line", "LINE", cell=("gaussian", "graph"), family=FAMILY, cite="tang2015line",
       relation="exact: cross-entropy = reference / volume of the graph",
       variant="Gaussian (context vectors) × Graph kernel")  # fmt: skip
def line(temperature: float = 1.0) -> Loss:
    return Loss(p.Graph(), q.Gaussian("dot", temperature=temperature), anchor_weights="stationary")


@method("deepwalk", "DeepWalk", cell=("gaussian", "graph"), family=FAMILY, cite="perozzi2014deepwalk", relation=CE,
       variant="Gaussian (context vectors) × Graph kernel, walks", sets=("walks",))  # fmt: skip
def deepwalk(window: int = 10, temperature: float = 1.0) -> Loss:
    walked = p.Graph().walks(check.count(window, "window"))
    return Loss(walked, q.Gaussian("dot", temperature=temperature), anchor_weights="stationary")
