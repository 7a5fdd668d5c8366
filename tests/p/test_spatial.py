"""p from features of every kind: units, degenerate and difficult data, features on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import icon
from icon.p.base import Sets
from tests import dense
from tests.cases import assert_close, normal


def points(n: int, seed: int = 0, d: int = 3) -> np.ndarray:
    return normal(n, d, seed=seed).numpy()


SPATIAL: list[Any] = [
    icon.p.Gaussian(perplexity=5),
    icon.p.Gaussian(sigma=0.7),
    icon.p.Gaussian(perplexity=3, n_neighbors=6),
    icon.p.StudentT(dof=1.0),
    icon.p.KNN(n_neighbors=6),
]


@pytest.mark.parametrize("p", SPATIAL, ids=repr)
@pytest.mark.parametrize("shift", [0.0, 1e3, 1e6, -1e7])
def test_p_does_not_see_a_translation(p: Any, shift: float) -> None:
    """A timestamp or a coordinate among the features must not eat the digits."""
    x = np.round(points(20), 3)
    assert_close(p(x + shift).to_dense(), p(x).to_dense(), rtol=1e-6)


@pytest.mark.parametrize("p", SPATIAL, ids=repr)
@pytest.mark.parametrize("factor", [1e-100, 1e-6, 1e6, 1e100])
def test_p_of_a_perplexity_or_neighbours_does_not_see_units(p: Any, factor: float) -> None:
    scaled = p
    if getattr(p, "sigma", None) is not None:
        scaled = type(p)(**{**p.hyper_parameters(), "sigma": p.sigma * factor})
    assert_close(scaled(points(20) * factor).to_dense(), p(points(20)).to_dense(), rtol=1e-6)


@pytest.mark.parametrize("p", SPATIAL, ids=repr)
@pytest.mark.parametrize("kind", ["constant", "one-hot", "two values", "one outlier", "duplicates"])
def test_degenerate_features_give_distributions(p: Any, kind: str) -> None:
    x = {
        "constant": np.ones((12, 3)),
        "one-hot": np.eye(12),
        "two values": np.repeat([[0.0, 0], [1, 1]], 6, axis=0),
        "one outlier": np.vstack([np.zeros((11, 2)), [[1e9, 0]]]),
        "duplicates": np.repeat(points(3), 4, axis=0),
    }[kind]
    rows = p(x)
    assert torch.isfinite(rows.to_dense()).all()
    assert_close(rows.to_dense().sum(dim=1), np.ones(12), rtol=1e-12)
    assert torch.isfinite(rows.entropy()).all()


def test_constant_features_are_uniform() -> None:
    assert_close(icon.p.Gaussian(perplexity=4)(np.ones((9, 2))).to_dense(), dense.others(9) / 8, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64])
@pytest.mark.parametrize("p", SPATIAL, ids=repr)
def test_features_of_every_dtype(p: Any, dtype: torch.dtype) -> None:
    x = (normal(20, 3) * 4).round().to(dtype)
    assert_close(p(x).to_dense(), p(x.double()).to_dense(), rtol=1e-12)


def test_rows_do_not_hold_the_features_graph() -> None:
    x = normal(12, 3, grad=True)
    for p in SPATIAL:
        assert not p(x).requires_grad
    assert icon.p.Gaussian(sigma=1.0, detach=False)(x).requires_grad


def test_numpy_scalars_are_numbers() -> None:
    x = points(12)
    for number in (np.float64(5), np.float32(5), np.int64(5)):
        assert_close(icon.p.Gaussian(perplexity=number)(x).to_dense(), icon.p.Gaussian(perplexity=5)(x).to_dense())
    assert icon.p.KNN(n_neighbors=np.int64(5))(x).n_edges == 60
    assert_close(icon.p.KNN(n_neighbors=5).debias(np.float32(0.25))(x).to_dense(),
                 icon.p.KNN(n_neighbors=5).debias(0.25)(x).to_dense(), rtol=1e-7)  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
@pytest.mark.parametrize(
    "p",
    [
        lambda scale: icon.p.KNN(7),
        lambda scale: icon.p.KNN(7, metric="cosine"),
        lambda scale: icon.p.Gaussian(perplexity=5),
        lambda scale: icon.p.Gaussian(perplexity=5, n_neighbors=20),
        lambda scale: icon.p.Gaussian(temperature=0.5, metric="cosine", center=True, n_neighbors=20),
        lambda scale: icon.p.Gaussian(sigma=scale, n_neighbors=9, exclude_self=False),
        lambda scale: icon.p.StudentT(sigma=scale, n_neighbors=20),
    ],
)
def test_features_on_disk_give_the_p_of_those_in_memory(p: Any, scale: float, tmp_path: Path) -> None:
    """They are read a block at a time, in one unit for all blocks."""
    x = scale * np.random.default_rng(0).normal(size=(60, 4))
    np.save(tmp_path / "x.npy", x)
    disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    found, expected = (p(scale)(given).to_scipy() for given in (disk, x))
    assert abs(found - expected).max() < 1e-12


def test_features_on_disk_have_as_many_rows_as_the_input(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"^features: got 5 rows, expected 6"):
        icon.p.KNN(2)(np.load(tmp_path / "x.npy", mmap_mode="r"), Sets(6, 6))


@pytest.mark.parametrize("p", [icon.p.KNN(2), icon.p.Gaussian(perplexity=3), icon.p.StudentT()], ids=repr)
def test_a_pair_of_one_size_is_two_sets(p: icon.p.Distribution) -> None:
    """Also where it is prepared alone; one set of points has no pair."""
    x, y, z = normal(8, 3), normal(8, 3, seed=1), normal(8, 2, seed=2)
    loss, rows = icon.Loss(p, icon.q.Gaussian()), p((x, y))
    assert rows.support == icon.Support(8, 8)
    assert loss((z, z + 1), rows) == loss((z, z + 1), (x, y))
    with pytest.raises(ValueError, match=r"^features: got a pair for one set of points, expected one matrix"):
        loss(z, (x, y))
