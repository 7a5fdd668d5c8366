"""Systems that are often asked for and have no coordinate in the table, each with the reason."""

from __future__ import annotations

from table.page.schema import Outside

_REASONS = {
    "Autoencoders": "The target of a point is the point itself in input space, one value at a time: no candidates "
    "compete, so there is no p(·|i) over them. (A linear autoencoder does span the PCA subspace.)",
    "MAE (masked autoencoders)": "The pixels of masked patches are regressed by squared error, which is a density over "
    "real values and no choice among candidates. With discrete tokens as targets (BEiT) it is masked language "
    "modelling, which has a coordinate.",
    "Colourisation": "The network predicts colours from lightness. As regression it has no candidates; as "
    "classification over colour bins it is Cross-Entropy with the bins as prototypes, and nothing of its own.",
    "Reinforcement learning": "The supervision is a scalar return that depends on the policy's own samples, and not a "
    "distribution over other points that is known beforehand.",
    "Barlow Twins, its own loss": "Its λ weighs single entries of the cross-correlations C, which no pair of p and q "
    "does. What has a coordinate is the second order of the wide Gaussian, with auto-correlations in their place; it "
    "shares the minimiser C = I.",
    "VICReg, the whole loss": "A hinge on the standard deviation and a penalty on covariances are no part of a KL "
    "divergence. What has a coordinate is the invariance term, with the mean over all pairs for the variance (VI-Reg).",
    "Metric MDS": "Its stress Σ (‖z_i − z_j‖ − d_ij)² compares distances and is no KL divergence. The classical MDS "
    "that has a coordinate is the strain form, which compares inner products.",
    "NCE loss": "Each pair has a sigmoid of its own, estimated against samples of noise, so no candidates share a "
    "partition. SigLIP is the form of this loss within a batch.",
    "UMAP": "It is an estimator and not a cell: each edge is a binary cross-entropy against a few sampled "
    "non-neighbours (negative sampling), with no partition over all candidates, so its optimum is not that of a "
    "softmax. With noise-contrastive normalisation instead it approximates t-SNE with Uniform Affinities (Damrich et "
    "al. 2023, arXiv 2206.01816).",
    "NCVis": "It is an estimator and not a cell: noise-contrastive estimation of t-SNE with Uniform Affinities, where "
    "a learned constant stands for the partition. It approaches the loss of the cell as the noise samples grow "
    "(Artemenkov & Panov 2020, arXiv 2001.11411).",
}
OUTSIDE: list[Outside] = [{"name": name, "reason": reason} for name, reason in _REASONS.items()]
