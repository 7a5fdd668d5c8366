"""Debiased contrastive learning: the whole command on 150 digits, and what the protocol promises."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner, Result

import icon
from experiments import debiased_contrastive
from experiments.__main__ import main
from experiments.datasets import Dataset, load
from experiments.debiased_contrastive import (
    AVERAGE,
    CHUANG,
    ENCODER,
    EXPERIMENT,
    METHODS,
    SIMCLR,
    T_SIMCLR,
    Settings,
    View,
    encoder_of,
    loss_of,
    run,
)
from experiments.store import tasks

DIGITS = load("digits").subset(150)


def _command(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.slow
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debiased_contrastive, "ALPHAS", (0.0, 0.2))
    arguments = ["debiased-contrastive", "--subset", "150", "--set", "epochs=1", "--out", str(tmp_path)]
    done = _command(*arguments, "--seeds", "2")
    assert done.exit_code == 0, done.output
    assert "44 runs made, 0 were there" in done.output
    folder = tmp_path / "debiased-contrastive"
    frame = pd.read_csv(folder / "results.csv")
    assert frame["knn"].between(0.2, 1).all()
    assert frame["linear"].between(0.2, 1).all()
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert sum(line.startswith("| digits-150") for line in text.splitlines()) == 2 * (2 + 12)
    assert "nan" not in text
    for name in ("knn", "linear"):
        assert (folder / f"{name}.png").stat().st_size > 0


def test_runs_repeat_exactly_and_depend_on_alpha() -> None:
    settings = Settings(epochs=3)
    for method in METHODS:
        first = {"method": method, "alpha": 0.2, "batch": 64, "keys": ENCODER, "queue": 0}
        assert run(DIGITS, 1, first, settings) == run(DIGITS, 1, first, settings)
        z, ids = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(10).repeat(2)
        values = [float(loss_of({**first, "alpha": alpha}, settings)(z, ids)) for alpha in (0.0, 0.2, 0.6)]
        assert len(set(values)) == 3


@pytest.mark.parametrize("method", METHODS)
def test_embeddings_against_the_keys_of_the_batch_and_of_earlier_ones(method: str) -> None:
    """The gradient is that of a computation by hand, in which an earlier key of an anchor's own point is a positive."""
    settings, alpha = Settings(dimensions=4), 0.2
    torch.manual_seed(0)
    z, keys, old = torch.randn(4, 4, requires_grad=True), torch.randn(4, 4), torch.randn(8, 4)
    points, before = torch.arange(4), torch.tensor([2, 4, 5, 0, 7, 8, 1, 9])
    loss = loss_of({"method": method, "alpha": alpha, "keys": AVERAGE, "queue": 6}, settings)
    loss(torch.cat([old, old], dim=1), before)
    (found,) = torch.autograd.grad(loss(torch.cat([z, keys], dim=1), points), z)
    candidates, ids = torch.cat([keys, old[2:]]), torch.cat([points, before[2:]])  # the oldest have left
    positive = points[:, None] == ids
    p = positive / positive.sum(dim=1, keepdim=True)
    if method == T_SIMCLR:
        s = -3 * torch.log1p((z[:, None] - candidates).square().sum(dim=2) / 5)
    else:
        s = nn.functional.cosine_similarity(z[:, None], candidates, dim=2) / settings.temperature
    if method == CHUANG:
        kept, count = (s.exp() * p).sum(dim=1), (~positive).sum(dim=1)
        estimate = ((s.exp() * ~positive).sum(dim=1) / count - alpha * kept) / (1 - alpha)
        partition = (kept + count * estimate.clamp_min(math.exp(-1 / settings.temperature))).log().mean()
    else:
        p = (1 - alpha) * p + alpha / 10
        partition = s.flatten().logsumexp(0) if method == T_SIMCLR else s.logsumexp(dim=1).mean()
    (expected,) = torch.autograd.grad(partition - (p * s).sum() / 4, z)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_without_a_queue_the_keys_are_those_of_the_batch() -> None:
    settings = Settings(dimensions=4)
    loss = loss_of({"method": SIMCLR, "alpha": 0.0, "keys": AVERAGE, "queue": 0}, settings)
    infonce = icon.method("infonce", temperature=settings.temperature)
    for _ in range(2):
        z, keys = torch.randn(2, 5, 4)
        torch.testing.assert_close(loss(torch.cat([z, keys], dim=1), torch.arange(5)), infonce((z, keys)))


def test_colour_images_of_any_size() -> None:
    for shape in ((7, 6), (32, 32)):
        x = torch.rand(4, 3 * shape[0] * shape[1])
        assert encoder_of(x.shape[1], shape, False, Settings())(x).shape == (4, 32)
        mapper = encoder_of(x.shape[1], shape, True, Settings())
        z, key = mapper(x).chunk(2, dim=1)
        assert (z != key).any(dim=1).all()  # of another view
        assert mapper.eval()(x).shape == (4, 32)


def test_views_move_by_a_pixel_and_tell_images_from_vectors() -> None:
    torch.manual_seed(0)
    images = torch.zeros(50, 2, 8, 8)
    images[:, :, 3, 4] = 1
    views = View(Settings(noise=1e-9, vector_noise=1e-9))
    moved = views(images)
    places = (moved > 0.5).nonzero().reshape(50, 2, 4)
    assert {tuple(place.tolist()) for place in places[:, 0, 2:]} == {(r, c) for r in (2, 3, 4) for c in (3, 4, 5)}
    assert torch.equal(places[:, 0, 2:], places[:, 1, 2:])  # the channels of an image move together
    brightness = moved.amax(dim=(2, 3))
    assert brightness.min() == pytest.approx(0.6, abs=0.05)
    assert brightness.max() == pytest.approx(1.4, abs=0.05)
    assert (brightness[:, 0] != brightness[:, 1]).all()
    vectors = torch.ones(4, 64)
    torch.testing.assert_close(views(vectors), vectors)
    assert torch.equal(views.eval()(images), images)  # after the training there is one view


def test_features_without_an_image_and_unknown_labels() -> None:
    y = np.asarray(DIGITS.y)
    plain = Dataset("plain", DIGITS.x, y=y)
    first = {"method": SIMCLR, "alpha": 0.0, "batch": 64, "keys": ENCODER, "queue": 0}
    assert run(plain, 0, first, Settings(epochs=1))["knn"] > 0.2
    with pytest.raises(ValueError, match="labels: got unknown ones of some"):
        tasks(EXPERIMENT, [Dataset("some", DIGITS.x, y=np.where(y == 0, -1, y))], 1, Settings())
