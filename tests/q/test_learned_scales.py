"""Learned scales stay in their range, and weight decay leaves them alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import icon

A, B = (torch.randn(8, 4, generator=torch.Generator().manual_seed(k)) for k in (0, 1))


@pytest.mark.parametrize(("hyper", "low", "high"), [({}, 0.01, None), ({"min": 0.05, "max": 0.2}, 0.05, 0.2)])
@pytest.mark.parametrize("rate", [-100.0, 100.0])
def test_a_temperature_that_a_step_threw_out_comes_back(hyper: dict[str, float], low: float, high: float | None,
                                                         rate: float) -> None:  # fmt: skip
    loss = icon.method("clip", learnable=True, **hyper)
    with torch.no_grad():
        loss.q.log_scale += rate  # type: ignore[operator]
    value = loss((A, B))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(loss.q.log_scale.grad)  # type: ignore[union-attr]
    scale = float(loss.q.scale.detach())  # type: ignore[operator]
    assert scale == pytest.approx(low if rate < 0 else high or 1e12, rel=1e-5)


def test_it_goes_on_learning_from_the_end_of_its_range() -> None:
    loss = icon.method("clip", learnable=True, temperature=0.01)
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
    for _ in range(20):  # pairs that do not match want a softer temperature
        optimizer.zero_grad()
        loss((A, B)).backward()
        optimizer.step()
    assert float(loss.q.scale.detach()) > 0.011  # type: ignore[operator]


@pytest.mark.parametrize("row", ["gaussian", "student-t"])
def test_sigma_and_the_scale_of_student_t_never_make_nan(row: str) -> None:
    given = {"sigma": 1.0} if row == "gaussian" else {"scale": 1.0}
    loss = icon.loss(row, "pairs", learnable=True, **given)
    for far in (-1e4, 1e4):
        with torch.no_grad():
            loss.q.log_scale.fill_(far)  # type: ignore[operator]
        assert torch.isfinite(loss(A, torch.arange(8) // 2))


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"temperature": 0.001}, r"temperature: got 0\.001, expected a start between min=0\.01"),
        ({"min": 0.5, "max": 0.1}, "min: got 0.5 with max=0.1, expected at most max"),
        ({"min": 0.0}, "min: got 0"),
    ],
)
def test_bad_ranges(hyper: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        icon.method("clip", learnable=True, **hyper)


def test_a_range_is_saved(tmp_path: Path) -> None:
    loss = icon.method("clip", learnable=True, min=0.05, max=0.5)
    loss.save(tmp_path / "loss")
    again = icon.load(tmp_path / "loss")
    assert repr(again) == repr(loss)
    assert "min=0.05, max=0.5" in repr(loss)


def test_transforms_see_the_same_range() -> None:
    loss = icon.method("clip", learnable=True)
    with torch.no_grad():
        loss.q.log_scale -= 100  # type: ignore[operator]
    call = torch.func.functional_call
    value = torch.func.grad(lambda p: call(loss, p, ((A, B),)))(dict(loss.named_parameters()))
    assert torch.isfinite(value["q.log_scale"])


def test_groups_leave_temperatures_biases_and_gains_alone() -> None:
    encoder = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    loss = icon.method("clip", learnable=True)
    decayed, kept = icon.nn.parameter_groups(encoder, loss, encoder, weight_decay=0.1)
    assert [p.shape for p in decayed["params"]] == [(3, 4)]
    assert {id(p) for p in kept["params"]} == {id(p) for p in (*encoder.parameters(), *loss.parameters()) if p.ndim < 2}
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    torch.optim.AdamW([decayed, kept])
