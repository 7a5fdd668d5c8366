"""`Clustering`: the clusters row of the table with neighbours, walks and debiasing, as a scikit-learn estimator."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from icon import _checks as check
from icon import mappers, registry
from icon.embedding import apply, check_output, draw_seed, learning_rate, on_device, target_of, validated
from icon.fit import fit, prepare, seeded
from icon.loss import Loss
from icon.p.base import Sets
from icon.rows import Rows


class Clustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Cluster points so that neighbours share clusters: ``q_ij = sum_c φ_ic φ_jc / N_c`` follows p.

    >>> Clustering(10, n_neighbors=10, walks=2, debias=0.6, random_state=0).fit_predict(x)

    ``fit(X, y)`` uses y only where the column is made from it: labels or ids ``[n]`` for ``"classes"`` and ``"pairs"``,
    an adjacency ``[n, n]`` for ``"graph"``.

    Args:
        n_clusters: at most the number of points.
        column: of the table.
        n_neighbors: k of the column ``"knn"``.
        walks: K: average of the walks of 1 to K steps over p.
        debias: α: ``(1-α) p + α u`` with u uniform.
        mapper: ``"mlp"``, ``"linear"``, ``"lookup"``, or an ``nn.Module`` (copied) from features ``[b, f]`` to logits
            ``[b, n_clusters]``. The named ones see features that were centred and divided by one number, their root
            mean square; p and a module of your own see X as it is.
        hidden: width of the MLP's hidden layer, or several.
        max_iter: steps of Adam.
        learning_rate: of Adam; ``"auto"`` is 5e-3, and 0.1 for a lookup.
        n_init: how many starts; the one of the lowest loss over all points is kept, never by labels. A given module
            starts first as it is, then with the parameters of its layers drawn anew.
        batch_size: None evaluates all points at a step; a number draws so many pairs (anchor, partner from p), see
            `icon.fit.fit`. It should hold many points of each cluster.
        symmetrize: of the k-NN graph before it is normalised: ``"union"``, ``"intersection"``, ``"average"`` or None.
        hyper: further hyper-parameters of the column or of the clusters row, such as ``{"metric": "cosine"}``.
        random_state: an integer makes the result reproducible on one machine.
        verbose: a progress bar per start, on standard error.
        callback: called with (step from 1, loss, logits) at each step, as they were before its update; the starts
            follow each other.
        device: ``"auto"`` takes an accelerator where there is one.

    Attributes:
        labels_: ``[n]``. loss_: KL(p‖q) over all points. losses_: of each start. n_iter_: steps of the start kept.
        mapper_: the trained module.

    A cluster may stay empty; its number is then missing from ``labels_``. A single start often ends in a local minimum
    (two clusters merged, a third one split), and its loss tells: prefer ``n_init`` of 4 to 8, with a ``batch_size`` to
    pay for it.

    Source: Alshammari et al., I-Con, ICLR 2025 (arXiv 2504.16929), debiased InfoNCE clustering.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        column: str = "knn",
        *,
        n_neighbors: int = 10,
        walks: int = 1,
        debias: float = 0.0,
        mapper: str | nn.Module = "mlp",
        hidden: int | Sequence[int] = 256,
        max_iter: int = 300,
        learning_rate: float | str = "auto",
        n_init: int = 1,
        batch_size: int | None = None,
        symmetrize: str | None = "union",
        hyper: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
        callback: Callable[[int, float, NDArray[np.float32]], object] | None = None,
        device: str | torch.device = "auto",
    ) -> None:
        self.n_clusters = n_clusters
        self.column = column
        self.n_neighbors = n_neighbors
        self.walks = walks
        self.debias = debias
        self.mapper = mapper
        self.hidden = hidden
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.n_init = n_init
        self.batch_size = batch_size
        self.symmetrize = symmetrize
        self.hyper = hyper
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback
        self.device = device

    def fit(self, X: ArrayLike, y: Any = None) -> Clustering:
        """Cluster ``X [n, f]``; see the class for ``y``."""
        x = validated(self, X, ensure_min_samples=2)
        clusters = check.count(self.n_clusters, "n_clusters")
        if clusters > len(x):
            raise ValueError(f"n_clusters: got {clusters}, expected at most {len(x)}, the number of points")
        if self.batch_size is not None and not clusters <= check.count(self.batch_size, "batch_size", 2) <= len(x):
            raise ValueError(
                f"batch_size: got {self.batch_size}, expected from {clusters} (n_clusters) to {len(x)} (points)"
            )
        features = on_device(x, self.device)
        loss = self._loss().to(features.device)
        rows = prepare(loss, target_of(self.column, features, y), Sets(len(x), len(x)))
        random = check_random_state(self.random_state)
        starts = [
            self._start(loss, features, rows, draw_seed(random), again=start > 0)
            for start in range(check.count(self.n_init, "n_init"))
        ]
        self.losses_ = np.array([found for found, *_ in starts])
        self.loss_, self.n_iter_, self.mapper_, logits = starts[int(self.losses_.argmin())]
        self.labels_ = logits.argmax(axis=1)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The most probable cluster ``[b]`` of each row of ``X [b, f]``."""
        labels: NDArray[np.int64] = self._logits(X).argmax(axis=1)
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Probabilities φ ``[b, n_clusters]`` of the clusters for each row of ``X [b, f]``."""
        return softmax(self._logits(X), axis=1)  # type: ignore[no-any-return]

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Minus the loss of the clusters of X under the p of X (higher is better); y as in `fit`."""
        logits = torch.from_numpy(self._logits(X))
        features = on_device(X, "cpu")
        loss = self._loss()
        return -float(loss(logits, prepare(loss, target_of(self.column, features, y), Sets(len(logits), len(logits)))))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file, without pickle; `icon.load` reads it back.

        Raises:
            ValueError: not fitted, or the file cannot be written. TypeError: a mapper of your own.
        """
        from icon.io import save_estimator

        save_estimator(self, path)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _loss(self) -> Loss:
        neighbours = {"n_neighbors": self.n_neighbors} if self.column == "knn" else {}
        if self.column == "data-label":
            raise ValueError("column: got 'data-label', expected a column of one set of points ('classes', for labels)")
        loss = registry.loss("clusters", self.column, **neighbours, **(self.hyper or {}))
        p = loss.p
        if self.column == "knn" and self.symmetrize is not None:
            p = p.symmetrize(self.symmetrize)
        if check.count(self.walks, "walks") > 1:
            p = p.walks(self.walks)
        if check.fraction(self.debias, "debias") > 0:
            p = p.debias(self.debias)
        loss.p = p
        return loss

    def _start(
        self, loss: Loss, features: Tensor, rows: Rows, seed: int, again: bool
    ) -> tuple[float, int, nn.Module, NDArray[np.float32]]:
        """One run from one start: its loss over all points, its steps, its mapper and the logits."""
        x = features.float()
        with seeded(seed, x.device):
            start = None
            if isinstance(self.mapper, str) and self.mapper == "lookup":
                # A random projection and not independent draws: neighbours start together.
                projection = torch.randn(x.shape[1], self.n_clusters).to(x) / x.shape[1] ** 0.5
                start = mappers.Rescale(x)(x) @ projection
            mapper = mappers.build(deepcopy(self.mapper), x, self.n_clusters, hidden=self.hidden, start=start).to(
                x.device
            )
            if again and isinstance(self.mapper, nn.Module):
                for layer in mapper.modules():
                    if callable(reset := getattr(layer, "reset_parameters", None)):
                        reset()
        lookup = isinstance(mapper, mappers.Lookup)
        inputs = torch.arange(len(x), device=x.device) if lookup else x
        rate = learning_rate(self.learning_rate, 0.1 if lookup else 5e-3)
        check_output(mapper, inputs, self.n_clusters)
        callback = self.callback

        def report(step: int, value: float, logits: Tensor) -> None:
            if callback is not None:
                callback(step, value, logits.cpu().numpy())

        done = fit(
            loss, mapper, inputs, rows, steps=self.max_iter, learning_rate=rate,
            batch_size=self.batch_size, seed=seed, callback=report, verbose=self.verbose, label="clustering",
        )  # fmt: skip
        with torch.no_grad():
            logits = mapper(inputs)
            return float(loss(logits, rows)), len(done.losses), mapper, logits.cpu().numpy()

    def _logits(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        x = validated(self, X, reset=False)
        return apply(self.mapper_, x)
