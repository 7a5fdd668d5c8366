"""p that is uniform over the k nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from icon import _checks as check
from icon import distances
from icon.neighbors import SEARCHES
from icon.p.base import Sets
from icon.p.masses import Listed
from icon.p.rows import Rows
from icon.p.similarities import neighbors_of, notes_of
from icon.p.spatial import Spatial, are_two
from icon.p.support import Support


@dataclass(frozen=True, repr=False)
class KNN(Spatial):
    """``p(j|i) = 1/k`` over the k nearest others by Euclidean (or another) distance; ties go to the smaller index.

    >>> import icon
    >>> rows = icon.p.KNN(2)([[0.0], [1.0], [2.0], [4.0]])
    >>> rows.to_dense()
    tensor([[0.0000, 0.5000, 0.5000, 0.0000],
            [0.5000, 0.0000, 0.5000, 0.0000],
            [0.5000, 0.5000, 0.0000, 0.0000],
            [0.0000, 0.5000, 0.5000, 0.0000]], dtype=torch.float64)
    >>> icon.p.KNN(2).walks(2).debias(0.1)
    KNN(n_neighbors=2).walks(2).debias(0.1)

    Args:
        n_neighbors: k, less than the number of points.
        metric: ``"sqeuclidean"``, ``"cosine"``, or another distance, as in `Gaussian`.
        search: ``"exact"``, ``"approximate"``, or ``"auto"``: exact up to 50,000 points; see `icon.neighbors`.
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
    """

    n_neighbors: int = 15
    metric: distances.Metric = "sqeuclidean"
    search: str = "auto"

    column: ClassVar[str] = "knn"
    shown: ClassVar[tuple[str, ...]] = ("n_neighbors",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check.count(self.n_neighbors, "n_neighbors")
        distances.metric_of(self.metric, without=("dot",))
        check.choice(self.search, "search", SEARCHES)

    def kept(self, support: Support) -> int | None:
        return self.n_neighbors

    def rows(self, target: Any, sets: Sets) -> Rows:
        xa, xb = self.features(target, sets)
        n, m, k, two = xa.shape[0], xb.shape[0], self.n_neighbors, are_two(target)
        # Self is never its own neighbour within one set of features, whether or not it is in the support.
        if k > m - (not two):
            raise ValueError(f"n_neighbors: got {k}, expected less than the number of points, {m}")
        support = self._support(n, m, sets.paired or two)
        index, recall = neighbors_of(xa, xb, k, self._metric, not two, self.search)
        return Rows(Listed(index, m), support, notes_of(recall))


def knn_rows(
    x: Any, k: int, search: str = "auto", metric: distances.Metric = "sqeuclidean", exclude_self: bool | None = None
) -> tuple[Rows, float | None]:
    """p of `KNN` on one set of points, which may lie on disk, and the recall of the search (None if exact)."""
    index, recall = neighbors_of(x, x, k, metric, True, search)
    n = len(index)
    return Rows(Listed(index, n), Support(n, n, exclude_self is not False, 0), notes_of(recall)), recall
