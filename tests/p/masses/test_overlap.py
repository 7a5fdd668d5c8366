"""Classes from soft labels and label sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import icon
from icon.p.masses import Overlap

N = 10


def soft(seed: int = 0, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(4), size=n)


def sets(seed: int = 0, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, size=(n, 4))


def rows_of(weights: np.ndarray) -> np.ndarray:
    sums = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, sums, out=np.zeros_like(weights, dtype=float), where=sums > 0)


def jaccard(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    both = np.minimum(a[:, None], b[None]).sum(axis=2)
    either = np.maximum(a[:, None], b[None]).sum(axis=2)
    return np.divide(both, either, out=np.zeros(both.shape), where=either > 0)


def test_product_of_soft_labels() -> None:
    y = soft()
    expected = rows_of(y @ y.T * (1 - np.eye(N)))
    np.testing.assert_allclose(icon.p.Classes()(y).to_dense(), expected, atol=1e-15)


def test_jaccard_of_label_sets() -> None:
    y = sets()
    y[3] = 0  # a point without labels has no positive
    rows = icon.p.Classes(overlap="jaccard")(torch.tensor(y))
    np.testing.assert_allclose(rows.to_dense(), rows_of(jaccard(y, y) * (1 - np.eye(N))), atol=1e-15)
    assert bool(rows.empty[3])


def test_lists_and_sparse_label_sets() -> None:
    y = sets()
    expected = icon.p.Classes(overlap="jaccard")(y).to_dense()
    for form in (y.tolist(), sp.csr_array(y), sp.coo_matrix(y)):
        found = icon.p.Classes(overlap="jaccard")(form).to_dense()
        torch.testing.assert_close(found, expected, rtol=1e-15, atol=1e-16)


def test_between_two_sets() -> None:
    a, b = sets(0, 6), sets(1, 9)
    rows = icon.p.Classes(overlap="jaccard")((a, b))
    np.testing.assert_allclose(rows.to_dense(), rows_of(jaccard(a, b)), atol=1e-15)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("y", "overlap"), [(soft(), "product"), (sets(), "jaccard")])
@pytest.mark.parametrize("debias", [0.0, 0.3])
@pytest.mark.parametrize("row", ["gaussian", "student-t"])
def test_many_points_are_as_few(
    row: str, debias: float, y: np.ndarray, overlap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where p is no matrix, value and gradient are the same, in blocks, on both evaluators and in parts."""
    loss = icon.loss(row, "classes", overlap=overlap, debias=debias, on_no_positive="zero")
    z = torch.randn(N, 3, dtype=torch.float64, requires_grad=True)
    few = loss(z, y)
    expected = torch.autograd.grad(few, z)[0]
    monkeypatch.setattr("icon.p.label_matrices.CPU_PAIRS", 0)
    assert isinstance(icon.p.Classes(overlap=overlap)(y).masses, Overlap)
    for other in (loss, loss.replace(block=3), loss.replace(evaluator="autograd", block=4)):
        many = other(z, y)
        torch.testing.assert_close(many, few, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(torch.autograd.grad(many, z)[0], expected, rtol=1e-11, atol=1e-13)
    if row == "gaussian":
        fused = loss.replace(evaluator="fused")(z, y)
        torch.testing.assert_close(torch.autograd.grad(fused, z)[0], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("y", [np.repeat([[0.0, 100.0], [100.0, 0.0]], N // 2, axis=0), np.full((N, 2), np.log(1e20))])
def test_overlaps_beyond_single_precision(y: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of exp(-100), and of 1e20, in a loss in float32."""
    labels = np.exp(y - 100 * (y.max() == 100))
    z, loss = torch.randn(N, 3), icon.method("soft-supcon")
    few = loss(z, labels)
    monkeypatch.setattr("icon.p.label_matrices.CPU_PAIRS", 0)
    torch.testing.assert_close(loss(z, labels), few)
    assert bool(few.isfinite())


@pytest.mark.parametrize("unit", [1e-300, 1e300])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_the_unit_of_soft_labels_does_not_matter(unit: float, form: Any) -> None:
    labels = np.random.default_rng(0).uniform(size=(N, 4))
    found, expected = (icon.p.Classes()(form(s * labels)).to_dense() for s in (unit, 1.0))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_one_hot_labels_are_supcon() -> None:
    y = np.arange(N) % 3
    z = torch.randn(N, 3, dtype=torch.float64)
    one_hot = np.eye(3)[y]
    plain = icon.method("supcon")(z, y)
    for name in ("soft-supcon", "multi-label-supcon"):
        torch.testing.assert_close(icon.method(name)(z, one_hot), plain)


@pytest.mark.parametrize(
    ("labels", "hyper", "message"),
    [
        (np.full((N, 2), -1.0), {}, "labels: got negative entries"),
        (np.full((N, 2), np.nan), {}, "labels: got NaN"),
        (sp.csr_array([[np.nan, 1.0], [0.0, 1.0]]), {}, "labels: got NaN or infinity in rows 0, expected finite"),
        (soft(), {"overlap": "jaccard"}, "labels: got entries other than 0 and 1"),
        (sets(0, N + 1), {}, "labels: got 11 rows, expected 10"),
        ((sets(), np.ones((N, 2))), {}, "labels: got 4 and 2 columns"),
    ],
)
def test_bad_labels(labels: Any, hyper: dict[str, Any], message: str) -> None:
    z = torch.randn(N, 3)
    with pytest.raises(ValueError, match=f"^{message}"):
        icon.loss("gaussian", "classes", **hyper)((z, z) if isinstance(labels, tuple) else z, labels)


def test_unknown_overlap() -> None:
    with pytest.raises(ValueError, match=r"^overlap: got 'dice'"):
        icon.p.Classes(overlap="dice")


@pytest.mark.parametrize("name", ["soft-supcon", "multi-label-supcon"])
def test_a_lone_point_costs_0(name: str) -> None:
    z = torch.ones(1, 4, requires_grad=True)
    with pytest.warns(UserWarning, match="got 1 of 1 anchors without a positive; the loss is 0"):
        value = icon.method(name)(z, torch.ones(1, 3))
    assert value == 0
    assert not torch.autograd.grad(value, z)[0].any()


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    y, features = torch.tensor(soft()), torch.tensor(soft(1), requires_grad=True)
    rows = icon.p.Classes()(y)
    whole = Overlap.of(y, y, rows.support, torch.ones(N, dtype=torch.float64))
    expected = [rows.masses.sums(), rows.masses.entropy(), rows.masses.average(features)]
    (gradient,) = torch.autograd.grad(expected[-1].square().sum(), features)
    monkeypatch.setattr("icon.p.masses.base.TILE_ENTRIES", 3 * N)
    found = [whole.sums(), whole.entropy(), whole.average(features)]
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-15)
    (in_blocks,) = torch.autograd.grad(found[-1].square().sum(), features)
    torch.testing.assert_close(in_blocks, gradient, rtol=1e-14, atol=1e-15)
