"""The clusters row: two points are neighbours as far as they share clusters."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from icon import _checks as check
from icon.p.masses import Masses
from icon.p.support import Support
from icon.q.arguments import proportions, shares
from icon.q.base import Batch, Kernel, Pair, Scores, Statistics
from icon.q.partitions import AlreadyNormalized, Constant
from icon.q.scores import floored_log
from icon.q.totals import Totals, log_sum_of, mean_of

FEW = 15  # clusters up to which a softmax is faster across points: a row of so few does not fill a vector


class Clusters(Kernel):
    """``q_ij = sum_c φ_ic φ_jc d_j / N_c`` with ``N_c = sum_k φ_kc d_k`` over the candidates, self included.

    >>> import icon
    >>> icon.Loss(icon.p.KNN(5), icon.q.Clusters())
    Loss(DCD: clusters x knn, p=KNN(n_neighbors=5), q=Clusters())

    The input is cluster logits ``[n, C]``; ``φ = softmax(logits / T)``. Rows sum to one. An empty cluster gives
    nothing.

    With ``marginals`` m or an ``exponent`` β the score is ``log sum_c (φ_ic φ_jc)^β / m_c``: with β = 1 the pointwise
    mutual information of the clusters of i and j. It is not a log-probability, and the loss is the cross-entropy form.

    Args:
        leak: λ in [0, 1]: ``q̃ = λ u + (1-λ) q`` with u uniform (or proportional to the weights).
        weights: None (``d_j = 1``), ``"stationary"`` (p's own marginal: a graph's degrees), or a tensor ``[m]``.
        log_prior: strength λ >= 0 of a Dirichlet prior on the memberships: adds ``-λ mean_i sum_c log φ_ic``.
        entropy_weight: strength λ >= 0 of a regulariser against collapse: adds ``-λ H(mean_i φ_i)`` over the anchors.
        softmax_temperature: T > 0.
        exponent: β > 0; below one it keeps the memberships from becoming uniform too early (TEMI).
        marginals: None takes the sizes ``N_c`` of the candidates; ``"uniform"`` is 1/C; ``"moving"`` begins
            there, and each call in training mode moves it towards the candidates' mean φ first and then uses it; or a
            tensor ``[C]``.
        momentum: of the moving average, in [0, 1].
        detach_candidates: stop the gradient into the candidates (a teacher's).
        agreement: multiply the divergence of anchor i with ``sum_j p_ij φ_i·φ_j``, φ of the candidates: the probability
            that it shares its cluster with its positives. The anchors are then the same points as the candidates.
        balance: b in [0, 1], how much equal sizes are worth: adds ``(1-b) H(mean_i φ_i)``. Clusters that p never leaves
            have the cross-entropy ``log n - b H(N_c / n)``, lowest for equal sizes; at b = 0 all sizes have the same.

    Raises:
        ValueError: a number out of its range, or a leak or weights with marginals or an exponent.

    Source: I-Con (arXiv 2504.16929); Yang & Oja 2012 (DCD) for the same two-step walk; Adaloglou et al. 2023 (TEMI)
    for marginals, exponent and agreement; Van Gansbeke et al. 2020 (SCAN) for the entropy.
    """

    row: ClassVar[str] = "clusters"
    needs_self: ClassVar[bool] = True
    joins_candidates: ClassVar[bool] = True

    def __init__(
        self,
        leak: float = 0.0,
        weights: Any = None,
        log_prior: float = 0.0,
        entropy_weight: float = 0.0,
        exponent: float = 1.0,
        marginals: Any = None,
        momentum: float = 0.9,
        detach_candidates: bool = False,
        softmax_temperature: float = 1.0,
        agreement: bool = False,
        balance: float = 1.0,
    ) -> None:
        normalized = marginals is None and exponent == 1
        super().__init__(AlreadyNormalized() if normalized else Constant(), detach_candidates=detach_candidates)
        if not normalized and (leak or weights is not None):
            raise ValueError("leak, weights: got one of them with marginals or an exponent, expected neither")
        self.exponent = check.positive(exponent, "exponent")
        self.softmax_temperature = check.positive(softmax_temperature, "softmax_temperature")
        self.agreement = self.has_factors = check.flag(agreement, "agreement")
        self.momentum = check.fraction(momentum, "momentum")
        self.entropy_weight = check.number(entropy_weight, "entropy_weight", least=0)
        self.balance = check.fraction(balance, "balance")
        self.marginals_name = marginals if isinstance(marginals, str) else None
        if self.marginals_name is not None:
            check.choice(self.marginals_name, "marginals", ("uniform", "moving"))
            marginals = None
        self.marginals: Tensor | None
        if marginals is not None:
            marginals = shares(marginals, "marginals", "C")
            if not bool((marginals > 0).all()):
                raise ValueError("marginals: got an entry 0, expected numbers > 0 (C,)")
        if self.marginals_name == "moving":
            marginals = torch.empty(0)  # its size is known at the first call
        self.register_buffer("marginals", marginals)
        self._moved: Tensor | None = None
        self.leak = check.fraction(leak, "leak")
        self.log_prior = check.number(log_prior, "log_prior", least=0)
        self.stationary = isinstance(weights, str)
        if self.stationary:
            check.choice(weights, "weights", ("stationary",))
            weights = None
        self.needs_marginal = self.stationary
        self.weights: Tensor | None
        self.register_buffer("weights", None if weights is None else shares(weights, "weights", "m"))

    def statistics(self, batch: Batch) -> Statistics:
        support = batch.support
        if self.agreement and support.offset is None:
            raise ValueError("target: got aligned sets, expected ids [n] of points that both sets have")
        log_phi, every = self._log_phi(batch.candidates), batch.over_candidates
        marginals = self._marginals(log_phi, every)
        if marginals is not None:
            return {"log phi": log_phi, "marginals": marginals}
        if log_phi.shape[1] > support.m:
            raise ValueError(
                f"input: got {log_phi.shape[1]} clusters, expected at most {support.m}, the number of points"
            )
        d = batch.weights if self.stationary else self.weights
        if d is not None and not self.stationary:
            d = proportions(d)
        if d is None:
            sizes = {"log phi": log_phi, "log sizes": log_sum_of(log_phi, every)}
            return sizes | {"number": log_phi.new_full((), support.m)} if self.leak else sizes
        if len(d) != len(log_phi):
            raise ValueError(f"weights: got {len(d)}, expected {len(log_phi)} (one per candidate)")
        d = d.to(log_phi)
        total = every.sum(d.sum())
        d = torch.where(total > 0, d / total, 1.0)  # stationary ones are all 0 where no anchor has a positive
        return {"log phi": log_phi, "log sizes": log_sum_of(log_phi + d.log()[:, None], every), "weights": d}

    def prepare(self, anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "m d"], statistics: Statistics) -> Pair:
        log_phi = self._powers(statistics["log phi"])
        phi_anchors = (log_phi if anchors is candidates else self._powers(self._log_phi(anchors))).exp()
        if "marginals" in statistics:
            return phi_anchors, log_phi.exp() / statistics["marginals"]
        if "weights" in statistics:
            log_phi = log_phi + statistics["weights"].log()[:, None]
        # φ_jc d_j / N_c as a softmax over the points: of an empty cluster it is finite, and φ_ic = 0 makes it nothing.
        log_sizes = statistics["log sizes"]
        if self.exponent < 1:  # φ^β / N_c grows as a cluster becomes empty, and is to stay a number
            log_sizes = log_sizes.clamp_min(math.log(torch.finfo(log_sizes.dtype).tiny))
        share = (log_phi - log_sizes).exp()
        if self.leak == 0:
            return phi_anchors, share
        if "weights" in statistics:
            u = statistics["weights"][:, None]
        else:
            u = torch.ones_like(share[:, :1]) / statistics["number"]
        leak = torch.full_like(phi_anchors[:, :1], self.leak)
        return torch.cat([(1 - self.leak) * phi_anchors, leak], 1), torch.cat([share, u], 1)

    def _log_phi(self, logits: Tensor) -> Tensor:
        """Logarithms of the memberships ``[n, C]``."""
        scaled = logits if self.softmax_temperature == 1 else logits / self.softmax_temperature
        if scaled.shape[1] > FEW:
            return scaled.log_softmax(dim=1)
        return scaled.mT.contiguous().log_softmax(dim=0).mT

    def _powers(self, log_phi: Tensor) -> Tensor:
        """``log φ^β``, without a copy where β is one: n × C numbers are much of what a large clustering takes."""
        return log_phi if self.exponent == 1 else self.exponent * log_phi

    def _marginals(self, log_phi: Tensor, totals: Totals) -> Tensor | None:
        """``[C]`` the marginals of this call, or None where they are the candidates' own sizes."""
        if self.marginals_name == "uniform":
            return torch.full_like(log_phi[0], 1 / log_phi.shape[1])
        if self.marginals is None:
            return None
        current = mean_of(log_phi.detach().exp(), totals)
        uniform = torch.full_like(current, 1 / len(current))
        marginals = self.marginals.to(current) if self.marginals.numel() else uniform
        if len(marginals) != len(current):
            raise ValueError(f"marginals: got {len(marginals)}, expected {len(current)} (one per cluster)")
        if self.marginals_name == "moving" and self.training:
            marginals = self._moved = marginals.lerp(current, 1 - self.momentum)
        return marginals.clamp_min(torch.finfo(current.dtype).tiny)

    def advance(self) -> None:
        """Keep the marginals that the loss was just evaluated with."""
        if self._moved is not None:
            self.marginals, self._moved = self._moved, None

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        stored = state.get(f"{prefix}marginals")
        if stored is not None and self.marginals_name == "moving":
            self.marginals = torch.empty_like(stored)
        super()._load_from_state_dict(state, prefix, *rest)

    def anchor_factors(self, p: Masses, support: Support, statistics: Statistics) -> Float[Tensor, " n"]:
        phi, start = statistics["log phi"].detach().exp(), support.offset or 0
        return (phi[start : start + support.n] * p.average(phi)).sum(dim=1).detach()

    def score(self, anchors: Float[Tensor, "*batch b r"], candidates: Float[Tensor, "*batch m r"]) -> Scores:
        return floored_log(anchors @ candidates.mT)

    def penalty(self, anchors: Float[Tensor, "n d"], totals: Totals) -> Float[Tensor, " n"] | None:
        entropy_weight = self.entropy_weight - (1 - self.balance)
        if not (self.log_prior or entropy_weight):
            return None
        log_phi = self._log_phi(anchors.to(torch.promote_types(anchors.dtype, torch.float32)))
        value = -self.log_prior * log_phi.sum(dim=1)
        if entropy_weight:
            phi = log_phi.exp()
            value = value + entropy_weight * (phi * floored_log(mean_of(phi, totals))).sum(dim=1)
        return value

    def hyper_parameters(self) -> dict[str, Any]:
        given = self._arguments()
        if self.stationary:
            given["weights"] = "stationary"
        if self.marginals_name is not None:
            given["marginals"] = self.marginals_name
        return given
