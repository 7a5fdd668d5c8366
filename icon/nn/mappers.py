"""Mappers: the function from a point to its embedding (or to its cluster logits) whose parameters are learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Integer, Real
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from icon import _checks as check
from icon._scales import centred_in_unit
from icon.neighbors import exact_neighbors

NAMES = ("lookup", "linear", "mlp")
MAX_FEATURES = 128  # principal directions that the heads of `icon.Clustering` see
EXACT_DIRECTIONS = 1024  # points or features up to which principal directions are exact


class Lookup(nn.Module):
    """One free row per point: ``forward(indices [b]) -> [b, d]``.

    Given the features it stands for, it also places points that it has not seen, ``forward(x [b, f]) -> [b, d]``: the
    mean of the rows of the nearest known points, weighted by one over the distance. That is an interpolation and no
    optimisation; a known point comes back as its own row.

    Args:
        n: number of points.
        d: dimensions of a row.
        start: ``[n, d]`` the first values; None draws small normal numbers.
        features: ``[n, f]`` features of the points, for the placement of new ones.
        n_neighbors: how many known points place a new one.

    Raises:
        ValueError: a start or features of another shape; in a call, numbers of no row.
        TypeError: ones that are no numbers; in a call, flags or bytes in place of indices.
    """

    features: Tensor | None

    def __init__(self, n: int, d: int, *, start: Any = None, features: Any = None, n_neighbors: int = 5) -> None:
        super().__init__()
        check.count(n, "n")
        check.count(d, "d")
        start = 1e-4 * torch.randn(n, d) if start is None else check.matrix(start, "start", finite=False)
        if start.shape != (n, d):
            raise ValueError(f"start: got shape {tuple(start.shape)}, expected {(n, d)}")
        if features is not None:
            features = _as_it_is(features, "features")
            check.as_many(len(features), n, "features", "row", "point")
        self.weight = nn.Parameter(start.detach().clone())
        self.register_buffer("features", features, persistent=False)
        self.n_neighbors = min(check.count(n_neighbors, "n_neighbors"), n)

    def forward(self, x: Float[Tensor, "b f"] | Integer[Tensor, " b"]) -> Float[Tensor, "b d"]:
        if x.is_floating_point():
            return self._placed(x)
        if x.dtype not in (torch.int64, torch.int32):  # of bytes and flags, torch would make a mask
            raise TypeError(f"x: got dtype {x.dtype}, expected indices (int64 or int32), or features")
        if x.is_cpu and check.values_matter(x):  # another device would be waited for
            check.integers(x.flatten(), "x", x.numel(), below=len(self.weight))
        return self.weight[x]

    def _placed(self, x: Tensor) -> Tensor:
        if self.features is None:
            raise ValueError("x: got features, expected indices: this lookup knows no features of its points")
        x = x.to(torch.promote_types(x.dtype, self.features.dtype))
        # Distances by differences: that of a known point to itself is exactly zero.
        index, squares = exact_neighbors(x, self.features, self.n_neighbors)
        near, same = squares.sqrt(), squares == 0
        weight = torch.where(same.any(dim=1, keepdim=True), same.to(near.dtype), 1 / near)
        # Nearest first as a scale: one over the distance may overflow or vanish.
        weight = weight / weight.amax(dim=1, keepdim=True)
        weight = (weight / weight.sum(dim=1, keepdim=True)).to(self.weight.dtype)
        return (weight[:, :, None] * self.weight[index]).sum(dim=1)


class Rescale(nn.Module):
    """``(x - mean) / rms``: one mean per feature and one number for all, so that units and offsets do not matter.

    The proportions of the features stay as they are; a constant feature becomes 0.

    Args:
        x: ``[n, f]`` the features that give the mean and the root mean square about it.

    Raises:
        ValueError, TypeError: features that are no finite matrix.
    """

    mean: Tensor
    rms: Tensor
    result: Tensor  # without entries: what the module computes has its dtype

    def __init__(self, x: Any) -> None:
        super().__init__()
        centred, mean, unit = centred_in_unit(check.matrix(x, "x"))
        rms = centred.square().mean().sqrt()
        self.register_buffer("mean", mean)
        self.register_buffer("rms", unit * torch.where(rms > 0, rms, torch.ones_like(rms)))
        self.register_buffer("result", torch.empty(0, dtype=torch.float32), persistent=False)

    def forward(self, x: Real[Tensor, "b f"]) -> Float[Tensor, "b f"]:
        return ((x.to(self.mean) - self.mean) / self.rms).to(self.result.dtype)


class Principal(nn.Module):
    """``(x - mean) V / rms``: the features in their leading principal directions, and in one unit.

    Args:
        x: ``[n, f]`` the features that give the mean, the directions and the root mean square.
        dims: at most this many directions.

    Raises:
        ValueError, TypeError: features that are no finite matrix, or no direction.
    """

    mean: Tensor
    rms: Tensor
    basis: Tensor

    def __init__(self, x: Any, dims: int) -> None:
        super().__init__()
        centred, mean, unit = centred_in_unit(check.matrix(x, "x"))
        basis = _directions(centred.float(), min(check.count(dims, "dims"), centred.shape[1]))
        rms = (centred.float() @ basis).square().mean().sqrt()
        self.register_buffer("mean", mean)
        self.register_buffer("rms", unit * torch.where(rms > 0, rms, torch.ones_like(rms)))
        self.register_buffer("basis", basis)

    def forward(self, x: Real[Tensor, "b f"]) -> Float[Tensor, "b d"]:
        return ((x.to(self.mean) - self.mean) / self.rms).to(self.basis.dtype) @ self.basis


def _directions(centred: Tensor, dims: int) -> Tensor:
    """``[f, dims]`` the leading principal directions, the longest first; columns of zeros where there are no more.

    O(n f min(n, f)): of fewer points than features their products are decomposed, and not those of the features. Many
    of both are decomposed at random, O(n f dims), with a seed of its own (Halko, Martinsson & Tropp 2011).
    """
    n, width = centred.shape
    if min(n, width) > max(EXACT_DIRECTIONS, 4 * dims):
        rows = randomized_svd(centred.detach().cpu().numpy(), dims, random_state=0)[2]
        return torch.from_numpy(rows.T.copy()).to(centred)
    if width <= n:
        vectors: Tensor = torch.linalg.eigh(centred.mT @ centred).eigenvectors
        return vectors.flip(1)[:, :dims]
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:dims].mT
    return torch.nn.functional.pad(directions, (0, dims - directions.shape[1]))


def _as_it_is(x: Any, name: str) -> Tensor:
    """Features that have to be a matrix, without a copy: integers stay as they are."""
    tensor = check.as_tensor(x, name)
    check.matrix(tensor.to("meta"), name, finite=False)  # its shape and dtype alone
    return tensor


def as_seen(mapper: nn.Module, x: Tensor) -> Tensor:
    """Features in the precision that a mapper takes: the named ones centre them in their own, others have a dtype."""
    first = mapper
    while isinstance(first, nn.Sequential) and len(first):
        first = first[0]
    if isinstance(first, (Rescale, Principal, Lookup, nn.Embedding)):
        return x  # the last two take row numbers
    return x.to(next((p.dtype for p in mapper.parameters() if p.is_floating_point()), torch.float32))


class Linear(nn.Module):
    """``x W + b``: ``[b, d_in] -> [b, d_out]``.

    Args:
        d_in: width of the input.
        d_out: width of the output.
        orthonormal: keep the columns of W orthonormal (and b away): the projections over which PCA is a minimum.

    Raises:
        ValueError: orthonormal, and d_out above d_in.
        TypeError: orthonormal is neither True nor False.
    """

    def __init__(self, d_in: int, d_out: int, *, orthonormal: bool = False) -> None:
        super().__init__()
        self.orthonormal = check.flag(orthonormal, "orthonormal")
        if orthonormal and d_out > d_in:
            raise ValueError(f"d_out: got {d_out}, expected at most d_in = {d_in} with orthonormal=True")
        self.map = nn.Linear(check.count(d_in, "d_in"), check.count(d_out, "d_out"), bias=not orthonormal)

    def forward(self, x: Float[Tensor, "b f"]) -> Float[Tensor, "b d"]:
        if not self.orthonormal:
            return self.map(x)  # type: ignore[no-any-return]
        basis: Tensor = torch.linalg.qr(self.map.weight.mT).Q
        return x @ basis


class MLP(nn.Sequential):
    """Linear layers with ReLU between: ``[b, d_in] -> [b, d_out]``.

    >>> import icon, torch
    >>> icon.nn.MLP(64, 2)(torch.randn(5, 64)).shape
    torch.Size([5, 2])

    Args:
        d_in: width of the input.
        d_out: width of the output.
        hidden: widths of the hidden layers.
    """

    def __init__(self, d_in: int, d_out: int, hidden: int | Sequence[int] = (256,)) -> None:
        inner = tuple(hidden) if isinstance(hidden, Iterable) else (hidden,)
        widths = [check.count(d_in, "d_in"), *(check.count(h, "hidden") for h in inner), check.count(d_out, "d_out")]
        layers: list[nn.Module] = []
        for wide_in, wide_out in pairwise(widths):
            layers += [nn.Linear(wide_in, wide_out), nn.ReLU()]
        super().__init__(*layers[:-1])


class CNN(nn.Sequential):
    """A small convolutional network for images: ``[b, channels, h, w] -> [b, d_out]``, any h and w from 4 on.

    For rows of pixels: ``nn.Sequential(nn.Unflatten(1, (1, 8, 8)), CNN(1, 10))``.

    Args:
        channels: of the images.
        d_out: width of the output.
        width: channels of the first layer; the second has twice as many.
    """

    def __init__(self, channels: int, d_out: int, width: int = 32) -> None:
        check.count(channels, "channels")
        check.count(width, "width")
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * width, check.count(d_out, "d_out")),
        )


class Prototypes(nn.Module):
    """A learned point per class: ``forward(z [b, d]) -> (z, prototypes [C, d])``, what data-label pairs take.

    Args:
        n_classes: C, how many.
        d: width of the embedding.
    """

    def __init__(self, n_classes: int, d: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(check.count(n_classes, "n_classes"), check.count(d, "d")) / d**0.5)

    def forward(self, z: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "c d"]]:
        return z, self.weight


def build(
    mapper: str | nn.Module,
    x: Any,
    d_out: int,
    *,
    hidden: int | Sequence[int] = (256,),
    start: Any = None,
    orthonormal: bool = False,
    max_features: int | None = None,
    first: nn.Module | None = None,
) -> nn.Module:
    """The mapper of a name, for features ``x [n, f]``; a module passes through.

    ``"linear"`` and ``"mlp"`` see the features through `Rescale`; a module of the user's own sees them as they are.

    Args:
        mapper: ``"lookup"``, ``"linear"``, ``"mlp"`` or a module ``[b, f] -> [b, d_out]``.
        x: ``[n, f]`` features, which the named ones are made for.
        d_out: width of the output.
        hidden: widths of the hidden layers of the MLP.
        start: ``[n, d_out]`` first values of the lookup.
        orthonormal: whether the columns of the linear map are kept so.
        max_features: where x has more columns, the named ones see this many principal directions instead (`Principal`).
        first: how linear maps and networks see the features, where it is not by `Rescale` or `Principal`.

    Raises:
        ValueError: an unknown name, or features that are no matrix.
        TypeError: neither a name nor a module.
    """
    if isinstance(mapper, nn.Module):
        return mapper
    if not isinstance(mapper, str):
        raise TypeError(f"mapper: got {type(mapper).__name__}, expected {', '.join(map(repr, NAMES))} or an nn.Module")
    check.choice(mapper, "mapper", NAMES)
    x = _as_it_is(x, "x")
    n, width = x.shape
    if mapper == "lookup":
        return Lookup(n, d_out, start=start, features=x)
    if first is None and max_features is not None and width > max_features:
        first, width = Principal(x, max_features), max_features
    first = Rescale(x) if first is None else first
    head = Linear(width, d_out, orthonormal=orthonormal) if mapper == "linear" else MLP(width, d_out, hidden)
    dtype = next(head.parameters()).dtype
    return nn.Sequential(first if dtype is torch.float32 else first.to(dtype), head)
