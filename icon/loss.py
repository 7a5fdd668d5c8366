"""The one loss: ``L = sum_i w_i KL(p(.|i) ‖ q(.|i))``, with ``KL_i = A_i - sum_j p_ij s_ij - H_i``."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from icon import _checks as check
from icon import blocks
from icon.divergence import Divergence, resolve
from icon.p.base import Distribution, Sets
from icon.q.base import Kernel, shown
from icon.rows import Rows, Support


class Terms(NamedTuple):
    """``kl = cross_entropy - entropy``: scalars, or one per anchor with ``reduction="none"``.

    Where q is no distribution (the rescaled limits ``mean``, ``second-order``, ``max``, ``constant``; ``decoupled``,
    ``debiased``; clusters with marginals or an exponent) the loss is the cross-entropy form and ``kl`` equals
    ``cross_entropy``; the entropy of p is reported beside it.
    """

    kl: Tensor
    cross_entropy: Tensor
    entropy: Tensor


class Loss(nn.Module):
    """``sum_i w_i D(p(.|i) ‖ q(.|i))`` of a supervisory p and a learned q; D is the true KL by default.

    >>> loss = icon.Loss(p=icon.p.Gaussian(perplexity=30), q=icon.q.StudentT(dof=1), normalization="joint")
    >>> loss(z, x)              # scalar; backward() reaches z and every learnable parameter
    >>> rows = loss.p(x)        # prepare p once ...
    >>> loss(z, rows)           # ... and use it at every step

    Args:
        p: supervisory distribution (`icon.p`).
        q: learned distribution (`icon.q`).
        normalization: ``"row"``: every anchor has its own distribution; ``"joint"``: one over all pairs, with
            ``P_ij = (p_j|i + p_i|j) / 2n`` unless p comes with weights of its own (t-SNE).
        divergence: ``"kl"``, ``"reverse-kl"``, ``"js"``, ``"tv"``, ``"hellinger"``, ``"alpha"``, or a `Divergence`.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one value per anchor; two directions one after the other).
        empty: what happens to anchors without a positive: ``"skip"`` leaves them out of the mean (0 under ``"none"``),
            ``"zero"`` counts them as 0, ``"raise"`` refuses. Their number is reported by a warning.
        anchor_weights: ``w_i``: None (equal), ``"stationary"`` (p's marginal: degree / volume of a graph), or ``[n]``.
        block: anchors evaluated at a time; None chooses. The result does not depend on it.
        name: what `repr` calls this loss; None looks the parts up in the table.
        evaluator: how the rows are evaluated (`icon.blocks.Evaluator`).

    Source: Alshammari et al., I-Con, ICLR 2025 (arXiv 2504.16929).
    """

    #: Finds the names in the table for a loss built from parts; set by `icon.registry`, which knows them.
    find_names: ClassVar[Callable[[Loss], str | None]] = staticmethod(lambda loss: None)

    def __init__(
        self,
        p: Distribution,
        q: Kernel,
        *,
        normalization: str = "row",
        divergence: str | Divergence = "kl",
        reduction: str = "mean",
        empty: str = "skip",
        anchor_weights: Any = None,
        block: int | None = None,
        name: str | None = None,
        evaluator: blocks.Evaluator = blocks.evaluate,
    ) -> None:
        super().__init__()
        if not isinstance(p, Distribution):
            raise TypeError(f"p: got {type(p).__name__}, expected a distribution of icon.p")
        if not isinstance(q, Kernel):
            raise TypeError(f"q: got {type(q).__name__}, expected a distribution of icon.q")
        self.p, self.q = p, q
        self.normalization = check.choice(normalization, "normalization", ("row", "joint"))
        self.reduction = check.choice(reduction, "reduction", ("mean", "sum", "none"))
        self.empty = check.choice(empty, "empty", ("skip", "zero", "raise"))
        self.divergence_name = divergence if isinstance(divergence, str) else repr(divergence)
        self.divergence = resolve(divergence)
        self.block = None if block is None else check.count(block, "block")
        self.name, self.evaluator = name, evaluator
        self.stationary_anchors = isinstance(anchor_weights, str)
        if self.stationary_anchors:
            check.choice(anchor_weights, "anchor_weights", ("stationary",))
        given = None if self.stationary_anchors or anchor_weights is None else _anchor_weights(anchor_weights)
        self.anchor_weights: Tensor | None
        self.register_buffer("anchor_weights", given)
        if not q.partition.is_normalizer:
            limit = f"q is a rescaled limit ({type(q.partition).__name__}), expected a normalised q"
            if self.normalization == "joint":
                raise ValueError(f"normalization: got 'joint', but {limit}")
            if self.divergence is not None:
                raise ValueError(f"divergence: got {self.divergence_name}, but {limit}")
        if self.normalization == "joint" and anchor_weights is not None:
            raise ValueError(
                "anchor_weights: got weights with normalization='joint', expected None: p weights its pairs"
            )
        if self.normalization == "joint" and self.reduction == "none":
            raise ValueError(
                "reduction: got 'none' with normalization='joint', expected 'mean' or 'sum': it is one sum"
            )

    # -- use --------------------------------------------------------------------------------------------------------

    def forward(self, input: Any, target: Any = None) -> Tensor:
        """The loss, a scalar (``[n]`` with ``reduction="none"``).

        Args:
            input: embeddings ``[n, d]`` (cluster logits ``[n, C]`` for the clusters row); a pair
                ``(anchors [n, d], candidates [m, d])`` of queries and keys, two modalities, or points and prototypes;
                several aligned views for cross-modal pairs.
            target: what p is made from (see its class), or prepared `Rows`.

        Raises:
            ValueError, TypeError: one line with the argument, what was given and what was expected.
        """
        value = self._combined(input, target, self._loss)
        if self.q.training:
            self.q.advance()
        return value

    def terms(self, input: Any, target: Any = None) -> Terms:
        """KL, cross-entropy and entropy of the same call, whichever divergence the loss uses."""
        kl, cross_entropy, entropy = self._combined(input, target, lambda *d: torch.stack(self._terms(*d))).unbind()
        return Terms(kl, cross_entropy, entropy)

    def memory_estimate(self, n: int, d: int, m: int | None = None) -> int:
        """Bytes that value and gradient take above the input and p, in float32; about right, not a bound.

        Args:
            n, d: anchors and dimensions. m: candidates, where they are another set.
        """
        m = check.count(n, "n") if m is None else check.count(m, "m")
        tile = blocks.block_size(n, m, self.block) * m
        # Buffers that are used again for a product; autograd's copies of every step for other scores.
        tiles = 2 if self.q.is_product else 5
        return 4 * (tiles * tile + 4 * (n + m) * (check.count(d, "d") + 2))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the loss to one file, without pickle; `icon.load` reads it back, equal to the last bit.

        Raises:
            ValueError: the file cannot be written.
            TypeError: a p, q or divergence that is not icon's own.
        """
        from icon.io import save_loss

        save_loss(self, path)

    # -- one direction: anchors against candidates ------------------------------------------------------------------

    def _loss(self, anchors: Tensor, candidates: Tensor, rows: Rows) -> Tensor:
        penalty = self.q.penalty(anchors)
        value = (
            self._terms(anchors, candidates, rows).kl
            if self.divergence is None
            else self._divergence(anchors, candidates, rows)
        )
        return value if penalty is None else value + self._reduce(penalty, self._weights(rows, value))

    def _terms(self, anchors: Tensor, candidates: Tensor, rows: Rows) -> Terms:
        problem = self._problem(anchors, candidates, rows)
        partition, expected = self.evaluator(problem)
        entropy = rows.entropy().to(partition)
        if self.normalization == "joint":
            marginal = rows.anchor_marginal.to(partition)
            cross_entropy = partition.logsumexp(dim=0) - marginal @ expected
            entropy = marginal @ entropy - torch.xlogy(marginal, marginal).sum()
        else:
            weights = problem.weights if problem.weights is not None else self._weights(rows, partition)
            cross_entropy = self._reduce(partition - expected, weights)
            entropy = self._reduce(entropy, weights)
        kl = cross_entropy - entropy if self.q.partition.is_normalizer else cross_entropy
        return Terms(kl, cross_entropy, entropy)

    def _divergence(self, anchors: Tensor, candidates: Tensor, rows: Rows) -> Tensor:
        problem = self._problem(anchors, candidates, rows)
        if self.normalization == "row":
            (terms,) = self.evaluator(replace(problem, divergence=self.divergence))
            return self._reduce(terms, self._weights(rows, terms))
        partition, _ = self.evaluator(problem)
        marginal = rows.anchor_marginal.to(partition)
        joint = replace(
            problem.rows,
            edges=problem.rows.edges.scaled(marginal),
            uniform=None if problem.rows.uniform is None else problem.rows.uniform * marginal,
            _cache={},
        )
        pairs = replace(problem, rows=joint, divergence=self.divergence, normalizer=partition.logsumexp(dim=0))
        (terms,) = self.evaluator(pairs)
        return terms.sum()

    def _problem(self, anchors: Tensor, candidates: Tensor, rows: Rows) -> blocks.Problem:
        if anchors.device.type == "cpu":
            needed = self.memory_estimate(len(anchors), anchors.shape[1], len(candidates))
            what = f"a loss of {len(anchors)} x {len(candidates)} points"
            check.refuse_if_too_large(needed, what, "give block= a smaller number, or use minibatches")
        a, c = self.q(anchors, candidates, rows.anchor_marginal if self.q.needs_marginal else None)
        weights = None
        if self.normalization == "row" and self.reduction != "none":
            weights = self._weights(rows, a)
        return blocks.Problem(self.q, rows.to(a.device, a.dtype), a, c, weights, block=self.block)

    def _weights(self, rows: Rows, like: Tensor) -> Tensor:
        """``[n]`` the weight of each anchor in the reduced loss; under ``"none"`` 0 or 1."""
        counted = (~rows.empty).to(like)
        if self.reduction == "none":
            return counted
        every = torch.ones_like(counted)
        if self.stationary_anchors:
            every = rows.anchor_marginal.to(like)
        elif self.anchor_weights is not None:
            if len(self.anchor_weights) != rows.n:
                raise ValueError(f"anchor_weights: got {len(self.anchor_weights)}, expected {rows.n} (one per anchor)")
            every = self.anchor_weights.to(like)
        weights = every * counted
        if self.reduction == "sum":
            return weights
        whole = weights.sum() if self.empty == "skip" else every.sum()
        if not bool(whole > 0):
            raise ValueError("anchor_weights: got 0 for every anchor with a positive, expected some > 0")
        return weights / whole

    def _reduce(self, values: Tensor, weights: Tensor) -> Tensor:
        return values * weights if self.reduction == "none" else values @ weights

    # -- the input ----------------------------------------------------------------------------------------------------

    def _combined(self, input: Any, target: Any, evaluate: Callable[[Tensor, Tensor, Rows], Tensor]) -> Tensor:
        """Average over p's directions (one, or a→b and b→a, or all pairs of views)."""
        views = self._views(input)
        parts = []
        # Autocast would round the scores to half precision, whose partition is to be summed in float32.
        with torch.autocast(views[0].device.type, enabled=False):
            for i, j in self.p.directions(len(views)):
                given = self.p.direction_target(target, i, j, len(views))
                rows = self._rows(views[i], views[j], given, len(views) > 1)
                parts.append(evaluate(views[i], views[j], rows))
        return torch.cat(parts, dim=-1) if self.reduction == "none" else torch.stack(parts).mean(dim=0)

    def _views(self, input: Any) -> list[Tensor]:
        if not isinstance(input, (tuple, list)):
            return [check.matrix(input, "input")]
        views = [check.matrix(view, f"input[{k}]") for k, view in enumerate(input)]
        if len(views) < 2:
            raise ValueError(f"input: got {len(views)} views, expected a tensor or at least two")
        if len({view.shape[1] for view in views}) > 1:
            shapes = ", ".join(str(tuple(view.shape)) for view in views)
            raise ValueError(f"input: got shapes {shapes}, expected the same number of columns")
        dtype = views[0].dtype
        for view in views[1:]:
            dtype = torch.promote_types(dtype, view.dtype)
        return [view.to(dtype) for view in views]

    def _rows(self, anchors: Tensor, candidates: Tensor, target: Any, paired: bool) -> Rows:
        n, m = len(anchors), len(candidates)
        if m < 2:
            raise ValueError(f"input: got {m} {'candidate' if paired else 'point'}, expected at least two")
        rows = self.p(target, Sets(n, m, paired))
        if self.normalization == "joint" and rows.marginal is None and not paired:
            rows = rows.symmetrized
        exclude_self = rows.support.exclude_self and not self.q.needs_self
        rows = rows.on(Support(n, m, exclude_self))
        if rows.n_empty:
            self._report_empty(rows)
        return rows

    def _report_empty(self, rows: Rows) -> None:
        found = f"target: got {rows.n_empty} of {rows.n} anchors without a positive"
        if rows.n_empty == rows.n:
            raise ValueError(f"{found}, expected at least one anchor with a positive")
        if self.empty == "raise":
            where = check.some(rows.empty.nonzero().flatten().tolist())
            raise ValueError(f"{found} (rows {where}), expected none with empty='raise'")
        how = "left out of the mean" if self.empty == "skip" else "counted as 0"
        warnings.warn(f"{found}; they are {how}", stacklevel=_depth_of_caller())

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def row(self) -> str | None:
        """Row of the table."""
        return self.q.row

    @property
    def column(self) -> str | None:
        """Column of the table."""
        return self.p.column

    def hyper_parameters(self) -> dict[str, Any]:
        """What differs from the defaults, p and q apart, as constructor arguments."""
        given = {
            "normalization": (self.normalization, "row"),
            "divergence": (self.divergence_name, "kl"),
            "reduction": (self.reduction, "mean"),
            "empty": (self.empty, "skip"),
            "block": (self.block, None),
        }
        changed: dict[str, Any] = {name: value for name, (value, default) in given.items() if value != default}
        if self.stationary_anchors:
            changed["anchor_weights"] = "stationary"
        elif self.anchor_weights is not None:
            changed["anchor_weights"] = self.anchor_weights.tolist()
        return changed

    def __repr__(self) -> str:
        name = self.name or type(self).find_names(self) or "unnamed"
        extra = "".join(f", {key}={shown(value)}" for key, value in self.hyper_parameters().items())
        return f"Loss({name}: {self.row or 'custom'} x {self.column or 'custom'}, p={self.p!r}, q={self.q!r}{extra})"


def _depth_of_caller() -> int:
    """How many frames above this one's caller the user's code is, past those of this module and of torch."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("icon", "torch"):
        depth, frame = depth + 1, frame.f_back
    return depth


def _anchor_weights(given: Any) -> Tensor:
    weights = check.as_tensor(given, "anchor_weights").detach().clone()
    if weights.ndim != 1 or not bool((torch.isfinite(weights) & (weights >= 0)).all()) or not bool(weights.sum() > 0):
        raise ValueError(
            f"anchor_weights: got shape {tuple(weights.shape)}, expected finite numbers >= 0 (n,), some > 0"
        )
    return weights if weights.is_floating_point() else weights.double()
