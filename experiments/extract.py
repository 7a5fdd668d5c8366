"""``python -m experiments.extract FOLDER --backbone NAME``: features of a folder of images, for the experiments."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from torch import Tensor, nn

from experiments.datasets import Array
from icon import _checks as check
from icon.estimators.base import on_device

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
FORMS = "timm:MODEL or module:FILE.py:FUNCTION"
INSTALL = "pip install '.[images]'"
OUT = Path("features.npz")


@dataclass(frozen=True)
class Backbone:
    """A module from images ``[b, 3, size, size]`` to features ``[b, d]``, the mean and the deviation of their colours,
    and the side of the central square that they are, as a share of the shorter side of the image."""

    module: nn.Module
    size: int = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    crop: float = 0.875


def load_backbone(name: str, size: int | None = None, random_weights: bool = False) -> Backbone:
    """The backbone of a name in one of `FORMS`, for images of that side, by default the backbone's own."""
    kind, _, rest = name.partition(":")
    if kind == "timm" and rest:
        return _timm(rest, size, random_weights)
    if kind != "module" or not rest:
        raise ValueError(f"backbone: got {name!r}, expected {FORMS}")
    if random_weights:
        raise ValueError("random-weights: got it with a module of your own, whose weights are what it makes them")
    file, _, function = rest.rpartition(":")
    if not Path(file).is_file():
        raise ValueError(f"backbone: got module:{file}, expected module:FILE.py:FUNCTION with a file that exists")
    make = runpy.run_path(file).get(function)
    if not callable(make):
        raise ValueError(f"backbone: got no function {function!r} in {file}, expected one that returns the module")
    module = make()
    if not isinstance(module, nn.Module):
        raise ValueError(f"backbone: got {type(module).__name__} from {function}(), expected a torch.nn.Module")
    return Backbone(module, size or Backbone.size)


def _timm(model: str, size: int | None, random_weights: bool) -> Backbone:
    options: dict[str, Any] = {"pretrained": not random_weights, "num_classes": 0}
    try:
        import timm

        try:
            module = timm.create_model(model, **options, **({} if size is None else {"img_size": size}))
        except TypeError:  # only vision transformers take the size
            module = timm.create_model(model, **options)
    except ImportError:
        raise ValueError(f"backbone: got timm:{model}, expected timm to be installed ({INSTALL})") from None
    except Exception as error:  # an unknown name, no network, no space: timm and its hub raise what they like
        raise ValueError(f"backbone: got timm:{model}, expected a model that can be loaded ({_first(error)})") from None
    known = module.pretrained_cfg
    side, crop = size or int(known["input_size"][-1]), known.get("crop_pct") or Backbone.crop
    return Backbone(module, side, tuple(known["mean"]), tuple(known["std"]), float(crop))


def image_files(folder: Path) -> list[Path]:
    """All images under a folder, sorted by path."""
    if not folder.is_dir():
        raise ValueError(f"images: got {folder}, expected a folder that exists")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(f"images: got {folder} without an image, expected {' '.join(SUFFIXES)}")
    return found


def labels_of(folder: Path, files: list[Path]) -> tuple[Array, list[str]]:
    """``[n]`` the number of each image's sub-folder, and the names of these; -1 of images in the folder itself."""
    parents = [path.relative_to(folder).parts[0] if path.parent != folder else None for path in files]
    numbers, names = pd.factorize(np.array(parents, dtype=object), sort=True)
    return numbers.astype(np.int64), list(names)


def read_image(path: Path, backbone: Backbone) -> Tensor:
    """``[3, size, size]`` the central square of an image, resized and normalised as the backbone expects it."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ValueError(f"images: got {path}, expected pillow to be installed ({INSTALL})") from None
    try:
        with Image.open(path) as image:
            colours = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"images: got {path}, expected an image that can be read ({_first(error)})") from None
    bleed = (1 - min(backbone.crop, 1.0)) / 2  # what is cut off on each side
    square = ImageOps.fit(colours, (backbone.size, backbone.size), Image.Resampling.BICUBIC, bleed)
    pixels = torch.from_numpy(np.asarray(square, dtype=np.float32) / 255).permute(2, 0, 1)
    mean, std = (torch.tensor(values)[:, None, None] for values in (backbone.mean, backbone.std))
    return (pixels - mean) / std


def batches(backbone: Backbone, files: list[Path], batch: int = 64, device: str = "auto") -> Iterator[Array]:
    """float16 features ``[b, d]``, in the order of the files, so many at a time."""
    check.count(batch, "batch")
    chosen = on_device(np.zeros(1), device).device
    module = backbone.module.to(chosen).eval()
    for start in range(0, len(files), batch):
        images = torch.stack([read_image(path, backbone) for path in files[start : start + batch]])
        with torch.inference_mode():
            features: Any = module(images.to(chosen))
        if (shape := tuple(getattr(features, "shape", ())))[:1] != (len(images),) or len(shape) != 2:
            raise ValueError(f"backbone: got {shape} for {len(images)} images, expected features ({len(images)}, d)")
        if not bool(torch.isfinite(half := features.half()).all()):
            raise ValueError("backbone: got features that are not finite in float16, expected smaller ones")
        yield half.cpu().numpy()


def write_rows(path: Path, n: int, parts: Iterator[Array]) -> Array:
    """Write n rows to an .npy file as they come, and return them as they lie on disk."""
    draft, first = path.with_name(path.name + ".draft"), next(parts)
    found = np.lib.format.open_memmap(draft, "w+", first.dtype, (n, first.shape[1]))
    found[: len(first)], start = first, len(first)
    for part in parts:
        found[start : start + len(part)] = part
        start += len(part)
    found.flush()
    draft.replace(path)
    return found


def main(
    images: Annotated[Path, typer.Argument(help="Folder of images; its sub-folders are the classes.")],
    backbone: Annotated[str, typer.Option(help=f"{FORMS}.")],
    out: Annotated[Path, typer.Option(help="An .npz file; .npy takes the features alone, of any number.")] = OUT,
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    size: Annotated[int | None, typer.Option(min=1, help="Side of the images, else the backbone's.")] = None,
    random_weights: Annotated[bool, typer.Option("--random-weights", help="No download: a trial of the path.")] = False,
) -> None:
    """Features (float16), labels from the names of the sub-folders, and file names of a folder of images.

    Example: python -m experiments.extract photos --backbone timm:vit_small_patch14_dinov2.lvd142m --size 224
    """
    try:
        if out.suffix.lower() not in (".npz", ".npy"):
            raise ValueError(f"out: got {out}, expected a file name that ends in .npz or .npy")
        files = image_files(images)
        labels, classes = labels_of(images, files)
        rows = batches(load_backbone(backbone, size, random_weights), files, batch, device)
        out.parent.mkdir(parents=True, exist_ok=True)
        if large := out.suffix.lower() == ".npy":
            features = write_rows(out, len(files), rows)
        else:
            features = np.concatenate(list(rows))
            names = np.array([path.relative_to(images).as_posix() for path in files])
            np.savez(out, features=features, labels=labels, classes=np.array(classes), files=names)
    except (ValueError, TypeError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{len(features)} images, {features.shape[1]} features, {len(classes)} classes: {out}")
    if classes:
        beside = out.with_suffix(".labels.npy")  # what --labels of the experiments reads
        np.save(beside, labels)
        given = f"{out}" if large else f"{out} --key features"
        typer.echo(f"next: python -m experiments comparison --features {given} --labels {beside}")


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    typer.run(main)
