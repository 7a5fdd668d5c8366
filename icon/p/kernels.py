"""p from a kernel of the features: Gaussian and Student-t."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from icon import _checks as check
from icon import distances
from icon.p.base import Sets
from icon.p.masses import Dense, DenseFromLogs, Sparse
from icon.p.perplexity import precision_of
from icon.p.rows import Rows
from icon.p.similarities import edge_scores, nearest_by_distances, neighbors_of, notes_of, score_tiles
from icon.p.spatial import Spatial, are_two, in_precision
from icon.p.support import Support

DEFAULT_PERPLEXITY = 30.0
ALL_UP_TO = 3000  # points up to which a perplexity is sought among all candidates
_BLOCK = 2**22  # entries of p that are made at a time
_LARGE = 2**26  # bytes of p from which it is asked whether they are free
LARGEST_RATIO = 1e150  # of a unit and a bandwidth: its square is an ordinary number
_FAINT = math.log(torch.finfo(torch.float32).tiny)  # the logarithm of a mass of which less is left in single precision
Mask = Callable[[Tensor], Tensor]
_METRICS = ("sqeuclidean", "cosine", "dot")
_BANDWIDTHS = ("perplexity", "sigma", "temperature")


@dataclass(frozen=True, repr=False, kw_only=True)
class _Kernel(Spatial):
    """A normalised kernel of the features, over all candidates or over the ``n_neighbors`` nearest."""

    n_neighbors: int | str | None = None
    detach: bool = True

    def rows(self, target: Any, sets: Sets) -> Rows:
        xa, xb = self.features(target, sets)
        if self.detach and isinstance(xa, Tensor):
            one, xa = xa is xb, xa.detach()
            xb = xa if one else xb.detach()
        support = self._support(xa.shape[0], xb.shape[0], sets.paired or are_two(target))
        k = self.kept(support)
        if k is not None and k > support.size:
            raise ValueError(f"n_neighbors: got {k}, expected at most {support.size} for {support.m} points")
        if (needed := 24 * support.n * (k or support.m)) > _LARGE:
            what = f"an exact p of {support.n} x {support.m} points" if k is None else f"p with {k} neighbours"
            check.refuse_if_too_large(needed, what, "give n_neighbors= to keep the nearest only")
        if isinstance(xa, np.memmap) and (k is None or not support.exclude_self):
            xa = xb = in_precision(np.array(xa), "features")
        if k is None:
            logs = torch.cat(
                [
                    self.normalize(tile, partial(support.hide, start=start, value=-math.inf), support, unit)
                    for start, tile, unit in score_tiles(xa, xb, self._metric)
                ]
            )
            _refuse_nan(logs)
            # Far candidates have a logarithm where their mass is too small for a float.
            far = ((logs < _FAINT) & (logs > -math.inf)).any() if check.values_matter(logs) else True
            masses, logs = logs.exp(), logs.detach()
            return Rows(DenseFromLogs(masses, logs) if far else Dense(masses), support)
        index, scores, unit, notes = self._nearest(xa, xb, k, support)
        values = self._of_blocks(scores, support, unit)
        _refuse_nan(values)
        indptr = torch.arange(support.n + 1, device="cpu") * k
        return Rows(Sparse(indptr, index.flatten(), values.flatten(), support.m), support, notes)

    def _of_blocks(self, scores: Tensor, support: Support, unit: float) -> Tensor:
        """Masses ``[n, k]``, some rows at a time and in place of their scores: a search for bandwidths takes several
        copies of what it is given."""
        if scores.requires_grad:
            return self.normalize(scores, lambda x: x, support, unit).exp()
        for part in torch.split(scores, max(1, _BLOCK // scores.shape[1])):
            part.copy_(self.normalize(part, lambda x: x, support, unit).exp())
        return scores

    def _nearest(self, xa: Any, xb: Any, k: int, support: Support) -> tuple[Tensor, Tensor, float, tuple[str, ...]]:
        """``[n, k]`` in ascending order, of many points of one set by an approximate search; their scores, the unit of
        these, and the recall in words."""
        metric, own = self._metric, support.exclude_self
        if not isinstance(xa, (Tensor, np.memmap)):
            return *nearest_by_distances(xa, xb, k, metric, own), ()
        index, recall = neighbors_of(xa, xb, k, metric, own)
        return index, *edge_scores(xa, xb, index, str(metric)), notes_of(recall)

    def kept(self, support: Support) -> int | None:
        return None if self.n_neighbors is None else check.count(self.n_neighbors, "n_neighbors")  # type: ignore[arg-type]

    @abstractmethod
    def normalize(self, scores: Tensor, mask: Mask, support: Support, unit: float) -> Tensor:
        """Log-masses ``[b, k]`` from similarities; ``mask`` puts minus infinity outside the support.

        Squared distances are in multiples of ``unit²``.
        """


@dataclass(frozen=True, repr=False)
class Gaussian(_Kernel):
    """``p(j|i) ∝ exp(-‖x_i - x_j‖² / 2σ_i²)``, or ``∝ exp(x_i·x_j / temperature)`` for dot and cosine similarity.

    >>> import icon
    >>> icon.p.Gaussian(sigma=1.0)([[0.0], [1.0], [2.0]]).to_dense()
    tensor([[0.0000, 0.8176, 0.1824],
            [0.5000, 0.0000, 0.5000],
            [0.1824, 0.8176, 0.0000]], dtype=torch.float64)

    The bandwidth is a number (``sigma``), or found per anchor so that the perplexity ``exp(H_i)`` is as given
    (default 30). A bandwidth that was found counts as a constant in gradients.

    Args:
        perplexity: in [1, number of candidates]; of several, the masses are averaged.
        n_neighbors: ``"auto"`` keeps all candidates up to 3,000 of them and, of more, where a perplexity is sought,
            three times as many as it, as implementations of t-SNE do; None keeps all, a number the nearest only.
        sigma: fixed bandwidth > 0, in the units of the features.
        temperature: > 0, with ``metric="cosine"`` or ``"dot"``.
        metric: ``"sqeuclidean"``, ``"cosine"``, ``"dot"``, or another distance d: its name in scikit-learn
            (``"cityblock"``, ``"jaccard"``, ``"haversine"``, ...), a function of two rows, or ``"precomputed"``, where
            the features are ``[n, n]`` distances. Then ``p ∝ exp(-d² / 2σ_i²)``.
        center: subtract the mean of the features first (two sets each its own); it matters to ``"dot"``, ``"cosine"``.
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
        detach: False lets gradients reach the features.

    Raises:
        ValueError: a number out of its range, more than one of perplexity, sigma and temperature, a scale of another
            metric, or ``center`` with distances.

    Source: Hinton & Roweis 2002 (SNE); X-Sample contrastive (Sobal et al. 2025) for the similarity form.
    """

    n_neighbors: int | str | None = "auto"
    perplexity: float | Sequence[float] | None = None
    sigma: float | None = None
    temperature: float | None = None
    metric: distances.Metric = "sqeuclidean"
    center: bool = False

    column: ClassVar[str] = "gaussian"

    def __post_init__(self) -> None:
        super().__post_init__()
        metric = self._metric
        if self.center and metric not in _METRICS:
            raise ValueError(
                f"center: got True with metric={metric!r}, expected one of {', '.join(map(repr, _METRICS))}"
            )
        if isinstance(self.n_neighbors, str):
            check.choice(self.n_neighbors, "n_neighbors", ("auto",))
        given = [name for name in _BANDWIDTHS if getattr(self, name) is not None]
        if not given:
            object.__setattr__(self, "perplexity", DEFAULT_PERPLEXITY)
        if isinstance(self.perplexity, (list, tuple, np.ndarray)):  # a record is not to change: no list
            object.__setattr__(
                self, "perplexity", tuple(check.positive(each, "perplexity") for each in self.perplexity)
            )
            if not self.perplexity:
                raise ValueError("perplexity: got none, expected a number or several")
        for name in given:
            if not isinstance(getattr(self, name), tuple):
                check.positive(getattr(self, name), name)
        if len(given) > 1:
            raise ValueError(f"{given[1]}: got both {given[0]} and {given[1]}, expected one of them")
        scale, other = ("temperature", "sigma") if metric in ("cosine", "dot") else ("sigma", "temperature")
        if getattr(self, other) is not None:
            raise ValueError(
                f"{other}: got {getattr(self, other)!r} with metric={self.metric!r}, expected {scale}, which scales it"
            )

    def features(self, target: Any, sets: Sets) -> tuple[Any, Any]:
        xa, xb = super().features(target, sets)
        if not self.center:
            return xa, xb
        if not isinstance(xa, Tensor):
            raise TypeError("center: got True with sparse features, which would not stay sparse, expected False")
        one_set = xa is xb
        xa = xa - xa.mean(dim=0)
        return xa, xa if one_set else xb - xb.mean(dim=0)

    def _stays_on_disk(self, target: Any) -> bool:
        return not self.center and super()._stays_on_disk(target)

    def kept(self, support: Support) -> int | None:
        if self.n_neighbors != "auto":
            return super().kept(support)
        if self.sigma is not None or self.temperature is not None or support.m <= ALL_UP_TO:
            return None
        return min(support.size, math.ceil(3 * max(self._perplexities)))

    def replace(self, **changes: Any) -> Gaussian:
        """This p with other arguments, and the same operations after it; a bandwidth stands for the one that it had.

        Args:
            changes: by the names of the arguments.
        """
        before = dict.fromkeys(_BANDWIDTHS) if changes.keys() & set(_BANDWIDTHS) else {}
        return super().replace(**before | changes)

    def normalize(self, scores: Tensor, mask: Mask, support: Support, unit: float) -> Tensor:
        if self.sigma is not None:
            # Shifted before they are scaled: the nearest keep a mass where all distances are many times σ.
            shifted = scores - mask(scores.detach()).amax(dim=1, keepdim=True)
            ratio = min(unit / self.sigma, LARGEST_RATIO)
            return mask(shifted * (ratio * ratio / 2)).log_softmax(dim=1)
        if self.temperature is not None:
            return mask(scores / self.temperature).log_softmax(dim=1)
        competing = min(scores.shape[1], support.size)
        for perplexity in self._perplexities:
            if not 1 <= perplexity <= competing:
                nearest = f" with n_neighbors={competing}" if competing < support.size else ""
                expected = f"between 1 and {competing} for {support.m} points{nearest}"
                raise ValueError(f"perplexity: got {perplexity:g}, expected {expected}")
        visible = mask(scores.detach())
        # Shifted before it is scaled: a large precision of tied scores is 0 and not infinity less infinity.
        shifted = scores - visible.amax(dim=1, keepdim=True)
        logs = [
            mask(shifted * precision_of(visible, math.log(each), competing)).log_softmax(dim=1)
            for each in self._perplexities
        ]
        if len(logs) == 1:
            return logs[0]
        # Finite where self is hidden, so that the gradient is: infinity less infinity would be NaN.
        finite = torch.stack(logs).clamp_min(torch.finfo(logs[0].dtype).min)
        return mask(finite.logsumexp(dim=0) - math.log(len(logs)))

    @property
    def _perplexities(self) -> tuple[float, ...]:
        assert self.perplexity is not None
        return tuple(self.perplexity) if isinstance(self.perplexity, Sequence) else (self.perplexity,)


@dataclass(frozen=True, repr=False)
class StudentT(_Kernel):
    """``p(j|i) ∝ (1 + ‖x_i - x_j‖² / (ν σ²))^(-(ν+1)/2)``.

    Args:
        dof: degrees of freedom ν > 0.
        sigma: scale > 0 of the distances.
        metric: ``"sqeuclidean"``, or another distance, as in `Gaussian`.
        n_neighbors: keep this many nearest candidates; None keeps all.
        detach: False lets gradients reach the features.
        exclude_self: whether the anchor is outside its own support. None: yes within one set of points, no between two.
    """

    dof: float = 1.0
    sigma: float = 1.0
    metric: distances.Metric = "sqeuclidean"

    column: ClassVar[str] = "student-t"
    shown: ClassVar[tuple[str, ...]] = ("dof",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check.positive(self.dof, "dof")
        check.positive(self.sigma, "sigma")
        distances.metric_of(self.metric, without=("cosine", "dot"))

    def normalize(self, scores: Tensor, mask: Mask, support: Support, unit: float) -> Tensor:
        ratio = unit / self.sigma
        if 1 / LARGEST_RATIO < ratio < LARGEST_RATIO:
            log_kernel = torch.log1p(-scores * (ratio * ratio / self.dof))
        else:  # the square of the ratio is no ordinary number, its logarithm is
            squares = (-scores).clamp_min(torch.finfo(scores.dtype).tiny).log()
            shift = 2 * (math.log(unit) - math.log(self.sigma)) - math.log(self.dof)
            log_kernel = torch.nn.functional.softplus(squares + shift)
        return mask(-(self.dof + 1) / 2 * log_kernel).log_softmax(dim=1)


def _refuse_nan(features: Tensor) -> None:
    if check.values_matter(features) and bool(features.detach().isnan().any()):
        raise ValueError(
            "features: got numbers whose products are too large for float64, expected smaller ones (scale the features)"
        )
