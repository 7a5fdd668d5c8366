"""The search for the bandwidth at which a Gaussian has a given perplexity: an effective number of neighbours."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def precision_of(scores: Tensor, log_perplexity: float, competing: int) -> Tensor:
    """``[b, 1]`` precisions β with entropy of softmax(β s) equal to the logarithm of the perplexity.

    The entropy H falls as log β grows: bisection on log β, with Newton steps ``dH/dlogβ = -β² Var(s)`` where they
    stay inside the bracket. At the largest perplexity β → 0 and p is uniform; where ties keep the entropy above the
    target (more duplicates than the perplexity), β ends at its upper bound.
    """
    candidates = scores > -math.inf
    gap = torch.where(candidates, scores.amax(dim=1, keepdim=True) - scores, 0.0)
    typical = gap.sum(dim=1, keepdim=True) / competing
    typical = torch.where(typical > 0, typical, 1.0)
    gap = (gap / typical).masked_fill(~candidates, math.inf)
    finite_gap = gap.masked_fill(~candidates, 0.0)
    position = scores.new_zeros(len(scores), 1)
    low, high = position - 40.0, position + 40.0
    # Among points that are very far, the near ones differ by a small share of what is typical.
    least = torch.where(finite_gap > 0, finite_gap, math.inf).amin(dim=1, keepdim=True)
    high = torch.where(least < 1e-6, high - least.log(), high)
    best, best_error = position, torch.full_like(position, math.inf)
    for _ in range(100):
        precision = position.exp()
        mass = (gap * -precision).exp_()
        total = mass.sum(dim=1, keepdim=True)
        mass.div_(total)
        mean = (mass * finite_gap).sum(dim=1, keepdim=True)
        error = total.log() + precision * mean - log_perplexity
        # Once a point is as good as rounding allows, the bracket next to it only misleads: keep the best one seen.
        better = error.abs() < best_error
        best, best_error = torch.where(better, position, best), torch.where(better, error.abs(), best_error)
        if bool((best_error < 1e-14).all()):
            break
        too_wide = error > 0
        low, high = torch.where(too_wide, position, low), torch.where(too_wide, high, position)
        variance = (mass.mul_(finite_gap) * finite_gap).sum(dim=1, keepdim=True) - mean**2
        newton = position + error / (precision**2 * variance).clamp_min(torch.finfo(scores.dtype).tiny)
        inside = (newton > low) & (newton < high)
        moved = torch.where(inside, newton, (low + high) / 2)
        if bool(((moved == position) | (best_error < 1e-14)).all()):
            break
        position = moved
    return best.exp() / typical
