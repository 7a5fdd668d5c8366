"""On a CUDA device: the same numbers as on the CPU, and no wait for the device that was not asked for."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

import icon
from tests.cases import COORDINATES, assert_close, coordinate_input, gradients, normal

pytestmark = pytest.mark.gpu
LEARNED_FROM_POINTS = ("gaussian", "student-t", "knn", "graph")


def on_device(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(on_device, x))
    return x.detach().cuda().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x


def case_of(row: str, column: str, **options: Any) -> tuple[icon.Loss, Any, Any]:
    case = coordinate_input(row, column)
    loss = icon.loss(row, column, **(case.hyper | options))
    target = case.target
    if column in LEARNED_FROM_POINTS:
        target = loss.p(target)
    elif target is not None:
        target = torch.as_tensor(target)
    return loss, case.input, target


def leaves(x: Any) -> list[Tensor]:
    return list(x) if isinstance(x, tuple) else [x]


@pytest.mark.parametrize("evaluator", ["autograd", "fused"])
@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_values_and_gradients_are_those_of_the_cpu(row: str, column: str, evaluator: str) -> None:
    loss, input, target = case_of(row, column, evaluator=evaluator)
    expected = loss(input, target)
    there = on_device(input)
    value = loss.cuda()(there, on_device(target))
    assert value.is_cuda
    assert_close(value.cpu(), expected, rtol=1e-11)
    for ours, theirs in zip(gradients(value, leaves(there)), gradients(expected, leaves(input)), strict=True):
        assert_close(ours.cpu(), theirs, rtol=1e-10)


def test_anchors_without_a_positive_of_ids_on_the_cpu() -> None:
    ids = torch.tensor([0, 0, 1, 1, 2])
    z = normal(5, 3)
    with pytest.warns(UserWarning, match="1 of 5 anchors"):
        expected, value = icon.method("simclr")(z, ids), icon.method("simclr")(z.cuda(), ids)
    assert_close(value.cpu(), expected, rtol=1e-12)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Every wait for the device is an error here; torch calls that mode a prototype, in a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            torch.cuda.set_sync_debug_mode("error")
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("evaluator", ["autograd", "fused"])
@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_nothing_waits_for_the_device(row: str, column: str, evaluator: str) -> None:
    loss, input, target = case_of(row, column, evaluator=evaluator)
    there, target = on_device(input), on_device(target)
    loss = loss.cuda()
    loss(there, target)  # prepared rows move once
    with icon.set_validation(False), no_waiting():
        loss(there, target).backward()


SETTINGS: dict[str, tuple[icon.p.Distribution, icon.q.Kernel]] = {
    "dimensions of one variance": (icon.p.Pairs(), icon.q.Gaussian("dot", preprocess="standardize")),
    "weighted classes": (icon.p.DataLabel(class_weights=[1.0, 2.0, 3.0]), icon.q.Gaussian("dot")),
    "weighted classes, smoothed": (icon.p.DataLabel(class_weights=[1.0, 2.0, 3.0]).debias(0.1), icon.q.Gaussian("dot")),
    "a label that is none": (icon.p.DataLabel(ignore_index=0), icon.q.Gaussian("dot")),
    "moving marginals": (icon.p.Pairs(), icon.q.Clusters(marginals="moving")),
    "agreement": (icon.p.Pairs(), icon.q.Clusters(agreement=True)),
    "a learned temperature": (icon.p.Pairs(), icon.q.Gaussian(temperature=0.1, learnable=True)),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_waits_for_the_device(name: str) -> None:
    loss = icon.Loss(*SETTINGS[name]).double().cuda()
    z, ids = normal(12, 3).cuda().requires_grad_(), torch.arange(12, device="cuda") % 3
    input = (z, normal(3, 3, seed=1).cuda()) if loss.column == "data-label" else z
    loss(input, ids)
    with icon.set_validation(False), no_waiting():
        loss(input, ids).backward()


@pytest.mark.parametrize("name", ["simclr", "supcon"])
def test_large_batches_in_single_precision(name: str) -> None:
    """Several tiles, against float64 on the CPU."""
    z, ids = normal(20_000, 16).cuda(), torch.arange(20_000, device="cuda") % 10_000
    loss = icon.method(name)
    exact, close = z.requires_grad_(), z.detach().float().requires_grad_()
    expected, value = loss(exact, ids), loss(close, ids)
    assert_close(value.cpu(), expected.cpu(), rtol=1e-5)
    assert_close(gradients(value, [close])[0].cpu(), gradients(expected, [exact])[0].cpu(), rtol=1e-4)
