"""The clusters row: two points are neighbours as far as they share clusters."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from icon import _checks as check
from icon.q.base import Kernel
from icon.q.partitions import AlreadyNormalized
from icon.q.scores import ScaledLog


class Clusters(Kernel):
    """``q_ij = sum_c φ_ic φ_jc d_j / N_c`` with ``N_c = sum_k φ_kc d_k`` over the candidates, self included.

    The input is cluster logits ``[n, C]``; ``φ = softmax(logits)``. Rows sum to one. An empty cluster contributes 0.

    Args:
        leak: λ in [0, 1]: ``q̃ = λ u + (1-λ) q`` with u uniform (or proportional to the weights).
        weights: None (``d_j = 1``), ``"stationary"`` (p's own marginal: a graph's degrees), or a tensor ``[m]``.
        log_prior: strength λ >= 0 of a Dirichlet prior on the memberships: adds ``-λ mean_i sum_c log φ_ic``.

    Source: I-Con (arXiv 2504.16929); Yang & Oja 2012 (DCD) for the same two-step walk.
    """

    row: ClassVar[str] = "clusters"
    fresh_scores: ClassVar[bool] = True
    needs_self: ClassVar[bool] = True

    def __init__(self, leak: float = 0.0, weights: Any = None, log_prior: float = 0.0) -> None:
        super().__init__(AlreadyNormalized())
        self.leak = check.fraction(leak, "leak")
        self.log_prior = check.number(log_prior, "log_prior", least=0)
        self.stationary = isinstance(weights, str)
        if self.stationary:
            check.choice(weights, "weights", ("stationary",))
            weights = None
        self.weights: Tensor | None
        self.register_buffer(
            "weights", None if weights is None else check.as_tensor(weights, "weights").detach().clone()
        )
        if self.weights is not None:
            finite = self.weights.ndim == 1 and bool((torch.isfinite(self.weights) & (self.weights >= 0)).all())
            if not finite or not bool(self.weights.sum() > 0):
                found = f"shape {tuple(self.weights.shape)} with negative, infinite or only zero entries"
                raise ValueError(f"weights: got {found}, expected finite numbers >= 0 (m,), some > 0")

    def prepare(self, anchors: Tensor, candidates: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        if anchors.shape[1] > len(candidates):
            raise ValueError(f"input: got {anchors.shape[1]} clusters for {len(candidates)} points, expected no more")
        log_phi = candidates.log_softmax(dim=1)
        phi_anchors = anchors.softmax(dim=1)
        d = weights if self.stationary else self.weights
        if d is not None:
            if len(d) != len(log_phi):
                raise ValueError(f"weights: got {len(d)}, expected {len(log_phi)} (one per candidate)")
            d = d.to(log_phi)[:, None]
            log_phi = log_phi + d.log()
        # φ_jc d_j / N_c as a softmax over the points: of an empty cluster it is finite, and φ_ic = 0 makes it nothing.
        share = log_phi.softmax(dim=0)
        if self.leak == 0:
            return phi_anchors, share
        u = torch.full_like(share[:, :1], 1 / len(share)) if d is None else d / d.sum()
        leak = torch.full_like(phi_anchors[:, :1], self.leak)
        return torch.cat([(1 - self.leak) * phi_anchors, leak], 1), torch.cat([share, u], 1)

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return ScaledLog.apply(anchors @ candidates.mT, 1.0)  # type: ignore[no-any-return, no-untyped-call]

    def penalty(self, anchors: Tensor) -> Tensor | None:
        return -self.log_prior * anchors.log_softmax(dim=1).sum(dim=1) if self.log_prior else None

    @property
    def needs_marginal(self) -> bool:
        return self.stationary

    def hyper_parameters(self) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if self.leak:
            given["leak"] = self.leak
        if self.stationary or self.weights is not None:
            given["weights"] = "stationary" if self.stationary else self.weights.tolist()  # type: ignore[union-attr]
        if self.log_prior:
            given["log_prior"] = self.log_prior
        return given
