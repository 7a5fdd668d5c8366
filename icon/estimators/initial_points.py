"""Where the free points of a map start."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from icon import _checks as check
from icon._scales import centred_in_unit
from icon.p.rows import Rows

KINDS = ("pca", "spectral", "random")


def start_of(init: Any, features: Tensor, d: int, seed: int, width: float) -> Tensor:
    """``[n, d]`` by principal components of standard deviation ``width``, at random, or as given.

    ``"spectral"`` starts at random here: it needs p (`spectral`). Random numbers are drawn with torch's generator.
    """
    n = len(features)
    if init is None:
        raise TypeError("init: got None, expected 'pca', 'spectral', 'random', or an array")
    if not isinstance(init, str):
        given = check.matrix(init, "init").float()
        if given.shape != (n, d):
            raise ValueError(f"init: got shape {tuple(given.shape)}, expected {(n, d)}")
        return given
    start = width * torch.randn(n, d)  # drawn with the seed of the fit
    centred = centred_in_unit(features)[0]
    if check.choice(init, "init", KINDS) == "pca" and centred.any():
        from sklearn.decomposition import PCA

        kept = min(d, *features.shape)
        pca = PCA(kept, random_state=seed).set_output(transform="default")  # whatever the user's own output is
        principal = pca.fit_transform(centred.cpu().numpy())
        # Where the features have fewer dimensions than the map, the others start at random.
        start[:, :kept] = torch.from_numpy(principal / principal[:, 0].std() * width)
    return start


def spectral(rows: Rows, d: int, seed: int, width: float) -> Tensor:
    """``[n, d]`` the leading eigenvectors of the graph of p (Laplacian eigenmaps), of standard deviation ``width``.

    Source: Belkin & Niyogi 2003; Kobak & Linderman 2021 on such starts of t-SNE and UMAP.
    """
    from sklearn.manifold import spectral_embedding

    if rows.n <= d + 1:
        raise ValueError(f"init: got 'spectral' for {rows.n} points, expected more than {d + 1} for {d} dimensions")
    weights = rows.to_scipy()
    graph = (weights + weights.T) / 2
    graph.indices, graph.indptr = graph.indices.astype(np.int32), graph.indptr.astype(np.int32)  # what it takes
    vectors = spectral_embedding(graph, n_components=d, random_state=seed)
    return torch.from_numpy(vectors / vectors[:, :1].std() * width).float()
