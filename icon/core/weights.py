"""What the divergence of each anchor weighs, and what becomes of anchors without a positive."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from icon import _checks as check
from icon.p.rows import Rows, WeightedRows
from icon.q.totals import Totals, Whole


@dataclass(frozen=True, eq=False)
class AnchorWeights:
    """The weights ``[n]`` of the anchors of an evaluation, by the settings of a loss (`icon.Loss`) and of its p.

    The totals are sums over the other parts of the anchors, where the rows are not those of all.
    """

    mean: bool
    on_no_positive: str
    stationary: bool
    leaves_out: bool
    totals: Totals

    def __call__(self, rows: Rows, own: Rows, given: Tensor | None, like: Tensor) -> tuple[Tensor | None, Tensor]:
        """``[n]`` bool, the anchors with a positive (None where all are known to have one), and the weights ``[n]``.

        The rows are those of all parts; of the own ones, which are evaluated here, those without a positive are told.
        """
        n, counted = rows.support.n, None
        if rows.masses.may_be_empty:
            presence = rows.masses.presence()
            known = check.values_matter(presence)
            if not (known and int(torch.count_nonzero(presence)) == n):
                if known and not self.leaves_out and own.n_empty:
                    report_empty(own, self.on_no_positive)
                if presence.device != like.device:
                    presence = rows.to(like.device, like.dtype).masses.presence()
                counted = presence > 0
        weighted = given is not None or isinstance(rows, WeightedRows) or self.stationary
        if counted is None and not weighted and isinstance(self.totals, Whole):
            return None, like.new_full((n,), 1 / n if self.mean else 1.0)
        return counted, self._weights(rows, counted, given, like)

    def _weights(self, rows: Rows, counted: Tensor | None, given: Tensor | None, like: Tensor) -> Tensor:
        """``[n]`` what the divergence of each anchor is multiplied with; 0 for one without a positive."""
        dtype = like.dtype
        if isinstance(rows, WeightedRows):  # whose proportions are numbers of that type, where they may not be
            like = rows.anchor_weights.to(like.device)
        weights = like.new_ones(rows.n) if counted is None else counted.to(like)
        counts_all = counted is not None and self.on_no_positive != "skip" and not self.leaves_out
        counts = like.new_ones(rows.n) if counts_all else weights
        if isinstance(rows, WeightedRows):  # p counts its anchors in another way than it weighs them
            weights, counts = weights * rows.anchor_weights.to(like), counts * rows.counts.to(like)
        elif self.stationary:
            own = marginal(rows, counted, like, self.totals)
            weights, counts = weights * own, counts * own
        if given is not None:
            weights, counts = weights * given.to(like), counts * given.to(like)
        if not self.mean:
            return weights.to(dtype)
        whole = counts.sum()
        whole = self.totals.sum(whole.detach() if whole.requires_grad else whole)
        of_classes = rows if isinstance(rows, WeightedRows) and not self.leaves_out else None
        may_be_none = of_classes is not None or given is not None
        if may_be_none and check.values_matter(whole) and not bool(whole > 0) and rows.n_empty < rows.n:
            if of_classes is not None and not bool(of_classes.counts.any()):
                raise ValueError("class_weights: got 0 for every class among the labels, expected some > 0 for a mean")
            raise ValueError("anchor_weights: got 0 for every anchor with a positive, expected some > 0")
        return (weights / whole.clamp_min(torch.finfo(whole.dtype).tiny)).to(dtype)


def report_empty(rows: Rows, on_no_positive: str) -> None:
    """Tell how many anchors are without a positive, and what becomes of them.

    Raises:
        ValueError: there are to be none.
    """
    report = f"target: got {rows.n_empty} of {rows.n} anchors without a positive"
    if on_no_positive == "raise":
        where = check.some(rows.empty.nonzero().flatten().tolist())
        raise ValueError(f"{report} (rows {where}), expected none with on_no_positive='raise'")
    how = "they are left out of the mean" if on_no_positive == "skip" else "they are counted as 0"
    if rows.n_empty == rows.n:
        how = "the loss is 0"
    check.warn(f"{report}; {how}")


def marginal(rows: Rows, counted: Tensor | None, like: Tensor, totals: Totals) -> Tensor:
    """``[n]`` the weight of each anchor among those of all parts: p's own, or equal for all with a positive."""
    if rows.is_joint:
        return rows.marginal.to(like)
    ones = like.new_ones(rows.n) if counted is None else counted.to(like)
    return ones / totals.sum(ones.sum()).clamp_min(1)
