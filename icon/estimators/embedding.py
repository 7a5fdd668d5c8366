"""`Embedding`: a map of the points for any coordinate of the table, as a scikit-learn estimator; t-SNE by default."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from icon import _checks as check
from icon import nn as icon_nn
from icon._threads import threaded
from icon.core import exchange
from icon.core.evaluators import Evaluator, Grid
from icon.core.exchange import Group
from icon.core.local import meant_to_be_local
from icon.core.loss import Loss
from icon.estimators import base
from icon.estimators.affinity import rows_from, with_weights
from icon.estimators.base import Points
from icon.estimators.cost import Cost, cost
from icon.estimators.initial_points import spectral, start_of
from icon.estimators.momentum import EXAGGERATION, by_momentum, optimized
from icon.estimators.placing import part_of, placed, spread
from icon.estimators.saved import Saved, readable
from icon.labels import classes_of
from icon.methods import axes, registry
from icon.methods.record import Method
from icon.neighbors.blocks import parts
from icon.p.base import Sets
from icon.p.operations import Symmetrize, Walks
from icon.p.rows import Rows
from icon.p.support import Support
from icon.training.sampler import PairSampler, prepare
from icon.training.state import seeded, settled

RECENT = 50  # steps of batches whose losses are averaged
GRID_FROM = 1000  # points of a map on a grid: a step takes 2.8 ms where exact sums take 9.3, at 500 points 1.9 and 3.3


@dataclass(eq=False, repr=False)  # scikit-learn's own are kept
class Embedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Saved):  # type: ignore[misc]
    """Embed points by the loss of a row and a column of the table: t-SNE unless told otherwise.

    >>> import icon
    >>> from sklearn.datasets import load_digits
    >>> x, labels = (part[:60] for part in load_digits(return_X_y=True))
    >>> icon.Embedding(perplexity=10, max_iter=50, random_state=0).fit_transform(x).shape  # t-SNE
    (60, 2)
    >>> supcon = icon.Embedding(row="gaussian", column="classes", mapper="mlp", max_iter=50, random_state=0)
    >>> supcon.fit(x, labels).transform(x[:5]).shape
    (5, 2)

    What ``fit(X, y)`` takes as ``y`` follows from the column: labels ``[n]`` for ``"classes"`` and ``"data-label"``,
    instance ids ``[n]`` for ``"pairs"``, a graph of the n points in any form that `icon.p.Graph` takes (an adjacency, a
    graph of networkx or igraph, an edge list) for ``"graph"``. The other columns are made from X, or from nothing
    (``"identity"``), and ignore y. ``"cross-modal"`` needs two sets: use `icon.loss`.

    Args:
        n_components: dimensions of the map.
        row: of the table.
        column: of the table; the loss is that of the first method that the table names in the cell.
        method: a named method (``"tsne"``, ``"sne"``), in place of a row and a column, of which no others may be
            given beside it.
        perplexity: of a p that has one; the p of several are averaged. The default of 30 is lowered to a third of
            the other points where there are fewer than that, with a warning; a given one never is.
        n_neighbors: of p; ``"auto"`` keeps three times as many as the perplexity where maps are made on a grid.
        dof: degrees of freedom > 0 of the Student-t row.
        hyper: other hyper-parameters of the loss, by name.
        mapper: ``"lookup"`` (a free row per point), ``"linear"``, ``"mlp"``, or an ``nn.Module`` (copied) from
            features ``[b, f]`` to ``[b, n_components]``. The named ones see features that were centred and divided by
            one number, their root mean square; p and a module of your own see X as it is. A linear map starts at
            random, also that of ``method="pca"``: a direction whose variance is less than about a hundredth of the
            largest takes ``tol=0`` and more steps (of a 2,000th, ``max_iter=3000`` with ``learning_rate=0.05``), and
            one of much less scikit-learn's PCA.
        init: of a lookup: ``"pca"``, ``"spectral"`` (eigenvectors of p's graph), ``"random"`` (all of standard
            deviation 1; 1e-4 for t-SNE), or an array ``[n, n_components]``, such as an earlier map.
        learning_rate: ``"auto"``: for t-SNE ``max(n / 4e, 50)`` with e the exaggeration of the moment; otherwise of
            Adam, 0.1 for a lookup and 5e-3 for the others.
        early_exaggeration: factor >= 1 of p's edges in the first 250 steps of t-SNE (a quarter of ``max_iter``, if that
            is less); 1 leaves them out.
        batch_size: points of a step; None takes all. Partners are drawn from p, as in `icon.training.fit`, and Adam
            follows the loss of the batch.
        late_exaggeration: the same factor in the steps after these, which makes clusters denser.
        max_iter: steps in all.
        tol: stop when 50 steps improve the loss by less than this share of it; 0 never stops.
        min_grad_norm: stop when the gradient, of all parameters together, is shorter than this; 0 never stops.
        random_state: an integer makes the result reproducible on one machine.
        verbose: progress bars on standard error.
        callback: called with (step from 1, loss, embedding) at each step, as they were before its update. Returning
            True ends the fit, which keeps what it has.
        device: ``"auto"`` takes an accelerator where there is one.
        evaluator: how the loss is computed; see `icon.Loss`. None takes a grid for lookups of 1,000 points and more in
            at most two dimensions, where it can (`icon.core.evaluators.Grid`): O(n) at each step, where exact sums
            are O(n²).
        tolerance: > 0, of that grid: how far its sums may be from exact ones.
        landmarks: lay out only this many points, drawn at random, and place the others on that map as `transform` does,
            a block at a time: for ten million points. None lays out all.
        n_jobs: threads of a fit; -1 takes all cores. None takes one for small operations, and for large ones as many as
            torch is set to. Torch's own setting is restored after the fit.
        group: ``"world"`` or a process group of `torch.distributed`, each rank of which calls `fit` with the same
            arguments: they share the points of each step, and all end with the same map. A callback sees the
            embedding of its rank's share.

    A lookup with the Student-t row is optimised as t-SNE always was: momentum with a gain per coordinate, after steps
    in which the edges of p count more; callbacks see the loss without that exaggeration, the progress bar with it.
    Everything else is optimised by Adam.

    ``transform`` applies the mapper. A lookup knows no function of the features: it starts a new point at the mean of
    the 5 nearest training points, weighted by one over the distance. Where p is made from the features, each new point
    is then moved by 100 steps on its own loss against the map, which stays as it is; a known point keeps its place.

    X may lie on disk (``numpy.memmap``): a mapper with ``batch_size`` reads its batches, and ``landmarks`` one block of
    the others at a time. X may be sparse (scipy), such as counts or tf-idf: p is made from it as it is, and the mapper,
    also one of your own, sees its leading singular directions, ``[n, min(128, n, f)]``.
    ``hyper={"metric": "precomputed"}`` takes distances ``[n, n]`` as X; `icon.p.Gaussian` lists other metrics.

    Attributes:
        embedding_: ``[n, n_components]`` float32.
        loss_: the loss of the embedding (of the landmarks, where these are not all points); with ``batch_size`` the
            mean loss of the batches of the last 50 steps.
        landmarks_: with ``landmarks``, the numbers of the points that were laid out together.
        n_iter_: steps taken.
        notes_: in words, what changes the numbers or the time: the recall of an approximate search, the error of a
            grid, and sums over all pairs of many points that are exact, O(n²) at each step.
        places_new_: whether ``transform`` can optimise new points: p was made from the features that the map has,
            without walks and without being symmetrised.
        mapper_: the trained module.
        prototypes_: ``[n_classes, n_components]``, for ``"data-label"``.
        classes_: the labels in the order of the prototypes, for the columns made from labels.
    """

    n_components: int = 2
    row: str = "student-t"
    column: str = "gaussian"
    _: KW_ONLY
    method: str | None = None
    perplexity: float | Sequence[float] | None = None
    n_neighbors: int | str | None = None
    dof: float | None = None
    hyper: Mapping[str, Any] | None = None
    mapper: str | nn.Module = "lookup"
    init: str | ArrayLike = "pca"
    learning_rate: float | str = "auto"
    early_exaggeration: float = EXAGGERATION
    batch_size: int | None = None
    late_exaggeration: float = 1.0
    max_iter: int = 1000
    tol: float = 1e-4
    min_grad_norm: float = 0.0
    random_state: int | np.random.RandomState | None = None
    verbose: bool = False
    callback: Callable[[int, float, NDArray[np.float32]], object] | None = None
    device: str | torch.device = "auto"
    evaluator: str | Evaluator | None = None
    tolerance: float = 1e-3
    landmarks: int | None = None
    n_jobs: int | None = None
    group: Group | None = None

    @base.all_or_nothing
    @threaded
    @meant_to_be_local()
    @settled()
    def fit(self, X: Points, y: Any = None, sample_weight: Any = None, *, affinity: Any = None) -> Embedding:
        """Learn the map of ``X [n, f]``; see the class for ``y``.

        Args:
            X: ``[n, f]``, dense or sparse.
            y: what p is made from, where that is not X.
            sample_weight: ``[n]`` >= 0, how much the divergence of each point counts.
            affinity: p itself, in place of one that is made from X: rows that `icon.p` prepared, or whatever
                `icon.p.Precomputed` takes (a dense or sparse matrix ``[n, n]``, a weighted graph) whose rows sum to
                one, or all entries together.
        """
        for name in ("landmarks_", "classes_", "prototypes_"):  # of an earlier fit with other arguments
            self.__dict__.pop(name, None)
        n = 0 if self.landmarks is None else int(base.input_of(self, X).shape[0])
        rows = None if self.landmarks is None else self._landmarks(self.landmarks, n, affinity)
        if rows is None:
            return self._fit(X, y, sample_weight, affinity)
        X = base.plain(base.features_of(X))
        X = X.tocsr() if sp.issparse(X) else X  # of which rows can be taken
        if y is not None and self._made_from == "labels":
            classes_of(y, "y", n)
        else:  # p is not made from it
            y = None
        weights = None if sample_weight is None else base.sample_weights(sample_weight, n).numpy()
        self._fit(part_of(X, rows), part_of(y, rows), part_of(weights, rows), None)
        self.embedding_, self.landmarks_ = spread(self, X, rows, n), rows
        return self

    def _landmarks(self, landmarks: int, n: int, affinity: Any) -> NDArray[np.int64] | None:
        """The numbers of the points that are laid out together, in ascending order; None where all of n are."""
        if affinity is not None or self._made_from == "graph" or base.is_pairwise(self.hyper):
            raise ValueError(
                "landmarks: got a number with p of all points, expected a p that is made from features or y"
            )
        seed = base.draw_seed(self.random_state)
        seed, count = exchange.from_first(lambda: seed, self.group), check.count(landmarks, "landmarks", 2)
        return None if count >= n else np.sort(np.random.default_rng(seed).choice(n, count, replace=False))

    def _fit(self, X: Any, y: Any, sample_weight: Any, affinity: Any) -> Embedding:
        begun = partial(self._begun, X, y, sample_weight, affinity)
        loss, model, mapper, inputs, target, weights, drawn = exchange.on_all(begun, self.group)
        seed = exchange.from_first(lambda: drawn, self.group)  # without one of the caller's, each rank has drawn one
        n = len(inputs)
        labelled = loss.column == "data-label"
        m = len(self.classes_) if labelled else n
        made = partial(prepare, loss, target, Sets(n, m, labelled))
        rows = exchange.from_first(made, self.group)
        seen: Any = None
        if weights is not None and self.batch_size is not None:
            seen = PairSampler(with_weights(rows, weights), weighted=True)
        elif weights is not None and loss.normalization == "row":
            every = weights * rows.marginal.cpu() if loss.stationary_anchors else weights
            loss = loss.replace(anchor_weights=every)
        elif weights is not None:
            rows = with_weights(rows, weights).symmetrize()
        if isinstance(mapper, icon_nn.Lookup) and isinstance(self.init, str) and self.init == "spectral":
            if labelled:
                raise ValueError(
                    "init: got 'spectral' for pairs of data and labels, expected 'pca', 'random' or an array"
                )
            mapper.weight.data.copy_(spectral(rows, self.n_components, seed, self._width(loss)))
        if self.batch_size is None:
            loss, rows = self._for_all_steps(loss, model, inputs, rows)
        if seen is None:  # of points and labels each batch makes rows of its own
            seen = target if labelled and self.batch_size is not None else rows
        losses = optimized(self, loss.replace(group=self.group), model, inputs, seen, seed)
        self.n_iter_ = len(losses)
        if self.batch_size is None:
            with torch.no_grad():
                z = model(inputs)
                self.loss_ = float(loss(z, rows))
            self.embedding_ = (z if isinstance(z, Tensor) else z[0]).cpu().numpy()
        else:
            self.embedding_, self.loss_ = base.apply(mapper.eval(), inputs), float(np.mean(losses[-RECENT:]))
        if isinstance(model, nn.Sequential) and model is not mapper:
            self.prototypes_ = model[-1].weight.detach().cpu().numpy()  # type: ignore[operator]
        self.notes_ = [*rows.notes, *self._of_sums(loss, n)]
        # A p of counts, of other distances or of the caller's own cannot be made of the features that the lookup keeps,
        # and one of walks, or of both directions, not of new points beside the known ones.
        from_features = affinity is None and loss.p.made_from == "features" and not sp.issparse(X)
        of_one_set = any(isinstance(operation, (Walks, Symmetrize)) for operation in loss.p.operations)
        self.places_new_ = from_features and not base.is_pairwise(self.hyper) and not of_one_set
        # As it was before any step, of these arguments, which may be set to others before new points come.
        self._loss_ = self._loss(n, False) if self.places_new_ else None
        self.mapper_ = mapper
        return self

    def _begun(self, X: Any, y: Any, sample_weight: Any, affinity: Any) -> tuple[Any, ...]:
        """What a fit is made of, where all arguments are right: the loss, the module that it trains and the mapper,
        their input, what p is made from, the weights of the points, the seed."""
        base.check_no_arrays(self)
        x = base.input_of(self, X)
        base.check_hyper(self.hyper)
        check.function(self.callback, "callback")
        check.count(self.n_components, "n_components")
        check.count(self.max_iter, "max_iter")
        check.number(self.early_exaggeration, "early_exaggeration", least=1)
        check.number(self.late_exaggeration, "late_exaggeration", least=1)
        check.number(self.min_grad_norm, "min_grad_norm", least=0)
        check.positive(self.tolerance, "tolerance")
        if self.batch_size is not None:
            check.count(self.batch_size, "batch_size", 2)
        seed = base.draw_seed(self.random_state)
        n, is_read = x.shape[0], isinstance(x, np.ndarray)
        if is_read and self.mapper == "lookup":  # which keeps the features, to place new points by
            x, is_read = base.on_device(np.array(x), self.device), False
        if is_read and self.batch_size is None:
            raise ValueError("batch_size: got None for an array on disk, expected the number of points of a step")
        features = x if is_read else base.on_device(base.as_dense(self, x, reset=True), self.device)
        device = base.on_device(np.zeros(1), self.device).device
        loss = self._loss(n, affinity is not None).to(device)
        weights = None if sample_weight is None else base.sample_weights(sample_weight, n)
        if weights is not None and self.batch_size is not None and loss.column == "data-label":
            raise ValueError("sample_weight: got weights with batch_size= for pairs of data and labels, expected None")
        if affinity is not None and loss.column == "data-label":
            raise ValueError("affinity: got p of the points with column='data-label', expected None: p is made from y")
        if affinity is None:
            target = base.target_of(str(loss.column), x if sp.issparse(x) else features, y)
        else:
            target = rows_from(affinity, n)
        if base.made_from(str(loss.column)) == "labels" and (y is not None or affinity is None):
            given = classes_of(y, "y", n)
            self.classes_ = given.names
            if loss.column == "data-label" and not given.known.all():
                loss = loss.replace(p=loss.p.replace(ignore_index=-1), name=loss.name)
        with seeded(seed, device):
            mapper, model = self._model(loss, base.some_of(features), seed)
        inputs = base.inputs_of(mapper, features)
        base.check_output(mapper, inputs, self.n_components, device)
        return loss, model, mapper, inputs, target, weights, seed

    def fit_transform(self, X: Points, y: Any = None, **fit_params: Any) -> NDArray[np.float32]:
        """`fit`, and the embedding ``[n, n_components]`` of X.

        Args:
            X: as in `fit`.
            y: as in `fit`.
            fit_params: further arguments of `fit`.
        """
        return self.fit(X, y, **fit_params).embedding_

    @threaded
    @settled()
    def transform(self, X: Points, optimize: bool = True) -> NDArray[np.float32]:
        """The embedding ``[b, n_components]`` of points ``X [b, f]``; see the class for what a lookup does.

        Args:
            X: ``[b, f]``.
            optimize: of a lookup whose p is made from the features: False leaves new points where the interpolation
                put them.
        """
        check_is_fitted(self, "mapper_")
        x = base.as_dense(self, base.read(self, X, reset=False))
        if not (optimize and isinstance(self.mapper_, icon_nn.Lookup) and self.places_new_):
            return base.apply(self.mapper_, x)
        known = self.mapper_.weight
        of_the_fit = getattr(self, "_loss_", None)  # a file has none
        loss = (of_the_fit or self._loss(len(known), False)).to(known.device)
        return np.concatenate([placed(loss, x[part], self.mapper_) for part in parts(len(x), base.BLOCK)])

    def cost(self, n: int, n_features: int, n_edges: int | None = None) -> Cost:
        """What a fit takes on this machine in seconds and bytes, within a factor of two or three, and what it does.

        >>> import icon
        >>> cost = icon.Embedding(max_iter=500).cost(70_000, 50)
        >>> cost.seconds > 0
        True

        Args:
            n: points.
            n_features: columns of X.
            n_edges: of a p that is not made from X, the pairs with mass (of a graph, the edges); None is one per point.
        """
        laid = n if self.landmarks is None else min(n, check.count(self.landmarks, "landmarks", 2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fit says it
            loss = self._loss(laid, False)
        kept = loss.p.kept(Support(laid, laid, True)) if loss.p.made_from == "features" else 0
        edges = (n_edges or n) / n if kept == 0 else 1.6 * (kept or 0)
        return cost(
            laid, n_features, steps=self.max_iter, batch=self.batch_size or laid, kept=kept,
            edges=edges, on_grid=self._is_large_map(loss, laid),
        )  # fmt: skip

    @property
    def method_name(self) -> str:
        """The name in the table of the method, or of its row and column where these have none."""
        return f"{self.row} × {self.column}" if self._record is None else self._record.name

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _loss(self, n: int, p_is_given: bool) -> Loss:
        own = {name: getattr(self, name) for name in ("perplexity", "n_neighbors", "dof")}
        own = {name: value for name, value in own.items() if value is not None}
        base.check_hyper(self.hyper, tuple(own))
        given = {**(self.hyper or {}), **own, "evaluator": self.evaluator}
        slug = self.method if self._record is None else self._record.slug
        loss = axes.loss(self.row, self.column, **given) if slug is None else registry.method(slug, **given)
        for name in ("row", "column") if self.method is not None else ():
            own, theirs = getattr(self, name), getattr(self._record, name)
            if own not in (getattr(Embedding, name), theirs):
                raise ValueError(
                    f"{name}: got {own!r} with method={slug!r}, expected no {name} beside it, or {theirs!r}"
                )
        if not p_is_given and "perplexity" not in given:
            loss = base.with_lower_perplexity(loss, n)
        perplexity = loss.p.hyper_parameters().get("perplexity")
        if perplexity is not None and getattr(loss.p, "n_neighbors", 0) == "auto" and self._is_large_map(loss, n):
            kept = min(n - 1, math.ceil(3 * float(np.max(perplexity))))
            loss = loss.replace(p=loss.p.replace(n_neighbors=kept))
        return loss

    @property
    def _made_from(self) -> str:
        """What p is made from."""
        return base.made_from(self.column if self._record is None else self._record.column)

    @property
    def _record(self) -> Method | None:
        """The method that is asked for, by name or as the first one of its cell; None where there is none."""
        known = registry.methods()
        if self.method is not None:
            return next((each for each in known if each.slug == self.method), None)
        return next((m for m in known if m.in_table and (m.row, m.column) == (self.row, self.column)), None)

    def _is_large_map(self, loss: Loss, n: int) -> bool:
        """Whether a grid is looked for: free points in two dimensions at most, many of them, on one rank."""
        free = self.evaluator is None and self.mapper == "lookup" and self.group is None
        return free and self.n_components <= 2 and n >= GRID_FROM and loss.q.is_radial

    def _for_all_steps(self, loss: Loss, model: nn.Module, inputs: Tensor, rows: Rows) -> tuple[Loss, Rows]:
        """The loss with a grid to evaluate it, where one can, and p in the precision of the map: beside the precise one
        nothing else is kept."""
        with torch.no_grad():
            z = model(inputs)
        like = z[0] if isinstance(z, tuple) else z
        rows = rows.to(like.device, like.dtype)
        if not self._is_large_map(loss, rows.n) or loss.column == "data-label":
            return loss, rows
        (problem,) = loss.problems(z, rows)
        return (loss.replace(evaluator=Grid(self.tolerance)) if Grid.can(problem) else loss), rows

    def _of_sums(self, loss: Loss, n: int) -> list[str]:
        """How the sums over all pairs of many points were computed."""
        if self.batch_size is not None or n < GRID_FROM:
            return []
        if isinstance(loss.evaluator, Grid):
            off = loss.evaluator.error
            deviation = "" if off is None else f", {max(off[:2]):.1g} off at the last sample"
            return [f"sums over all pairs on a grid within {loss.evaluator.tolerance:g}{deviation}"]
        return [f"exact sums over {n:,} x {n:,} pairs at each step (a grid takes free points in one or two dimensions)"]

    def _model(self, loss: Loss, features: Tensor, seed: int) -> tuple[nn.Module, nn.Module]:
        """The mapper, and what gives the input of the loss: with data-label pairs, prototypes too."""
        unbounded = loss.row == "gaussian-wide" and loss.q.metric == "sqeuclidean"
        if unbounded and self.mapper in ("lookup", "mlp"):
            raise ValueError(
                f"mapper: got {self.mapper!r} with row='gaussian-wide', expected 'linear' (orthonormal there) or a "
                "module of bounded output: the loss has no minimum over free points"
            )
        if unbounded and self.mapper == "linear" and self.n_components > features.shape[1]:
            raise ValueError(
                f"n_components: got {self.n_components} with row='gaussian-wide' and mapper='linear', which is "
                f"orthonormal there, expected at most {features.shape[1]}, the number of features"
            )
        start = None
        if isinstance(self.mapper, str) and self.mapper == "lookup":
            start = start_of(self.init, features, self.n_components, seed, self._width(loss))
        mapper = icon_nn.build(
            deepcopy(self.mapper), features, self.n_components, start=start, orthonormal=unbounded
        ).to(features.device)
        if loss.column != "data-label":
            return mapper, mapper
        prototypes = icon_nn.Prototypes(len(self.classes_), self.n_components).to(features.device)
        return mapper, nn.Sequential(mapper, prototypes)

    @staticmethod
    def _width(loss: Loss) -> float:
        """The standard deviation of the initial points."""
        return 1e-4 if by_momentum(loss) else 1.0

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.sparse, tags.input_tags.pairwise = True, base.is_pairwise(self.hyper)
        tags.target_tags.required = self._made_from in ("labels", "graph")
        return tags


readable("Embedding", Embedding)
