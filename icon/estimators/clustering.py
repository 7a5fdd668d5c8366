"""`Clustering`: the clusters row of the table with neighbours, walks and debiasing, as a scikit-learn estimator."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr, softmax
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import ClassifierTags, Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from icon import _checks as check
from icon import nn as icon_nn
from icon import p as icon_p
from icon._threads import threaded
from icon.core import exchange
from icon.core.evaluators import Evaluator
from icon.core.exchange import Group
from icon.core.local import meant_to_be_local
from icon.core.loss import Loss
from icon.estimators import initialization
from icon.estimators.base import (
    apply,
    as_dense,
    check_callback,
    check_hyper,
    check_output,
    draw_seed,
    features_of,
    input_of,
    is_pairwise,
    learning_rate,
    made_from,
    on_device,
    on_disk,
    random_of,
    sample_weights,
    some_of,
    target_of,
    validated,
    with_lower_perplexity,
)
from icon.estimators.run import Run, Stage, inputs_of, logits_of, of_weighted, value_of, weighted
from icon.estimators.saved import load_estimator, save_estimator
from icon.labels import Labels, read_labels
from icon.methods import axes
from icon.neighbors import SEARCHES
from icon.nn.mappers import as_seen
from icon.p.base import Sets
from icon.p.operations import HOW
from icon.p.rows import Rows
from icon.p.spatial import knn_rows
from icon.serialization import READERS
from icon.training.batches import prepare, rows_of
from icon.training.fit import fit
from icon.training.sampler import PairSampler
from icon.training.state import seeded, settled

BATCH, PER_CLUSTER = 1024, 8  # pairs of a step, and at least so many for each cluster; fewer points are seen whole
EXACT = 4096  # points up to which the loss over all points is computed and not sampled
NEGATIVES = 2  # of a step
NEIGHBOURS = 10
#: What a checkpoint is refused by, where it is of another run.
IDENTITY = ("n_clusters", "column", "n_neighbors", "walks", "debias", "symmetrize", "mapper", "hidden", "init", "ema",
            "learning_rate")  # fmt: skip


class Clustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Cluster points so that neighbours share clusters: ``q_ij = sum_c φ_ic φ_jc / N_c`` follows p.

    >>> Clustering(10, random_state=0).fit_predict(x)

    ``fit(X, y)`` uses y only where the column is made from it: ids ``[n]`` for ``"pairs"``, a graph of the n points in
    any form that `icon.p.Graph` takes (an adjacency, a graph of networkx or igraph, an edge list) for ``"graph"``,
    labels ``[n]`` for ``"classes"``, where None, NaN and -1 are unknown: such points follow their nearest neighbours,
    the others their class. X may be an array on disk (``numpy.memmap``), read in blocks, or a torch ``Dataset`` of
    feature rows. It may be sparse (scipy): p is then made from it as it is, and the mapper, also one of your own, sees
    its leading singular directions, ``[n, min(128, n, f)]``. ``hyper={"metric": "precomputed"}`` takes distances
    ``[n, n]`` as X, and of a new point those to these n; other metrics stand in `icon.p.KNN`.

    Args:
        n_clusters: at most the number of points.
        column: of the table.
        n_neighbors: k of the column ``"knn"``; ``"auto"`` is 10, and half of the others where they are fewer
            than 20, with a warning.
        walks: K: average of the walks of 1 to K steps over p. 1 leaves p as it is.
        debias: α: ``(1-α) p + α u`` with u uniform. 0 leaves p as it is.
        mapper: ``"mlp"``, ``"linear"``, ``"lookup"``, or an ``nn.Module`` (copied) from features ``[b, f]`` to logits
            ``[b, n_clusters]``. The named ones see features that were centred and divided by one number, their root
            mean square; p and a module of your own see X as it is.
        hidden: width of the MLP's hidden layer, or several.
        max_iter: steps of Adam; its rate falls to zero over the second half.
        learning_rate: of Adam; ``"auto"`` is 5e-3, and 0.1 for a lookup.
        n_init: number of restarts. The one with the lowest loss over all points is kept; labels play no part in that. A
            module of your own is used as it is at first, and with newly drawn parameters in the other restarts.
        init: the initialisation, or several that the restarts take in turn. ``"over-clustering"`` trains a head of
            three times as many clusters for half of the steps, merges them so that neighbours keep as much information
            about each other as possible, and trains the head to give the merged clusters first. ``"k-means"`` trains it
            to give the k-means clusters of the features. ``"random"`` leaves it as it was drawn.
        batch_size: ``"auto"`` (1024, or 8 for each cluster; all points where there are no more); None evaluates all
            points at a step; a number draws so many pairs (anchor, partner drawn by walking). It should
            hold several points of each cluster.
        ema: decay of a moving average of the head, which is then what is kept; 0 keeps the head itself.
        neighbors: how the column ``"knn"`` finds them: ``"exact"``, ``"approximate"``, or ``"auto"``: exact up to
            50,000 points; see `icon.neighbors`.
        checkpoint: a path; every 100 steps each restart writes ``PATH.0``, ``PATH.1``, ... there, and a fit that was
            interrupted goes on from them to the result that it would have had. Files of another run (other data or
            settings) are refused; delete them to start afresh.
        symmetrize: of the k-NN graph before it is normalised: ``"union"``, ``"intersection"``, ``"average"`` or None.
        hyper: further hyper-parameters of the column or of the clusters row, such as ``{"metric": "cosine"}``.
        random_state: an integer makes the result reproducible on one machine.
        verbose: a progress bar for each restart, on standard error.
        callback: called with (step from 1, loss, logits) at each step, as they were before its update, for
            one restart after the other. Returning True ends the restart, which keeps what it has.
        device: ``"auto"`` takes an accelerator where there is one.
        evaluator: how the loss is computed; see `icon.Loss`.
        n_jobs: threads of a fit; -1 takes all cores. None takes one for small operations, and for large ones as many as
            torch is set to. Torch's own setting is restored after the fit.
        group: ``"world"`` or a process group of `torch.distributed`, each rank of which calls `fit` with the same
            arguments: they share the points of each step, and all end with the same clusters. A callback sees the
            logits of its rank's share.

    Attributes:
        labels_: ``[n]``, numbered without a gap.
        probabilities_: ``[n, n_clusters]`` of the points of the fit.
        n_empty_: how many clusters stayed empty; a warning tells it, too. Their numbers are the last ones.
        loss_: KL(p‖q) over all points; above 4096 points the cross-entropy of a sample of pairs, the same for all
            restarts.
        losses_: the loss of each restart.
        restarts_: ``[n_init, n]`` the labels of each restart.
        n_iter_: steps of the restart that was kept.
        mapper_: the trained module, whose columns are numbered as they were trained.
        order_: ``[n_clusters]`` the column of ``mapper_`` that each cluster is.
        knn_recall_: of an approximate search for neighbours.

    A single start often ends in a local minimum (two clusters merged, a third one split), and its loss tells.

    Source: Alshammari et al., I-Con, ICLR 2025 (arXiv 2504.16929), debiased InfoNCE clustering.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        column: str = "knn",
        *,
        n_neighbors: int | str = "auto",
        walks: int = 3,
        debias: float = 0.1,
        mapper: str | nn.Module = "mlp",
        hidden: int | Sequence[int] = 256,
        max_iter: int = 200,
        learning_rate: float | str = "auto",
        n_init: int = 3,
        init: str | Sequence[str] = "over-clustering",
        batch_size: int | str | None = "auto",
        ema: float = 0.0,
        neighbors: str = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        symmetrize: str | None = "union",
        hyper: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
        callback: Callable[[int, float, NDArray[np.float32]], object] | None = None,
        device: str | torch.device = "auto",
        evaluator: str | Evaluator | None = None,
        n_jobs: int | None = None,
        group: Group | None = None,
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
        self.init = init
        self.batch_size = batch_size
        self.ema = ema
        self.neighbors = neighbors
        self.checkpoint = checkpoint
        self.symmetrize = symmetrize
        self.hyper = hyper
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback
        self.device = device
        self.evaluator = evaluator
        self.n_jobs = n_jobs
        self.group = group

    @threaded
    @meant_to_be_local()
    @settled()
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: Any = None) -> Clustering:
        """Cluster ``X [n, f]``; see the class for ``y``.

        ``sample_weight [n]`` > 0 says how much each point counts, as an anchor and in the size of its cluster.
        """
        x, n, weights, kinds, loss = exchange.on_all(partial(self._checked, X, sample_weight), self.group)
        size = self._batch_size(n)
        last = Stage("clustering", self.n_clusters, self.max_iter, self.debias, self.ema, self.callback)
        base, self.knn_recall_ = exchange.from_first(partial(self._rows, loss, x, y), self.group)
        whole = loss if weights is None else weighted(loss, weights)
        if weights is not None:
            base = of_weighted(base, weights)
        x, narrow = self._as_seen(x)
        pairs = cache(partial(self._pairs, base, weighted=weights is not None))
        composed = cache(partial(self._composed, base))
        judged = composed if self._is_exact(n) else pairs
        random = exchange.from_first(partial(random_of, self.random_state), self.group)
        found: list[tuple[float, int, nn.Module, NDArray[np.int64]]] = []
        for start in range(self.n_init):
            of, target = (whole, composed) if size is None else (loss, pairs)
            run = Run(of, x, size, target, pairs, draw_seed(random), start, narrow is not None)
            mapper, steps = self._trained(run, last, self._first(kinds[start % len(kinds)], run))
            logits = logits_of(mapper, x)
            value = value_of(whole, torch.from_numpy(logits), judged(self.debias))
            if not found or value < min(value for value, *_ in found):
                self.probabilities_ = softmax(logits, axis=1)
            found.append((value, steps, mapper, logits.argmax(axis=1)))
        self.losses_ = np.array([value for value, *_ in found])
        self.restarts_ = np.stack([labels for *_, labels in found])
        best = int(self.losses_.argmin())
        self.loss_, self.n_iter_, self.mapper_, labels = found[best]
        if narrow is not None:
            assert isinstance(self.mapper_, nn.Sequential)
            self.mapper_[0] = narrow
        self._number(labels, self.n_clusters)
        self.probabilities_ = self.probabilities_[:, self.order_]
        self.restarts_[best] = self.labels_
        return self

    def fit_predict(self, X: ArrayLike, y: Any = None, **fit_params: Any) -> NDArray[np.int64]:
        """`fit`, and the clusters ``[n]`` of X."""
        return self.fit(X, y, **fit_params).labels_

    def _checked(self, X: Any, sample_weight: Any) -> tuple[Any, int, Tensor | None, tuple[str, ...], Loss]:
        """The features, their number and weights, the kinds of start, and the loss, where all arguments are right."""
        x = input_of(self, X)
        n = x.shape[0]
        weights = None if sample_weight is None else sample_weights(sample_weight, n)
        if weights is not None and not bool((weights > 0).all()):
            raise ValueError("sample_weight: got zero for a point, expected numbers > 0 (leave such points out of X)")
        if weights is not None and self.group is not None:
            raise ValueError("sample_weight: got some with group=, expected None")
        kinds, loss = self._kinds(n), self._loss(n)
        self._batch_size(n)
        if self.column == "knn" and isinstance(self.n_neighbors, str) and (k := self._neighbours(n)) < NEIGHBOURS:
            check.warn(f"n_neighbors: lowered from {NEIGHBOURS} to {k} for {n} points")
        return x, n, weights, kinds, loss

    def _kinds(self, n: int) -> tuple[str, ...]:
        """The kinds of start, where all arguments are as they may be for n points."""
        check_hyper(self.hyper, ("n_neighbors", "walks", "debias", "symmetrize"))
        check_callback(self.callback)
        check.choice(self.neighbors, "neighbors", SEARCHES)
        if self.symmetrize is not None:
            check.choice(self.symmetrize, "symmetrize", HOW)
        if check.count(self.n_clusters, "n_clusters") > n:
            raise ValueError(f"n_clusters: got {self.n_clusters}, expected at most {n}, the number of points")
        kinds = tuple(self.init) if isinstance(self.init, (list, tuple)) else (self.init,)
        for kind in kinds:
            check.choice(kind, "init", initialization.KINDS)
        check.count(self.max_iter, "max_iter")
        check.count(self.n_init, "n_init")
        check.fraction(self.ema, "ema")
        return kinds

    def _as_seen(self, x: Any) -> tuple[Any, icon_nn.Principal | None]:
        """The features as heads see them, and what makes wide ones narrow: once, and not at every step of a start."""
        x = as_dense(self, x, reset=True)
        x = on_device(x, self.device) if "basis_" in vars(self) else x
        named = self.mapper in ("mlp", "linear")
        if not (named and isinstance(x, Tensor) and x.shape[1] > icon_nn.MAX_FEATURES):
            return x, None
        narrow = icon_nn.Principal(x, icon_nn.MAX_FEATURES)
        return narrow(x), narrow

    def _number(self, labels: NDArray[np.int64], clusters: int) -> None:
        """Number the clusters that have points first, so that ``labels_`` has no gap."""
        used = np.unique(labels)
        self.order_ = np.concatenate([used, np.setdiff1d(np.arange(clusters), used)])
        self.labels_ = self.order_.argsort()[labels]
        self.n_empty_ = clusters - len(used)
        if self.n_empty_:
            check.warn(f"n_clusters: got {clusters}, of which {self.n_empty_} stayed empty", ConvergenceWarning)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The most probable cluster ``[b]`` of each row of ``X [b, f]``."""
        labels: NDArray[np.int64] = self._logits(X).argmax(axis=1)
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Probabilities φ ``[b, n_clusters]`` of the clusters for each row of ``X [b, f]``."""
        return softmax(self._logits(X), axis=1)  # type: ignore[no-any-return]

    @settled()
    def score(self, X: ArrayLike, y: Any = None) -> float:
        """How much the clusters of neighbours tell of each other, in nats; higher is better.

        The neighbours are those of one fixed p, so that the scores of other settings can be compared: the 10 nearest
        (fewer among few points), or p of y where the column is made from it, without walks or debiasing. The score
        grows with the number of clusters and cannot choose it. It is the mutual information
        ``sum_ab J_ab log(J_ab / (J_a. J_.b))`` with ``J = Φᵀ P Φ / n``, Φ the most probable clusters.

        Args:
            X: ``[b, f]`` at least two points.
            y: as in `fit`.
        """
        labels = self.predict(X)
        x = input_of(self, X, reset=False)
        n = x.shape[0]
        if is_pairwise(self.hyper) and x.shape[1] != n:
            raise ValueError(
                f"X: got shape {tuple(x.shape)} with metric='precomputed', expected (n, n) distances of the points of "
                "the fit: the score of others, as in cross-validation, would need those among themselves"
            )
        column = "knn" if made_from(self.column) == "features" else self.column
        hyper = {"metric": "precomputed"} if is_pairwise(self.hyper) else None
        fixed = Clustering(self.n_clusters, column, neighbors=self.neighbors, hyper=hyper)
        joined = fixed._rows(fixed._loss(n), x, y)[0].to_scipy()
        member = sp.csr_array((np.ones(n), (np.arange(n), labels)), shape=(n, self.n_clusters))
        joint = (member.T @ joined @ member).toarray() / joined.sum()
        return float(rel_entr(joint, np.outer(joint.sum(axis=1), joint.sum(axis=0))).sum())

    @property
    def starts_(self) -> NDArray[np.int64]:
        """The former name of ``restarts_``."""
        warnings.warn("starts_ is now restarts_", DeprecationWarning, stacklevel=2)
        return self.restarts_

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file, without pickle; `icon.load` reads it back.

        Raises:
            NotFittedError: not fitted.
            ValueError: the file cannot be written.
            TypeError: a mapper of your own.
        """
        save_estimator(self, path)

    # -- p ------------------------------------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse, tags.input_tags.pairwise = True, is_pairwise(self.hyper)
        # scikit-learn reads these of everything that has a predict_proba.
        tags.classifier_tags = ClassifierTags(multi_class=self.n_clusters != 2)
        tags.target_tags.required = made_from(self.column) in ("labels", "graph")
        return tags

    def _neighbours(self, n: int) -> int:
        """k of n points."""
        if isinstance(self.n_neighbors, str):
            check.choice(self.n_neighbors, "n_neighbors", ("auto",))
            return min(NEIGHBOURS, max(1, (n - 1) // 2))
        return check.count(self.n_neighbors, "n_neighbors")

    def _loss(self, n: int) -> Loss:
        """The loss of n points, its p without walks and debiasing."""
        neighbours = {"n_neighbors": self._neighbours(n)} if self.column == "knn" else {}
        if self.column == "data-label":
            raise ValueError("column: got 'data-label', expected a column of one set of points ('classes', for labels)")
        check.count(self.walks, "walks")
        check.fraction(self.debias, "debias")
        loss = axes.loss("clusters", self.column, **neighbours, **(self.hyper or {}), evaluator=self.evaluator)
        if self.column == "knn" and self.symmetrize is not None:
            loss = loss.replace(p=loss.p.symmetrize(self.symmetrize))
        return loss if "perplexity" in (self.hyper or {}) else with_lower_perplexity(loss, n)

    def _rows(self, loss: Loss, x: Any, y: Any) -> tuple[Rows, float | None]:
        """p of the points before walks and debiasing, and the recall of an approximate search."""
        n = x.shape[0]
        known = read_labels(y, "y", n) if self.column == "classes" and y is not None else None
        recall = None
        if known is not None and not known.known.all():
            rows = self._with_unknown(known, x)
        elif self.column == "knn" and (n > EXACT or self.neighbors != "auto" or not isinstance(x, Tensor)):
            metric = (self.hyper or {}).get("metric", "sqeuclidean")
            rows, recall = knn_rows(x, self._neighbours(n), self.neighbors, metric)
            rows = rows if self.symmetrize is None else rows.symmetrize(self.symmetrize)
        elif isinstance(x, np.ndarray) and self.column not in ("graph", "classes", "pairs"):
            raise TypeError(f"X: got an array on disk, expected one in memory for the column {self.column!r}")
        else:
            features = torch.empty(n, 0) if isinstance(x, np.ndarray) else x
            rows = prepare(loss, target_of(self.column, features, y), Sets(n, n))
        return rows, recall

    def _with_unknown(self, labels: Labels, x: Any) -> Rows:
        """Points of a known class follow the others of their class, the others their nearest neighbours."""
        near, _ = knn_rows(x, self._neighbours(x.shape[0]), self.neighbors)
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

    def _composed(self, base: Rows, alpha: float) -> Rows:
        return base.walks(self.walks).debias(alpha) if self.walks > 1 else base.debias(alpha)

    def _pairs(self, base: Rows, alpha: float, weighted: bool = False) -> PairSampler:
        return PairSampler(base, weighted, negatives=NEGATIVES).walks(self.walks).debias(alpha)

    def _is_exact(self, n: int) -> bool:
        """Whether the loss over all points is computed and not sampled."""
        return n <= EXACT or self.batch_size is None

    # -- one start ----------------------------------------------------------------------------------------------------

    def _first(self, kind: str, run: Run) -> NDArray[np.int64] | None:
        """The clusters ``[n]`` that the head is trained to give first; None leaves it as it was drawn."""
        n = len(run.x)
        many = initialization.over(self.n_clusters, run.size or n)
        if kind == "random" or self.n_clusters == 1:
            return None
        if kind == "k-means" or many == self.n_clusters:
            k_means = partial(initialization.k_means, run.x, self.n_clusters, run.seed)
            return exchange.from_first(k_means, self.group)
        # Clusters to be merged need neither the last digit nor balance.
        mapper, _ = self._trained(run, Stage("over-clustering", many, max(1, self.max_iter // 2), suffix=".over"))
        inputs, device = inputs_of(mapper, run.x), next(mapper.parameters()).device

        def phi(points: Tensor) -> NDArray[np.float32]:
            with torch.no_grad():
                z: Tensor = mapper(as_seen(mapper, rows_of(inputs, points, device)))
            return z.softmax(dim=1).cpu().numpy()

        with seeded(run.seed, torch.device("cpu")):
            merged = partial(initialization.merged, phi, n, run.pairs(0.0), self.n_clusters)
            return exchange.from_first(merged, self.group)

    def _trained(self, run: Run, stage: Stage, first: NDArray[np.int64] | None = None) -> tuple[nn.Module, int]:
        """Train a head, from given clusters where there are some: the mapper and its number of steps."""
        x, device = run.x, run.x.device if isinstance(run.x, Tensor) else on_device(np.zeros(1), self.device).device
        with seeded(run.seed, device):
            mapper = self._mapper(run, stage.clusters).to(device)
            inputs = inputs_of(mapper, x)
            check_output(mapper, as_seen(mapper, rows_of(inputs, torch.arange(2), device)), stage.clusters)
            if first is not None:
                initialization.imitate(mapper, inputs, first, self.n_clusters)
        teacher = icon_nn.EMA(mapper, stage.ema) if stage.ema else None
        callback = stage.callback

        def report(step: int, value: float, logits: Tensor) -> object:
            return None if callback is None else callback(step, value, logits.cpu().numpy())

        loss = run.loss.to(device).replace(group=self.group)
        done = fit(
            loss, mapper, inputs, run.target(stage.alpha), steps=stage.steps, decay=True,
            learning_rate=learning_rate(self.learning_rate, 0.1 if isinstance(mapper, icon_nn.Lookup) else 5e-3),
            batch_size=run.size, seed=run.seed, callback=report,
            teacher=teacher, verbose=self.verbose, label=f"{stage.label}, start {run.start + 1} of {self.n_init}",
            checkpoint=None if self.checkpoint is None else f"{os.fspath(self.checkpoint)}.{run.start}{stage.suffix}",
            identity={name: getattr(self, name) for name in IDENTITY},
        )  # fmt: skip
        return (mapper if teacher is None else teacher.averaged.module.eval()), len(done.losses)

    def _mapper(self, run: Run, outputs: int) -> nn.Module:
        x = run.x
        known = some_of(x)
        if isinstance(self.mapper, str) and self.mapper == "lookup":
            if not isinstance(x, Tensor):
                raise TypeError("mapper: got 'lookup' for an array on disk, expected 'mlp', 'linear' or a module")
            # A random projection and not independent draws: neighbours start together.
            scaled = icon_nn.Rescale(known)(known)
            projection = torch.randn(x.shape[1], outputs).to(scaled) / x.shape[1] ** 0.5
            return icon_nn.build("lookup", known, outputs, start=scaled @ projection)
        own = isinstance(self.mapper, nn.Module)
        kind = "mlp" if own and outputs != self.n_clusters else deepcopy(self.mapper)
        most, first = icon_nn.MAX_FEATURES, nn.Identity() if run.is_narrow else None
        mapper = icon_nn.build(kind, known, outputs, hidden=self.hidden, max_features=most, first=first)
        if run.start > 0 and own:
            for layer in mapper.modules():
                if callable(reset := getattr(layer, "reset_parameters", None)):
                    reset()
        return mapper

    # -- the input ----------------------------------------------------------------------------------------------------

    def _batch_size(self, n: int) -> int | None:
        if isinstance(self.batch_size, str):
            check.choice(self.batch_size, "batch_size", ("auto",))
            size = max(BATCH, PER_CLUSTER * self.n_clusters)
            return None if n <= size else size
        if self.batch_size is not None and not self.n_clusters <= check.count(self.batch_size, "batch_size", 2) <= n:
            expected = f"from {self.n_clusters} (n_clusters) to {n} (points)"
            raise ValueError(f"batch_size: got {self.batch_size}, expected {expected}")
        return self.batch_size

    @settled()
    def _logits(self, X: Any) -> NDArray[np.float32]:
        check_is_fitted(self, "mapper_")
        x = features_of(X)
        x = input_of(self, x, reset=False) if on_disk(x) else as_dense(self, validated(self, x, reset=False))
        logits = apply(self.mapper_, x)
        order = getattr(self, "order_", None)  # files of older versions have none
        return logits if order is None else logits[:, order]


READERS["Clustering"] = partial(load_estimator, Clustering)
