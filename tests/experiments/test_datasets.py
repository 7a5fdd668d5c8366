"""The loader: the digits, files of a data folder, a user's own files, subsets, and one clear error for each mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import datasets
from experiments.datasets import SOURCES, Dataset, from_files, load

RNG = np.random.default_rng(0)


def _write(folder: Path, name: str) -> None:
    """A file with the arrays of the named data set, of twelve points."""
    n, y = 12, np.arange(12) % 3 + 1
    arrays: dict[str, np.ndarray] = {"y": y}
    if name == "cifar10-images":
        arrays["X"] = RNG.integers(0, 256, size=(n, 5, 4, 3)).astype(np.uint8)
    elif name in ("fashion-mnist", "fashion-mnist-10k", "usps", "coil20"):
        pixels = RNG.integers(0, 256, size=(n, 5, 4))
        arrays["X"] = pixels.astype(np.uint8) if name.startswith("fashion-mnist") else pixels / 255.0 * 2 - 1
        arrays["is_train"] = np.arange(n) < 6
    elif name in ("mfeat", "scene15"):
        arrays |= {f"X{v}": RNG.normal(size=(n, v + 2)) for v in range(6 if name == "mfeat" else 3)}
    elif name in ("cora", "citeseer"):
        arrays["y"] = np.where(y == 1, -1, y)
        arrays |= {"feat_data": np.ones(2), "feat_indices": np.array([1, 0])}
        arrays |= {"feat_indptr": np.array([0, 1] + [2] * (n - 1)), "feat_shape": np.array([n, 2])}
    else:
        arrays["X_pca" if name == "pbmc68k" else "X"] = RNG.normal(size=(n, 4)).astype(np.float16)
    np.savez(folder / SOURCES[name], **arrays)


def test_digits() -> None:
    digits = load("digits")
    assert (digits.name, digits.n, digits.classes, digits.shape) == ("digits", 1797, 10, (8, 8))
    assert digits.x.dtype == np.float32
    assert (digits.x.min(), digits.x.max()) == (0, 1)


@pytest.mark.parametrize("name", SOURCES)
def test_files_of_the_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, name)
    given = load(name, tmp_path)
    monkeypatch.setenv(datasets.FOLDER_VARIABLE, str(tmp_path))
    assert load(name).fingerprint == given.fingerprint
    assert given.n == (6 if name == "fashion-mnist-10k" else 12)
    assert given.y is not None
    assert given.y.min() == (-1 if name in ("cora", "citeseer") else 0)
    assert given.classes == (2 if name in ("cora", "citeseer") else 3)
    assert given.x.dtype == np.float32
    assert len(given.views) == {"mfeat": 6, "scene15": 3}.get(name, 0)
    if given.shape is not None:
        assert given.shape == (5, 4)
        assert given.x.shape == (given.n, 60 if name == "cifar10-images" else 20)
        assert (given.x.min(), given.x.max()) == (pytest.approx(0), pytest.approx(1))


def test_colours_come_channel_by_channel(tmp_path: Path) -> None:
    pixels = np.zeros((2, 5, 4, 3), dtype=np.uint8)
    pixels[..., 1] = 255
    np.savez(tmp_path / "cifar10_test_images.npz", X=pixels, y=np.arange(2))
    images = load("cifar10-images", tmp_path).x.reshape(2, 3, 5, 4)
    assert images.mean(axis=(0, 2, 3)).tolist() == [0, 1, 0]


def test_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(datasets.FOLDER_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=r"data: got no folder for 'mfeat', expected --data DIR .*mfeat_6views.npz"):
        load("mfeat")
    with pytest.raises(ValueError, match=r"data: got .* no such file, expected --data DIR .*mfeat_6views.npz"):
        load("mfeat", tmp_path)
    np.savez(tmp_path / "mfeat_6views.npz", y=np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="expected the arrays of mfeat"):
        load("mfeat", tmp_path)
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        load("digit")


def test_own_files(tmp_path: Path) -> None:
    a, b, y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2)), np.array(list("ccaabbaa"))
    for name, array in (("a", a), ("b", b), ("y", y), ("short", b[:5])):
        np.save(tmp_path / f"{name}.npy", array)
    files = [str(tmp_path / f"{name}.npy") for name in "ab"]
    one = from_files(files[:1])
    assert (one.name, one.views, one.y) == ("a", (), None)
    two = from_files(files, str(tmp_path / "y.npy"))
    assert two.x.shape == (8, 5)
    assert [view.shape[1] for view in two.views] == [3, 2]
    assert two.y is not None
    assert two.y.tolist() == [2, 2, 0, 0, 1, 1, 0, 0]
    with pytest.raises(ValueError, match="features: got 5 rows"):
        from_files([files[0], str(tmp_path / "short.npy")])
    np.save(tmp_path / "few.npy", y[:5])
    with pytest.raises(ValueError, match="labels: got 5, expected 8"):
        from_files(files, str(tmp_path / "few.npy"))
    with pytest.raises(ValueError, match="expected a file that exists"):
        from_files([str(tmp_path / "absent.npy")])


def test_subset(tmp_path: Path) -> None:
    _write(tmp_path, "cora")
    whole = load("cora", tmp_path)
    part = whole.subset(6, seed=1)
    assert (part.name, part.n, len(part.x)) == ("cora-6", 6, 6)
    assert part.fingerprint == whole.subset(6, seed=1).fingerprint
    assert part.fingerprint != whole.subset(6, seed=2).fingerprint
    for bad in (0, 13):
        with pytest.raises(ValueError, match=f"subset: got {bad}"):
            whole.subset(bad)


def test_fingerprint_follows_the_data() -> None:
    x = np.zeros((3, 2), dtype=np.float32)
    assert Dataset("a", x).fingerprint == Dataset("b", x.copy()).fingerprint
    assert Dataset("a", x).fingerprint != Dataset("a", x + 1).fingerprint
    assert Dataset("a", x).fingerprint != Dataset("a", x.reshape(2, 3)).fingerprint
