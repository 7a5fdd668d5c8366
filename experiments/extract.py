"""``python -m experiments.extract FOLDER --backbone NAME``: features of a folder of images, for the experiments."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import torch
import typer
from rich.console import Console
from rich.markup import escape
from torch import Tensor, nn

from experiments.datasets import Array
from icon import _checks as check
from icon.estimators.base import on_device

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIZE, CROP = 224, 0.875
INSTALL = "pip install '.[images]'"


@dataclass(frozen=True)
class Backbone:
    """A module from images ``[b, 3, size, size]`` to features ``[b, d]``, and what its images look like.

    Args:
        crop: the side of the central square, as a share of the shorter side of the image.
    """

    module: nn.Module
    size: int = SIZE
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    crop: float = CROP


# -- backbones --------------------------------------------------------------------------------------------------------


def load_backbone(name: str, size: int | None = None, random_weights: bool = False) -> Backbone:
    """The backbone of a name.

    Args:
        name: ``timm:MODEL``, ``hub:OWNER/REPOSITORY:MODEL`` (torch.hub, which runs the code of that repository), or
            ``module:FILE.py:FUNCTION``, where the function takes nothing and returns the module.
        size: side of the images; None is the backbone's own.
        random_weights: no download of weights; the features mean nothing.

    Raises:
        ValueError: a name of another form, a package that is not installed, or no such model.
    """
    kind, _, rest = name.partition(":")
    if not rest or kind not in ("timm", "hub", "module"):
        raise ValueError(
            f"backbone: got {name!r}, expected timm:MODEL, hub:OWNER/REPOSITORY:MODEL or module:FILE.py:FUNCTION"
        )
    if kind == "timm":
        found = _timm(rest, size, random_weights)
    elif kind == "hub":
        found = Backbone(_hub(rest, random_weights), size or SIZE)
    else:
        if random_weights:
            raise ValueError("random-weights: got it with a module of your own, whose weights are what it makes them")
        found = Backbone(_own(rest), size or SIZE)
    found.module.eval()
    return found


def _timm(model: str, size: int | None, random_weights: bool) -> Backbone:
    try:
        import timm
    except ImportError:
        raise ValueError(f"backbone: got timm:{model}, expected timm to be installed ({INSTALL})") from None
    options: dict[str, Any] = {"pretrained": not random_weights, "num_classes": 0}
    try:
        try:
            module = timm.create_model(model, **options, **({} if size is None else {"img_size": size}))
        except TypeError:  # only vision transformers want to know the size
            module = timm.create_model(model, **options)
    except Exception as error:  # an unknown name, no network, no space: timm and its hub raise what they like
        raise ValueError(f"backbone: got timm:{model}, expected a model that can be loaded ({_first(error)})") from None
    known = module.pretrained_cfg
    return Backbone(
        module,
        size or int(known["input_size"][-1]),
        tuple(known["mean"]),
        tuple(known["std"]),
        float(known.get("crop_pct") or CROP),
    )


def _hub(name: str, random_weights: bool) -> nn.Module:
    repository, _, model = name.rpartition(":")
    if not repository:
        raise ValueError(f"backbone: got hub:{name}, expected hub:OWNER/REPOSITORY:MODEL")
    try:
        module: nn.Module = torch.hub.load(repository, model, pretrained=not random_weights, trust_repo=True)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise ValueError(f"backbone: got hub:{name}, expected a model that can be loaded ({_first(error)})") from None
    return module


def _own(name: str) -> nn.Module:
    file, _, function = name.rpartition(":")
    if not file or not Path(file).is_file():
        raise ValueError(f"backbone: got module:{name}, expected module:FILE.py:FUNCTION with a file that exists")
    make = runpy.run_path(file).get(function)
    if not callable(make):
        raise ValueError(f"backbone: got no function {function!r} in {file}, expected one that returns the module")
    module = make()
    if not isinstance(module, nn.Module):
        raise ValueError(f"backbone: got {type(module).__name__} from {function}(), expected a torch.nn.Module")
    return module


# -- images -----------------------------------------------------------------------------------------------------------


def image_files(folder: Path) -> list[Path]:
    """All images under a folder, sorted by path.

    Raises:
        ValueError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise ValueError(f"images: got {folder}, expected a folder that exists")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(f"images: got {folder} without an image, expected {' '.join(SUFFIXES)}")
    return found


def labels_of(folder: Path, files: list[Path]) -> tuple[Array, list[str]]:
    """``[n]`` the number of each image's sub-folder, and the names of these; -1 of images in the folder itself."""
    parents = [path.relative_to(folder).parts[0] if path.parent != folder else None for path in files]
    names = sorted({name for name in parents if name is not None})
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([-1 if name is None else numbers[name] for name in parents], dtype=np.int64), names


def read_image(path: Path, backbone: Backbone) -> Tensor:
    """``[3, size, size]`` the central square of an image, resized and normalised as the backbone wants it.

    Raises:
        ValueError: a file that is no image, or a broken one; pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ValueError(f"images: got {path}, expected pillow to be installed ({INSTALL})") from None
    try:
        with Image.open(path) as image:
            colours = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"images: got {path}, expected an image that can be read ({_first(error)})") from None
    width, height = colours.size
    side = min(width, height) * min(backbone.crop, 1.0)
    box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    square = colours.resize((backbone.size, backbone.size), Image.Resampling.BICUBIC, box=box)
    pixels = torch.from_numpy(np.asarray(square, dtype=np.float32) / 255).permute(2, 0, 1)
    mean, std = (torch.tensor(values)[:, None, None] for values in (backbone.mean, backbone.std))
    return (pixels - mean) / std


# -- features ---------------------------------------------------------------------------------------------------------


def extract(backbone: Backbone, files: list[Path], batch: int = 64, device: str = "auto") -> Array:
    """``[n, d]`` float16 features, in the order of the files.

    Raises:
        ValueError: a broken image, or a module that does not give finite features ``[b, d]``.
    """
    check.count(batch, "batch")
    chosen = on_device(np.zeros(1), device).device
    module = backbone.module.to(chosen)
    with torch.inference_mode():
        parts = [
            _checked(module(images.to(chosen)), len(images)).cpu().numpy()
            for images in _batches(files, backbone, batch)
        ]
    return np.concatenate(parts)


def _batches(files: list[Path], backbone: Backbone, batch: int) -> Iterator[Tensor]:
    for start in range(0, len(files), batch):
        yield torch.stack([read_image(path, backbone) for path in files[start : start + batch]])


def _checked(features: Any, rows: int) -> Tensor:
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != rows:
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"backbone: got {shape} for {rows} images, expected features ({rows}, d)")
    half = features.half()
    if not bool(torch.isfinite(half).all()):
        raise ValueError("backbone: got features that are not finite in float16, expected smaller ones")
    return half


def save(out: Path, features: Array, labels: Array, classes: list[str], files: list[str]) -> list[Path]:
    """Write the features, and beside them the labels alone, which is what ``--labels`` of the experiments reads."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        np.savez(file, features=features, labels=labels, classes=np.array(classes), files=np.array(files))
    if not classes:
        return [out]
    beside = out.with_suffix(".labels.npy")
    np.save(beside, labels)
    return [out, beside]


def main(
    images: Annotated[Path, typer.Argument(help="Folder of images; its sub-folders are the classes.")],
    backbone: Annotated[str, typer.Option(help="timm:MODEL, hub:OWNER/REPOSITORY:MODEL or module:FILE.py:FUNCTION.")],
    out: Annotated[Path, typer.Option(help="An .npz file.")] = Path("features.npz"),
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    size: Annotated[Optional[int], typer.Option(min=1, help="Side of the images, else the backbone's.")] = None,  # noqa: UP045
    random_weights: Annotated[bool, typer.Option("--random-weights", help="No download: a trial of the path.")] = False,
) -> None:
    """Features (float16), labels from the names of the sub-folders, and file names of a folder of images.

    Example: python -m experiments.extract photos --backbone timm:vit_small_patch14_dinov2.lvd142m --size 224
    """
    console = Console()
    try:
        if out.suffix.lower() != ".npz":
            raise ValueError(f"out: got {out}, expected a file name that ends in .npz")
        files = image_files(images)
        labels, classes = labels_of(images, files)
        features = extract(load_backbone(backbone, size, random_weights), files, batch, device)
        written = save(out, features, labels, classes, [path.relative_to(images).as_posix() for path in files])
    except (ValueError, TypeError, OSError) as error:
        Console(stderr=True).print(f"[red]error[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    text = (
        f"{len(features)} images, {features.shape[1]} features, {len(classes)} classes: {', '.join(map(str, written))}"
    )
    console.print(escape(text), highlight=False, soft_wrap=True)
    if classes:
        text = f"next: python -m experiments comparison --features {out} --key features --labels {written[-1]}"
        console.print(escape(text), highlight=False, soft_wrap=True)


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    typer.run(main)
