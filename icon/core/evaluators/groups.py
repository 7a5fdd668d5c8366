"""The attractive part of a map whose p has large groups, such as classes: sums of scores within each, on a grid."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from icon.core.evaluators.nodes import Nodes, field_sums, squared_distances
from icon.p.masses import Masses
from icon.q.base import Kernel

_PAIRS = 2**22  # pairs whose scores are kept at a time, where a group has fewer pairs than its grid would have nodes


class Groups:
    """The members of each group of a p that has a `Masses.grouping`, and the mass of each pair in it."""

    def __init__(self, masses: Masses) -> None:
        assert masses.grouping is not None
        number, self.each = masses.grouping
        order = torch.argsort(number, stable=True)
        self.members = torch.split(order, torch.unique(number, return_counts=True)[1].tolist())
        self.places = torch.argsort(order)
        self._spectra: dict[int, tuple[Any, Tensor]] = {}

    def mean_scores(self, z: Float[Tensor, "n 2"], q: Kernel, spacing: float) -> Float[Tensor, " n"]:
        """``E_i = sum_j p_ij s_ij``; differentiable in ``z``."""
        sums = torch.cat([self._sums(k, z[members], q, spacing) for k, members in enumerate(self.members)])
        return self.each.to(z) * (sums[self.places].to(z) - q.radial(z.new_zeros(())))

    def _sums(self, k: int, z: Tensor, q: Kernel, spacing: float) -> Tensor:
        nodes = Nodes(z.detach(), spacing)
        if len(z) ** 2 <= nodes.size:
            parts = torch.split(torch.arange(len(z), device=z.device), max(1, _PAIRS // len(z)))
            return torch.cat([checkpoint(_by_pairs, z, rows, q, use_reentrant=False) for rows in parts])
        key = q.law or repr(q), nodes.shape, nodes.spacing, nodes.dtype, z.device
        if k not in self._spectra or self._spectra[k][0] != key:
            self._spectra[k] = key, nodes.spectrum(q.radial)
        return field_sums(z, nodes, self._spectra[k][1], torch.ones_like(z[:, 0]))


def _by_pairs(z: Tensor, rows: Tensor, q: Kernel) -> Tensor:
    return q.radial(squared_distances(z[rows], z)).sum(dim=1)
