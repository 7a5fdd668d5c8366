"""Data labels: some that are ignored, weights and counts of the classes, gradients of soft targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon

N = 10


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

    @pytest.mark.parametrize("unit", [1e-300, 1e-45, 1e39, 1e300])
    def test_the_unit_of_the_weights_does_not_count(self, unit: float) -> None:
        z, w, y = torch.randn(N, 4), torch.randn(3, 4), torch.arange(N) % 3
        plain, scaled = (
            icon.loss("gaussian", "data-label", class_weights=[k * x for x in self.weights]) for k in (1.0, unit)
        )
        torch.testing.assert_close(scaled((z, w), y), plain((z, w), y))

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
