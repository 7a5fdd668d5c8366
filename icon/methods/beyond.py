"""Methods beyond the table: variants of its cells by another partition, target or weighting, a record each."""

from __future__ import annotations

from typing import Any

import torch

from icon import _checks as check
from icon.methods.record import Citation, Method

CE = "exact: cross-entropy = reference"
DOT = {"metric": "dot", "temperature": 1.0}


def _log_weights(name: str, sign: int, value: Any, **rest: Any) -> dict[str, Any]:
    """Candidate log-weights ``sign · log value`` from counts > 0, one per candidate."""
    if value is None:
        return rest
    counts = check.as_tensor(value, name).double()
    if counts.ndim != 1 or not bool((torch.isfinite(counts) & (counts > 0)).all()):
        found = f"shape {tuple(counts.shape)}" if counts.ndim != 1 else "entries that are not finite and > 0"
        raise ValueError(f"{name}: got {found}, expected a number > 0 per candidate (m,)")
    return {"log_weights": sign * counts.log(), **rest}


BEYOND = (
    # -- another partition --------------------------------------------------------------------------------------------
    Method(
        "barlow-twins", "Barlow Twins", "gaussian-wide", "pairs", "unimodal-ssl",
        "exact: second-order form; minimiser shared (C = I)",
        Citation("zbontar2021barlow", "Zbontar, Jing, Misra, LeCun, Deny", 2021,
                 "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", "ICML", arxiv="2103.03230"),
        {**DOT, "partition": "second-order", "preprocess": "standardize"},
        coordinate="Gaussian, σ → ∞ (second order) × Positive pairs",
    ),
    Method(
        "spectral-contrastive", "Spectral Contrastive", "gaussian-wide", "pairs", "unimodal-ssl",
        "exact: limit = reference / 2 on centred features",
        Citation("haochen2021spectral", "HaoChen, Wei, Gaidon, Ma", 2021,
                 "Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss", "NeurIPS",
                 arxiv="2106.04156"),
        {**DOT, "partition": "second-order", "preprocess": "center"},
        coordinate="Gaussian, σ → ∞ (second order) × Positive pairs",
    ),
    Method(
        "mds", "Classical MDS", "gaussian-wide", "gaussian", "dimensionality-reduction",
        "limit: 2τ · loss + mean Var(x·x) → strain, order 1 in 1/τ; minimiser = PCA scores",
        Citation("torgerson1952mds", "Torgerson", 1952, "Multidimensional Scaling: I. Theory and Method",
                 "Psychometrika 17(4)", doi="10.1007/BF02288916"),
        {"temperature": 1e4},
        lambda temperature, **rest: {
            "metric": "dot", "partition": "second-order", "preprocess": "center", "temperature": temperature,
            "target_metric": "dot", "target_center": True, "target_temperature": temperature, "exclude_self": False,
            **rest},
        "Gaussian, σ → ∞ (second order) × Gaussian, σ → ∞",
    ),
    Method(
        "byol", "BYOL", "gaussian", "pairs", "unimodal-ssl", "exact: cross-entropy = reference / 2 - 1",
        Citation("grill2020byol", "Grill, Strub, Altché, Tallec, Richemond, Buchatskaya, Doersch, Avila Pires, Guo, "
                 "Gheshlaghi Azar, Piot, Kavukcuoglu, Munos, Valko", 2020,
                 "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", "NeurIPS",
                 arxiv="2006.07733"),
        {"temperature": 1.0, "partition": "constant", "detach_candidates": True},
        coordinate="Gaussian (constant partition) × Positive pairs",
    ),
    Method(
        "debiased-contrastive", "Debiased Contrastive", "gaussian", "pairs", "unimodal-ssl", CE,
        Citation("chuang2020debiased", "Chuang, Robinson, Lin, Torralba, Jegelka", 2020,
                 "Debiased Contrastive Learning", "NeurIPS", arxiv="2007.00224"),
        {"temperature": 0.5, "tau_plus": 0.1, "partition": "debiased"},
        coordinate="Gaussian (debiased partition) × Positive pairs",
    ),
    Method(
        "hard-negatives", "Hard-Negative Contrastive", "gaussian", "pairs", "unimodal-ssl", CE,
        Citation("robinson2021hard", "Robinson, Chuang, Sra, Jegelka", 2021,
                 "Contrastive Learning with Hard Negative Samples", "ICLR", arxiv="2010.04592"),
        {"temperature": 0.5, "tau_plus": 0.1, "beta": 1.0, "partition": "debiased"},
        coordinate="Gaussian (debiased partition, weighted negatives) × Positive pairs",
    ),
    Method(
        "decoupled-contrastive", "Decoupled Contrastive", "gaussian", "pairs", "unimodal-ssl", CE,
        Citation("yeh2022decoupled", "Yeh, Hong, Hsu, Liu, Chen, LeCun", 2022, "Decoupled Contrastive Learning", "ECCV",
                 arxiv="2110.06848"),
        {"temperature": 0.1, "partition": "decoupled"},
        coordinate="Gaussian (decoupled partition) × Positive pairs",
    ),
    Method(
        "n-pair", "N-pair", "gaussian", "pairs", "supervised", CE,
        Citation("sohn2016npair", "Sohn", 2016, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective",
                 "NeurIPS"),
        {**DOT}, coordinate="Gaussian (dot score) × Positive pairs",
    ),
    # -- graphs with context vectors ----------------------------------------------------------------------------------
    Method(
        "line", "LINE", "gaussian", "graph", "dimensionality-reduction",
        "exact: cross-entropy = reference / volume of the graph",
        Citation("tang2015line", "Tang, Qu, Wang, Zhang, Yan, Mei", 2015,
                 "LINE: Large-scale Information Network Embedding", "WWW", arxiv="1503.03578"),
        {**DOT, "anchor_weights": "stationary"}, coordinate="Gaussian (context vectors) × Graph kernel",
    ),
    Method(
        "deepwalk", "DeepWalk", "gaussian", "graph", "dimensionality-reduction", CE,
        Citation("perozzi2014deepwalk", "Perozzi, Al-Rfou, Skiena", 2014,
                 "DeepWalk: Online Learning of Social Representations", "KDD", arxiv="1403.6652"),
        {**DOT, "window": 10, "anchor_weights": "stationary"},
        lambda window, **rest: {"walks": check.count(window, "window"), **rest},
        "Gaussian (context vectors) × Graph kernel, walks",
    ),
    # -- prototypes ---------------------------------------------------------------------------------------------------
    Method(
        "swav", "SwAV", "gaussian", "data-label", "unimodal-ssl", CE,
        Citation("caron2020swav", "Caron, Misra, Mairal, Goyal, Bojanowski, Joulin", 2020,
                 "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", "NeurIPS",
                 arxiv="2006.09882"),
        {"metric": "cosine", "temperature": 0.1}, coordinate="Gaussian × Data-label pairs, balanced codes",
    ),
    Method(
        "dino", "DINO", "gaussian", "data-label", "unimodal-ssl", CE,
        Citation("caron2021dino", "Caron, Touvron, Misra, Jégou, Mairal, Bojanowski, Joulin", 2021,
                 "Emerging Properties in Self-Supervised Vision Transformers", "ICCV", arxiv="2104.14294"),
        {"metric": "dot", "temperature": 0.1}, coordinate="Gaussian × Data-label pairs, teacher's codes",
    ),
    Method(
        "pcl", "PCL", "gaussian", "data-label", "unimodal-ssl",
        "exact: InfoNCE + mean cross-entropy over the clusterings = reference (ProtoNCE)",
        Citation("li2021pcl", "Li, Zhou, Xiong, Hoi", 2021,
                 "Prototypical Contrastive Learning of Unsupervised Representations", "ICLR", arxiv="2005.04966"),
        {"metric": "cosine", "temperature": 0.1},
        coordinate="Gaussian (a concentration per prototype) × Data-label pairs, clusters",
    ),
    Method(
        "masked-lm", "Masked Language Modelling", "gaussian", "data-label", "unimodal-ssl", CE,
        Citation("devlin2019bert", "Devlin, Chang, Lee, Toutanova", 2019,
                 "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", "NAACL",
                 arxiv="1810.04805"),
        {**DOT}, coordinate="Gaussian × Data-label pairs, tokens as prototypes",
    ),
    Method(
        "next-token", "Next-Token Prediction", "gaussian", "data-label", "unimodal-ssl", CE,
        Citation("bengio2003neural", "Bengio, Ducharme, Vincent, Jauvin", 2003,
                 "A Neural Probabilistic Language Model", "JMLR 3"),
        {**DOT}, coordinate="Gaussian × Data-label pairs, tokens as prototypes",
    ),
    Method(
        "weighted-cross-entropy", "Weighted Cross-Entropy", "gaussian", "data-label", "supervised", CE,
        Citation("king2001logistic", "King, Zeng", 2001, "Logistic Regression in Rare Events Data",
                 "Political Analysis 9(2)", doi="10.1093/oxfordjournals.pan.a004868"),
        {**DOT, "class_weights": None, "anchor_weights": "stationary"},
        coordinate="Gaussian × Data-label pairs, anchors weighted by class",
    ),
    Method(
        "balanced-softmax", "Balanced Softmax", "gaussian", "data-label", "supervised", CE,
        Citation("ren2020balanced", "Ren, Yu, Sheng, Ma, Zhao, Yi, Li", 2020,
                 "Balanced Meta-Softmax for Long-Tailed Visual Recognition", "NeurIPS", arxiv="2007.10740"),
        {**DOT, "class_counts": None},
        lambda class_counts, **rest: _log_weights("class_counts", 1, class_counts, **rest),
        "Gaussian (candidate log-weights) × Data-label pairs",
    ),
    Method(
        "sampled-softmax", "Sampled Softmax", "gaussian", "data-label", "supervised", CE,
        Citation("bengio2008adaptive", "Bengio, Senécal", 2008,
                 "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model",
                 "IEEE Transactions on Neural Networks 19(4)", doi="10.1109/TNN.2007.912312"),
        {**DOT, "expected_counts": None},
        lambda expected_counts, **rest: _log_weights("expected_counts", -1, expected_counts, **rest),
        "Gaussian (candidate log-weights) × Data-label pairs, sampled prototypes",
    ),
    # -- labels that overlap ------------------------------------------------------------------------------------------
    Method(
        "soft-supcon", "Soft SupCon", "gaussian", "classes", "supervised", CE + "; one-hot labels give SupCon",
        Citation("kim2022genscl", "Kim, Lee, Chang, Park", 2022, "Generalized Supervised Contrastive Learning", "arXiv",
                 arxiv="2206.00384"),
        {"temperature": 0.1, "overlap": "product"}, coordinate="Gaussian × Classes, soft labels",
    ),
    Method(
        "multi-label-supcon", "Multi-Label SupCon", "gaussian", "classes", "supervised", CE,
        Citation("lin2023effective", "Lin, Qin, Wang, Zhou, Yang", 2023,
                 "An Effective Deployment of Contrastive Learning in Multi-label Text Classification",
                 "Findings of ACL", arxiv="2212.00552"),
        {"temperature": 0.1, "overlap": "jaccard"}, coordinate="Gaussian × Classes, label sets",
    ),
    # -- clusters -----------------------------------------------------------------------------------------------------
    Method(
        "temi", "TEMI", "clusters", "pairs", "cluster-learning", CE,
        Citation("adaloglou2023temi", "Adaloglou, Michels, Kalisch, Kollmann", 2023,
                 "Exploring the Limits of Deep Image Clustering using Pretrained Models", "BMVC", arxiv="2303.17896"),
        {"beta": 0.6, "marginals": "moving", "momentum": 0.9, "detach_candidates": True},
        lambda beta, **rest: {"exponent": check.positive(beta, "beta"), **rest},
        "Clusters (moving marginals, exponent) × Positive pairs",
    ),
    Method(
        "scan", "SCAN", "clusters", "knn", "cluster-learning",
        "exact: loss = reference - log C; no KL of two conditionals, the entropy term is a regulariser",
        Citation("vangansbeke2020scan", "Van Gansbeke, Vandenhende, Georgoulis, Proesmans, Van Gool", 2020,
                 "SCAN: Learning to Classify Images without Labels", "ECCV", arxiv="2005.12320"),
        {"n_neighbors": 20, "marginals": "uniform", "entropy_weight": 5.0},
        coordinate="Clusters (uniform marginals, an entropy beside it) × Uniform k-NN",
    ),
)  # fmt: skip
