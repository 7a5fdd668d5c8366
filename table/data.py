"""Real data for the checks: a subset of the handwritten digits, and everything that the columns take as a target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """A subset of the digits and seeded linear embeddings of it.

    ``x [n, 64]`` pixels; ``y [n]`` classes; ``ids [n]`` two views of each instance; ``adjacency [n, n]`` the symmetric
    5-NN graph. Embeddings: ``map2 [n, 2]`` for maps, ``z [n, 8]`` and its views ``za``, ``zb``, ``zc``,
    ``pairs [n, 8]`` (two noisy views of n/2 digits, aligned with ids), ``logits [n, 10]``, ``prototypes [10, 8]``,
    ``contexts [n, 8]``.
    """

    seed: int
    x: Array
    y: Integers
    ids: Integers
    adjacency: Array
    map2: Array
    z: Array
    za: Array
    zb: Array
    zc: Array
    pairs: Array
    logits: Array
    prototypes: Array
    contexts: Array

    @property
    def n(self) -> int:
        return len(self.x)


@lru_cache(maxsize=8)
def sample(seed: int, n: int = 120) -> Sample:
    """``n`` digits (an even number; all of them by default of the data are 1797) chosen and embedded by the seed."""
    rng = np.random.default_rng(seed)
    digits = load_digits()
    chosen = rng.permutation(len(digits.data))[: n - n % 2]
    x, y = digits.data[chosen], digits.target[chosen].astype(np.int64)
    n = len(x)
    centred = (x - x.mean(axis=0)) / x.std()

    def embed(dimension: int, noise: float = 0.1) -> Array:
        projection = rng.normal(size=(x.shape[1], dimension)) / np.sqrt(x.shape[1])
        return centred @ projection * 1.5 + noise * rng.normal(size=(n, dimension))

    z = embed(8)
    views = [z + 0.5 * rng.normal(size=z.shape) for _ in range(3)]
    order = rng.permutation(n)
    ids = (np.arange(n) // 2)[order]
    pairs = z[ids] + 0.3 * rng.normal(size=z.shape)
    prototypes = np.stack([z[y == c].mean(axis=0) for c in range(10)]) + 0.1 * rng.normal(size=(10, 8))
    return Sample(
        seed=seed,
        x=x,
        y=y,
        ids=ids,
        adjacency=_neighbor_graph(x, 5),
        map2=embed(2),
        z=z,
        za=views[0],
        zb=views[1],
        zc=views[2],
        pairs=pairs,
        logits=embed(10),
        prototypes=prototypes,
        contexts=embed(8),
    )


def _neighbor_graph(x: Array, k: int) -> Array:
    """Symmetric 0/1 adjacency of the k nearest neighbours."""
    squares = (x * x).sum(axis=1)
    distances = squares[:, None] + squares - 2 * x @ x.T
    np.fill_diagonal(distances, np.inf)
    adjacency = np.zeros_like(distances)
    np.put_along_axis(adjacency, np.argsort(distances, axis=1, kind="stable")[:, :k], 1.0, axis=1)
    return np.maximum(adjacency, adjacency.T)
