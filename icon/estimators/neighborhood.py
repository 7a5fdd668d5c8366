"""What p a clustering follows: the neighbours, the classes or the graph of its points, with walks and debiasing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from icon import _checks as check
from icon import p as icon_p
from icon._cached import cached
from icon.core.evaluators import Evaluator
from icon.core.loss import Loss
from icon.estimators.base import made_from, target_of, with_lower_perplexity
from icon.labels import Labels, read_labels
from icon.methods import axes
from icon.nn import MAX_FEATURES, Principal
from icon.p.base import Sets
from icon.p.knn import knn_rows
from icon.p.rows import Rows
from icon.training.sampler import PairSampler, prepare

EXACT = 4096  # points up to which the loss over all points is computed and not sampled
NEGATIVES = 2  # of a step
NEIGHBOURS, LEAST_NEIGHBOURS = 10, 3
SAMPLE = 2000  # points by which a metric is chosen
FEW, MORE = 0.25, 2.0  # share of neighbours that are mutual below which hubs are seen; how many times it must grow


@dataclass(frozen=True)
class Neighborhood:
    """How p is made; the fields are arguments of `icon.Clustering` and are described there."""

    column: str
    n_clusters: int = 1
    n_neighbors: int | str = "auto"
    walks: int = 1
    debias: float = 0.0
    symmetrize: str | None = "union"
    neighbors: str = "auto"
    metric: Any = "auto"
    hyper: Mapping[str, Any] | None = None
    evaluator: str | Evaluator | None = None

    def k(self, n: int) -> int:
        """How many neighbours each of n points has."""
        if isinstance(self.n_neighbors, str):
            check.choice(self.n_neighbors, "n_neighbors", ("auto",))
            of_cluster = max(LEAST_NEIGHBOURS, n // (2 * self.n_clusters))
            return min(NEIGHBOURS, of_cluster, max(1, (n - 1) // 2))
        return check.count(self.n_neighbors, "n_neighbors")

    def loss(self, n: int) -> Loss:
        """The loss of n points, its p without walks and debiasing."""
        own: dict[str, Any] = {"n_neighbors": self.k(n), "symmetrize": self.symmetrize} if self.column == "knn" else {}
        if self.metric != "auto" and made_from(self.column) == "features":
            own["metric"] = self.metric
        elif self.metric != "auto" and not self._is_near:
            raise ValueError(f"metric: got {self.metric!r} with column={self.column!r}, expected 'auto'")
        if self.column == "data-label":
            raise ValueError("column: got 'data-label', expected a column of one set of points ('classes', for labels)")
        check.count(self.walks, "walks")
        check.fraction(self.debias, "debias")
        loss = axes.loss("clusters", self.column, **own, **(self.hyper or {}), evaluator=self.evaluator)
        return loss if "perplexity" in (self.hyper or {}) else with_lower_perplexity(loss, n)

    def at(self, x: Any) -> Neighborhood:
        """With the metric of this space, where it is to be chosen."""
        is_chosen = self._is_near and self.metric == "auto"
        return replace(self, metric=metric_of(x, self.k(x.shape[0]))) if is_chosen else self

    def _rows(self, x: Any, labels: Labels | None) -> tuple[Rows, float | None]:
        """p of one space before walks and debiasing, and the recall of a search; with labels that some points have."""
        x, n = narrowed(x) if self.sees_directions else x, x.shape[0]
        if labels is None and self.column != "knn":
            return prepare(self.loss(n), x, Sets(n, n)), None
        given = {name: value for name, value in (self.hyper or {}).items() if name in ("search", "exclude_self")}
        rows, recall = knn_rows(x, self.k(n), **{"search": self.neighbors, "metric": self.metric, **given})
        rows = rows if self.symmetrize is None else rows.symmetrize(self.symmetrize)
        return (rows if labels is None else self._with_unknown(labels, rows)), recall

    @property
    def _is_near(self) -> bool:
        """Whether points follow their nearest neighbours, those of unknown class at least."""
        return self.column in ("knn", "classes")

    @property
    def sees_directions(self) -> bool:
        """Whether neighbours are searched in the leading principal directions of many features: faster, as good."""
        return self._is_near and self.metric == "sqeuclidean"

    @staticmethod
    def _with_unknown(labels: Labels, near: Rows) -> Rows:
        """Points of a known class follow the others of their class, the others their nearest neighbours."""
        index = np.flatnonzero(labels.known)
        sizes = np.bincount(labels.codes[index])
        check.refuse_if_too_large(
            36 * int((sizes.astype(np.int64) ** 2).sum()), "p of the known labels", "make more of them unknown"
        )
        same = sp.coo_array(icon_p.Classes()(labels.codes[index]).to_scipy())
        classes = sp.csr_array((same.data, (index[same.coords[0]], index[same.coords[1]])), shape=near.to_scipy().shape)
        alone = np.asarray(classes.sum(axis=1)).ravel() == 0  # unknown, or the only one of its class
        return Rows.from_scipy(classes + sp.diags_array(alone.astype(float)) @ near.to_scipy(), exclude_self=True)

    def composed(self, bases: Sequence[Rows], alpha: float) -> Rows:
        """p of all points: walks in each space, the mean of these, debiasing."""
        return mean_of([base.walks(self.walks) for base in bases]).debias(alpha)

    def pairs(self, bases: Sequence[Rows], alpha: float, weighted: bool = False) -> PairSampler:
        """What draws from the same p, without computing the walks."""
        walks = [PairSampler(base, negatives=NEGATIVES).walks(self.walks) for base in bases]
        sampler = walks[0] if len(walks) == 1 else MeanSampler(mean_of(bases), negatives=NEGATIVES, parts=tuple(walks))
        return replace(sampler, weighted=weighted).debias(alpha)


def rows_of(nears: Sequence[Neighborhood], spaces: Sequence[Any], y: Any) -> tuple[list[Rows], float | None]:
    """p of each space, one where it is of y alone, before walks and debiasing; and the lowest recall of a search."""
    near, n = nears[0], spaces[0].shape[0]
    labels = read_labels(y, "y", n) if near.column == "classes" and y is not None else None
    if made_from(near.column) != "features" and (labels is None or labels.known.all()):
        return [prepare(near.loss(n), target_of(near.column, spaces[0], y), Sets(n, n))], None
    found = [near._rows(x, labels) for near, x in zip(nears, spaces, strict=True)]
    recalls = [recall for _, recall in found if recall is not None]
    return [rows for rows, _ in found], min(recalls, default=None)


def mean_of(parts: Sequence[Rows]) -> Rows:
    """Equal shares of each p, of those where the anchor has a positive."""
    first = parts[0]
    if len(parts) == 1:
        return first
    edges = sum((part.to_scipy() for part in parts[1:]), start=first.to_scipy())  # scaled to rows of one
    exclude = all(part.support.exclude_self for part in parts)
    marginal = torch.stack([part.marginal.cpu() for part in parts]).mean(dim=0) if first.is_joint else None
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Rows.from_scipy(edges, exclude, offset=first.support.offset, marginal=marginal, notes=notes)


@dataclass(frozen=True, eq=False)
class MeanSampler(PairSampler):
    """Draws from the mean of several p, each with walks of its own: in one of those where the anchor has a positive.

    Args:
        parts: one for each p; ``rows`` is the mean of these before any walk.
    """

    parts: tuple[PairSampler, ...] = ()

    @cached
    def _present(self) -> Tensor:
        return torch.stack([~part.rows.empty.cpu() for part in self.parts], dim=1).double()

    def _walked(self, anchors: Tensor) -> Tensor:
        which = torch.multinomial(self._present[anchors], 1).flatten()
        partners = torch.empty_like(anchors)
        for number, part in enumerate(self.parts):
            mine = which == number
            partners[mine] = part._walked(anchors[mine])
        return partners


def metric_of(x: Any, k: int) -> str:
    """``"sqeuclidean"``, or ``"cosine"`` where Euclidean neighbours are hubs.

    Where features are counts or marks of many words, points of small norm are near to all others: a few hubs are the
    neighbours of most points, and hardly any two points are neighbours of each other. So the metric is the cosine where
    less than a quarter of Euclidean neighbours are mutual, and at least twice as many are by the cosine.

    Source: Radovanović, Nanopoulos & Ivanović 2010, Hubs in Space, JMLR 11.
    """
    n = x.shape[0]
    if n > SAMPLE:
        x = x[np.sort(np.random.default_rng(0).choice(n, SAMPLE, replace=False))]
    k = max(1, min(k, x.shape[0] - 1))
    euclidean = mutual(narrowed(x), k, "sqeuclidean")
    return "cosine" if euclidean < FEW and mutual(x, k, "cosine") >= MORE * euclidean else "sqeuclidean"


def mutual(x: Any, k: int, metric: str) -> float:
    """The share of the k nearest neighbours, of every point, that have the point among theirs."""
    near = knn_rows(x, k, "exact", metric)[0].to_scipy() > 0
    return float(near.multiply(near.T).sum() / near.sum())


def narrowed(x: Any) -> Any:
    """Of many features in memory the leading principal directions: Euclidean neighbours there are faster, as good."""
    return Principal(x, MAX_FEATURES)(x) if isinstance(x, Tensor) and x.shape[1] > MAX_FEATURES else x
