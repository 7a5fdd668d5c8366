"""How many clusters there may be, and how clear that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icon import _checks as check
from icon.estimators.base import as_dense, draw_seed, placed
from icon.estimators.clustering import Clustering
from icon.estimators.counting import Count, check_auto, count_clusters
from icon.estimators.spaces import read_spaces, side_by_side
from icon.training.state import settled

LITTLE = 0.85  # p leaves its cluster nearly as often as it does without clusters


@dataclass(frozen=True, eq=False)
class Suggestion:
    """How many clusters there may be.

    Args:
        n_clusters: the number that is suggested.
        eigenvalues: of the walk between many small clusters, descending, at most ``max_clusters`` of them.
        gaps: ``gaps[c - 1]`` is eigenvalue c less eigenvalue c + 1.
        note: how clear the choice was, in words.
    """

    n_clusters: int
    eigenvalues: NDArray[np.float64]
    gaps: NDArray[np.float64]
    note: str


@settled()
def suggest_n_clusters(
    x: Any,
    max_clusters: int | None = None,
    *,
    n_neighbors: int = 10,
    metric: str = "sqeuclidean",
    random_state: int = 0,
    **clustering: Any,
) -> Suggestion:
    """Suggest a number of clusters between 2 and ``max_clusters``, as ``icon.Clustering("auto")`` finds it.

    Many k-means clusters are merged, and p, walks on the graph of nearest neighbours, is followed between the groups.
    Their modularity is highest for a number that may be too large where the features have few dimensions; how probable
    p stays in its group, compared with as many points of a Gaussian, is highest for one that may be too large where
    they lie on a manifold. The smaller number is suggested.

    Take it as a hint. It counts groups that p hardly leaves, not classes. Measured with three seeds each:

    * Apart, it is exact: 3 Gaussian blobs of 50 to 2,000 points and 8 of 100 or 500, in 2, 5 and 16 dimensions; 20, 50
      and 100 of 100 points in 32; and, in 5 and 8 dimensions, blobs of 980 and 20, of 900, 60 and 40, and of 600 to 15
      points. In 2 and 3 dimensions large blobs beside small ones are split, or small ones missed: 10, 12 and 14 for
      980 and 20 points.
    * Touching, it fails: 6 blobs of 100 points on a grid of step 10 are found at a deviation of 1 and 2, as 6, 7 and 4
      at 3, and as 9, 6 and 5 at 4; with 500 points each as 21, 15 and 5, and as 14, 17 and 6.
    * A class of two distinct styles counts twice: 20 of 10 such classes (blobs in 16 dimensions).
    * From the classes of twelve data sets it is off by a factor of 1.6 on average, and at most 4: 38 to 49 for 150.
      Ten for every one of them is off by 1.8; the silhouette of k-means by 4.7, HDBSCAN by 3.1.
    * One blob, too, gives a number (2 to 14); the note tells of most.

    Args:
        x: ``[n, f]`` features, dense or sparse, or several spaces of them, as of `icon.Clustering`.
        max_clusters: the largest number, from 2 to n; None is 30, or n where there are fewer points.
        n_neighbors: k of the graph. No more than 100 clusters are found, and no more than leave each 2k points on
            average, or two.
        metric: of the neighbours: ``"sqeuclidean"``, ``"euclidean"`` or ``"cosine"``.
        random_state: of k-means and of the Gaussian.
        clustering: ``walks``, 3 if absent: p is the average of the walks of 1 to this many steps. Other arguments of
            `icon.Clustering` play no part any more, and a DeprecationWarning says so.

    Raises:
        ValueError: more clusters or neighbours than points, or another metric.

    Source: Newman & Girvan 2004, Finding and evaluating community structure in networks; Tibshirani, Walther & Hastie
    2001, Estimating the number of clusters in a data set via the gap statistic.
    """
    if unused := sorted(set(clustering) - {"walks"}):
        message = f"{unused[0]}: plays no part in suggest_n_clusters, which trains nothing any more"
        check.warn(message, DeprecationWarning)
    walks = check.count(clustering.get("walks", 3), "walks")
    model = Clustering("auto", n_neighbors=n_neighbors, walks=walks, metric=metric)
    check_auto(model, metric)
    spaces = [placed(space, "cpu") for space in read_spaces(model, x, least=2)]
    n = spaces[0].shape[0]
    most = min(30, n) if max_clusters is None else check.count(max_clusters, "max_clusters", 2)
    if most > n:
        raise ValueError(f"max_clusters: got {max_clusters}, expected at most {n}, the number of points")
    if (n_neighbors := check.count(n_neighbors, "n_neighbors")) >= n:
        raise ValueError(f"n_neighbors: got {n_neighbors}, expected at most {n - 1}, the other points")
    seen = as_dense(model, side_by_side(model, spaces, reset=True), reset=True)
    count = count_clusters(seen, n_neighbors, walks, metric, draw_seed(random_state), most)
    eigenvalues: NDArray[np.float64] = np.linalg.eigvalsh(count.walk)[::-1][:most].astype(np.float64)
    return Suggestion(count.n_clusters, eigenvalues, -np.diff(eigenvalues), _note(count, most))


def _note(count: Count, most: int) -> str:
    """What the number rests on."""
    text = (
        f"p stays in its cluster with probability {count.stays:.2f}, without clusters {count.without:.2f}; "
        f"modularity alone says {count.modular}"
    )
    if 1 - count.stays > LITTLE * (1 - count.without):
        text += "; hardly more than without clusters: there may be none"
    if count.n_clusters == most:
        text += "; at the maximum: try a larger max_clusters"
    return text
