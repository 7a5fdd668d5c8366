"""`Clustering`: the clusters row of the table with neighbours, walks and debiasing, as a scikit-learn estimator."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import ClusterMixin
from sklearn.utils import ClassifierTags, Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from icon import _checks as check
from icon import nn as icon_nn
from icon._threads import threaded
from icon.core import exchange
from icon.core.evaluators import Evaluator
from icon.core.exchange import Group
from icon.core.local import meant_to_be_local
from icon.estimators import restarts
from icon.estimators.affinity import of_weighted, weighted
from icon.estimators.arguments import batch_size, checked
from icon.estimators.base import Points, all_or_nothing, apply, as_dense, made_from, placed, random_of
from icon.estimators.counting import number_of_clusters
from icon.estimators.heads import Run
from icon.estimators.merging import mutual_information
from icon.estimators.naming import names_of, order_of
from icon.estimators.neighborhood import EXACT, Neighborhood, rows_of
from icon.estimators.saved import Saved, readable
from icon.estimators.spaces import read_spaces, side_by_side
from icon.training.state import settled


@dataclass(eq=False, repr=False)  # scikit-learn's own are kept
class Clustering(ClusterMixin, Saved):  # type: ignore[misc]
    """Cluster points so that neighbours share clusters: ``q_ij = sum_c φ_ic φ_jc / N_c`` follows p.

    >>> import icon
    >>> from sklearn.datasets import make_blobs
    >>> x, y = make_blobs(60, centers=[[0, 0], [20, 0], [0, 20]], random_state=0)
    >>> model = icon.Clustering(3, n_neighbors=5, n_init=1, max_iter=50, random_state=0).fit(x)
    >>> icon.metrics.clustering_accuracy(y, model.labels_)
    1.0

    ``fit(X, y)`` uses y only where the column is made from it: ids ``[n]`` for ``"pairs"``, a graph of the n points in
    any form that `icon.p.Graph` takes (an adjacency, a graph of networkx or igraph, an edge list) for ``"graph"``,
    labels ``[n]`` for ``"classes"``, where None, NaN and -1 mean unknown: such points follow their nearest neighbours,
    the others follow their class. The clusters are then matched to the classes, so that as many known points as
    possible have their own label. X may be an array on disk (``numpy.memmap``), read in blocks, or a torch ``Dataset``
    of feature rows. It may be sparse (scipy): p is then made from it as it is, and the mapper, also one of your own,
    sees its leading singular directions, ``[n, min(128, n, f)]``. ``metric="precomputed"`` takes distances ``[n, n]``
    as X, and of a new point those to these n.

    X may be a list or tuple of features ``[n, f]`` of the same points in several spaces, in memory, and new points come
    in the same spaces. p is the mean of the p of each space, which has walks of its own. Mappers, also one of your
    own, see the spaces side by side, centred and each divided by one number, so that all count alike, a poor one, too.
    Features of one kind may therefore do better in one array, each of them standardised.

    Args:
        n_clusters: at most the number of points, and at least that of the classes in y. ``"auto"`` finds it in the
            features, see `icon.suggest_n_clusters`, which says how good that is: separated clusters are counted
            exactly, up to 100, and classes of real data within a factor of 1.6 on average. It needs a column that is
            made from features, a named mapper, and Euclidean or cosine distances; weights of the points do not matter.
        column: of the table.
        n_neighbors: k of the column ``"knn"``; ``"auto"`` is 10, but at most half of a cluster of mean size (and at
            least 3) and half of the other points; a warning says when it is lowered.
        metric: of the neighbours, as in `icon.p.KNN`. ``"auto"`` is ``"sqeuclidean"``; of more than 128 features in
            memory it uses the leading 128 principal directions. It is ``"cosine"`` where a few points are the Euclidean
            neighbours of very many others, as among counts of words: among 2,000 points less than a quarter of the
            neighbours are mutual, and at least twice as many by the cosine. For columns of other kernels ``"auto"`` is
            their own default, and columns that are not made from features take nothing else.
        walks: K: average of the walks of 1 to K steps over p. 1 leaves p as it is.
        debias: α in [0, 1]: ``(1-α) p + α u`` with u uniform; 0 leaves p as it is. It decides how sure the clusters
            are, ``1/C + (1 - 1/C) √(1-α)`` for C separated ones of equal sizes, and up to 0.3 hardly changes them. From
            about 0.6 on clusters can be lost, earlier where many edges of p are wrong.
        balance: b in [0, 1], how much clusters of equal sizes are worth: with b = 1 the loss is, up to its sign, the
            mutual information of the clusters of neighbours, which is largest for equal ones, and ``(1-b) H`` is added,
            H the entropy of their sizes; with b = 0 separated clusters may have any sizes. Low values also let clusters
            die that are not separated. ``"auto"`` is 1, unless the clusters that the first restart merges are
            clearly separated with a smaller b (their normalised cut is lower by a third, and one cluster more would cut
            three times as much): then that b is used for merging and for choosing the restart, and 0.8 while training.
            It is 1 for more than 50 clusters and for weighted points.
        mapper: ``"mlp"``, ``"linear"``, ``"lookup"``, or an ``nn.Module`` (copied) from features ``[b, f]`` to logits
            ``[b, n_clusters]``. The named ones see features that were centred and divided by one number, their root
            mean square, and of more than 128 the leading principal directions; a module of your own sees X as it is.
        hidden: width of the MLP's hidden layer, or several.
        max_iter: steps of Adam; its rate falls to zero over the second half.
        learning_rate: of Adam; ``"auto"`` is 5e-3, and 0.1 for a lookup.
        n_init: number of restarts. The one with the lowest loss over all points is kept, with b < 1 the lowest among
            those with the most clusters; labels are not used for that. A module of your own is used as it is at first,
            and with newly drawn parameters in the other restarts.
        init: the initialisation, or several that the restarts take in turn. ``"merged-k-means"`` takes many k-means
            clusters of the features (six for each that is wanted, and 100, where there are points enough), merges them
            so that neighbours keep as much information about each other as possible, and trains the head to give the
            merged clusters first. ``"over-clustering"`` does so with the clusters of a head that is trained for half of
            the steps, three for each that is wanted. ``"auto"`` takes both in turn, and only the latter where p is not
            made from the features. ``"k-means"`` trains the head to give the k-means clusters of the features.
            ``"random"`` leaves it as it was drawn.
        batch_size: ``"auto"`` (512, or 8 for each cluster; all points up to 1024, or where there are no more); None
            evaluates all points at a step; a number draws that many pairs (anchor, partner drawn by walking). It should
            hold several points of each cluster.
        ema: decay of a moving average of the head, which is then what is kept; 0 keeps the head itself.
        neighbors: how the column ``"knn"`` finds them: ``"exact"``, ``"approximate"``, or ``"auto"``: exact up to
            50,000 points; see `icon.neighbors`.
        checkpoint: a path; every 100 steps each restart writes ``PATH.0``, ``PATH.1``, ... there, and a fit that was
            interrupted goes on from them to the result that it would have had. Files of another run (other data or
            settings) are refused; delete them to start afresh.
        symmetrize: of the k-NN graph before it is normalised: ``"union"``, ``"intersection"``, ``"average"`` or None.
        hyper: further hyper-parameters of the column or of the clusters row, such as ``{"perplexity": 10}``.
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
        n_clusters_: how many clusters there are, given or found, C.
        classes_: ``[C]`` the label of each cluster: its number, or for ``"classes"`` the labels of y, then new
            ones of the clusters that match none of them (the integers after the largest where y has integers or truth
            values, else ``"cluster 1"``, ``"cluster 2"``, ...).
        labels_: ``[n]``, some of ``classes_``; numbers without a gap where these are numbers of clusters.
        probabilities_: ``[n, C]`` of the points of the fit, a column for each of ``classes_``.
        n_empty_: how many clusters stayed empty; a warning says so, too. They are the last of those that match none of
            the labels of y.
        balance_: b as it was given or chosen, while training.
        loss_: KL(p‖q) over all points, plus ``(1-b) H``; above 4096 points the cross-entropy of a sample of pairs, the
            same for all restarts.
        losses_: the loss of each restart.
        restarts_: ``[n_init, n]`` the clusters of each restart, by number: ``labels_`` is ``classes_`` of the kept one.
        n_iter_: steps of the restart that was kept.
        metric_: of the neighbours, as it was given or chosen; a list of several spaces.
        mapper_: the trained module, whose columns are numbered as they were trained.
        order_: ``[C]`` the column of ``mapper_`` that each cluster is.
        knn_recall_: of an approximate search for neighbours; the lowest of several spaces.
        space_widths_: ``[s]`` the number of features of each of several spaces.
        space_names_: the names of the features of those that have some, by the number of the space.
        space_means_: ``[f]`` the mean of each feature, which is subtracted before a mapper sees it.
        space_scales_: ``[s]`` the number that each space is then divided by.

    A single restart often ends in a local minimum (two clusters merged, a third one split), which its loss shows.

    Source: Alshammari et al., I-Con, ICLR 2025 (arXiv 2504.16929), debiased InfoNCE clustering.
    """

    n_clusters: int | str = 8
    column: str = "knn"
    _: KW_ONLY
    n_neighbors: int | str = "auto"
    metric: str | Callable[..., float] = "auto"
    walks: int = 3
    debias: float = 0.1
    balance: float | str = "auto"
    mapper: str | nn.Module = "mlp"
    hidden: int | Sequence[int] = 256
    max_iter: int = 200
    learning_rate: float | str = "auto"
    n_init: int = 3
    init: str | Sequence[str] = "auto"
    batch_size: int | str | None = "auto"
    ema: float = 0.0
    neighbors: str = "auto"
    checkpoint: str | os.PathLike[str] | None = None
    symmetrize: str | None = "union"
    hyper: Mapping[str, Any] | None = None
    random_state: int | np.random.RandomState | None = None
    verbose: bool = False
    callback: Callable[[int, float, NDArray[np.float32]], object] | None = None
    device: str | torch.device = "auto"
    evaluator: str | Evaluator | None = None
    n_jobs: int | None = None
    group: Group | None = None

    @all_or_nothing
    @threaded
    @meant_to_be_local()
    @settled()
    def fit(self, X: Points, y: Any = None, sample_weight: Any = None) -> Clustering:
        """Cluster ``X [n, f]``; see the class for ``y``.

        Args:
            X: ``[n, f]`` features, or a list of several spaces of the same points.
            y: what the column needs beside features: see the class.
            sample_weight: ``[n]`` > 0: how much each point counts, as an anchor and in the size of its cluster.

        Raises:
            ValueError, TypeError: one line with the argument, what was given and what was expected.
        """
        near = self._neighborhood()
        arguments = partial(checked, self, near, X, y, sample_weight)
        spaces, known, weights, kinds, loss = exchange.on_all(arguments, self.group)
        n = spaces[0].shape[0]
        x, narrow = self._as_seen(spaces)
        nears = [near.at(space) for space in spaces]
        self.metric_ = [each.metric for each in nears] if len(spaces) > 1 else nears[0].metric
        random = exchange.from_first(partial(random_of, self.random_state), self.group)
        seen = x if len(spaces) > 1 or sp.issparse(spaces[0]) else spaces[0]
        metric = self._metric if len(spaces) > 1 else nears[0].metric
        self.n_clusters_ = number_of_clusters(self, seen, near.k(n), metric, random)
        del seen
        if narrow is not None and len(spaces) == 1 and nears[0].sees_directions:
            spaces = [x]  # these directions are what neighbours are searched in, too
        bases, self.knn_recall_ = exchange.from_first(partial(rows_of, nears, spaces, y), self.group)
        whole = loss if weights is None else weighted(loss, weights)
        if weights is not None:
            bases = [of_weighted(base, weights) for base in bases]
        del spaces  # heads may see narrower ones
        size = batch_size(self, n, self.n_clusters_)
        run = Run(
            x, narrow is not None, whole, whole if size is None else loss, partial(near.composed, bases),
            partial(near.pairs, bases, weighted=weights is not None), size, n <= EXACT or self.batch_size is None,
        )  # fmt: skip
        unknown = None if weights is None else 1.0
        balance = unknown if isinstance(self.balance, str) else float(self.balance)
        fits, best, self.probabilities_, self.balance_ = restarts.trained(self, run, kinds, balance, random)
        self.losses_ = np.array([each.value for each in fits])
        self.restarts_ = np.stack([each.labels for each in fits])
        self.loss_, self.n_iter_, self.mapper_, labels = fits[best]
        if narrow is not None:
            assert isinstance(self.mapper_, nn.Sequential)
            self.mapper_[0] = narrow
        self.order_ = order_of(labels, self.probabilities_, known)
        self.probabilities_ = self.probabilities_[:, self.order_]
        self.restarts_[best] = self.order_.argsort()[labels]
        self.classes_ = names_of(self.n_clusters_, known)
        self.labels_ = self.classes_[self.restarts_[best]]
        self.n_empty_ = self.n_clusters_ - len(np.unique(labels))
        restarts.tell(self.restarts_, self.n_clusters_, self.n_empty_)
        return self

    def fit_predict(self, X: Points, y: Any = None, **fit_params: Any) -> NDArray[Any]:
        """`fit`, and the clusters ``[n]`` of X.

        Args:
            X: as in `fit`.
            y: as in `fit`.
            fit_params: ``sample_weight``, as in `fit`.
        """
        labels: NDArray[Any] = self.fit(X, y, **fit_params).labels_
        return labels

    def _as_seen(self, spaces: list[Any]) -> tuple[Any, icon_nn.Principal | None]:
        """The features as heads see them, and what makes wide ones narrow: once, and not at every step of a restart."""
        x = placed(as_dense(self, side_by_side(self, spaces, reset=True), reset=True), self.device)
        named = self.mapper in ("mlp", "linear")
        if not (named and isinstance(x, Tensor) and x.shape[1] > icon_nn.MAX_FEATURES):
            return x, None
        narrow = icon_nn.Principal(x, icon_nn.MAX_FEATURES)
        return narrow(x), narrow

    def predict(self, X: Points) -> NDArray[Any]:
        """The label ``[b]`` of the most probable cluster of each row of ``X [b, f]``; see ``classes_``.

        Args:
            X: ``[b, f]`` features, as in `fit`.

        Raises:
            NotFittedError: not fitted.
            ValueError: another number of features than in `fit`, NaN or infinity.
        """
        clusters = self._logits(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[clusters]
        return labels

    def predict_proba(self, X: Points) -> NDArray[np.float32]:
        """Probabilities φ ``[b, C]`` of ``classes_`` for each row of ``X [b, f]``.

        Args:
            X: ``[b, f]`` features, as in `fit`.

        Raises:
            NotFittedError: not fitted.
            ValueError: another number of features than in `fit`, NaN or infinity.
        """
        return softmax(self._logits(X), axis=1)  # type: ignore[no-any-return]

    @settled()
    def score(self, X: Points, y: Any = None) -> float:
        """How much the clusters of neighbours tell of each other, in nats; higher is better.

        The neighbours are those of one fixed p, so that the scores of other settings can be compared: the 10 nearest
        (fewer among few points), or p of y where the column is made from it, without walks or debiasing. The score
        grows with the number of clusters and cannot choose it. It is the mutual information
        ``sum_ab J_ab log(J_ab / (J_a. J_.b))`` with ``J = Φᵀ P Φ / n``, Φ the most probable clusters.

        Args:
            X: ``[b, f]`` at least two points.
            y: as in `fit`.

        Raises:
            NotFittedError: not fitted.
            ValueError: fewer than two points, none with a positive in y, or distances (``metric="precomputed"``) that
                are not ``[b, b]``.
        """
        labels = self._logits(X).argmax(axis=1)
        spaces = [placed(x, self.device) for x in read_spaces(self, X, reset=False, least=2)]
        n = spaces[0].shape[0]
        if self._metric == "precomputed" and (wrong := [tuple(x.shape) for x in spaces if x.shape[1] != n]):
            raise ValueError(
                f"X: got shape {wrong[0]} with metric='precomputed', expected (n, n) distances of the points of "
                "the fit: the score of other points, as in cross-validation, needs the distances among them"
            )
        column = "knn" if made_from(self.column) == "features" else self.column
        metric = "precomputed" if self._metric == "precomputed" else "auto"
        fixed = Neighborhood(column, neighbors=self.neighbors, metric=metric)
        joined = fixed.composed(rows_of([fixed.at(x) for x in spaces], spaces, y)[0], 0.0).to_scipy()
        if joined.nnz == 0:
            raise ValueError(f"y: got {n} points of which none has a positive, expected some to score by")
        member = sp.csr_array((np.ones(n), (np.arange(n), labels)), shape=(n, self.n_clusters_))
        joint = (member.T @ joined @ member).toarray() / joined.sum()
        return mutual_information(joint)

    @property
    def starts_(self) -> NDArray[np.int64]:
        """The former name of ``restarts_``."""
        check.warn("starts_ is now restarts_", DeprecationWarning)
        return self.restarts_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse, tags.input_tags.pairwise = True, self._metric == "precomputed"
        # scikit-learn reads these of everything that has a predict_proba.
        tags.classifier_tags = ClassifierTags(multi_class=getattr(self, "n_clusters_", self.n_clusters) != 2)
        tags.target_tags.required = made_from(self.column) in ("labels", "graph")
        return tags

    @property
    def _metric(self) -> Any:
        """As it is given, by its argument or among the hyper-parameters of the column."""
        return self.hyper.get("metric", self.metric) if isinstance(self.hyper, Mapping) else self.metric

    def _neighborhood(self) -> Neighborhood:
        given = {each.name: getattr(self, each.name) for each in fields(Neighborhood)}
        if isinstance(self.n_clusters, np.integer):
            given["n_clusters"] = int(self.n_clusters)  # one of few bits, as from labels, would overflow
        hyper = self.hyper if isinstance(self.hyper, Mapping) else {}
        given["hyper"] = {name: value for name, value in hyper.items() if name != "metric"}
        given["metric"] = self._metric
        # Clusters that are found are so few that they need no fewer neighbours.
        return Neighborhood(**{**given, "n_clusters": 1} if isinstance(self.n_clusters, str) else given)

    @settled()
    def _logits(self, X: Any) -> NDArray[np.float32]:
        check_is_fitted(self, "mapper_")
        spaces = read_spaces(self, X, reset=False)
        logits = apply(self.mapper_, as_dense(self, side_by_side(self, spaces)))
        order = getattr(self, "order_", None)  # files of older versions have none
        return logits if order is None else logits[:, order]


readable("Clustering", Clustering)
