"""Random views of small images, drawn for a whole batch at once."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from icon import _checks as check
from icon._precision import without_autocast

_WIDEST = math.log(4 / 3)  # of a crop's sides, the logarithm of their ratio
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, in the grey that looks as bright (ITU-R BT.601)


class RandomViews(nn.Module):
    """Views of images ``[n, c, h, w]`` in [0, 1]: each image of each view has a crop, a flip and colours of its own.

    >>> import icon, torch
    >>> views = icon.nn.RandomViews()
    >>> view_a, view_b = views(torch.rand(8, 3, 32, 32))
    >>> view_a.shape
    torch.Size([8, 3, 32, 32])

    A view is cropped, resized to ``h x w`` and flipped; then come brightness, contrast, saturation, grey and noise, and
    what has left [0, 1] is put back on its end. The random numbers are those of the images' device, after
    `torch.manual_seed`. In `eval` mode each view is the images as they are.

    Args:
        views: how many, >= 1.
        crop: the least share of the area that a crop keeps, in (0, 1]; 1 does not crop. The sides of a crop are in a
            ratio of 3:4 to 4:3.
        flip: the probability of left and right being swapped, in [0, 1]; None is 0.5 for three channels and otherwise
            0, since digits and letters have a left and a right.
        jitter: in [0, 1]; brightness, contrast and, of three channels, saturation are each multiplied by a number
            between ``1 - jitter`` and ``1 + jitter``.
        grayscale: the probability of an image of three channels losing its colours, in [0, 1].
        noise: the standard deviation of normal noise on each pixel, >= 0.

    Raises:
        ValueError, TypeError: numbers out of their range, and later images of another shape, kind or range.

    Source: Chen et al. 2020 (SimCLR, arXiv 2002.05709), appendix A, without hue and blur.
    """

    def __init__(
        self,
        views: int = 2,
        *,
        crop: float = 0.3,
        flip: float | None = None,
        jitter: float = 0.4,
        grayscale: float = 0.2,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.views = check.count(views, "views")
        self.crop = check.fraction(crop, "crop")
        if self.crop == 0:
            raise ValueError("crop: got 0, expected a share of the area in (0, 1]")
        self.flip = None if flip is None else check.fraction(flip, "flip")
        self.jitter = check.fraction(jitter, "jitter")
        self.grayscale = check.fraction(grayscale, "grayscale")
        self.noise = check.number(noise, "noise", least=0)

    def forward(self, images: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n c h w"], ...]:
        if torch._C._is_any_autocast_enabled():
            with without_autocast(images):
                return self.forward(images)
        _check_images(images)
        if not self.training:
            return (images,) * self.views
        exact = images.dtype in (torch.float32, torch.float64)  # half precision has too few coordinates for a grid
        x = (images if exact else images.float()).repeat(self.views, 1, 1, 1)
        x = self._coloured(self._flipped(self._cropped(x)))
        if self.noise:
            x = x + self.noise * torch.randn_like(x)
        return x.clamp(0, 1).to(images.dtype).chunk(self.views)

    def _cropped(self, x: Tensor) -> Tensor:
        if self.crop == 1:
            return x
        area = _between(x, self.crop, 1.0)
        widest = (-area.log()).clamp(max=_WIDEST)  # no side of a crop is longer than the image's
        ratio = (_between(x, -1.0, 1.0) * widest).exp()
        sides = torch.cat([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1)
        middle = (1 - sides) * _between(x, -1.0, 1.0, 2)
        theta = torch.cat([torch.diag_embed(sides), middle[:, :, None]], dim=2)
        grid = affine_grid(theta, list(x.shape), align_corners=False)
        return grid_sample(x, grid, padding_mode="border", align_corners=False)

    def _flipped(self, x: Tensor) -> Tensor:
        chance = self.flip if self.flip is not None else 0.5 if x.shape[1] == 3 else 0.0
        return torch.where(_happens(x, chance), x.flip(-1), x) if chance else x

    def _coloured(self, x: Tensor) -> Tensor:
        in_colour = x.shape[1] == 3
        if self.jitter:
            brightness, contrast, saturation = (
                _between(x, 1 - self.jitter, 1 + self.jitter)[:, :, None, None] for _ in range(3)
            )
            x = (x * brightness).clamp(0, 1)
            x = (_grey(x).mean(dim=(2, 3), keepdim=True).lerp(x, contrast)).clamp(0, 1)
            x = _grey(x).lerp(x, saturation).clamp(0, 1) if in_colour else x
        if self.grayscale and in_colour:
            x = torch.where(_happens(x, self.grayscale), _grey(x), x)
        return x

    def extra_repr(self) -> str:
        return (
            f"{self.views}, crop={self.crop}, flip={self.flip}, jitter={self.jitter}, grayscale={self.grayscale}, "
            f"noise={self.noise}"
        )


def _between(x: Tensor, low: float, high: float, columns: int = 1) -> Tensor:
    """``[n, columns]`` uniform numbers for each image."""
    return torch.rand(len(x), columns, device=x.device, dtype=x.dtype) * (high - low) + low


def _happens(x: Tensor, chance: float) -> Tensor:
    return torch.rand(len(x), 1, 1, 1, device=x.device) < chance


def _grey(x: Tensor) -> Tensor:
    """``[n, 1, h, w]``: as bright as the colours are; the mean of channels that are no colours."""
    if x.shape[1] == 3:
        return torch.einsum("nchw,c->nhw", x, x.new_tensor(_LUMA))[:, None]
    return x.mean(dim=1, keepdim=True)


def _check_images(images: Tensor) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(f"images: got {type(images).__name__}, expected a tensor [n, c, h, w]")
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            f"images: got shape {tuple(images.shape)}, expected four dimensions (n, c, h, w), none of them 0"
        )
    if not images.is_floating_point():
        raise TypeError(f"images: got dtype {images.dtype}, expected floating-point numbers in [0, 1], as images / 255")
    if check.values_matter(images):
        low, high = (float(end) for end in torch.aminmax(images.detach()))
        if not (low >= 0 and high <= 1):
            raise ValueError(f"images: got values from {low:g} to {high:g}, expected values in [0, 1]")
