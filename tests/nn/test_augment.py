"""Random views: what each step does to an image, and that every image of every view has its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import icon
from icon.nn import RandomViews

OFF: dict[str, float] = {"crop": 1, "flip": 0, "jitter": 0, "grayscale": 0, "noise": 0}
STEPS: list[dict[str, float]] = [{"crop": 0.3}, {"flip": 0.5}, {"jitter": 0.5}, {"grayscale": 0.5}, {"noise": 0.1}]
LUMA = torch.tensor([0.299, 0.587, 0.114])


def images(n: int = 6, c: int = 3, size: int = 8, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(n, c, size, size).to(dtype)


def only(views: int = 1, **step: float) -> RandomViews:
    return RandomViews(views, **(OFF | step))


@pytest.mark.parametrize("c", [1, 3, 4])
def test_the_images_themselves_where_all_is_off(c: int) -> None:
    x = images(c=c)
    assert all(torch.equal(view, x) for view in only(3)(x))


def test_in_eval_mode_a_view_is_the_images() -> None:
    x = images()
    assert all(view is x for view in RandomViews(3, noise=0.1).eval()(x))


@given(
    st.sampled_from([1, 2, 3]), st.integers(1, 9), st.integers(1, 9), st.floats(0.01, 1), st.floats(0, 1),
    st.floats(0, 1), st.floats(0, 2),
)  # fmt: skip
def test_shape_and_range_are_kept(
    c: int, h: int, w: int, crop: float, jitter: float, chance: float, noise: float
) -> None:
    x = torch.rand(4, c, h, w).round(decimals=1)
    views = RandomViews(2, crop=crop, jitter=jitter, grayscale=chance, noise=noise)(x)
    assert len(views) == 2
    for view in views:
        assert view.shape == x.shape
        assert bool(((view >= 0) & (view <= 1)).all())


@pytest.mark.parametrize("step", STEPS, ids=lambda step: next(iter(step)))
def test_every_image_of_every_view_has_its_own(step: dict[str, float]) -> None:
    one = images(1)
    same = one.expand(64, -1, -1, -1)
    rows = torch.cat(only(2, **step)(same)).flatten(1)
    apart = 2 if set(step) & {"flip", "grayscale"} else len(rows)  # either one or the other, or a number of its own
    assert len(rows.unique(dim=0)) == apart
    if apart == 2:
        kept = (rows == one.flatten(1)).all(dim=1)
        assert 0.3 < float(kept.float().mean()) < 0.7
        assert not torch.equal(kept[:64], kept[64:])


@pytest.mark.parametrize("step", STEPS, ids=lambda step: next(iter(step)))
def test_a_seed_repeats_it(step: dict[str, float]) -> None:
    x, views = images(), only(2, **step)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(torch.cat(views(x)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_kind_of_number_is_kept(dtype: torch.dtype) -> None:
    assert {view.dtype for view in RandomViews(noise=0.1)(images(dtype=dtype))} == {dtype}


def test_autocast_plays_no_part() -> None:
    """Under it the crops would be those of a grid in half precision, and the colours of two kinds of numbers."""
    x, found = images(3), []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(torch.cat(RandomViews()(x)))
    assert torch.equal(*found)


def test_on_another_device() -> None:
    assert {view.device.type for view in RandomViews(noise=0.1)(images().to("meta"))} == {"meta"}


@pytest.mark.gpu
def test_on_a_cuda_device() -> None:
    torch.manual_seed(0)
    views = RandomViews(noise=0.1)(images().cuda())
    assert all(view.is_cuda and bool(((view >= 0) & (view <= 1)).all()) for view in views)


def test_a_crop_is_a_part_of_the_image_of_the_stated_size() -> None:
    """Of an image whose two channels are where a pixel is, a view tells where it was cut out."""
    size, n = 64, 500
    place = (torch.arange(size) + 0.5) / size
    x = torch.stack(torch.meshgrid(place, place, indexing="ij")).expand(n, -1, -1, -1)
    (view,) = only(crop=0.25)(x)
    height, width = (view[:, k].amax(dim=(1, 2)) - view[:, k].amin(dim=(1, 2)) for k in (0, 1))
    height, width = (
        side * size / (size - 1) for side in (height, width)
    )  # from the first pixel's middle to the last's
    area = height * width
    assert 0.22 < float(area.min()) < 0.3
    assert 0.95 < float(area.max()) < 1.02
    assert abs(float(area.mean()) - 0.625) < 0.04
    assert float((height / width).log().abs().max()) < 0.3
    assert float((height / width).log().std()) > 0.05
    for k, side in ((0, height), (1, width)):  # anywhere in the image: what is left over is split evenly
        before = view[:, k].amin(dim=(1, 2)) / (1 - side).clamp(min=0.05)
        assert abs(float(before[side < 0.9].mean()) - 0.5) < 0.06


def test_flip() -> None:
    x = images()
    assert torch.equal(only(flip=1)(x)[0], x.flip(-1))
    for c, flipped in ((1, False), (3, True)):  # by default colour images alone
        same = images(1, c).expand(50, -1, -1, -1)
        (view,) = RandomViews(1, crop=1, jitter=0, grayscale=0)(same)
        assert bool((view != same).any()) == flipped


def test_grey_is_as_bright_as_the_colours() -> None:
    x = images()
    (view,) = only(grayscale=1)(x)
    torch.testing.assert_close(view, torch.einsum("nchw,c->nhw", x, LUMA)[:, None].expand_as(x))
    assert torch.equal(only(grayscale=1)(x[:, :1])[0], x[:, :1])


def test_jitter_of_one_channel_is_linear_in_the_pixels() -> None:
    """Without a pixel that leaves the range: ``a x + b``, with its own a and b for each image."""
    x = 0.4 + 0.2 * images(50, 1)
    (view,) = only(jitter=0.3)(x)
    mean, moved = x.mean(dim=(2, 3), keepdim=True), view.mean(dim=(2, 3), keepdim=True)
    brightness = moved / mean
    slope = ((x - mean) * (view - moved)).sum(dim=(2, 3)) / (x - mean).square().sum(dim=(2, 3))
    contrast = slope.flatten() / brightness.flatten()
    torch.testing.assert_close(view, moved + slope[:, :, None, None] * (x - mean))
    for factor in (brightness, contrast):
        assert bool(((factor > 0.699) & (factor < 1.301)).all())
        assert float(factor.std()) > 0.1


def test_saturation_keeps_the_grey() -> None:
    x = 0.45 + 0.1 * images(50)
    (view,) = only(jitter=0.5)(x)
    colour = [(each - torch.einsum("nchw,c->nhw", each, LUMA)[:, None]).flatten(1) for each in (x, view)]
    cosine = torch.nn.functional.cosine_similarity(*colour)
    torch.testing.assert_close(cosine, torch.ones_like(cosine), atol=1e-4, rtol=0)  # more or less of the same colours
    assert float((colour[1].norm(dim=1) / colour[0].norm(dim=1)).std()) > 0.1


def test_noise_has_its_standard_deviation() -> None:
    x = torch.full((50, 1, 8, 8), 0.5)
    assert abs(float(only(noise=0.1)(x)[0].std()) - 0.1) < 0.01


@pytest.mark.slow
def test_it_compiles_and_has_a_gradient() -> None:
    x = images().requires_grad_()
    torch._dynamo.reset()
    views = torch.compile(RandomViews(noise=0.1), fullgraph=True, backend="aot_eager")(x)
    torch.cat(views).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"views": 0}, "views: got 0, expected an integer >= 1"),
        ({"crop": 0}, r"crop: got 0, expected a share of the area in \(0, 1\]"),
        ({"crop": 1.5}, "crop: got 1.5, expected"),
        ({"flip": -0.1}, "flip: got -0.1, expected"),
        ({"jitter": 2}, "jitter: got 2, expected"),
        ({"grayscale": float("nan")}, "grayscale: got nan, expected"),
        ({"noise": -1}, "noise: got -1, expected a finite number >= 0"),
    ],
)
def test_bad_settings(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        RandomViews(**options)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (torch.rand(4, 64), ValueError, r"images: got shape \(4, 64\), expected four dimensions"),
        (torch.rand(0, 1, 8, 8), ValueError, r"images: got shape \(0, 1, 8, 8\), expected four dimensions"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), TypeError, "images: got dtype torch.uint8, expected floating"),
        (torch.full((2, 1, 8, 8), 16.0), ValueError, r"images: got values from 16 to 16, expected values in \[0, 1\]"),
        (torch.full((2, 1, 8, 8), torch.nan), ValueError, "images: got values from nan to nan, expected"),
        ([[1.0]], TypeError, "images: got list, expected a tensor"),
    ],
)
def test_bad_images(given: Any, error: type[Exception], told: str, training: bool) -> None:
    with pytest.raises(error, match=f"^{told}"):
        RandomViews().train(training)(given)


def test_values_are_not_looked_at_without_validation() -> None:
    with icon.set_validation(False):
        (view,) = only()(torch.full((1, 1, 2, 2), 16.0))
    assert bool((view == 1).all())
