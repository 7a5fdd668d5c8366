"""Real data for the checks: a subset of the handwritten digits, and everything that the columns take as a target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from table.methods._math import uniform_neighbors

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """A subset of the digits and seeded linear embeddings of it.

    ``x [n, 64]`` pixels; ``y [n]`` classes; ``ids [n]`` two views of each instance; ``adjacency [n, n]`` the symmetric
    5-NN graph. Embeddings: ``map2 [n, 2]`` for maps, ``z [n, 8]`` and its views ``za``, ``zb``, ``zc``,
    ``pairs [n, 8]`` (two noisy views of n/2 digits, aligned with ids), ``logits [n, 10]``, ``prototypes [10, 8]``,
    ``contexts [n, 8]``. As a text: ``hidden [n/12, 12, 8]`` states with their ``tokens`` and which are ``masked``.
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

    @property
    def hidden(self) -> Array:
        return self.z.reshape(-1, 12, self.z.shape[1])

    @property
    def tokens(self) -> Integers:
        return self.y.reshape(-1, 12)

    @property
    def masked(self) -> npt.NDArray[np.bool_]:
        return np.random.default_rng(self.seed).random(self.tokens.shape) < 0.3

    @property
    def two_views(self) -> Integers:
        """``[2n]`` the ids of all first views, then of all second ones."""
        return np.tile(np.arange(self.n), 2)

    @property
    def teacher_logits(self) -> Array:
        """``[n, 10]`` what another network says of another view."""
        return self.logits + 0.5 * np.random.default_rng(self.seed).normal(size=self.logits.shape)

    @property
    def soft_labels(self) -> Array:
        """``[n, 10]`` classes of a point and of its neighbours in the graph."""
        votes = (self.adjacency + np.eye(self.n)) @ np.eye(10)[self.y]
        return np.asarray(votes / votes.sum(axis=1, keepdims=True))

    @property
    def label_sets(self) -> Array:
        """``[n, 5]`` what is true of the digit: even, prime, five or more, a square, drawn with a closed loop."""
        sets = ((0, 2, 4, 6, 8), (2, 3, 5, 7), (5, 6, 7, 8, 9), (0, 1, 4, 9), (0, 6, 8, 9))
        return np.stack([np.isin(self.y, digits) for digits in sets], axis=1).astype(np.float64)


@lru_cache(maxsize=8)
def sample(seed: int, n: int = 120) -> Sample:
    """``n`` digits (an even number; all of them by default of the data are 1797) chosen and embedded by the seed."""
    rng = np.random.default_rng(seed)
    pixels, digits = load_digits(return_X_y=True)
    chosen = rng.permutation(len(pixels))[: n - n % 2]
    x, y, n = pixels[chosen], digits[chosen].astype(np.int64), len(chosen)
    centred = (x - x.mean(axis=0)) / x.std()

    def embed(dimension: int) -> Array:
        projection = rng.normal(size=(x.shape[1], dimension)) / np.sqrt(x.shape[1])
        embedded: Array = centred @ projection * 1.5 + 0.1 * rng.normal(size=(n, dimension))
        return embedded

    near = uniform_neighbors(x, 5) > 0
    z = embed(8)
    za, zb, zc = (z + 0.5 * rng.normal(size=z.shape) for _ in range(3))
    ids = (np.arange(n) // 2)[rng.permutation(n)]
    pairs = z[ids] + 0.3 * rng.normal(size=z.shape)
    prototypes = np.stack([z[y == c].mean(axis=0) for c in range(10)]) + 0.1 * rng.normal(size=(10, 8))
    return Sample(
        seed=seed,
        x=x,
        y=y,
        ids=ids,
        adjacency=np.asarray(near | near.T, dtype=np.float64),
        map2=embed(2),
        z=z,
        za=za,
        zb=zb,
        zc=zc,
        pairs=pairs,
        logits=embed(10),
        prototypes=prototypes,
        contexts=embed(8),
    )
