"""What torch documents of its cross-entropy, KL divergence, triplet loss and cosine loss."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import icon
from tests.cases import assert_close, gradients, normal
from tests.peers._peers import Package, agree, each

N, CLASSES = 6, 4
WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.0], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 3, 1, 0, 3])


def prototypes(logits: Tensor) -> Tensor:
    return torch.eye(logits.shape[1], dtype=logits.dtype)


def our_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None, **options: Any) -> Tensor:
    weighted = {} if weight is None else {"class_weights": weight}
    loss = icon.method("weighted-cross-entropy" if weighted else "cross-entropy", **weighted, **options, detach=False)
    return loss.terms((logits, prototypes(logits)), target).cross_entropy


def their_triplet(z: Tensor, margin: float) -> Tensor:
    """Two views of each of two images, each with the nearer view of the other image."""
    distances = torch.cdist(z, z).square()
    nearest = torch.cat([distances[:2, 2:].argmin(dim=1) + 2, distances[2:, :2].argmin(dim=1)])
    squared = {"distance_function": lambda a, b: (a - b).square().sum(dim=1), "margin": margin, "reduction": "none"}
    return F.triplet_margin_with_distance_loss(z, z[[1, 0, 3, 2]], z[nearest], **squared)


OURS = {
    "cross-entropy": our_cross_entropy,
    "kl": lambda logits, p: icon.method("cross-entropy")((logits, prototypes(logits)), p),
    "triplet": lambda z, margin: icon.method("triplet", margin=margin, reduction="none")(z, torch.tensor([0, 0, 1, 1])),
    "cosine": lambda a, b: 1 + icon.method("byol").terms((a, b)).cross_entropy,
}
THEIRS = {
    "cross-entropy": lambda logits, target, ignore_index=-100, **options: F.cross_entropy(
        logits, target, ignore_index=ignore_index, **options
    ),
    "kl": lambda logits, p: F.kl_div(logits.log_softmax(dim=1), p, reduction="batchmean"),
    "triplet": their_triplet,
    "cosine": lambda a, b: F.cosine_embedding_loss(a, b, torch.ones(len(a))),
}
EACH = each(OURS, "torch", lambda: THEIRS)


def written_out(logits: Tensor, target: Tensor, weight: Tensor | None, smoothing: float, ignored: int | None) -> Any:
    """``-sum_c w_c t_ic log q_ic`` of each anchor, and what a mean divides their sum by; a masked class counts 0."""
    weight = torch.ones(CLASSES, dtype=torch.float64) if weight is None else weight
    if target.ndim == 1:
        kept = torch.tensor([label != ignored for label in target.tolist()]).double()
        known = target.where(kept > 0, 0)
        own, divisor = F.one_hot(known, CLASSES) * kept[:, None], weight[known] @ kept
    else:
        own, kept, divisor = target, torch.ones(len(target)).double(), float(len(target))
    smoothed = (1 - smoothing) * own + smoothing / CLASSES * kept[:, None]
    log_q = logits.log_softmax(dim=1).masked_fill(logits == -torch.inf, 0)
    return -(weight * smoothed * log_q).sum(dim=1), divisor


def sample(is_soft: bool, is_masked: bool, ignored: int | None = None) -> tuple[Tensor, Tensor]:
    """Logits and hard labels or soft targets; a masked class has no mass."""
    logits, soft = normal(N, CLASSES), normal(N, CLASSES, seed=1).softmax(dim=1)
    if is_masked:
        logits[[1, 4], [2, 3]] = -torch.inf
        soft[[1, 4], [2, 3]] = 0
        soft /= soft.sum(dim=1, keepdim=True)
    labels = LABELS.clone()
    if ignored == -100:
        labels[[2, 4]] = -100
    return logits.requires_grad_(), soft.requires_grad_() if is_soft else labels


def is_a_case(case: tuple[Any, ...]) -> bool:
    """Soft targets are not ignored, a smoothing gives a masked class mass, and one of 1 leaves no label to weigh."""
    is_soft, is_masked, is_weighted, smoothing, ignored, _ = case
    softly = is_soft and (is_masked or ignored is not None)
    return not (softly or (is_masked and smoothing > 0) or (is_weighted and smoothing == 1))


BOTH, REDUCTIONS = (False, True), ("none", "sum", "mean")
CASES = list(filter(is_a_case, product(BOTH, BOTH, BOTH, (0.0, 0.1, 1.0), (None, -100, 1), REDUCTIONS)))


@EACH
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cross_entropy(package: Package, case: tuple[Any, ...]) -> None:
    """Value and gradient; soft targets have a gradient as well."""
    is_soft, is_masked, is_weighted, smoothing, ignored, reduction = case
    logits, target = sample(is_soft, is_masked, ignored)
    weight = WEIGHT if is_weighted else None
    options = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
    options |= {} if ignored is None else {"ignore_index": ignored}
    found = package["cross-entropy"](logits, target, **options)
    values, divisor = written_out(logits, target, weight, smoothing, ignored)
    expected = {"none": values, "sum": values.sum(), "mean": values.sum() / divisor}[reduction]
    agree(found, expected, [logits, target] if is_soft and reduction != "none" else [logits])


@EACH
def test_where_torch_has_no_number(package: Package) -> None:
    """A masked class without mass costs nothing, and 0 times infinity is NaN in torch.

    The mean over no labels is 0, and 0 / 0 in torch. A label that is masked is refused, and costs infinity in torch.
    """
    loss = package["cross-entropy"]
    logits, soft = sample(is_soft=True, is_masked=True)
    found, expected = loss(logits, soft, reduction="none"), written_out(logits, soft, None, 0.0, None)[0]
    assert_close(found[[0, 2, 3, 5]], expected[[0, 2, 3, 5]])
    plain, ignored = normal(N, CLASSES), torch.full((N,), -100)
    assert [loss(plain, ignored, ignore_index=-100, reduction=r).count_nonzero() for r in ("none", "sum")] == [0, 0]
    mean = loss(plain, ignored, ignore_index=-100)
    masked = torch.tensor([[0.0, -torch.inf]]), torch.tensor([1])
    if package.is_icon:
        agree(found, expected, [logits])
        assert mean == 0
        with pytest.raises(ValueError, match=r"^labels: got classes with a logit of -inf in rows 0"):
            loss(*masked)
    else:
        assert bool(found[[1, 4]].isnan().all())
        assert mean.isnan()
        assert loss(*masked) == torch.inf


@EACH
@pytest.mark.parametrize("classes", [1, 2, 1000])
def test_kl_is_not_negative_to_rounding(package: Package, classes: int) -> None:
    """0 of equal distributions, and exactly 0 where there is one candidate."""
    logits, others = (normal(20, classes, seed=seed).float() for seed in range(2))
    p = others.softmax(dim=1)
    assert abs(package["kl"](others, p)) <= (0 if classes == 1 else 1e-6)
    q = logits.double().log_softmax(dim=1)
    assert_close(package["kl"](logits, p), (p.double() * (p.double().log() - q)).sum(dim=1).mean(), rtol=1e-5)


@EACH
@pytest.mark.parametrize(("margin", "expected"), [(0.5, [0, 0, 0.5, 0]), (3.0, [0, 0, 3, 0]), (4.0, [0, 1, 4, 0])])
def test_triplets_on_a_line(package: Package, margin: float, expected: list[float]) -> None:
    """``max(0, d+ - d- + margin)`` of squared distances: 1 and 9, 1 and 4, 4 and 4, 4 and 16."""
    z = torch.tensor([[0.0], [1.0], [3.0], [5.0]], dtype=torch.float64)
    assert package["triplet"](z, margin).tolist() == expected


@EACH
@pytest.mark.parametrize(
    ("a", "b", "expected"), [([3, 4], [6, 8], 0), ([1, 0], [0, 2], 1), ([1, 0], [-5, 0], 2), ([0, 0], [1, 1], 1)]
)
def test_cosine(package: Package, a: list[float], b: list[float], expected: float) -> None:
    """One less the cosine: 0 for one direction, 2 for the opposite one, and 1 where a vector is zero."""
    left, right = torch.tensor([a], dtype=torch.float64, requires_grad=True), torch.tensor([b], dtype=torch.float64)
    found = package["cosine"](left, right)
    assert found.item() == pytest.approx(expected, abs=1e-12)
    assert bool(gradients(found, [left])[0].isfinite().all())
