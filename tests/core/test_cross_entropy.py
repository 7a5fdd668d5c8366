"""The short way of a loss whose p is one candidate per anchor, against the way of all losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import icon
from icon import p, q
from tests.cases import assert_same, normal

N, D, C = 12, 5, 7
LABELS = torch.arange(N) % C
BOTH = q.Gaussian(temperature=0.2)
#: Losses that are a cross-entropy, with the candidates' number and what p is made from.
PLAIN: dict[str, tuple[icon.Loss, int, Any]] = {
    "labels": (icon.Loss(p.DataLabel(), q.Gaussian("dot")), C, LABELS),
    "labels, cosine": (
        icon.Loss(p.DataLabel(), q.Gaussian("cosine", temperature=torch.linspace(0.1, 1, C))),
        C,
        LABELS,
    ),
    "labels, log-weights": (
        icon.Loss(p.DataLabel(), q.Gaussian("dot", log_weights=torch.linspace(-1, 0, C))),
        C,
        LABELS,
    ),
    "labels, distances": (icon.Loss(p.DataLabel(), q.Gaussian(sigma=0.7)), C, LABELS),
    "labels, standardised": (icon.Loss(p.DataLabel(), q.Gaussian("dot", preprocess="standardize")), C, LABELS),
    "pairs": (icon.Loss(p.Pairs(), BOTH), N, None),
    "pairs, momentum keys": (icon.Loss(p.Pairs(), q.Gaussian(temperature=0.2, detach_candidates=True)), N, None),
    "modalities": (icon.Loss(p.CrossModal(), BOTH), N, None),
    "modalities, one way": (icon.Loss(p.CrossModal(symmetric=False), q.Gaussian(sigma=0.7)), N, None),
    "modalities, learned temperature": (
        icon.Loss(p.CrossModal(), q.Gaussian(temperature=0.2, learnable=True)).double(),
        N,
        None,
    ),
}


def points(m: int) -> tuple[Tensor, Tensor]:
    return normal(N, D).requires_grad_(), normal(m, D, seed=1).requires_grad_()


def is_short(loss: icon.Loss, *arguments: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> bool:
    """Whether a call needs no prepared p."""
    asked = []
    prepare = type(loss.p).__call__
    with monkeypatch.context() as patched:
        patched.setattr(type(loss.p), "__call__", lambda *given: asked.append(1) or prepare(*given))
        loss(*arguments, **options)
    return not asked


@pytest.mark.parametrize("name", PLAIN)
def test_it_is_what_the_evaluators_compute(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, m, target = PLAIN[name]
    pair = points(m)
    assert is_short(loss, pair, target, monkeypatch=monkeypatch)
    leaves = [*pair, *loss.parameters()]
    for evaluator in ("autograd", "fused"):
        assert_same(loss(pair, target), loss.replace(evaluator=evaluator)(pair, target), leaves, rtol=1e-12)


OTHERS: dict[str, tuple[icon.Loss, int, Any]] = {
    "soft targets": (icon.Loss(p.DataLabel(), q.Gaussian("dot")), C, torch.eye(C, dtype=torch.float64)[LABELS]),
    "weighted classes": (icon.Loss(p.DataLabel(class_weights=list(range(1, C + 1))), q.Gaussian("dot")), C, LABELS),
    "a label that is none": (icon.Loss(p.DataLabel(ignore_index=0), q.Gaussian("dot")), C, LABELS),
    "label smoothing": (icon.Loss(p.DataLabel().debias(0.1), q.Gaussian("dot")), C, LABELS),
    "ids": (icon.Loss(p.Pairs(), BOTH), N, (LABELS, LABELS)),
    "a margin": (icon.Loss(p.DataLabel(), q.Gaussian("dot", margin=0.5)), C, LABELS),
    "a heavy tail": (icon.Loss(p.DataLabel(), q.StudentT()), C, LABELS),
    "another partition": (icon.Loss(p.DataLabel(), q.Gaussian("dot", partition="max")), C, LABELS),
    "two ways that differ": (icon.Loss(p.CrossModal(), q.Gaussian(sigma=0.7)), N, None),
    "another divergence": (icon.Loss(p.DataLabel(), q.Gaussian("dot"), divergence="tv"), C, LABELS),
    "one number per anchor": (icon.Loss(p.DataLabel(), q.Gaussian("dot"), reduction="none"), C, LABELS),
    "a sum": (icon.Loss(p.DataLabel(), q.Gaussian("dot"), reduction="sum"), C, LABELS),
    "weighted anchors": (icon.Loss(p.DataLabel(), q.Gaussian("dot"), anchor_weights=[1.0] * 11 + [0.0]), C, LABELS),
    "stationary weights": (icon.Loss(p.Pairs(), BOTH, anchor_weights="stationary"), N, None),
    "an evaluator": (icon.Loss(p.DataLabel(), q.Gaussian("dot"), evaluator="fused"), C, LABELS),
    "prepared rows": (icon.Loss(p.Pairs(), BOTH), N, p.Pairs()(None, p.base.Sets(N, N, True))),
}


@pytest.mark.parametrize("name", OTHERS)
def test_all_else_goes_the_way_of_all_losses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, m, target = OTHERS[name]
    assert not is_short(loss, points(m), target, monkeypatch=monkeypatch)


def test_a_part_of_the_anchors_and_weights_of_a_call_do_too(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, m, target = PLAIN["labels"]
    pair = points(m)
    assert not is_short(loss, pair, target, anchors=slice(0, 3), monkeypatch=monkeypatch)
    assert not is_short(loss, pair, target, weights=[1.0] * N, monkeypatch=monkeypatch)


CHANGED = [("margin", 0.5), ("partition", q.PARTITIONS["max"]()), ("detach_candidates", True)]


@pytest.mark.parametrize(("name", "value"), CHANGED)
def test_a_part_that_was_changed_counts(name: str, value: Any) -> None:
    given = q.Gaussian("dot")
    loss, pair = icon.Loss(p.DataLabel(), given), points(C)
    loss(pair, LABELS)
    setattr(given, name, value)
    assert_same(loss(pair, LABELS), loss.replace(evaluator="autograd")(pair, LABELS), list(pair), rtol=1e-12)


CHANGED_TOO = [
    ("detach_candidates", True),
    ("log_weights", torch.linspace(-1, 0, N)),
    ("fixed_scale", torch.linspace(0.5, 1, N)),
]


@pytest.mark.parametrize(("name", "value"), CHANGED_TOO)
def test_ways_that_differ_since_a_part_was_changed(name: str, value: Any) -> None:
    given = q.Gaussian("dot", temperature=0.5)
    loss, pair = icon.Loss(p.CrossModal(), given), points(N)
    setattr(given, name, value)
    assert_same(loss(pair), loss.replace(evaluator="autograd")(pair), list(pair), rtol=1e-6)


class Doubled(q.Gaussian):
    """Products of unit scale, of points that are prepared in another way."""

    def prepare(self, anchors: Tensor, candidates: Tensor, statistics: q.base.Statistics) -> tuple[Tensor, Tensor]:
        return 2 * anchors, candidates


@pytest.mark.parametrize("given", [q.Gaussian("dot", temperature=0.5), Doubled("dot")], ids=["temperature", "subclass"])
def test_points_are_prepared(given: q.Gaussian, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, (anchors, candidates) = icon.Loss(p.DataLabel(), given), points(C)
    assert is_short(loss, (anchors, candidates), LABELS, monkeypatch=monkeypatch)
    assert_close(loss((anchors, candidates), LABELS), PLAIN["labels"][0]((2 * anchors, candidates), LABELS))


def test_a_temperature_that_is_set_counts() -> None:
    loss, (anchors, candidates) = icon.Loss(p.DataLabel(), q.Gaussian("dot")), points(C)
    loss.temperature = 0.5
    assert_close(loss((anchors, candidates), LABELS), PLAIN["labels"][0]((2 * anchors, candidates), LABELS))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single(dtype: torch.dtype) -> None:
    pair = [x.detach().to(dtype) for x in points(C)]
    value = PLAIN["labels"][0](tuple(pair), LABELS)
    assert value.dtype == torch.float32
    assert_close(value, PLAIN["labels"][0](tuple(x.float() for x in pair), LABELS), rtol=1e-6, atol=0)


def test_masked_classes_without_a_look_at_values() -> None:
    logits = points(D)[0].detach().masked_fill(torch.arange(D) == D - 1, -torch.inf)
    pair, labels = (logits, torch.eye(D, dtype=logits.dtype)), LABELS % (D - 1)
    expected = PLAIN["labels"][0](pair, labels)
    with icon.set_validation(False):
        assert_close(PLAIN["labels"][0](pair, labels), expected)


#: The loss would be finite with its negative as prototypes and points that lie where the last one is not likely.
UNLIKELY = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [torch.inf, 1.0]], dtype=torch.float64)


class FirstLabel(p.DataLabel):
    """A p of one's own: the same target, other rows."""

    def rows(self, target: Any, sets: p.base.Sets) -> icon.Rows:
        return super().rows(torch.zeros_like(target), sets)


def test_a_p_of_ones_own_is_asked_for_its_rows() -> None:
    q_ = q.Gaussian("dot")
    pair = points(C)
    expected = icon.Loss(p.DataLabel(), q_)(pair, torch.zeros_like(LABELS))
    assert_same(icon.Loss(FirstLabel(), q_)(pair, LABELS), expected, list(pair), rtol=1e-12)


class Mixed(p.CrossModal):
    """The same rows, half of which are spread over all candidates in the end."""

    def finish(self, rows: icon.Rows) -> icon.Rows:
        return rows.debias(0.5)


class Prepared(p.CrossModal):
    """The same in another place."""

    def __call__(self, target: Any = None, sets: p.base.Sets = p.base.ONE_SET) -> icon.Rows:
        return super().__call__(target, sets).debias(0.5)


class Backward(p.CrossModal):
    """The candidates as anchors alone."""

    def directions(self, views: int, target: Any = None) -> list[tuple[int, int, Any]]:
        return [(1, 0, target)]


@pytest.mark.parametrize("own", [Mixed(), Prepared(), Backward()])
def test_a_p_of_ones_own_is_asked_for_all_it_changes(own: p.CrossModal) -> None:
    loss, pair = icon.Loss(own, BOTH), points(N)
    assert_same(loss(pair), loss.replace(evaluator="autograd")(pair), list(pair), rtol=1e-12)


@pytest.mark.parametrize(
    ("pair", "target", "message"),
    [
        ((normal(3, 2), normal(4, 2)), torch.tensor([0, 1, 4]), "labels: got labels >= 4 in rows 2, expected 0..3"),
        ((normal(3, 2), normal(4, 2)), torch.tensor([0, 1]), "labels: got 2 entries, expected 3"),
        ((normal(3, 2), normal(4, 2)), torch.tensor([0.0, 1, 2]), "labels: got dtype torch.float32"),
        ((normal(3, 2), normal(4, 3)), torch.tensor([0, 1, 2]), r"input: got shapes \(3, 2\), \(4, 3\)"),
        (
            (normal(3, 2), normal(4, 2)),
            torch.tensor([0, -100, -1]),
            "labels: got negative entries in rows 1, 2, expected",
        ),
        ((normal(3, 2) / 0, normal(4, 2)), torch.tensor([0, 1, 2]), r"input\[0\]: got NaN or infinity in rows"),
        (
            (normal(3, 2).abs(), -UNLIKELY),
            torch.tensor([0, 1, 2]),
            r"input\[1\]: got NaN or infinity in rows 3, expected",
        ),
        (
            (UNLIKELY[[0, 1, 3]], normal(4, 2)),
            torch.tensor([0, 1, 2]),
            r"input\[0\]: got NaN or infinity in rows 2, exp",
        ),
    ],
)
def test_bad_input_is_named_here_as_well(pair: Any, target: Tensor, message: str) -> None:
    for evaluator in (None, "autograd"):
        with pytest.raises((ValueError, TypeError), match=message):
            icon.Loss(p.DataLabel(), q.Gaussian("dot"), evaluator=evaluator)(pair, target)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_a_matrix_of_integers_is_no_second_set(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"^ids: got shape \(12, 5\), expected one dimension"):
        PLAIN["pairs"][0](points(N)[0], torch.ones(N, D, dtype=dtype))


def test_sets_of_two_sizes_are_not_aligned() -> None:
    with pytest.raises(ValueError, match="input: got 3 and 4 rows, expected equal numbers"):
        icon.method("clip")((normal(3, 2), normal(4, 2)))


@pytest.mark.parametrize("row", range(N))
@pytest.mark.parametrize("entry", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("name", ["labels", "labels, cosine", "labels, distances", "pairs", "modalities"])
def test_any_number_that_is_not_finite_is_refused(name: str, entry: float, row: int) -> None:
    """The short way looks at the value alone, which an anchor that is not finite always spoils."""
    loss, m, target = PLAIN[name]
    for k, size in ((0, N), (1, m)):
        pair = [normal(N, D).abs(), normal(m, D, seed=1)]
        pair[k][row % size, row % D] = entry
        with pytest.raises(ValueError, match=rf"^input\[{k}\]: got NaN or infinity in rows {row % size}, expected"):
            loss(tuple(pair), target)


def test_a_loss_that_overflows_is_no_error() -> None:
    pair = (torch.full((3, 2), 1e30), torch.full((4, 2), 1e30))
    assert not torch.isfinite(icon.Loss(p.DataLabel(), q.Gaussian("dot"))(pair, torch.tensor([0, 1, 2])))
