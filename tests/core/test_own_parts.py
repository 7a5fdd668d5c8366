"""Scores, partitions, divergences and evaluators of one's own, beside those of the package."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import icon
from icon.core.evaluators import Autograd, Fused
from icon.q.base import Batch
from tests import dense
from tests.cases import Bilinear, N, assert_same, normal

pytestmark = pytest.mark.usefixtures("each_evaluator")

DIVERGENCES = ("kl", "reverse-kl", "js", "tv", "hellinger", "alpha")
MASK = torch.as_tensor(dense.others(N))


def largest(scores: Tensor, row: Any) -> Tensor:
    """A partition as a plain function."""
    return row.hide(scores, -torch.inf).amax(dim=1)


def test_a_partition_may_be_a_plain_function() -> None:
    icon.testing.check_partition(largest)
    z, labels = normal(N, 3, grad=True), np.arange(N) % 4
    own = icon.Loss(icon.p.Classes(), Laplacian(partition=largest))
    scores = -torch.cdist(z, z, p=1)
    expected = scores.masked_fill(~MASK, -torch.inf).amax(dim=1) - (
        torch.from_numpy(dense.p_members(labels)) * scores
    ).sum(1)
    assert_same(own(z, labels), expected.mean(), [z])
    with pytest.raises(ValueError, match="divergence: got js, but q is a rescaled limit or no distribution"):
        own.replace(divergence="js")
    assert repr(icon.q.Gaussian("dot", partition=largest)) == "Gaussian(metric='dot', partition=largest)"
    named = icon.loss("gaussian-narrow", "classes", metric="dot")
    assert_same(icon.loss("gaussian", "classes", metric="dot", partition=largest)(z, labels), named(z, labels), [z])
    for kernel in (Laplacian, icon.q.Gaussian):
        with pytest.raises(TypeError, match="partition: got 3, expected a function"):
            kernel(partition=3)


@pytest.mark.parametrize("wrong", [lambda s, row: s, lambda s, row: s.sum(), lambda s, row: 0.0])
def test_a_partition_gives_one_number_per_row(wrong: Any) -> None:
    loss = icon.Loss(icon.p.Classes(), Laplacian(partition=wrong))
    with pytest.raises(ValueError, match=r"^partition: got shape .* from .*, expected \(\d+,\): one number per row$"):
        loss(normal(N, 3), np.arange(N) % 4)


class Scale(nn.Module):
    """A part with a parameter: a partition, or a divergence."""

    is_normalizer = False

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, first: Tensor, second: Any, log_q: Any = None, log_p: Any = None) -> Tensor:
        if log_q is None:
            return self.scale * second.hide(first, 0.0).sum(dim=1)
        return self.scale * (log_p.exp() - second).square().sum(dim=1)


class Scaled(icon.q.Gaussian):
    def __init__(self) -> None:
        super().__init__("dot", learnable=True)
        self.part = Scale()

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return self.part.scale * super().score(anchors, candidates)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(
    ("q", "divergence"),
    [
        (lambda: icon.q.Gaussian("dot", partition=Scale(), learnable=True), lambda: "kl"),
        (Scaled, lambda: "kl"),
        (icon.q.StudentT, Scale),
    ],
    ids=["partition", "score", "divergence"],
)
def test_parameters_of_a_part_learn_in_blocks_too(q: Any, divergence: Any, reduction: str) -> None:
    z, labels = normal(N, 3, grad=True), np.arange(N) % 4
    loss = icon.Loss(icon.p.Classes(), q(), divergence=divergence(), reduction=reduction).double()
    leaves = [z, *loss.parameters()]
    assert_same(loss.replace(block=5)(z, labels).sum(), loss(z, labels).sum(), leaves)
    loss(z, labels).sum().backward()
    assert all(float(x.grad.norm()) > 0 for x in loss.parameters())


class Turned(icon.q.Gaussian):
    """A score that is another one of the sets exchanged."""

    def prepare(self, anchors: Tensor, candidates: Tensor, statistics: Any) -> tuple[Tensor, Tensor]:
        return 300 * anchors, candidates.roll(1, dims=1)


class Turn:
    prepare = Turned.prepare


class Mixed(Turn, icon.q.Gaussian):
    """A score that comes from beside the class that knows another one."""


class Twice(icon.q.StudentT):
    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return 2 * super().score(anchors, candidates)


class Weighted(icon.q.Gaussian):
    def weighted_score(self, a: Tensor, c: Tensor) -> Tensor:
        return 2 * super().weighted_score(a, c)


def both_ways(q: icon.q.Kernel, views: tuple[Tensor, Tensor]) -> Tensor:
    """The cross-modal loss of aligned views, from the scores of each way."""
    ways = [q.weighted_score(*q.features(Batch(a, c, icon.Support(N, N)))[:2]) for a, c in (views, views[::-1])]
    return torch.stack([(s.logsumexp(dim=1) - s.diagonal()).mean() for s in ways]).mean()


@pytest.mark.parametrize("evaluator", [None, "autograd", "fused"])
@pytest.mark.parametrize(
    "q",
    [Turned("cosine", temperature=0.5), Mixed("cosine", temperature=0.5), Twice(), Weighted("dot"), Bilinear()],
    ids=lambda q: type(q).__name__,
)
def test_of_another_score_nothing_is_known(q: icon.q.Kernel, evaluator: str | None) -> None:
    """It may be neither symmetric, nor bounded, nor that of the base class."""
    views = normal(N, 3, grad=True), normal(N, 3, seed=1, grad=True)
    loss = icon.Loss(icon.p.CrossModal(), q, evaluator=evaluator)
    assert_same(loss(views), both_ways(q, views), [*views, *q.parameters()])


def test_another_score_is_not_the_one_of_the_distance() -> None:
    with pytest.raises(ValueError, match=r"^evaluator: got 'grid', expected .* a score of the distance"):
        icon.Loss(icon.p.CrossModal(), Twice(), evaluator="grid")((normal(N, 2), normal(N, 2, seed=1)))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_gradient_that_would_be_lost_in_blocks_is_refused(reduction: str) -> None:
    scale, z, labels = torch.tensor(2.0, requires_grad=True), normal(N, 3, grad=True), np.arange(N) % 4
    parts: tuple[Any, ...] = icon.p.Classes(), icon.q.StudentT()
    loss = icon.Loss(*parts, divergence=lambda p, q, log_q: scale * (p - q).square().sum(dim=1), reduction=reduction)
    loss(z, labels).sum().backward()
    assert scale.grad is not None
    with pytest.raises(ValueError, match=r"^q, divergence: got a part with a tensor of shape \(\) .*: pass block=18$"):
        loss.replace(block=5)(z, labels).sum().backward()


@pytest.mark.parametrize("wrong", [lambda p, q, log_q: p - q, lambda p, q, log_q: (p - q).sum()])
def test_a_divergence_gives_one_number_per_row(wrong: Any) -> None:
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), divergence=wrong)
    with pytest.raises(ValueError, match=r"^divergence: got shape .* from <lambda> .*: one number per row$"):
        loss(normal(N, 3), np.arange(N) % 4)


def test_a_score_and_rows_of_a_wrong_kind() -> None:
    class Short(icon.q.Kernel):
        def score(self, anchors: Any, candidates: Any) -> Any:
            return (anchors @ candidates.mT)[:1]

    class Nothing(icon.q.Kernel):
        def weighted_score(self, a: Any, c: Any) -> Any:
            pass

    class Fewer(icon.p.Classes):
        def rows(self, target: Any, sets: Any) -> Any:
            return icon.p.Precomputed()(torch.ones(5, 6) / 6)

    class Matrix(icon.p.Distribution):
        made_from = "nothing"

        def rows(self, target: Any, sets: Any) -> Any:
            return torch.eye(sets.n)

    z = torch.randn(6, 2)
    with pytest.raises(ValueError, match=r"^score: got shape \(1, 6\) from Short, expected \(6, 6\)$"):
        icon.Loss(icon.p.Classes(), Short())(z, [0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match=r"^score: got shape \(\) from Nothing, expected \(6, 6\)$"):
        icon.Loss(icon.p.Classes(), Nothing())(z, [0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match=r"^rows: got shape \(5, 6\) from Fewer, expected \(6, 6\)$"):
        icon.Loss(Fewer(), icon.q.StudentT(), block=2)(z, [0, 0, 1, 1, 2, 2])
    with pytest.raises(TypeError, match=r"^rows: got Tensor from Matrix, expected icon.Rows$"):
        icon.Loss(Matrix(), icon.q.StudentT())(z)


def test_a_divergence_of_ones_own() -> None:
    def squares(p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
        return (p - q).square().sum(dim=1)

    z, labels = normal(N, 3, grad=True), np.arange(N) % 4
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), divergence=squares, block=7)
    learned = dense.row_q(dense.student_t_scores(z, z, 1.0), MASK)
    expected = (torch.from_numpy(dense.p_members(labels)) - learned).square().sum(dim=1).mean()
    assert_same(loss(z, labels), expected, [z])


class Laplacian(icon.q.Kernel):
    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return -(anchors[..., :, None, :] - candidates[..., None, :, :]).abs().sum(-1)


class Transposed(icon.q.Kernel):
    """Its scores are a view that is not contiguous."""

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return (candidates @ anchors.mT).mT


def own_scores(q: icon.q.Kernel, z: Tensor) -> Tensor:
    if isinstance(q, Laplacian):
        return -(z[:, None] - z[None]).abs().sum(-1)
    return z @ q.metric @ z.T if isinstance(q, Bilinear) else z @ z.T


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("kind", [Laplacian, Transposed, Bilinear])
def test_a_users_own_score(kind: type[icon.q.Kernel], reduction: str) -> None:
    q = kind()
    z, labels = normal(N, 3, grad=True), np.arange(N) % 3
    loss = icon.Loss(icon.p.Classes().debias(0.1), q, reduction=reduction, block=7)
    p = dense.debiased(dense.p_members(labels), 0.1, dense.others(N))
    expected = dense.row_kl(own_scores(q, z), p, MASK)
    value = loss(z, labels)
    weights = torch.full((N,), 1 / N, dtype=torch.float64) if reduction == "mean" else normal(N, seed=4)
    assert_same(value if reduction == "mean" else value @ weights, expected @ weights, [z, *q.parameters()])


class Dense(icon.Evaluator):
    """Everything as matrices of all pairs, written from the public interface alone."""

    def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
        n, support = problem.support.n, problem.support
        p = problem.p.tile(0, n, problem.anchors)
        scores = problem.scores(problem.anchors, 0)
        inside = support.hide(torch.ones_like(scores), 0, 0.0) > 0
        normalizer = problem.partition(scores, 0)
        if problem.divergence is None:
            return normalizer, (p * scores.masked_fill(~inside, 0.0)).sum(dim=1)
        if problem.log_normalizer is not None:
            normalizer = problem.log_normalizer.expand(n)
        log_q = (scores - normalizer[:, None]).masked_fill(~inside, -torch.inf)
        counted = torch.ones(n, dtype=torch.bool) if problem.counted is None else problem.counted
        p = torch.where(counted[:, None], p, log_q.exp().detach())
        return (problem.divergence(p, log_q.exp(), log_q.masked_fill(~inside, 0.0)),)


@pytest.mark.parametrize(
    "evaluator", [Dense(), *(pytest.param(own, marks=pytest.mark.slow) for own in (Fused(), Autograd()))], ids=repr
)
def test_evaluators_agree_on_every_cell(evaluator: icon.Evaluator) -> None:
    icon.testing.check_evaluator(evaluator)


def test_an_evaluator_that_is_wrong_is_found() -> None:
    class Wrong(Dense):
        def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
            first, *rest = super().per_anchor(problem)
            return (first * (1 + 1e-9), *rest)

    with pytest.raises(AssertionError, match=r"value of .* differs by"):
        icon.testing.check_evaluator(Wrong())


@pytest.mark.parametrize("each_evaluator", ["autograd"], indirect=True)  # it is not the one that is checked
def test_an_evaluator_that_loses_a_gradient_is_found() -> None:
    class OfScores(Dense):
        def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
            learned = [x.requires_grad_(False) for x in problem.parameters]
            numbers = super().per_anchor(problem)
            for x in learned:
                x.requires_grad_(True)
            return numbers

    class OfP(Dense):
        def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
            p = problem.p.with_leaves(tuple(x.detach() for x in problem.p.leaves))
            return super().per_anchor(replace(problem, p=p) if problem.p.leaves else problem)

    with pytest.raises(AssertionError, match="gradient of _Learned"):
        icon.testing.check_evaluator(OfScores())
    with pytest.raises(AssertionError, match="gradient of StudentT"):
        icon.testing.check_evaluator(OfP())


@pytest.mark.parametrize("options", [{}, {"reduction": "none"}, {"normalization": "joint"}, {"divergence": "js"}])
@pytest.mark.parametrize("given", [None, torch.ones(()), torch.ones(2), (torch.ones(2),), (torch.ones(N),) * 3])
def test_an_evaluator_that_gives_other_numbers_is_refused(given: Any, options: dict[str, str]) -> None:
    class Other(icon.Evaluator):
        def per_anchor(self, problem: icon.Problem) -> Any:
            return given

    with pytest.raises(ValueError, match=r"^evaluator: got .* from Other\(\), expected \((A, E|D,)\) of shapes \["):
        icon.loss("gaussian", "pairs", evaluator=Other(), **options)(normal(N, 3), np.arange(N) // 2)


def test_an_evaluator_is_accepted_everywhere_and_named() -> None:
    calls: list[str] = []

    class Counting(Dense):
        def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
            calls.append(type(problem.q).__name__)
            return super().per_anchor(problem)

    z, x, ids, mine = normal(N, 3), normal(N, 4, seed=1).numpy(), np.arange(N) // 2, Counting()
    icon.Loss(icon.p.Pairs(), icon.q.StudentT(), evaluator=mine)(z, ids)
    icon.loss("gaussian", "pairs", evaluator=mine)(z, ids)
    assert "evaluator=Counting()" in repr(icon.method("simclr", evaluator=mine))
    mapped = icon.Embedding(evaluator=mine, max_iter=2, hyper={"perplexity": 4.0}).fit(x)
    before = len(calls)
    mapped.transform(x[:3] + 0.1)
    assert len(calls) > before
    icon.Clustering(3, n_neighbors=3, evaluator=mine, max_iter=2, n_init=1, init="random").fit(x)
    assert {"StudentT", "Gaussian", "Clusters"} <= set(calls)
    for wrong, kind, message in (
        ("fuse", ValueError, r"^evaluator: got 'fuse' \(did you mean 'fused'\?\)"),
        (3, TypeError, r"^evaluator: got int, expected a name or an icon\.Evaluator"),
    ):
        with pytest.raises(kind, match=message):
            icon.Loss(icon.p.Pairs(), icon.q.StudentT(), evaluator=wrong)  # type: ignore[arg-type]


class HalfSum:
    """Calls itself a normaliser and is one: a softmax at another temperature would not be."""

    is_normalizer = True

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return torch.log(row.hide(scores, -torch.inf).exp().sum(dim=1))


@pytest.mark.parametrize("name", DIVERGENCES[2:])
def test_a_normaliser_of_ones_own_under_every_divergence(name: str) -> None:
    """It is used, not replaced: total variation stays at most 1."""
    z, labels = normal(N, 3, grad=True), np.arange(N) % 4
    q = icon.q.Gaussian(sigma=0.8)
    expected = icon.Loss(icon.p.Classes().debias(0.1), q, divergence=name)(z, labels)
    own = icon.q.Gaussian(sigma=0.8)
    own.partition = HalfSum()
    assert_same(icon.Loss(icon.p.Classes().debias(0.1), own, divergence=name)(z, labels), expected, [z])
