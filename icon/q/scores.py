"""Gaussian and Student-t scores. Each is an elementwise function of one matrix product of prepared features."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from icon import _checks as check
from icon._values import as_numbers, name_of
from icon.q.arguments import positive_scale
from icon.q.base import Batch, Pair, Scores, Statistics
from icon.q.learned import LARGEST_SCALE, LEAST_SCALE, LEAST_TEMPERATURE, Scaled
from icon.q.partitions import PARTITIONS, LogSumExp
from icon.q.preparation import centered, moments, unit_rows
from icon.q.radial import Radial, squared_distance_features
from icon.q.totals import mean_of

METRICS = ("sqeuclidean", "cosine", "dot")
_SECOND = ("second-order", "second-moment")
_LIMITS = ("mean", "max", *_SECOND)  # partitions of rescaled limits, whose scores have no scale
_OF_THE_SCALE = (*_SECOND, "debiased")  # partitions that are made of sigma or temperature where they are given by name
_PREPROCESS = ("none", "center", "standardize")


class Gaussian(Scaled):
    """``s_ij = -‖z_i - z_j‖² / 2σ²``, or ``z_i·z_j / τ`` with dot or cosine similarity.

    >>> import icon
    >>> icon.q.Gaussian("cosine", temperature=0.1)
    Gaussian(metric='cosine', temperature=0.1)

    The partitions ``mean``, ``max``, ``second-order`` and ``second-moment`` are exact limits of wide and narrow
    bandwidths, on scores of unit scale ``ℓ`` (``-‖z_i - z_j‖²``, the dot product or the cosine).

    Args:
        metric: default ``"cosine"`` where a temperature is given, else ``"sqeuclidean"``.
        sigma: bandwidth > 0 (default 1), a number or one per candidate ``[m]``.
        temperature: > 0 (default 1), a number or one per candidate ``[m]``.
        partition: ``"logsumexp"``, ``"mean"``, ``"second-order"``, ``"second-moment"``, ``"max"``, ``"constant"``,
            ``"decoupled"`` or ``"debiased"`` (cosine similarity with a fixed temperature), or a function of your own;
            see `icon.q.partitions`.
        margin: added to every score that is not a positive.
        learnable: make sigma or temperature a parameter.
        log_weights: ``[m]`` logarithms of candidate weights, added to the scores of each candidate; None: none.
        detach_candidates: stop the gradient into the candidates (momentum keys, targets).
        preprocess: ``"center"`` subtracts the mean of each dimension over the batch, ``"standardize"`` also divides by
            the standard deviation (a constant dimension becomes 0); two sets each by their own.
        min: the smallest that a learned scale may become; None: 0.01 of a temperature, as in CLIP, and 1e-12 of sigma.
        max: the largest; None: 1e12.
        tau_plus: of the partition ``"debiased"``, in [0, 1): the probability that a negative is a positive.
        beta: of the partition ``"debiased"``, >= 0: how strongly hard negatives count.

    Raises:
        ValueError: a number out of its range, sigma with another metric than the Euclidean, a temperature with that, or
            arguments that the partition does not take.
        TypeError: a scale that requires a gradient; learnable=True makes a parameter.

    Source: Hinton & Roweis 2002 (SNE); van den Oord et al. 2018 (InfoNCE); I-Con (arXiv 2504.16929) for the rows.
    """

    joins_candidates: ClassVar[bool] = True

    def __init__(
        self,
        metric: str | None = None,
        sigma: Any = None,
        temperature: Any = None,
        partition: str | Callable[..., Tensor] = "logsumexp",
        margin: float = 0.0,
        learnable: bool = False,
        log_weights: Any = None,
        detach_candidates: bool = False,
        preprocess: str = "none",
        tau_plus: float = 0.0,
        beta: float = 0.0,
        min: float | None = None,
        max: float | None = None,
    ) -> None:
        if not isinstance(partition, str):
            named = name_of(partition, PARTITIONS)
            partition = partition if named is None or named in _OF_THE_SCALE else named
        metric = metric or ("cosine" if temperature is not None else "sqeuclidean")
        check.choice(metric, "metric", METRICS)
        if isinstance(partition, str):
            check.choice(partition, "partition", tuple(PARTITIONS))
        euclidean = metric == "sqeuclidean"
        if sigma is not None and not euclidean:
            raise ValueError(
                f"sigma: got {sigma!r} with metric={metric!r}, expected temperature (sigma scales distances)"
            )
        if temperature is not None and euclidean:
            raise ValueError(f"temperature: got {temperature!r} with metric='sqeuclidean', expected sigma")
        name, given = ("sigma", sigma) if euclidean else ("temperature", temperature)
        if partition in ("mean", "max") and (given is not None or learnable):
            raise ValueError(
                f"{name}: got {given!r} with partition={partition!r}, expected none: the limit has unit scale"
            )
        scale = positive_scale(1.0 if given is None else given, name)
        if partition in _OF_THE_SCALE and (learnable or isinstance(scale, Tensor)):
            raise ValueError(f"{name}: got {given!r} with partition={partition!r}, expected a fixed number")
        if partition == "debiased" and (metric != "cosine" or log_weights is not None or margin):
            raise ValueError(
                f"partition: got 'debiased' with metric={metric!r}, expected cosine similarity without margin or "
                "log_weights, whose lowest score is known"
            )
        if partition != "debiased" and (tau_plus or beta):
            raise ValueError(
                f"tau_plus, beta: got {tau_plus} and {beta} with partition={partition!r}, expected partition='debiased'"
            )
        width = 2 * scale * scale if euclidean else scale
        made_of = dict.fromkeys(_SECOND, (width,)) | {"debiased": (-1 / scale, tau_plus, beta)}
        rule: Any = PARTITIONS[partition](*made_of.get(partition, ())) if isinstance(partition, str) else partition
        super().__init__(rule, margin, log_weights, detach_candidates)
        self.metric, self.scale_name = metric, name
        self.partition_name: Any = partition  # or the function itself
        self.preprocess = check.choice(preprocess, "preprocess", _PREPROCESS)
        self.tau_plus, self.beta = tau_plus, beta
        self.takes_logits = metric == "dot" and preprocess == "none" and partition in ("logsumexp", "max")
        self.has_scale = given is not None or learnable
        least, most = LEAST_SCALE if euclidean else LEAST_TEMPERATURE, LARGEST_SCALE
        self.min = min if learnable and min != least else None
        self.max = max if learnable and max != most else None
        self.keep_scale(scale, name, learnable, least if min is None else min, most if max is None else max)

    @property
    def row(self) -> str:  # type: ignore[override]
        limits = dict.fromkeys(("mean", *_SECOND), "gaussian-wide") | {"max": "gaussian-narrow"}
        return limits.get(self.partition_name, "gaussian") if isinstance(self.partition_name, str) else "gaussian"

    def set_scale(self, value: float | Tensor) -> None:
        """Give σ or τ another value, in place where it is learned.

        Args:
            value: > 0, within the range of a learned one.

        Raises:
            ValueError: not > 0, beyond the range of a learned one, or where the partition is made of the scale.
        """
        given: Any = value.item() if isinstance(value, Tensor) and not value.ndim else value
        scale = check.positive(given, self.scale_name)
        if not self.learnable:
            if self.partition_name not in ("logsumexp", "constant", "decoupled"):
                raise ValueError(
                    f"{self.scale_name}: got {value!r}, expected loss.replace(q=...): the partition depends on it"
                )
            self.fixed_scale, self.has_scale = scale, True
        elif not self._low - 1e-6 <= math.log(scale) <= self._high + 1e-6:
            low, high = math.exp(self._low), math.exp(self._high)
            raise ValueError(f"{self.scale_name}: got {value!r}, expected a number in its range, {low:g} to {high:g}")
        else:
            with torch.no_grad():
                self.log_scale.fill_(math.log(scale))

    @property
    def means_are_exact(self) -> bool:
        return self.metric == "cosine"

    @property
    def is_symmetric(self) -> bool:
        return (
            self.metric != "sqeuclidean"
            and not (self.detach_candidates or self.margin)
            and self.log_weights is None
            and not (isinstance(self.fixed_scale, Tensor) or (self.learnable and self.log_scale.ndim))
        )

    @property
    def keeps_points(self) -> bool:
        has_unit_scale = not self.learnable and type(self.fixed_scale) is float and self.fixed_scale == 1.0
        is_plain = self.metric == "dot" and self.preprocess == "none" and self._is_bare
        return type(self) is Gaussian and has_unit_scale and is_plain  # a subclass may prepare them in its own way

    @property
    def is_radial(self) -> bool:
        fixed = not (self.learnable or isinstance(self.fixed_scale, Tensor))
        plain = self.preprocess == "none" and self.partition_name not in _LIMITS and not self._is_extreme
        return self.metric == "sqeuclidean" and plain and fixed and self._is_bare

    @property
    def _is_extreme(self) -> bool:
        """Whether the square of a fixed sigma, or its inverse, may be no number."""
        scale = 1.0 if self.learnable else self.fixed_scale
        return not isinstance(scale, Tensor) and not LEAST_SCALE <= scale <= LARGEST_SCALE

    @property
    def law(self) -> tuple[str, tuple[float, ...]]:
        return "gaussian", (1 / (2 * float(self.scale) ** 2),)

    def radial(self, squared: Float[Tensor, "*k"]) -> Float[Tensor, "*k"]:
        return -squared / (2 * float(self.scale) ** 2)

    @property
    def largest_score(self) -> float:
        if self.metric != "cosine" or isinstance(self.scale, Tensor) or self.log_weights is not None:
            return math.inf
        return 1.001 / self.scale if self.has_scale else 1.001

    def statistics(self, batch: Batch) -> Statistics:
        statistics = {}
        if self.preprocess != "none":
            of_candidates = moments(batch.candidates, batch.over_candidates)
            # Anchors that are a part of the candidates are measured by all of them.
            of_anchors = moments(batch.anchors, batch.totals) if batch.support.offset is None else of_candidates
            statistics = {"anchor mean": of_anchors[0], "anchor variance": of_anchors[1]}
            statistics |= {"candidate mean": of_candidates[0], "candidate variance": of_candidates[1]}
        elif self.metric == "sqeuclidean":
            statistics = {"centre": mean_of(batch.candidates.detach(), batch.over_candidates)}
        return statistics

    def prepare(self, anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "m d"], statistics: Statistics) -> Pair:
        scale = self.scale if self.learnable else self.fixed_scale
        if isinstance(scale, Tensor):
            scale = scale.to(anchors)
            if scale.ndim and len(scale) != len(candidates):
                raise ValueError(f"{self.scale_name}: got {len(scale)}, expected {len(candidates)} (one per candidate)")
        one, is_limit = anchors is candidates, self.partition_name in _LIMITS
        if self.preprocess != "none":
            standardize = self.preprocess == "standardize"
            mean, variance = statistics["candidate mean"], statistics["candidate variance"]
            anchors = centered(anchors, statistics["anchor mean"], statistics["anchor variance"], standardize)
            candidates = anchors if one else centered(candidates, mean, variance, standardize)
        if self.metric == "sqeuclidean":
            centre = statistics.get("centre", 0.0)  # points that are centred already have theirs at 0
            if self._is_extreme and not is_limit:
                anchors, centre = anchors / scale, centre / scale
                candidates, scale = anchors if one else candidates / scale, 1.0
            anchors, candidates = squared_distance_features(anchors, candidates, centre)
            return _times(anchors, candidates, -1.0 if is_limit else -1 / (2 * scale**2))
        # What the unit scores are multiplied with, a number or one per candidate.
        scale = 1.0 if is_limit else 1 / scale
        if self.metric == "cosine" and not (isinstance(scale, Tensor) and scale.ndim):
            # Half of the scale to each side, so that one set stays one tensor.
            root = scale**0.5
            anchors = unit_rows(anchors, root)
            return anchors, anchors if one else unit_rows(candidates, root)
        if self.metric == "cosine":
            anchors = unit_rows(anchors)
            candidates = anchors if one else unit_rows(candidates)
        return _times(anchors, candidates, scale)

    def hyper_parameters(self) -> dict[str, Any]:
        given: dict[str, Any] = {"metric": self.metric}
        if self.has_scale:
            given[self.scale_name] = as_numbers(self.scale)
        if self.partition_name != "logsumexp":
            given["partition"] = self.partition_name
        return given | self._arguments()


class StudentT(Scaled, Radial):
    """``s_ij = -e log(c² + ‖z_i - z_j‖² / ν)``.

    >>> import icon, torch
    >>> loss = icon.Loss(icon.p.Pairs(), icon.q.StudentT(dof=1))
    >>> loss(torch.tensor([[0.0], [0.0], [3.0], [3.0]]), [0, 0, 1, 1])  # log 1.2: q of each positive is 10/12
    tensor(0.1823)

    Args:
        dof: degrees of freedom ν > 0.
        exponent: e > 0, default ``(ν + 1) / 2``.
        scale: c >= 0; 0 is the harmonic kernel ``‖z_i - z_j‖^(-2e)``, for which no point is its own candidate.
        margin: added to every score that is not a positive.
        learnable: make the scale a parameter (it must start above 0), which stays between 1e-12 and 1e12.
        log_weights: ``[m]`` logarithms of candidate weights, added to the scores of each candidate; None: none.
        detach_candidates: stop the gradient into the candidates (momentum keys, targets).

    Raises:
        ValueError: a number out of its range; in a call, a scale of 0 where self is a candidate.

    Source: van der Maaten & Hinton 2008; Hu et al. 2023 (t-SimCLR); Baek et al. 2025 (harmonic loss).
    """

    row: ClassVar[str] = "student-t"

    def __init__(
        self,
        dof: float = 1.0,
        exponent: float | None = None,
        scale: float = 1.0,
        margin: float = 0.0,
        learnable: bool = False,
        log_weights: Any = None,
        detach_candidates: bool = False,
    ) -> None:
        super().__init__(LogSumExp(), margin, log_weights, detach_candidates)
        self.dof = check.positive(dof, "dof")
        self.exponent = (self.dof + 1) / 2 if exponent is None else check.positive(exponent, "exponent")
        scale = check.positive(scale, "scale") if learnable else check.number(scale, "scale", least=0)
        self.keep_scale(scale, "scale", learnable)
        self.refuses_self = "" if scale else "scale: got 0"

    def prepare(self, anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "m d"], statistics: Statistics) -> Pair:
        a, c = super().prepare(anchors, candidates, statistics)
        # c² + d²/ν straight from the product: the scale joins the column of squared norms.
        scale = self.scale.to(a) if isinstance(self.scale, Tensor) else self.scale
        norms = torch.zeros(a.shape[1], dtype=a.dtype, device=a.device)
        norms[-2].fill_(1.0)
        return (a + self.dof * scale**2 * norms) / self.dof, c

    @property
    def is_radial(self) -> bool:
        return not (self.learnable or self.refuses_self) and self._is_bare

    @property
    def law(self) -> tuple[str, tuple[float, ...]]:
        return "power", (self.exponent, float(self.scale) ** 2, 1 / self.dof)

    def radial(self, squared: Float[Tensor, "*k"]) -> Float[Tensor, "*k"]:
        return -self.exponent * (float(self.scale) ** 2 + squared / self.dof).log()

    def score(self, anchors: Float[Tensor, "*batch b r"], candidates: Float[Tensor, "*batch m r"]) -> Scores:
        # Of points that coincide, far from the others, rounding can make more of the squared distance than c² is.
        least = 0.0 if self.learnable else float(self.fixed_scale) ** 2 / 2
        return -self.exponent * floored_log(anchors @ candidates.mT, least)

    def hyper_parameters(self) -> dict[str, Any]:
        given = {"dof": self.dof} | self._arguments()
        if self.exponent == (self.dof + 1) / 2:
            del given["exponent"]
        return given


def floored_log(t: Tensor, least: float = 0.0) -> Tensor:
    """``log max(t, tiny, least)``: duplicates (rounding can make a distance negative) and empty clusters have a finite
    score. Where t sits on the floor the score is constant: its gradient is 0.
    """
    floor = max(torch.finfo(t.dtype).tiny, least)
    return torch.threshold(t, floor, floor).log()  # its derivative is one pass; that of a clamp is two, and a mask


def _times(anchors: Tensor, candidates: Tensor, scale: float | Tensor) -> tuple[Tensor, Tensor]:
    """Features whose product is scaled by a number, or by one per candidate ``[m]``."""
    if isinstance(scale, Tensor) and scale.ndim:
        return anchors, candidates * scale[:, None]
    return (anchors, candidates) if isinstance(scale, float) and scale == 1.0 else (anchors * scale, candidates)
