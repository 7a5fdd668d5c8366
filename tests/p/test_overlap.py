"""Classes from soft labels and label sets; data labels with class weights."""

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
    monkeypatch.setattr("icon.p.labels.CPU_PAIRS", 0)
    assert isinstance(icon.p.Classes(overlap=overlap)(y).masses, Overlap)
    for other in (loss, loss.replace(block=3), loss.replace(evaluator="autograd", block=4)):
        many = other(z, y)
        torch.testing.assert_close(many, few, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(torch.autograd.grad(many, z)[0], expected, rtol=1e-11, atol=1e-13)
    if row == "gaussian":
        fused = loss.replace(evaluator="fused")(z, y)
        torch.testing.assert_close(torch.autograd.grad(fused, z)[0], expected, rtol=1e-11, atol=1e-13)


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


class TestIgnoredLabels:
    @pytest.mark.parametrize("weights", [None, (0.5, 2.0, 1.0)], ids=["plain", "weighted"])
    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    @pytest.mark.parametrize("ignored", [-100, 1])
    def test_as_in_torch(self, ignored: int, reduction: str, weights: tuple[float, ...] | None) -> None:
        z, w = torch.randn(N, 4, requires_grad=True), torch.randn(3, 4)
        y = torch.arange(N) % 3
        y[::4] = ignored
        loss = icon.method("cross-entropy", ignore_index=ignored, class_weights=weights, reduction=reduction)
        weight = None if weights is None else torch.tensor(weights)
        theirs = torch.nn.functional.cross_entropy(z @ w.T, y, weight=weight, ignore_index=ignored, reduction=reduction)
        torch.testing.assert_close(loss((z, w), y), theirs)
        torch.testing.assert_close(*(torch.autograd.grad(x.sum(), z)[0] for x in (loss((z, w), y), theirs)))

    def test_nobody_is_left(self) -> None:
        loss = icon.method("cross-entropy", ignore_index=-100)
        assert loss((torch.randn(4, 2), torch.randn(3, 2)), torch.full((4,), -100)) == 0


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_soft_targets_keep_their_gradient_when_asked(reduction: str) -> None:
    z, w = torch.randn(N, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    y = torch.rand(N, 3, dtype=torch.float64).softmax(dim=1).requires_grad_()
    ours = icon.method("cross-entropy", detach=False, reduction=reduction).terms((z, w), y).cross_entropy
    theirs = torch.nn.functional.cross_entropy(z @ w.T, y, reduction=reduction)
    torch.testing.assert_close(*(torch.autograd.grad(x.sum(), y)[0] for x in (ours, theirs)))
    assert not icon.method("cross-entropy")((z, w), y).requires_grad


def test_the_gradient_of_p_is_finite_where_it_has_no_candidate() -> None:
    w = torch.rand(4, 4).fill_diagonal_(0).requires_grad_()
    loss = icon.Loss(icon.p.Precomputed(detach=False), icon.q.Gaussian())
    loss(torch.randn(4, 2), w / w.sum(dim=1, keepdim=True)).backward()
    assert w.grad is not None
    assert w.grad.abs().max() < 100


class TestClassWeights:
    weights = (0.5, 2.0, 1.0)

    @pytest.mark.parametrize("soft", [False, True], ids=["labels", "soft targets"])
    @pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    def test_as_in_torch(self, reduction: str, smoothing: float, soft: bool) -> None:
        z, w = torch.randn(N, 4, dtype=torch.float64, requires_grad=True), torch.randn(3, 4, dtype=torch.float64)
        y = torch.rand(N, 3, dtype=torch.float64).softmax(dim=1) if soft else torch.arange(N) % 3
        loss = icon.method(
            "weighted-cross-entropy", class_weights=self.weights, label_smoothing=smoothing, reduction=reduction
        )
        weight = torch.tensor(self.weights, dtype=torch.float64)
        theirs = torch.nn.functional.cross_entropy(
            z @ w.T, y, weight=weight, label_smoothing=smoothing, reduction=reduction
        )
        ours = loss.terms((z, w), y).cross_entropy
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(*(torch.autograd.grad(x.sum(), z)[0] for x in (ours, theirs)))

    def test_weights_apply_in_any_loss(self) -> None:
        z, w, y = torch.randn(N, 4), torch.randn(3, 4), torch.arange(N) % 3
        theirs = torch.nn.functional.cross_entropy(z @ w.T, y, weight=torch.tensor(self.weights))
        loss = icon.loss("gaussian", "data-label", class_weights=self.weights)
        torch.testing.assert_close(loss((z, w), y), theirs)
        every_other = torch.arange(N) % 2.0
        parts = [loss.replace(anchor_weights=a, reduction="sum")((z, w), y) for a in (every_other, 1 - every_other)]
        torch.testing.assert_close(parts[0] + parts[1], loss.replace(reduction="sum")((z, w), y))

    def test_equal_weights_change_nothing(self) -> None:
        z, w, y = torch.randn(N, 4), torch.randn(3, 4), torch.arange(N) % 3
        plain = icon.method("cross-entropy")((z, w), y)
        for weights in (None, (2.0, 2.0, 2.0)):
            torch.testing.assert_close(icon.method("weighted-cross-entropy", class_weights=weights)((z, w), y), plain)

    def test_many_weights_are_counted_and_not_written_out(self) -> None:
        assert "class_weights=(1.0, 2.0, 3.0)" in repr(icon.p.DataLabel(class_weights=[1, 2, 3]))
        assert "class_weights=(1000 numbers)" in repr(icon.p.DataLabel(class_weights=np.ones(1000)))

    def test_bad_weights(self) -> None:
        z, w, y = torch.randn(N, 4), torch.randn(3, 4), torch.zeros(N, dtype=torch.int64)
        with pytest.raises(ValueError, match=r"^class_weights: got 2, expected 3"):
            icon.method("weighted-cross-entropy", class_weights=(1.0, 2.0))((z, w), y)
        with pytest.raises(ValueError, match=r"^class_weights: got"):
            icon.method("weighted-cross-entropy", class_weights=(1.0, -2.0, 1.0))
        with pytest.raises(ValueError, match=r"^class_weights: got 0 for every class"):
            icon.method("weighted-cross-entropy", class_weights=(0.0, 1.0, 1.0))((z, w), y)

    @pytest.mark.parametrize("reduction", ["sum", "none"])
    def test_a_batch_of_classes_that_weigh_nothing_costs_0(self, reduction: str) -> None:
        z, w, y = torch.randn(N, 4), torch.randn(3, 4), torch.zeros(N, dtype=torch.int64)
        loss = icon.method("weighted-cross-entropy", class_weights=(0.0, 1.0, 1.0), reduction=reduction)
        assert not loss((z, w), y).any()


@pytest.mark.parametrize(
    ("name", "argument"), [("balanced-softmax", "class_counts"), ("sampled-softmax", "expected_counts")]
)
def test_counts_must_be_positive(name: str, argument: str) -> None:
    with pytest.raises(ValueError, match=f"^{argument}: got entries"):
        icon.method(name, **{argument: [1.0, 0.0]})


@pytest.mark.parametrize("name", ["soft-supcon", "multi-label-supcon"])
def test_a_lone_point_costs_0(name: str) -> None:
    z = torch.ones(1, 4, requires_grad=True)
    with pytest.warns(UserWarning, match="got 1 of 1 anchors without a positive; the loss is 0"):
        value = icon.method(name)(z, torch.ones(1, 3))
    assert value == 0
    assert not torch.autograd.grad(value, z)[0].any()
