"""Extraction: a tiny backbone of random weights on a few generated images, and the mistakes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner, Result

from experiments.datasets import from_files
from experiments.extract import Backbone, batches, image_files, labels_of, load_backbone, main, read_image

Image = pytest.importorskip("PIL.Image")

OWN = """
from torch import nn, manual_seed

def make_backbone():
    manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 5), nn.Dropout(0.5))

def broken():
    return nn.AdaptiveAvgPool2d(4)

def huge():
    class Huge(nn.Module):
        def forward(self, x):
            return x.flatten(1) * 1e9
    return Huge()

def no_module():
    return 3

number = 3
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes, three images of different sizes and modes each; a file that is no image."""
    random = np.random.default_rng(0)
    folder = tmp_path / "images"
    for name, level in (("cat", 0), ("dog", 128)):
        (folder / name).mkdir(parents=True)
        for i, (height, width) in enumerate(((20, 30), (33, 24), (16, 16))):
            pixels = (level + random.integers(0, 100, (height, width, 3))).astype(np.uint8)
            picture = Image.fromarray(pixels)
            (picture.convert("L") if i == 2 else picture).save(folder / name / f"{i}.png")
    (folder / "cat" / "notes.txt").write_text("no image", encoding="utf-8")
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return folder


def _command(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, list(arguments))


def test_features_of_many_images_are_written_as_they_come(images: Path) -> None:
    arguments = (str(images), "--backbone", _own(images), "--batch", "4", "--size", "32", "--out")
    for name in ("few.npz", "many.npy"):
        done = _command(*arguments, str(images.parent / name))
        assert done.exit_code == 0, done.output
    assert "--features" in done.output
    assert "--key" not in done.output
    with np.load(images.parent / "few.npz") as few:
        assert np.array_equal(np.load(images.parent / "many.npy"), few["features"])
    assert np.load(images.parent / "many.labels.npy").tolist() == [0, 0, 0, 1, 1, 1]
    assert sorted(path.name for path in images.parent.glob("many*")) == ["many.labels.npy", "many.npy"]


def _own(images: Path, function: str = "make_backbone") -> str:
    return f"module:{images.parent / 'own.py'}:{function}"


def test_the_command_and_what_the_experiments_read(images: Path) -> None:
    out = images.parent / "made" / "features.npz"
    done = _command(str(images), "--backbone", _own(images), "--out", str(out), "--batch", "4", "--size", "32")
    assert done.exit_code == 0, done.output
    assert "6 images, 5 features, 2 classes" in done.output
    assert "python -m experiments comparison --features" in done.output
    with np.load(out, allow_pickle=False) as arrays:
        assert arrays["features"].dtype == np.float16
        assert arrays["features"].shape == (6, 5)
        assert arrays["labels"].tolist() == [0, 0, 0, 1, 1, 1]
        assert arrays["classes"].tolist() == ["cat", "dog"]
        assert arrays["files"].tolist() == [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    dataset = from_files([str(out)], str(out.with_suffix(".labels.npy")), "features")
    assert (dataset.n, dataset.classes) == (6, 2)


def test_features_do_not_depend_on_the_batch(images: Path) -> None:
    backbone = load_backbone(_own(images), size=32)
    files = image_files(images)
    whole, single = (np.concatenate(list(batches(backbone, files, *few))) for few in ((), (1, "cpu")))
    np.testing.assert_allclose(whole.astype(float), single.astype(float), atol=1e-3)
    assert not backbone.module.training


def test_images_are_cropped_resized_and_normalised(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = (255, 128, 0)  # the central square
    Image.fromarray(pixels).save(tmp_path / "a.png")
    backbone = Backbone(nn.Identity(), 8, (0.5, 0.5, 0.0), (0.5, 0.25, 1.0), crop=1.0)
    read = read_image(tmp_path / "a.png", backbone)
    assert read.shape == (3, 8, 8)
    for channel, expected in zip(read, (1.0, (128 / 255 - 0.5) / 0.25, 0.0), strict=True):
        torch.testing.assert_close(channel[:, 1:-1], torch.full((8, 6), expected))  # bicubic blurs the edges


def test_images_without_classes(images: Path) -> None:
    folder = images / "cat"
    assert labels_of(folder, image_files(folder))[0].tolist() == [-1, -1, -1]
    out = images.parent / "flat.npz"
    done = _command(str(folder), "--backbone", _own(images), "--out", str(out), "--size", "16")
    assert done.exit_code == 0, done.output
    assert "next:" not in done.output
    assert not out.with_suffix(".labels.npy").exists()


def test_a_broken_image_is_named(images: Path) -> None:
    whole = (images / "dog" / "0.png").read_bytes()
    (images / "dog" / "3.png").write_bytes(whole[: len(whole) // 2])
    out = images.parent / "features.npz"
    done = _command(str(images), "--backbone", _own(images), "--out", str(out), "--size", "16")
    assert done.exit_code == 2
    assert f"images: got {images / 'dog' / '3.png'}, expected an image that can be read" in done.output
    assert not out.exists()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("missing", "got no function 'missing'"),
        ("number", "got no function 'number'"),
        ("no_module", "got int from no_module()"),
        ("broken", "expected features (6, d)"),
        ("huge", "not finite in float16"),
    ],
)
def test_backbones_that_cannot_be_used(images: Path, function: str, message: str) -> None:
    done = _command(str(images), "--backbone", _own(images, function), "--out", str(images.parent / "f.npz"))
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backbone", "resnet50"], "expected timm:MODEL"),
        (["--backbone", "hub:dinov2_vits14"], "expected timm:MODEL or"),
        (["--backbone", "module:none.py:make"], "expected module:FILE.py:FUNCTION with a file that exists"),
        (["--backbone", "timm:x", "--out", "features.txt"], "expected a file name that ends in .npz or .npy"),
        (["--backbone", "timm:x", "--random-weights"], "expected timm to be installed"),
    ],
)
def test_mistakes(arguments: list[str], message: str, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # as if it were not installed
    done = _command(str(images), *arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_missing_folders_and_pillow(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="expected a folder that exists"):
        image_files(images / "none")
    (images / "empty").mkdir()
    with pytest.raises(ValueError, match="without an image"):
        image_files(images / "empty")
    with pytest.raises(ValueError, match="random-weights"):
        load_backbone(_own(images), random_weights=True)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ValueError, match="expected pillow to be installed"):
        read_image(images / "cat" / "0.png", Backbone(nn.Identity()))


class _Timm:
    """What is asked of timm, which needs torchvision and is not among the development tools."""

    asked: ClassVar[list[dict[str, Any]]] = []

    @classmethod
    def create_model(cls, name: str, **options: Any) -> nn.Module:
        cls.asked.append(options)
        if "img_size" in options and name == "resnet":
            raise TypeError("unexpected keyword argument 'img_size'")
        module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        module.pretrained_cfg = {"input_size": (3, 224, 224), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
        return module


@pytest.mark.parametrize(("name", "size", "side"), [("vit", None, 224), ("vit", 32, 32), ("resnet", 32, 32)])
def test_timm_names_its_own_size_and_normalisation(
    name: str, size: int | None, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", _Timm)
    backbone = load_backbone(f"timm:{name}", size=size, random_weights=True)
    assert (backbone.size, backbone.mean, backbone.std) == (side, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert _Timm.asked[-1]["pretrained"] is False
    assert backbone.module(torch.zeros(2, 3, side, side)).shape == (2, 3)
