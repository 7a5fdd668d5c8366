"""Systems that have no coordinate in the table, and why."""

from __future__ import annotations

from table.page.schema import Outside

OUTSIDE: list[Outside] = [
    {
        "name": "Autoencoders",
        "reason": "The target of a point is the point itself in input space, one value at a time: there are no "
        "candidates that compete, so no p(·|i) over them. (A linear one does span the PCA subspace.)",
    },
    {
        "name": "MAE (masked autoencoders)",
        "reason": "Pixels of masked patches are regressed by squared error: a density over real values, and no choice "
        "among candidates. With discrete tokens as targets (BEiT) it is masked language modelling, which is "
        "here.",
    },
    {
        "name": "Colourisation",
        "reason": "Predicts colours from lightness. As regression it has no candidates; as classification over colour "
        "bins it is Cross-Entropy with bins as prototypes, and nothing of its own.",
    },
    {
        "name": "Reinforcement learning",
        "reason": "The supervision is a scalar return that depends on the policy's own samples, and not a distribution "
        "over other points that is known beforehand.",
    },
    {
        "name": "UMAP",
        "reason": "An estimator and not a cell: each edge is a binary cross-entropy against a few sampled non-"
        "neighbours (negative sampling), with no partition over all candidates, so its optimum is not that of "
        "a softmax. With noise-contrastive normalisation instead it approximates t-SNE with Uniform "
        "Affinities (Damrich et al. 2023, arXiv 2206.01816).",
    },
    {
        "name": "NCVis",
        "reason": "An estimator and not a cell: noise-contrastive estimation of t-SNE with Uniform Affinities, where a "
        "learned constant stands for the partition; it approaches the cell's loss as the noise samples grow "
        "(Artemenkov & Panov 2020, arXiv 2001.11411).",
    },
]
