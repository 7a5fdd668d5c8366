"""What p a clustering follows: the neighbours, the classes or the graph of its points, with walks and debiasing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from icon import _checks as check
from icon import p as icon_p
from icon.core.evaluators import Evaluator
from icon.core.loss import Loss
from icon.estimators.base import target_of, with_lower_perplexity
from icon.labels import Labels, read_labels
from icon.methods import axes
from icon.p.base import Sets
from icon.p.rows import Rows
from icon.p.spatial import knn_rows
from icon.training.batches import prepare
from icon.training.sampler import PairSampler

EXACT = 4096  # points up to which the loss over all points is computed and not sampled
NEGATIVES = 2  # of a step
NEIGHBOURS = 10


@dataclass(frozen=True)
class Neighborhood:
    """How p is made; the fields are arguments of `icon.Clustering` and are described there."""

    column: str
    n_neighbors: int | str = "auto"
    walks: int = 1
    debias: float = 0.0
    symmetrize: str | None = "union"
    neighbors: str = "auto"
    hyper: Mapping[str, Any] | None = None
    evaluator: str | Evaluator | None = None

    def k(self, n: int) -> int:
        """How many neighbours each of n points has."""
        if isinstance(self.n_neighbors, str):
            check.choice(self.n_neighbors, "n_neighbors", ("auto",))
            return min(NEIGHBOURS, max(1, (n - 1) // 2))
        return check.count(self.n_neighbors, "n_neighbors")

    def loss(self, n: int) -> Loss:
        """The loss of n points, its p without walks and debiasing."""
        neighbours = {"n_neighbors": self.k(n)} if self.column == "knn" else {}
        if self.column == "data-label":
            raise ValueError("column: got 'data-label', expected a column of one set of points ('classes', for labels)")
        check.count(self.walks, "walks")
        check.fraction(self.debias, "debias")
        loss = axes.loss("clusters", self.column, **neighbours, **(self.hyper or {}), evaluator=self.evaluator)
        if self.column == "knn" and self.symmetrize is not None:
            loss = loss.replace(p=loss.p.symmetrize(self.symmetrize))
        return loss if "perplexity" in (self.hyper or {}) else with_lower_perplexity(loss, n)

    def rows(self, loss: Loss, x: Any, y: Any) -> tuple[Rows, float | None]:
        """p of the points before walks and debiasing, and the recall of an approximate search."""
        n = x.shape[0]
        known = read_labels(y, "y", n) if self.column == "classes" and y is not None else None
        recall = None
        if known is not None and not known.known.all():
            rows = self._with_unknown(known, x)
        elif self.column == "knn" and (n > EXACT or self.neighbors != "auto" or not isinstance(x, Tensor)):
            metric = (self.hyper or {}).get("metric", "sqeuclidean")
            rows, recall = knn_rows(x, self.k(n), self.neighbors, metric)
            rows = rows if self.symmetrize is None else rows.symmetrize(self.symmetrize)
        elif isinstance(x, np.ndarray) and self.column not in ("graph", "classes", "pairs"):
            raise TypeError(f"X: got an array on disk, expected one in memory for the column {self.column!r}")
        else:
            features = torch.empty(n, 0) if isinstance(x, np.ndarray) else x
            rows = prepare(loss, target_of(self.column, features, y), Sets(n, n))
        return rows, recall

    def _with_unknown(self, labels: Labels, x: Any) -> Rows:
        """Points of a known class follow the others of their class, the others their nearest neighbours."""
        near, _ = knn_rows(x, self.k(x.shape[0]), self.neighbors)
        near = near if self.symmetrize is None else near.symmetrize(self.symmetrize)
        index = np.flatnonzero(labels.known)
        sizes = np.bincount(labels.codes[index])
        check.refuse_if_too_large(
            36 * int((sizes.astype(np.int64) ** 2).sum()), "p of the known labels", "make more of them unknown"
        )
        same = sp.coo_array(icon_p.Classes()(labels.codes[index]).to_scipy())
        classes = sp.csr_array((same.data, (index[same.coords[0]], index[same.coords[1]])), shape=near.to_scipy().shape)
        alone = np.asarray(classes.sum(axis=1)).ravel() == 0  # unknown, or the only one of its class
        return Rows.from_scipy(classes + sp.diags_array(alone.astype(float)) @ near.to_scipy(), exclude_self=True)

    def composed(self, base: Rows, alpha: float) -> Rows:
        """p of all points with walks and debiasing."""
        return base.walks(self.walks).debias(alpha)

    def pairs(self, base: Rows, alpha: float, weighted: bool = False) -> PairSampler:
        """What draws from p with walks and debiasing."""
        return PairSampler(base, weighted, negatives=NEGATIVES).walks(self.walks).debias(alpha)
