"""Information in nats: a bound of mutual information, and the entropies of Gaussians."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from icon import _checks as check
from icon.methods.registry import method
from icon.metrics._inputs import two_views

Floats = NDArray[np.float64]


def infonce_bound(za: ArrayLike, zb: ArrayLike, temperature: float = 0.1) -> float:
    """A lower bound of the mutual information of two views, ``I(za; zb) >= log m - CE``, in nats.

    CE is the cross-entropy of ``icon.method("infonce")``: row i of ``za`` has to find row i of ``zb`` among all m, by
    its cosine over the temperature. The bound holds in expectation over samples and cannot exceed ``log m``; it is
    negative where the critic does worse than chance. For another critic, take ``log m`` less the ``cross_entropy`` of
    its ``Loss.terms``.

    Args:
        za: ``[m, d]`` the first view, whose points are the anchors.
        zb: ``[m, d]`` the second view, aligned with it row by row.
        temperature: > 0.

    Returns:
        A number in ``(-inf, log m]``.

    Raises:
        ValueError: shapes that differ, fewer than two rows, NaN or infinity, a temperature <= 0.

    Source: van den Oord, Li, Vinyals 2018 (arXiv 1807.03748).
    """
    anchors, candidates = two_views(za, zb)
    scale = check.positive(temperature, "temperature")
    if len(anchors) < 2:
        raise ValueError("za: got 1 row, expected at least two: each view competes with those of the others")
    with torch.no_grad():
        cross_entropy = float(method("infonce", temperature=scale).terms((anchors, candidates)).cross_entropy)
    return math.log(len(anchors)) - max(cross_entropy, 0.0)  # it is >= 0 but for rounding


def gaussian_entropy(z: ArrayLike) -> float:
    """Differential entropy of the Gaussian with the covariance of ``z [n, d]``, ``(d log 2πe + log|C|) / 2``, in nats.

    C is the maximum-likelihood covariance (1/n). The entropy is an upper bound for every density with this covariance.

    Args:
        z: ``[n, d]`` the points.

    Raises:
        ValueError: C is singular, up to the rounding of z's dtype (the message names its rank); NaN or infinity.
        TypeError: z is on the meta device.

    Source: Cover & Thomas 2006, Elements of Information Theory, chapter 8.
    """
    x, rounding = _with_rounding(z)
    constant: float = x.shape[1] * math.log(2 * math.pi * math.e)
    return 0.5 * (constant + _log_det(_centred(x), x, rounding))


def gaussian_information_bottleneck(z: ArrayLike, ids: ArrayLike, beta: float, shared: bool = False) -> float:
    """The Gaussian information-bottleneck objective, ``E log|C_Z|X| + ((1-β)/β) log|C_Z|``; lower is better.

    ``C_Z`` is the covariance of all rows and ``C_Z|X`` that of the views of one instance X, both with 1/n. The mean is
    over instances, each counted once however many views it has.

    Args:
        z: ``[n, d]`` embeddings, one row per view.
        ids: ``[n]`` the instance of each row.
        beta: the trade-off, > 0; above 1 the entropy of Z is rewarded.
        shared: False: every instance has a covariance of its own and needs at least d + 1 views. True: one covariance
            for all, pooled over the instances (views less their instance's mean, over n), which needs only
            ``n - (number of instances) >= d``; the usual choice where views are few.

    Raises:
        ValueError: beta <= 0, instances with too few views, or a singular covariance (the message names its rank).
        TypeError: shared is neither True nor False, or z is on the meta device.

    Source: Zbontar et al. 2021, Barlow Twins (arXiv 2103.03230), appendix.
    """
    x, rounding = _with_rounding(z)
    views = _by_instance(x, check.integers(ids, "ids", len(x)).cpu().numpy())
    trade_off = (1 - check.positive(beta, "beta")) / beta
    d = x.shape[1]
    few = [i for i, rows in views.items() if len(rows) <= d]
    if not check.flag(shared, "shared") and few:
        raise ValueError(
            f"ids: got fewer than d + 1 = {d + 1} views of instances {check.some(few)}, "
            "expected that many of each for a covariance of its own, or shared=True"
        )
    if shared:
        within = _log_det(np.concatenate([_centred(rows) for rows in views.values()]), x, rounding, " within instances")
    else:
        each = [_log_det(_centred(rows), rows, rounding, f" of instance {i}") for i, rows in views.items()]
        within = math.fsum(each) / len(each)
    return within + trade_off * _log_det(_centred(x), x, rounding)


def _with_rounding(z: ArrayLike) -> tuple[Floats, float]:
    """z in float64, and the relative rounding error of the dtype that it came in."""
    tensor = check.with_numbers(check.matrix(z, "z"), "z").detach().cpu()
    return tensor.double().numpy(), torch.finfo(tensor.dtype).eps


def _by_instance(x: Floats, ids: NDArray[np.int64]) -> dict[int, Floats]:
    order = np.argsort(ids, kind="stable")
    present, starts = np.unique(ids[order], return_index=True)
    return dict(zip(present.tolist(), np.split(x[order], starts[1:]), strict=True))


def _centred(x: Floats) -> Floats:
    shifted = x - x[0]  # a constant column becomes exactly zero
    centred: Floats = shifted - shifted.mean(axis=0)
    return centred


def _log_det(centred: Floats, x: Floats, rounding: float, which: str = "") -> float:
    """``log|C|`` of the covariance ``C = centredᵀ centred / n``, from singular values; columns may differ in scale.

    Singular values that the rounding of the rows ``x`` explains count as zero.
    """
    n, d = centred.shape
    spread = np.abs(centred).max(axis=0)
    spread[spread == 0] = np.inf
    values = np.linalg.svd(centred / spread, compute_uv=False)
    noise = float(np.linalg.norm(x / spread)) * max(2 * rounding / math.sqrt(d), 8 * np.finfo(np.float64).eps)
    rank = int((values > noise).sum())
    if rank < d:
        raise ValueError(
            f"z: got a covariance{which} of rank {rank} of {d}, "
            "expected a non-singular one (more than d points, no column that follows from the others)"
        )
    return float(2 * (np.log(values).sum() + np.log(spread).sum()) - d * math.log(n))
