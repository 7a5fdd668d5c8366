"""What an installed package must do, run in an empty environment: ``python -I tests/smoke.py``; needs no pytest."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import icon


def command(*arguments: str) -> str:
    """What the installed command prints."""
    script = Path(sysconfig.get_path("scripts")) / "icon"
    return subprocess.run([script, *arguments], check=True, capture_output=True, text=True, encoding="utf-8").stdout


def losses() -> None:
    """Every named method is built, and one is trained a step, saved and loaded."""
    for method in icon.methods():
        icon.method(method.slug)
    z = torch.randn(8, 3, requires_grad=True)
    loss = icon.loss("gaussian", "pairs", temperature=0.1)
    loss(z, torch.arange(8) // 2).backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None, "no gradient"
    assert z.grad.abs().sum() > 0, "the gradient is zero"
    with tempfile.TemporaryDirectory() as folder:
        icon.save(loss, Path(folder) / "loss")
        assert repr(icon.load(Path(folder) / "loss")) == repr(loss), "a saved loss differs"


def estimators() -> None:
    """Points in two heaps are clustered and embedded."""
    x = np.random.default_rng(0).normal(size=(60, 5)) + np.repeat([0, 20], 30)[:, None]
    found = icon.Clustering(2, n_neighbors=5, random_state=0).fit_predict(x)
    assert len(set(found[:30])) == len(set(found[30:])) == 1, "two heaps are not two clusters"
    assert found[0] != found[-1], "two heaps are one cluster"
    map_ = icon.Embedding(2, perplexity=5, max_iter=20, random_state=0).fit_transform(x)
    assert map_.shape == (60, 2), "the map has another shape"
    assert np.isfinite(map_).all(), "the map is not finite"


def commands() -> None:
    """The command prints the version, the table and a method."""
    assert command("--version") == f"{icon.__version__}\n" == f"{version('icon-loss')}\n"
    assert "SimCLR" in command("table")
    assert 'icon.method("tsne")' in command("show", "t-SNE")
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", np.random.default_rng(0).normal(size=(40, 3)))
        command("cluster", f"{folder}/x.npy", "-k", "2", "-q", "--out", f"{folder}/found")
        assert (Path(folder) / "found").is_dir(), "no report"


if __name__ == "__main__":
    losses()
    estimators()
    commands()
    assert (Path(icon.__file__).parent / "py.typed").exists(), "py.typed is missing"
    names = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "rich")
    print("smoke: Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in names))
