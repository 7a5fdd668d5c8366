"""Soft targets that are made during training: balanced codes, a teacher's centred codes, prototypes' concentrations."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from icon import _checks as check
from icon._scales import precise, unit_rows
from icon.core import exchange


@torch.no_grad()
def sinkhorn(
    scores: Any,
    epsilon: float = 0.05,
    n_iters: int = 1000,
    *,
    row_weights: Any = None,
    column_weights: Any = None,
    tolerance: float | None = 1e-6,
    group: exchange.Group | None = None,
) -> Float[Tensor, "n c"]:
    """Balanced codes: ``softmax_c((s_ic + g_c) / ε)`` with the g that gives each column its share of the rows.

    The row-normalised solution of entropic optimal transport, ``max <P, s> + ε H(P)`` over the plans P with the given
    marginals; the plan itself is ``row_weights[:, None] * codes``. Iterated in the log domain, in float64 where the
    device has it: small ε neither overflows nor empties a column. No gradient flows through the codes.

    >>> codes = icon.sinkhorn(z @ prototypes.T)          # rows sum to 1, columns to n / C
    >>> icon.method("swav")((other_view, prototypes), codes)

    Args:
        scores: ``[n, C]``.
        epsilon: > 0, in the units of the scores.
        n_iters: the most iterations; SwAV stops after 3 (with ``tolerance=None``).
        row_weights: the marginal ``[n]`` >= 0 of the rows, scaled to sum to one; None is uniform. A row of weight 0
            has codes and no influence.
        column_weights: the marginal ``[C]`` >= 0 of the columns, likewise. A column of weight 0 is in no code.
        tolerance: largest relative error of a column at which the iteration stops; None makes ``n_iters`` plain
            Sinkhorn-Knopp iterations, without momentum.
        group: ``"world"`` or a process group: the codes are balanced over the rows of all its ranks; each gets its own.

    Returns:
        ``[n, C]`` in the dtype of the scores. A warning gives the residual where the tolerance was not reached.

    Raises:
        ValueError, TypeError: one line with the argument, what was given and what was expected.

    Source: Cuturi 2013 (arXiv 1306.0895); Caron et al. 2020 (SwAV, arXiv 2006.09882).
    """
    if group is not None:
        settings = {"column_weights": column_weights, "tolerance": tolerance}
        return _balanced_over_ranks(scores, row_weights, group, epsilon, n_iters, settings)
    s = check.matrix(scores, "scores")
    check.positive(epsilon, "epsilon")
    check.count(n_iters, "n_iters")
    if tolerance is not None:
        check.positive(tolerance, "tolerance")
    n, m = s.shape
    kernel = s.to(precise(s)) / epsilon
    rows, columns = (
        _log_marginal(weights, name, length, kernel)
        for weights, name, length in ((row_weights, "row_weights", n), (column_weights, "column_weights", m))
    )
    used = columns > -math.inf
    codes = torch.zeros_like(s)
    codes[:, used] = _balanced(kernel[:, used], rows, columns[used], n_iters, tolerance).to(s.dtype)
    return codes


def _balanced_over_ranks(
    scores: Any, row_weights: Any, group: exchange.Group, epsilon: float, n_iters: int, settings: dict[str, Any]
) -> Tensor:
    """The codes of this rank's rows among those of all ranks."""
    ranks = exchange.process_group(exchange.check_group(group))

    def given() -> tuple[Tensor, Tensor]:
        s = check.matrix(scores, "scores", may_be_empty=True)
        weights = torch.ones_like(s[:, 0]) if row_weights is None else check.as_tensor(row_weights, "row_weights").to(s)
        if weights.shape != s.shape[:1]:
            raise ValueError(
                f"row_weights: got shape {tuple(weights.shape)}, expected {check.counted(len(s), 'number')}"
            )
        return s, weights

    (every, mine), (weights, _) = (exchange.rows_of_all(x, ranks) for x in exchange.checked(given, ranks))
    return sinkhorn(every, epsilon, n_iters, row_weights=weights, **settings)[mine]


def _balanced(kernel: Tensor, rows: Tensor, columns: Tensor, n_iters: int, tolerance: float | None) -> Tensor:
    """Codes of the kernel ``[n, C]`` with marginals given as logarithms, those of the columns finite."""
    potential = previous = columns - kernel.logsumexp(dim=0)  # Sinkhorn-Knopp begins with the columns
    residual, since_restart = math.inf, 0
    for _ in range(n_iters - (tolerance is None)):
        plan = (kernel + potential).log_softmax(dim=1) + rows[:, None]
        excess = plan.logsumexp(dim=0) - columns  # of each column's mass, as a logarithm
        if tolerance is None:
            potential = potential - excess
            continue
        before, residual = residual, float(excess.expm1().abs().max())
        if residual <= tolerance:
            break
        # Momentum, dropped whenever the residual grows: a tenth of the iterations where ε is small.
        since_restart = 0 if residual > before else since_restart + 1
        corrected = potential - excess
        potential = corrected + since_restart / (since_restart + 3) * (corrected - previous)
        previous = corrected
    else:
        if tolerance is not None:
            potential = previous
            plan = (kernel + potential).log_softmax(dim=1) + rows[:, None]
            residual = float((plan.logsumexp(dim=0) - columns).expm1().abs().max())
            check.warn(
                f"sinkhorn: the columns are off by {residual:.1e} of their mass after {n_iters} iterations, expected "
                f"{tolerance:.1e}; give more iterations or a larger epsilon"
            )
    return (kernel + potential).softmax(dim=1)


def _log_marginal(weights: Any, name: str, length: int, like: Tensor) -> Tensor:
    if weights is None:
        return torch.full_like(like[:, 0] if name == "row_weights" else like[0], -math.log(length))
    given = check.weights(weights, name, length).to(like)
    shares = given / given.amax()  # whose sum does not overflow
    return (shares / shares.sum()).log()


class Centering(nn.Module):
    """A teacher's codes: ``softmax((t - c) / τ_t)`` with the moving average c of its logits (DINO).

    Centring keeps one prototype from taking all points, sharpening (a low τ_t) keeps them from spreading evenly. In
    training mode each call moves the centre after it was used: ``c ← μ c + (1-μ) mean_i t_i``. No gradient flows.

    >>> centering = icon.nn.Centering(n_prototypes)
    >>> codes = centering(teacher(view_a) @ prototypes.T)
    >>> icon.method("dino")((student(view_b), prototypes), codes)

    Args:
        n_prototypes: columns of the logits.
        temperature: τ_t > 0.
        momentum: μ in [0, 1].
        group: ``"world"`` or a process group: the mean is that of the points of all its ranks.

    Source: Caron et al. 2021 (DINO, arXiv 2104.14294).
    """

    center: Tensor

    def __init__(
        self,
        n_prototypes: int,
        temperature: float = 0.04,
        momentum: float = 0.9,
        group: exchange.Group | None = None,
    ) -> None:
        super().__init__()
        self.group = None if group is None else exchange.check_group(group)
        self.temperature = check.positive(temperature, "temperature")
        self.momentum = check.fraction(momentum, "momentum")
        self.register_buffer("center", torch.zeros(check.count(n_prototypes, "n_prototypes")))

    @torch.no_grad()
    def forward(self, logits: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        """``[n, C] -> [n, C]``, rows that sum to one.

        Args:
            logits: ``[n, C]`` scores of the prototypes.
        """
        group = self.group if self.training else None
        t = exchange.on_all(lambda: self._given(logits, may_be_empty=group is not None), group)
        # In half precision a moving average stops moving.
        t = t.to(torch.promote_types(torch.promote_types(t.dtype, self.center.dtype), torch.float32))
        codes = ((t - self.center) / self.temperature).softmax(dim=1)
        if self.training:
            self.center = self.center.to(t).lerp(self._mean(t), 1 - self.momentum)
        return codes

    __deepcopy__ = exchange.copied

    def _given(self, logits: Any, may_be_empty: bool = False) -> Tensor:
        t = check.matrix(logits, "logits", may_be_empty=may_be_empty)
        check.as_many(t.shape[1], len(self.center), "logits", "column", "prototype")
        return t

    def _mean(self, t: Tensor) -> Tensor:
        if self.group is None:
            return t.mean(dim=0)
        sums = torch.cat([t.sum(dim=0), t.new_full((1,), float(len(t)))])
        totals = exchange.total(sums, exchange.process_group(self.group))
        if check.values_matter(totals) and not bool(totals[-1] > 0):
            raise ValueError("logits: got no point on any rank, expected some")
        return totals[:-1] / totals[-1]

    def extra_repr(self) -> str:
        return f"{len(self.center)}, temperature={self.temperature:g}, momentum={self.momentum:g}"


@torch.no_grad()
def concentration(
    z: Any,
    prototypes: Any,
    assignments: Any,
    smoothing: float = 10.0,
    temperature: float | None = 0.2,
    rule: str = "authors",
) -> Float[Tensor, " c"]:
    """Concentration of each prototype, ``φ_c = sum_i ‖z_i - w_c‖ / (N_c log(N_c + α))`` over its ``N_c`` points (PCL).

    It is the temperature of the prototype: loose clusters are softened, tight ones sharpened. The rows of z are scaled
    to unit length; w is the cluster's centroid as it is, inside the sphere.

    >>> phi = icon.nn.concentration(z, centroids, assignments)
    >>> icon.method("pcl", temperature=phi)((z, centroids), assignments)

    Args:
        z: ``[n, d]``.
        prototypes: ``[C, d]`` centroids of the unit rows of z.
        assignments: ``[n]`` in 0..C-1.
        smoothing: α >= 1, so that small clusters do not get a small concentration.
        temperature: what the result is scaled to on average; None leaves it.
        rule: ``"authors"``: a cluster of fewer than two points gets the largest φ, and all are clipped to the 10th and
            the 90th percentile, as in their program. ``"paper"``: the formula alone; a cluster without points gets the
            largest φ, and one whose points all lie on the prototype the smallest of the others.

    Raises:
        ValueError, TypeError: one line with the argument, what was given and what was expected.

    Source: Li et al. 2021 (Prototypical Contrastive Learning, arXiv 2005.04966).
    """
    points, centres = check.matrix(z, "z"), check.matrix(prototypes, "prototypes")
    labels = check.integers(assignments, "assignments", len(points)).to(points.device)
    if centres.shape[1] != points.shape[1] or int(labels.max()) >= len(centres):
        raise ValueError(
            f"prototypes: got shape {tuple(centres.shape)}, expected {check.counted(points.shape[1], 'column')} "
            f"and a row for each of the assignments 0..{int(labels.max())}"
        )
    if check.number(smoothing, "smoothing") < 1:
        raise ValueError(f"smoothing: got {smoothing:g}, expected a number >= 1")
    check.choice(rule, "rule", ("authors", "paper"))
    dtype = torch.promote_types(points.dtype, torch.float32)
    v, w = unit_rows(points.to(dtype)), centres.to(points.device, dtype)
    distance = (v - w[labels]).norm(dim=1)
    distance = distance.masked_fill(distance <= 4 * torch.finfo(points.dtype).eps, 0.0)  # no more than rounding
    count = torch.bincount(labels, minlength=len(centres)).to(distance)
    total = torch.zeros_like(count).index_add_(0, labels, distance)
    phi = total / (count * (count + smoothing).log())
    known = (count > (1 if rule == "authors" else 0)) & (total > 0)
    if not bool(known.any()):
        raise ValueError("z: got no point away from its prototype, expected one: the concentration is undefined")
    if rule == "authors":
        phi = torch.where(known | (count > 1), phi, phi[known].max())
        low, high = phi.quantile(phi.new_tensor([0.1, 0.9]))
        phi = phi.clamp(low, high)
    else:
        phi = torch.where(count > 0, torch.where(known, phi, phi[known].min()), phi[known].max())
    return phi if temperature is None else phi * (check.positive(temperature, "temperature") / phi.mean())
