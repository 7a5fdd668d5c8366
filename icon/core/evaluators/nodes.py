"""Points on a regular grid: charges onto its nodes, sums of a kernel over them, and fields back to the points."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from icon.core.evaluators.autograd import derived, once_only

ORDER = 6  # nodes that a point gives to in each dimension
_MARGIN = 4  # free nodes at each side: what a spline took from a field is put back by a filter of some width
_PAIRS_OF_A_THREAD = 2**22  # that take longer than to start one
_ROUNDED = 16  # sizes that are multiples, so that a map that grows slowly keeps its kernel


@cache
def compiled() -> ModuleType | None:
    """The compiled loops, where numba is installed and finds a place to keep them."""
    try:
        from icon.core.evaluators import compiled as loops
    except (ImportError, RuntimeError):
        return None
    return loops


def loops_for(x: Tensor) -> ModuleType | None:
    """The compiled loops, where they take such a tensor."""
    return compiled() if x.is_cpu and x.dtype in (torch.float32, torch.float64) else None


def shared(work: Callable[[int, int, int], None], n: int, least: int = 2**12) -> None:
    """Let threads share n points, as many as torch is set to: ``work(thread, start, stop)``."""
    threads = max(1, min(torch.get_num_threads(), n // least))
    cuts = [n * k // threads for k in range(threads + 1)]
    others = [threading.Thread(target=work, args=(k, cuts[k], cuts[k + 1])) for k in range(1, threads)]
    for thread in others:
        thread.start()
    work(0, cuts[0], cuts[1])
    for thread in others:
        thread.join()


class Nodes:
    """The nodes about points ``[n, 2]``, as far apart as ``spacing``; fields are made of B-splines of degree five.

    Sums ``sum_k c_k K(z_i - z_k)`` are those of the particle-mesh method: charges are spread over the nodes, convolved
    with the kernel by FFT, divided by the spectrum of the splines, and read at the points, with the exact derivative.

    Source: Essmann et al. 1995 (smooth particle mesh Ewald); Linderman et al. 2019 (FFTs in t-SNE).
    """

    def __init__(self, z: Float[Tensor, "n 2"], spacing: float) -> None:
        self.spacing = spacing
        low = z.amin(dim=0) - _MARGIN * spacing
        self.shape = shape_of(z, spacing)
        # In double precision where that is cheap: a map that is still small is a difference of large numbers.
        self.dtype = torch.float64 if self.size <= 2**18 else torch.float32
        self.z, self.low = z.to(self.dtype).contiguous(), low.to(self.dtype)

    @property
    def size(self) -> int:
        """Numbers of a field."""
        return self.shape[0] * self.shape[1]

    @property
    def half(self) -> tuple[int, int]:
        """Of a field, the rows and columns that points can reach."""
        return (self.shape[0] + 1) // 2, (self.shape[1] + 1) // 2

    def spectrum(self, kernel: Callable[[Tensor], Tensor]) -> Tensor:
        """What a field of charges is multiplied with, of a kernel of the squared distance."""
        x, y = (_distances(count, self.spacing, self.z.device) for count in self.shape)
        values = kernel(x.square()[:, None] + y.square())
        splines = _spline(self.shape[0], self.z.device)[:, None] * _spline(self.shape[1], self.z.device)
        spectrum = torch.fft.rfft2(values) / splines[:, : self.shape[1] // 2 + 1]
        real: Tensor = spectrum.real  # of an even function
        return real.to(self.dtype)

    def sums(self, charges: Float[Tensor, " n"], spectrum: Tensor) -> Float[Tensor, "n 3"]:
        """``sum_k c_k K(z_i - z_k)`` of each point, the point itself among them, and its gradient."""
        rows, columns = self.shape
        # The other half of a field is empty before, and of no interest after.
        field = torch.fft.rfft(self._spread(charges.to(self.dtype).contiguous()), n=columns, dim=1)
        field = torch.fft.ifft(torch.fft.fft(field, n=rows, dim=0).mul_(spectrum), dim=0)
        return self._gather(torch.fft.irfft(field[: self.half[0]], n=columns, dim=1))

    def _spread(self, charges: Tensor) -> Tensor:
        loops = loops_for(self.z)
        if loops is None:
            return self._spread_by_torch(charges)
        z, low = self.z.numpy(), self.low.numpy()
        inverse = z.dtype.type(1 / self.spacing)
        own: dict[int, np.ndarray[Any, Any]] = {}

        def spread(thread: int, start: int, stop: int) -> None:
            own[thread] = np.zeros(self.half, z.dtype)
            loops.spread(z, low, inverse, charges.numpy(), own[thread], start, stop)

        shared(spread, len(z))
        first, *others = (own[thread] for thread in sorted(own))
        return torch.from_numpy(sum(others, first))

    def _gather(self, field: Tensor) -> Tensor:
        loops = loops_for(self.z)
        if loops is None:
            return self._gather_by_torch(field)
        z, low, sums = self.z.numpy(), self.low.numpy(), self.z.new_empty(len(self.z), 3)
        inverse = z.dtype.type(1 / self.spacing)
        shared(
            lambda k, start, stop: loops.gather(z, low, inverse, field.numpy(), sums.numpy(), start, stop),
            len(z),
        )
        return sums

    # -- the same without numba, and on other devices -----------------------------------------------------------------

    def _places(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each point its nodes ``[n, 36]``, and what it gives to those of each axis, ``[n, 2, 6]``, with slopes."""
        scaled = (self.z - self.low) / self.spacing
        base = scaled.floor()
        weights, slopes = spline_weights(scaled - base)
        steps = torch.arange(ORDER, device=self.z.device)
        nodes = base.long()[:, :, None] + steps
        return (nodes[:, 0, :, None] * self.half[1] + nodes[:, 1, None, :]).flatten(1), weights, slopes

    def _spread_by_torch(self, charges: Tensor) -> Tensor:
        places, weights, _ = self._places()
        shares = weights[:, 0, :, None] * weights[:, 1, None, :] * charges[:, None, None]
        field = charges.new_zeros(self.half).view(-1).index_add_(0, places.flatten(), shares.flatten())
        return field.view(self.half)

    def _gather_by_torch(self, field: Tensor) -> Tensor:
        places, weights, slopes = self._places()
        nodes = field[:, : self.half[1]].flatten()[places].view(-1, ORDER, ORDER)
        lines, sloping = (torch.einsum("nij,nj->ni", nodes, w[:, 1]) for w in (weights, slopes))
        along = [(weights[:, 0] * lines).sum(1), (slopes[:, 0] * lines).sum(1), (weights[:, 0] * sloping).sum(1)]
        return torch.stack([along[0], along[1] / self.spacing, along[2] / self.spacing], dim=1)


class Pairs:
    """The same sums of the Cauchy kernel ``b / (b + c r²)`` by the pair, which is faster where points are few."""

    dtype = torch.float64
    spacing = 0.0

    def __init__(self, z: Float[Tensor, "n 2"], law: tuple[float, float]) -> None:
        self.z, self.law, self.shape = z.double(), np.asarray(law), (len(z), len(z))

    @staticmethod
    def law_of(form: tuple[str, tuple[float, ...]] | None, z: Tensor) -> tuple[float, float] | None:
        """b and c of a score whose kernel is of that form, where there is a compiled loop; else None."""
        if form is None or form[0] != "power" or form[1][0] != 1.0 or loops_for(z) is None:
            return None
        return form[1][1], form[1][2]

    def spectrum(self, kernel: Callable[[Tensor], Tensor]) -> Tensor:
        return self.z.new_empty(0)

    def sums(self, charges: Float[Tensor, " n"], spectrum: Tensor) -> Float[Tensor, "n 3"]:
        loops, sums = loops_for(self.z), self.z.new_empty(len(self.z), 3)
        x, y = (self.z[:, k].contiguous().numpy() for k in range(2))
        own = charges.double().contiguous().numpy()
        assert loops is not None
        loop = partial(loops.cauchy_pairs, x, y, own, self.law, sums.numpy())
        shared(lambda _, start, stop: loop(start, stop), len(self.z), least=max(1, _PAIRS_OF_A_THREAD // len(self.z)))
        return sums


def field_sums(
    z: Float[Tensor, "n 2"],
    nodes: Nodes | Pairs,
    spectrum: Tensor,
    charges: Float[Tensor, " n"],
    moves: bool = True,
) -> Float[Tensor, " n"]:
    """``φ_i = sum_k q_k K(z_i - z_k)`` of the points of the nodes, the point itself among them.

    A charge q is 0 or 1, that of the last point 1. The derivative by ``z`` is ``c_i ∇φ(z_i) + q_i ∇φ_c(z_i)``, with
    what is sent back as the charges c of the last. ``moves`` tells whether a gradient of the points with charges is
    wanted.
    """
    sums = nodes.sums(charges, spectrum)

    def gradients(upstream: Tensor) -> list[Tensor]:
        own = upstream[:, None] * sums[:, 1:]
        if torch.allclose(upstream, upstream[-1] * charges.to(upstream), rtol=1e-5, atol=0.0):
            own = 2 * own
        elif moves:
            own = own + charges[:, None] * nodes.sums(upstream, spectrum)[:, 1:]
        return [own.to(z.dtype)]

    return derived(lambda needed: ((sums[:, 0].clone(),), gradients), once_only("evaluator", "grid", "autograd"), z)[0]


def squared_distances(a: Float[Tensor, "n 2"], b: Float[Tensor, "m 2"]) -> Float[Tensor, "n m"]:
    return (a[:, None, 0] - b[:, 0]).square() + (a[:, None, 1] - b[:, 1]).square()


def shape_of(z: Float[Tensor, "n 2"], spacing: float) -> tuple[int, int]:
    """Nodes in each dimension, twice as many as points need, so that no sum goes around."""
    from scipy.fft import next_fast_len

    extents = (z.amax(dim=0) - z.amin(dim=0)).tolist()
    sizes = [int(extent / spacing) + ORDER + 1 + 2 * _MARGIN for extent in extents]
    rounded = [-(-size // _ROUNDED) * _ROUNDED for size in sizes]
    first, second = (next_fast_len(2 * size, real=True) for size in rounded)
    return int(first), int(second)


def spline_weights(u: Float[Tensor, "*k"]) -> tuple[Float[Tensor, "*k 6"], Float[Tensor, "*k 6"]]:
    """The quintic B-spline at ``u`` in [0, 1) from the first of six nodes, and its derivative."""
    weights = [1 - u, u]
    for p in range(3, ORDER + 1):
        before = weights
        left = [torch.zeros_like(u), *before]  # of node k - 1
        right = [*before, torch.zeros_like(u)]
        slopes = [a - b for a, b in zip(left, right, strict=True)]
        weights = [((u + p - 1 - k) * left[k] + (1 - u + k) * right[k]) / (p - 1) for k in range(p)]
    return torch.stack(weights, dim=-1), torch.stack(slopes, dim=-1)


def _distances(count: int, spacing: float, device: torch.device) -> Tensor:
    """From the first node, around."""
    steps = torch.arange(count, dtype=torch.float64, device=device)
    return torch.minimum(steps, count - steps) * spacing


def _spline(count: int, device: torch.device) -> Tensor:
    """The squared spectrum of the splines ``[count]``: points are spread and read by one each."""
    angle = 2 * torch.pi * torch.arange(count, dtype=torch.float64, device=device) / count
    return ((66 + 52 * angle.cos() + 2 * (2 * angle).cos()) / 120).square()
