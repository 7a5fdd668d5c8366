"""The methods of the table, a record each: 24 published, 12 gaps that the table names."""

from __future__ import annotations

from math import sqrt

from icon.methods.record import Citation, Method

CE = "exact: cross-entropy = reference"
KL = "exact: KL = reference"
HALF = sqrt(0.5)  # σ² = 1/2 makes the Gaussian exp(-‖z_i - z_j‖²), as in SNE

BOHM = Citation(
    "bohm2022attraction", "Böhm, Berens, Kobak", 2022, "Attraction-Repulsion Spectrum in Neighbor Embeddings",
    "JMLR 23(95)", arxiv="2007.08902",
)  # fmt: skip

METHODS = (
    # -- dimensionality reduction: neighbours of the features ---------------------------------------------------------
    Method(
        "sne", "SNE", "gaussian", "gaussian", "dimensionality-reduction", "exact: KL = reference / n",
        Citation("hinton2002sne", "Hinton, Roweis", 2002, "Stochastic Neighbor Embedding", "NeurIPS 15"),
        {"perplexity": 30.0, "sigma": HALF},
    ),
    Method(
        "x-sample", "X-Sample CL", "gaussian", "gaussian", "unimodal-ssl", CE,
        Citation("sobal2025xsample", "Sobal, Ibrahim, Balestriero, Cabannes, Bouchacourt, Astolfi, Cho, LeCun", 2025,
                 "X-Sample Contrastive Loss: Improving Contrastive Learning with Sample Similarity Graphs", "ICLR",
                 arxiv="2407.18134"),
        {"temperature": 0.1, "target_temperature": 0.1, "target_metric": "cosine"},
    ),
    Method("dual-tsne", "Dual t-SNE", "gaussian", "student-t", "gap", KL, hyper={"dof": 1.0, "sigma": HALF}),
    Method(
        "sne-graph", "SNE Graph Embeddings", "gaussian", "graph", "gap", KL, hyper={"walks": 1, "sigma": HALF},
    ),
    Method(
        "sne-uniform", "SNE with Uniform Affinities", "gaussian", "knn", "dimensionality-reduction",
        "exact: KL = reference / n", BOHM, {"n_neighbors": 15, "sigma": HALF},
    ),
    Method(
        "tsne", "t-SNE", "student-t", "gaussian", "dimensionality-reduction", KL + ", joint normalisation",
        Citation("maaten2008tsne", "van der Maaten, Hinton", 2008, "Visualizing Data using t-SNE", "JMLR 9"),
        {"perplexity": 30.0, "dof": 1.0, "normalization": "joint"},
    ),
    Method(
        "doubly-tsne", "Doubly t-SNE", "student-t", "student-t", "gap", KL, hyper={"dof": 1.0},
        translate=lambda dof, **rest: {"dof": dof, "target_dof": dof, **rest},
    ),
    Method(
        "tsne-graph", "t-SNE Graph Embedding", "student-t", "graph", "dimensionality-reduction", KL,
        Citation("kruiger2017tsnet", "Kruiger, Rauber, Martins, Kerren, Kobourov, Telea", 2017,
                 "Graph Layouts by t-SNE", "Computer Graphics Forum 36(3)", doi="10.1111/cgf.13187"),
        {"walks": 1},
    ),
    Method(
        "tsne-uniform", "t-SNE with Uniform Affinities", "student-t", "knn", "dimensionality-reduction",
        KL + ", joint normalisation", BOHM, {"n_neighbors": 15, "normalization": "joint"},
    ),
    Method(
        "pca", "PCA", "gaussian-wide", "identity", "dimensionality-reduction",
        "exact: limit = reference; minimiser = principal subspace; order 2 in 1/σ",
        Citation("pearson1901pca", "Pearson", 1901, "On Lines and Planes of Closest Fit to Systems of Points in Space",
                 "Philosophical Magazine 2(11)", doi="10.1080/14786440109462720"),
    ),
    # -- unimodal self-supervised learning: views of an instance ------------------------------------------------------
    Method(
        "lgsimclr", "LGSimCLR", "gaussian", "knn", "unimodal-ssl", CE,
        Citation("elbanani2023lgsimclr", "El Banani, Desai, Johnson", 2023,
                 "Learning Visual Representations via Language-Guided Sampling", "CVPR", arxiv="2302.12248"),
        {"n_neighbors": 1, "temperature": 0.1},
    ),
    Method(
        "infonce", "InfoNCE", "gaussian", "pairs", "unimodal-ssl", CE,
        Citation("oord2018cpc", "van den Oord, Li, Vinyals", 2018,
                 "Representation Learning with Contrastive Predictive Coding", "arXiv", arxiv="1807.03748"),
        {"temperature": 0.1},
    ),
    Method(
        "simclr", "SimCLR", "gaussian", "pairs", "unimodal-ssl", CE,
        Citation("chen2020simclr", "Chen, Kornblith, Norouzi, Hinton", 2020,
                 "A Simple Framework for Contrastive Learning of Visual Representations", "ICML", arxiv="2002.05709"),
        {"temperature": 0.1},
    ),
    Method(
        "mocov3", "MoCo v3", "gaussian", "pairs", "unimodal-ssl", "exact: cross-entropy = reference / 2τ",
        Citation("chen2021mocov3", "Chen, Xie, He", 2021,
                 "An Empirical Study of Training Self-Supervised Vision Transformers", "ICCV", arxiv="2104.02057"),
        {"temperature": 0.2, "detach_candidates": True},
    ),
    Method(
        "vi-reg", "VI-Reg", "gaussian-wide", "pairs", "unimodal-ssl", "exact: limit = reference; order 2 in 1/σ",
        Citation("bardes2022vicreg", "Bardes, Ponce, LeCun", 2022,
                 "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", "ICLR",
                 arxiv="2105.04906"),
    ),
    Method(
        "triplet", "Triplet Loss", "gaussian-narrow", "pairs", "unimodal-ssl", "exact: limit = reference",
        Citation("schroff2015facenet", "Schroff, Kalenichenko, Philbin", 2015,
                 "FaceNet: A Unified Embedding for Face Recognition and Clustering", "CVPR", arxiv="1503.03832"),
        {"margin": 0.2},
    ),
    Method(
        "t-simcne", "t-SimCNE", "student-t", "pairs", "unimodal-ssl", CE,
        Citation("bohm2023tsimcne", "Böhm, Berens, Kobak", 2023,
                 "Unsupervised Visualization of Image Datasets Using Contrastive Learning", "ICLR", arxiv="2210.09879"),
    ),
    Method(
        "t-simclr", "t-SimCLR", "student-t", "pairs", "unimodal-ssl", CE,
        Citation("hu2023tsimclr", "Hu, Liu, Zhou, Wang, Huang", 2023,
                 "Your Contrastive Learning Is Secretly Doing Stochastic Neighbor Embedding", "ICLR",
                 arxiv="2205.14814"),
        {"dof": 5.0, "scale": 1.0},
    ),
    # -- multimodal self-supervised learning: two modalities of an item -----------------------------------------------
    Method(
        "clip", "CLIP", "gaussian", "cross-modal", "multimodal-ssl", CE,
        Citation("radford2021clip", "Radford, Kim, Hallacy, Ramesh, Goh, Agarwal, Sastry, Askell, Mishkin, Clark, "
                 "Krueger, Sutskever", 2021,
                 "Learning Transferable Visual Models From Natural Language Supervision", "ICML", arxiv="2103.00020"),
        {"temperature": 0.07},
    ),
    Method(
        "cmc", "CMC", "gaussian", "cross-modal", "multimodal-ssl",
        "exact: cross-entropy = reference / number of ordered view pairs",
        Citation("tian2020cmc", "Tian, Krishnan, Isola", 2020, "Contrastive Multiview Coding", "ECCV",
                 arxiv="1906.05849"),
        {"temperature": 0.07, "graph": "core"},
    ),
    Method("average-margin-clip", "Average Margin CLIP", "gaussian-wide", "cross-modal", "gap",
           "exact: limit = definition; order 1 in 1/τ"),
    Method("triplet-clip", "Triplet CLIP", "gaussian-narrow", "cross-modal", "gap", "exact: limit = definition",
           hyper={"margin": 0.2}),
    Method("t-clip", "t-CLIP", "student-t", "cross-modal", "gap", KL, hyper={"dof": 1.0}),
    # -- supervised learning: classes and labels ----------------------------------------------------------------------
    Method(
        "supcon", "SupCon", "gaussian", "classes", "supervised", CE,
        Citation("khosla2020supcon", "Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan", 2020,
                 "Supervised Contrastive Learning", "NeurIPS", arxiv="2004.11362"),
        {"temperature": 0.1},
    ),
    Method("average-margin-supcon", "Average Margin SupCon", "gaussian-wide", "classes", "gap",
           "exact: limit = definition; order 1 in 1/τ"),
    Method("triplet-supcon", "Triplet SupCon", "gaussian-narrow", "classes", "gap", "exact: limit = definition",
           hyper={"margin": 0.2}),
    Method("t-supcon", "t-SupCon", "student-t", "classes", "gap", KL, hyper={"dof": 1.0}),
    Method(
        "cross-entropy", "Cross-Entropy", "gaussian", "data-label", "supervised", CE,
        Citation("good1963maximum", "Good", 1963,
                 "Maximum Entropy for Hypothesis Formulation, Especially for Multidimensional Contingency Tables",
                 "Annals of Mathematical Statistics 34(3)", doi="10.1214/aoms/1177704014"),
        {"temperature": 1.0, "metric": "dot", "label_smoothing": 0.0},
        lambda label_smoothing, **rest: {"debias": label_smoothing, **rest},
    ),
    Method("error-rate", "Error Rate", "gaussian-narrow", "data-label", "gap",
           "exact: cross-entropy = -(1-e) log(1-λ+λ/C) - e log(λ/C) for error rate e", hyper={"leak": 0.01}),
    Method(
        "harmonic", "Harmonic Loss", "student-t", "data-label", "supervised", CE + " (scale 0); order 2 in the scale",
        Citation("baek2025harmonic", "Baek, Liu, Tyagi, Tegmark", 2025,
                 "Harmonic Loss Trains Interpretable AI Models", "arXiv", arxiv="2502.01628"),
        {"exponent": 2.0},
        lambda exponent, **rest: {"exponent": exponent / 2, "scale": 0.0, **rest},
    ),
    # -- cluster learning ---------------------------------------------------------------------------------------------
    Method(
        "kmeans", "K-Means", "clusters", "gaussian", "cluster-learning",
        "exact: σ² (sum of KL(q‖p) - sum log Z + sum N log N) = inertia; forward KL in the limit σ → ∞; minimiser",
        Citation("macqueen1967kmeans", "MacQueen", 1967,
                 "Some Methods for Classification and Analysis of Multivariate Observations", "Berkeley Symposium 5"),
        {"sigma": 1.0, "divergence": "reverse-kl"},
    ),
    Method("t-kmeans", "t K-Means", "clusters", "student-t", "gap", KL, hyper={"dof": 1.0}),
    Method(
        "ncut", "Normalized Cuts", "clusters", "graph", "cluster-learning",
        "limit: (cross-entropy - L0) / ε → NCut - C + 1, order 1 in ε = 1 - leak; minimiser",
        Citation("shi2000ncut", "Shi, Malik", 2000, "Normalized Cuts and Image Segmentation", "IEEE TPAMI 22(8)",
                 doi="10.1109/34.868688"),
        {"leak": 0.99, "weights": "stationary", "anchor_weights": "stationary"},
    ),
    Method(
        "dcd", "DCD", "clusters", "knn", "cluster-learning", "exact: cross-entropy = reference / (n k)",
        Citation("yang2012dcd", "Yang, Oja", 2012,
                 "Clustering by Low-Rank Doubly Stochastic Matrix Decomposition", "ICML", arxiv="1206.4676"),
        {"n_neighbors": 10, "dirichlet": 1.0},
        lambda n_neighbors, dirichlet, **rest: {
            "n_neighbors": n_neighbors, "log_prior": (dirichlet - 1) / n_neighbors, **rest},
    ),
    Method(
        "infonce-clustering", "InfoNCE Clustering", "clusters", "pairs", "cluster-learning", CE + " = PMI + log n",
        Citation("alshammari2025icon", "Alshammari, Hershey, Feldmann, Freeman, Hamilton", 2025,
                 "I-Con: A Unifying Framework for Representation Learning", "ICLR", arxiv="2504.16929"),
    ),
    Method("supervised-clustering", "Supervised Clustering", "clusters", "classes", "gap", KL),
)  # fmt: skip
