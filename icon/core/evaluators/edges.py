"""The attractive part of a map: mean scores over the edges of p, and their derivatives from both ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from icon._lazy import sp
from icon.core.evaluators.autograd import derived, once_only
from icon.core.evaluators.nodes import loops_for, shared
from icon.core.evaluators.tables import table_of
from icon.p.masses import Masses
from icon.q.base import Kernel

_CHUNK = 2**22  # edges whose scores are kept at a time, where they are computed by PyTorch


class Links:
    """The pairs with mass of p, each listed at both of its ends; of two sets, the candidates come after the anchors."""

    def __init__(self, masses: Masses, like: Tensor, two_sets: bool = False) -> None:
        real, both = (np.float64, np.complex128) if like.dtype == torch.float64 else (np.float32, np.complex64)
        links = masses.to_scipy().astype(real, copy=False)
        if two_sets:
            indptr = np.concatenate([links.indptr, np.full(masses.m, links.indptr[-1])])
            links = sp.csr_array((links.data, links.indices + masses.n, indptr), shape=(masses.n + masses.m,) * 2)
        links.sort_indices()
        back = sp.csr_array(links.T)
        if not (np.array_equal(links.indptr, back.indptr) and np.array_equal(links.indices, back.indices)):
            joined = sp.csr_array(links.astype(both) + 1j * back)  # whose pairs are those of the two
            joined.sort_indices()
            links = sp.csr_array((joined.data.real.copy(), joined.indices, joined.indptr), shape=joined.shape)
        self.indptr = torch.from_numpy(links.indptr.astype(np.int64))
        self.indices = torch.from_numpy(links.indices).to(like.device)
        #: ``[e]`` the masses ``p_ij``, also where they are 0 and ``p_ji`` is not.
        self.forth = torch.from_numpy(links.data).to(like)
        self._known: tuple[Tensor, Tensor] | None = None

    @property
    def back(self) -> Tensor:
        """``[e]`` the masses ``p_ji``."""
        n = len(self.indptr) - 1
        indptr = self.indptr.numpy().astype(np.int32 if len(self.indices) < 2**31 else np.int64)
        forth = sp.csr_array((self.forth.cpu().numpy(), self.indices.cpu().numpy(), indptr), shape=(n, n))
        return torch.from_numpy(sp.csr_array(forth.T).data).to(self.forth)

    @property
    def guess(self) -> Tensor:
        """``[e]`` the pulls of the last upstream: a loop of training sends a multiple of it at each step."""
        return self.forth if self._known is None else self._known[1]

    def pulls(self, upstream: Float[Tensor, " n"]) -> tuple[Tensor, Tensor]:
        """``[e]`` what each entry pulls with, ``u_i p_ij + u_j p_ji`` but for a factor, and the factor."""
        if self._known is not None:
            known, pulls = self._known
            largest = known.abs().argmax()
            factor = upstream[largest] / known[largest]
            if torch.allclose(known * factor, upstream, rtol=1e-6, atol=0.0):
                return pulls, factor
        self._known = None  # its memory is needed
        pulls = self.back
        for rows, part in _chunks(self):
            pulls[part].mul_(upstream[self.indices[part]]).addcmul_(upstream[rows], self.forth[part])
        self._known = (upstream.clone(), pulls)
        return pulls, upstream.new_ones(())


def mean_scores(z: Float[Tensor, "n 2"], links: Links, q: Kernel) -> Float[Tensor, " n"]:
    """``E_i = sum_j p_ij s_ij`` of the pairs that are listed; differentiable in ``z``."""
    guess = links.guess
    values, forces = _sums(z.detach(), links, q, guess)

    def gradients(upstream: Tensor) -> list[Tensor]:
        pulls, factor = links.pulls(upstream)
        return [(forces if pulls is guess else _sums(z.detach(), links, q, pulls)[1]) * factor]

    return derived(lambda needed: ((values,), gradients), once_only("evaluator", "grid", "autograd"), z)[0]


def _sums(z: Tensor, links: Links, q: Kernel, pulls: Tensor) -> tuple[Tensor, Tensor]:
    """``sum_j p_ij s_ij`` ``[n]`` and ``sum_j pull_ij ∂s_ij/∂z_i`` ``[n, 2]``."""
    loops = loops_for(z)
    name, law = q.law or ("table", None)
    numbers = table_of(q) if law is None else torch.tensor(law, dtype=torch.float64, device="cpu")
    if loops is None or numbers is None:
        return _sums_by_torch(z, links, q, pulls)
    loop = getattr(loops, f"{name}_edges")
    z = z.detach().contiguous()
    values, forces = z.new_empty(len(z)), torch.empty_like(z)
    given = [x.numpy() for x in (links.indptr, links.indices, links.forth, pulls, z)]
    constants = numbers.to(z.dtype).numpy()
    into = values.numpy(), forces.numpy()
    shared(lambda _, start, stop: loop(*given, constants, *into, start, stop), len(z))
    return values, forces


def _sums_by_torch(z: Tensor, links: Links, q: Kernel, pulls: Tensor) -> tuple[Tensor, Tensor]:
    values, forces = z.new_zeros(len(z)), torch.zeros_like(z)
    for rows, part in _chunks(links):
        apart = z[rows] - z[links.indices[part]]
        with torch.enable_grad():
            squared = apart.square().sum(dim=1).detach().requires_grad_()
            scores = q.radial(squared)
            (slopes,) = torch.autograd.grad(scores.sum(), squared)
        values.index_add_(0, rows, links.forth[part] * scores.detach())
        forces.index_add_(0, rows, (2 * pulls[part] * slopes)[:, None] * apart)
    return values, forces


def _chunks(links: Links) -> Iterator[tuple[Tensor, slice]]:
    """The anchors of some entries, and where these are."""
    n, total = len(links.indptr) - 1, len(links.indices)
    step = max(1, _CHUNK * n // max(1, total))
    for start in range(0, n, step):
        ends = links.indptr[start : start + step + 1]
        rows = torch.repeat_interleave(ends.diff()).to(links.indices.device) + start
        yield rows, slice(int(ends[0]), int(ends[-1]))
