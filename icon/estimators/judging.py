"""How good a loss is for some data: a trial trains it on one part and judges it on what it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import KNeighborsClassifier

from icon.estimators.candidates import Candidate
from icon.estimators.clustering import Clustering
from icon.metrics import clustering_accuracy, neighborhood_preservation
from icon.neighbors import nearest_neighbors

NEAR = 10  # neighbours that a score looks at
Score = tuple[float, NDArray[Any]]


def judge_of(sources: tuple[str, ...]) -> str:
    """What tells how good a result is: labels before pairs before a graph before the features."""
    return next((source for source in ("y", "pairs", "graph") if source in sources), "features")


def criterion(goal: str, judge: str) -> str:
    """What the scores are, in words."""
    if goal == "clusters":
        return {
            "y": "accuracy of the clusters, matched to the labels one to one",
            "pairs": "information that the clusters of held-out pairs share, as a share of log C",
            "graph": "information that the clusters of held-out edges share, as a share of log C",
            "features": "information that the clusterings of two halves share, as a share of log C",
        }[judge]
    return {
        "y": f"accuracy of the {NEAR} nearest neighbours for held-out labels",
        "pairs": "share of held-out points whose nearest one has the same id",
        "graph": f"share of held-out edges to one of the {NEAR} nearest others",
        "features": f"share of the {NEAR} nearest neighbours that stay the {NEAR} nearest"
        + ("" if goal == "map" else ", of held-out points"),
    }[judge]


class Trial:
    """A sample of the points, split once, on which all candidates are tried.

    Args:
        x: ``[m, f]``.
        given: the labels ``"y" [m]`` (-1 unknown), the ids ``"pairs" [m]`` and the adjacency ``"graph" [m, m]``, of
            which there are some.
        goal: one of `icon.estimators.candidates.GOALS`.
        seed: of the split and of the estimators.
    """

    def __init__(self, x: NDArray[Any], given: Mapping[str, Any], goal: str, seed: int) -> None:
        self.x, self.given, self.goal, self.seed = x, dict(given), goal, seed
        self.judge = judge_of(tuple(given))
        random = np.random.default_rng(seed)
        n = len(x)
        self.seen = np.ones(n, dtype=bool)
        if self.judge == "graph":
            self.given["graph"], self.held = without_some(given["graph"], random)
        elif self.judge == "pairs":
            names = np.unique(given["pairs"])
            self.seen = ~np.isin(given["pairs"], random.choice(names, len(names) // 2, replace=False))
        elif self.judge == "y" and goal != "clusters":
            self.seen[random.choice(n, n // 4, replace=False)] = False
        elif self.judge == "features" and goal != "map":
            self.seen[random.choice(n, n // 2, replace=False)] = False

    def score(self, candidate: Candidate, callback: Callable[..., object]) -> Score:
        """How good the candidate is, higher is better, and its embedding ``[m, d]`` or clusters ``[m]``."""
        if self.goal == "clusters":
            return self._of_clusters(candidate, callback)
        if "mapper" in candidate.settings:  # new points follow from their features alone
            found = self._fitted(candidate, self.seen, callback).transform(self.x)
            z = np.asarray(found)  # scikit-learn may want frames
        else:  # a free map has to have all points; it sees neither labels nor ids
            z = candidate.make(self.seed, callback=callback).fit(self.x, self._target(candidate)).embedding_
        if candidate.is_cosine and self.goal != "map":
            z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-30)
        return {"y": self._labels, "pairs": self._ids, "graph": self._edges, "features": self._kept}[self.judge](z), z

    def _target(self, candidate: Candidate, part: NDArray[np.bool_] | slice = slice(None)) -> Any:
        if candidate.source is None:
            return None
        whole = self.given[candidate.source]
        return whole[part][:, part] if candidate.source == "graph" else whole[part]

    def _fitted(self, candidate: Candidate, part: NDArray[np.bool_], callback: Callable[..., object]) -> Any:
        # Further restarts would make the loss lower, and triple the time.
        more = {"n_init": 1} if candidate.kind is Clustering else {}
        return candidate.make(self.seed, callback=callback, **more).fit(self.x[part], self._target(candidate, part))

    # -- embeddings ---------------------------------------------------------------------------------------------------

    def _labels(self, z: NDArray[Any]) -> float:
        y = self.given["y"]
        seen, held = self.seen & (y >= 0), ~self.seen & (y >= 0)
        model = KNeighborsClassifier(min(NEAR, int(seen.sum()))).fit(z[seen], y[seen])
        return float(model.score(z[held], y[held]))

    def _ids(self, z: NDArray[Any]) -> float:
        ids = self.given["pairs"][~self.seen]
        return float((ids[nearest_neighbors(z[~self.seen], 1).indices[:, 0]] == ids).mean())

    def _edges(self, z: NDArray[Any]) -> float:
        away = cdist(z, z)
        np.fill_diagonal(away, np.inf)
        learned = self.given["graph"]
        away[(learned + learned.T).nonzero()] = np.inf  # which is no answer
        start, end = (np.concatenate(ends) for ends in (self.held, self.held[::-1]))
        last = np.partition(away, NEAR - 1, axis=1)[:, NEAR - 1]
        nearer, equal = (away < last[:, None]).sum(axis=1), (away == last[:, None]).sum(axis=1)
        share = (NEAR - nearer) / equal  # of those that are as far as the last one
        apart, last = away[start, end], last[start]
        return float(np.select([apart < last, apart == last], [1.0, share[start]]).mean())

    def _kept(self, z: NDArray[Any]) -> float:
        part = self.seen if self.seen.all() else ~self.seen
        return neighborhood_preservation(self.x[part], z[part], NEAR)

    # -- clusters -----------------------------------------------------------------------------------------------------

    def _of_clusters(self, candidate: Candidate, callback: Callable[..., object]) -> Score:
        assigned = self._fitted(candidate, self.seen, callback).predict(self.x)
        clusters = candidate.settings["n_clusters"]
        if self.judge == "y":
            y = self.given["y"]
            return clustering_accuracy(y[y >= 0], assigned[y >= 0]), assigned
        if self.judge == "features":
            other = self._fitted(candidate, ~self.seen, callback).predict(self.x)
            return shared(assigned, other, clusters), assigned
        if self.judge == "pairs":
            held = sp.csr_array(np.equal.outer(ids := self.given["pairs"][~self.seen], ids))
            place, (start, end) = np.flatnonzero(~self.seen), held.nonzero()
            start, end = place[start[start != end]], place[end[start != end]]
        else:
            start, end = (np.concatenate(ends) for ends in (self.held, self.held[::-1]))
        return shared(assigned[start], assigned[end], clusters), assigned


def shared(first: NDArray[Any], second: NDArray[Any], clusters: int) -> float:
    """The mutual information of two clusterings as a share of log C: a collapse, on which both agree, shares none."""
    return float(mutual_info_score(first, second) / np.log(clusters))


def without_some(
    graph: sp.csr_array, random: np.random.Generator
) -> tuple[sp.csr_array, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The graph without a fifth of its edges, and their ends. A spanning forest stays, so that no node loses all.

    An edge that leads both ways is one edge.
    """
    upper = sp.triu(graph + graph.T, 1).tocoo()
    start, end = (ends.astype(np.int32) for ends in upper.coords)  # scipy's graph functions take no others before 1.16
    order = sp.coo_array((random.permutation(len(start)) + 1.0, (start, end)), graph.shape).tocsr()
    forest = sp.csgraph.minimum_spanning_tree(order).toarray()  # of a sample, which has few points
    free = np.flatnonzero((forest + forest.T)[start, end] == 0)
    if len(free) == 0:
        raise ValueError(
            "graph: got no edge besides those of a spanning forest, expected cycles, whose edges can be held out"
        )
    gone = random.choice(free, min(len(free), max(1, len(start) // 5)), replace=False)
    held = start[gone].astype(np.int64), end[gone].astype(np.int64)
    out = sp.coo_array((np.ones(len(gone)), held), graph.shape)
    rest = sp.csr_array(graph - graph.multiply(out + out.T))
    rest.eliminate_zeros()
    return rest, held
