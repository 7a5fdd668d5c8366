"""Where clustering starts: clusters of the features, of the graph, or nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from icon import registry
from icon.fit import rows_of
from icon.mappers import Lookup
from icon.rows import Rows

KINDS = ("spectral", "k-means", "random")
SUBSET = 50_000  # points beyond which k-means sees a subset and the spectral start is left out
STEPS, BATCH, RATE = 150, 1024, 5e-3


def labels_of(kind: str, x: Any, rows: Rows, n_clusters: int, seed: int) -> NDArray[np.int64] | None:
    """First clusters ``[n]`` of the points, or None for a random start.

    Args:
        kind: ``"k-means"`` of the features; ``"spectral"``: k-means of the leading eigenvectors of the normalised graph
            of p, scaled to unit length (Ng, Jordan & Weiss 2002), k-means of the features where the graph is too large
            or too small for it; ``"random"``.
        x: features ``[n, f]``. rows: p before its walks.
    """
    if kind == "random":
        return None
    if kind == "spectral" and rows.n == rows.m and n_clusters + 1 < rows.n <= SUBSET:
        return _k_means(_eigenvectors(rows, n_clusters, seed), n_clusters, seed)
    return _k_means(x, n_clusters, seed)


def imitate(mapper: nn.Module, inputs: Any, labels: NDArray[np.int64], n_clusters: int) -> None:
    """Train a mapper to give first clusters: the cross-entropy cell, clusters as their own prototypes, smoothed."""
    if isinstance(mapper, Lookup):
        with torch.no_grad():
            mapper.weight.copy_(3.0 * torch.eye(n_clusters)[torch.from_numpy(labels)])
        return
    device = next(mapper.parameters()).device
    loss = registry.method("cross-entropy", label_smoothing=0.1)
    prototypes, target = torch.eye(n_clusters, device=device), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(mapper.parameters(), lr=RATE)
    mapper.train()
    for _ in range(STEPS):
        batch = torch.randint(len(labels), (min(BATCH, len(labels)),))
        optimizer.zero_grad()
        loss((mapper(rows_of(inputs, batch, device)), prototypes), target[batch].to(device)).backward()
        optimizer.step()


def _k_means(x: Any, n_clusters: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    known = x if len(x) <= SUBSET else x[np.sort(np.random.default_rng(seed).choice(len(x), SUBSET, replace=False))]
    known = known.cpu().numpy() if isinstance(known, Tensor) else np.asarray(known, dtype=np.float32)
    # Fewer distinct points than clusters leave clusters empty: no reason to warn of a start.
    distinct = min(n_clusters, len(np.unique(known[: 50 * n_clusters], axis=0)))
    fitted = KMeans(max(1, distinct), n_init=3, random_state=seed).fit(known)
    if known is x or len(known) == len(x):
        return np.asarray(fitted.labels_, dtype=np.int64)
    parts = [
        fitted.predict(np.asarray(x[start : start + SUBSET], dtype=known.dtype)) for start in range(0, len(x), SUBSET)
    ]
    return np.concatenate(parts).astype(np.int64)


def _eigenvectors(rows: Rows, count: int, seed: int) -> NDArray[np.float64]:
    """``[n, count]`` leading eigenvectors of ``D^-1/2 W D^-1/2`` in rows of unit length.

    The eigenvalue 1 has a vector for each connected piece of the graph; an iteration from one vector can miss some of
    them, so they are written down, and the others are sought beside them.
    """
    weights = sp.csr_array(sp.diags_array(rows.anchor_marginal.cpu().numpy()) @ rows.to_scipy())
    weights = sp.csr_array(weights + weights.T)
    degree = np.asarray(weights.sum(axis=1)).ravel()
    scale = sp.diags_array(1 / np.sqrt(np.where(degree > 0, degree, 1.0)))
    walk = sp.csr_array(scale @ weights @ scale)
    pieces, piece = connected_components(walk, directed=False)
    largest = np.argsort(-np.bincount(piece), kind="stable")[:count]
    known = np.where(piece[:, None] == largest, np.sqrt(degree)[:, None], 0.0)
    known /= np.maximum(np.linalg.norm(known, axis=0), np.finfo(np.float64).tiny)
    vectors = known
    if pieces < count:
        others = LinearOperator(walk.shape, matvec=lambda v: walk @ v - known @ (known.T @ v), dtype=np.float64)
        start = np.random.default_rng(seed).normal(size=rows.n)
        vectors = np.hstack([known, eigsh(others, k=count - pieces, which="LA", v0=start)[1]])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0))
