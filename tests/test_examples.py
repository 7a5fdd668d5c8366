"""The examples run, and do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.datasets import FOLDER_VARIABLE
from tests import ranks as ranks_of
from tests.ranks import ROOT, environment


def output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(*command: str) -> str:
    return output(
        subprocess.run(command, check=False, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300)
    )


def torchrun(ranks: str, *command: str) -> str:
    return output(ranks_of.torchrun(int(ranks), *command))


def numbers(pattern: str, found: str) -> list[float]:
    return [float(number) for number in re.findall(pattern + r"'?([0-9.]+)", found)]


@pytest.mark.slow
def test_simclr() -> None:
    found = run(sys.executable, "examples/simclr.py", "--steps", "150")
    losses = numbers("loss ", found)
    assert losses[-1] < losses[0]
    assert numbers("k-NN accuracy ", found)[0] > 0.95


@pytest.mark.slow
def test_multi_crop() -> None:
    found = run(sys.executable, "examples/multi_crop.py", "--steps", "100")
    losses = numbers("loss ", found)
    assert losses[-1] < losses[0]
    assert numbers("k-NN accuracy ", found)[0] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("ranks", ["1", "2"])
def test_ranks(ranks: str) -> None:
    found = numbers("loss of all . ranks ", torchrun(ranks, "examples/ddp.py"))
    assert found[-1] < found[0]


@pytest.mark.slow
def test_shards_change_no_loss() -> None:
    """Of the same batches, two ranks have the losses of one."""
    one, two = (torchrun(ranks, "examples/fsdp2.py", "--steps", "60") for ranks in "12")
    losses = numbers("loss of all 1 ranks ", one)
    assert len(losses) == 6
    assert losses[-1] < losses[0] / 2
    assert numbers("loss of all 2 ranks ", two) == pytest.approx(losses, abs=1e-4)
    for found in (one, two):
        assert numbers("k-NN accuracy ", found)[0] > numbers("of the pixels: ", found)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "steps"), [("32-true", "100"), ("bf16-mixed", "30")])
def test_lightning(precision: str, steps: str) -> None:
    found = run(sys.executable, "examples/lightning_simclr.py", "--precision", precision, "--steps", steps)
    losses = numbers("loss ", found)
    assert losses[-1] < losses[0] - 1
    assert numbers("k-NN accuracy ", found)[0] > 0.93


@pytest.mark.slow
def test_lightning_on_colour_images() -> None:
    """Training is worth it where the pixels tell little."""
    images = Path(os.environ.get(FOLDER_VARIABLE, "")) / "cifar10_test_images.npz"
    if not images.is_file():
        pytest.skip(f"cifar10_test_images.npz: not in the folder that {FOLDER_VARIABLE} names")
    found = run(sys.executable, "examples/lightning_simclr.py", "--images", str(images), "--steps", "40")
    losses = numbers("loss ", found)
    assert losses[-1] < losses[0] - 0.5
    assert numbers("k-NN accuracy ", found)[0] > numbers("of the pixels: ", found)[0] + 0.03


@pytest.mark.slow
def test_trainer() -> None:
    found = run(sys.executable, "examples/trainer_clip.py")
    losses = numbers("'loss': ", found)
    assert losses[-1] < losses[0] - 1
    assert numbers("accuracy by captions ", found)[0] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "package"),
    [("lightning_simclr", "lightning"), ("trainer_clip", "transformers"), ("trainer_clip", "accelerate")],
)
def test_a_missing_package_is_told_in_one_line(example: str, package: str) -> None:
    code = f"import runpy, sys; sys.modules[{package!r}] = None; runpy.run_path('examples/{example}.py')"
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.splitlines() == [f"{package}: not installed, expected pip install '.[examples]'"]
