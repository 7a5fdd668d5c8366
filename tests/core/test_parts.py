"""A loss whose anchors are evaluated in parts: parts add up to the whole; a memory is candidates and nothing else."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import icon
from icon.p.support import Support
from icon.q.base import Batch
from tests import dense
from tests.cases import assert_close, assert_same, gradients, normal

N = 12
METHODS = [record.slug for record in icon.methods()]
pytestmark = [pytest.mark.filterwarnings("ignore:perplexity"), pytest.mark.usefixtures("each_evaluator")]


class Shared:
    """Totals over parts that run in threads: the sum of what every part gives, in one autograd graph."""

    def __init__(self, parts: int) -> None:
        self.barrier, self.given = threading.Barrier(parts, timeout=60), {}

    def _all(self, x: Tensor) -> list[Tensor]:
        self.given[threading.get_ident()] = x
        self.barrier.wait()
        found = [self.given[key] for key in sorted(self.given)]
        self.barrier.wait()
        return found

    def sum(self, x: Tensor) -> Tensor:
        return torch.stack(self._all(x)).sum(dim=0)

    def max(self, x: Tensor) -> Tensor:
        return torch.stack(self._all(x.detach())).amax(dim=0)


def in_parts(loss: icon.Loss, input: Any, target: Any, cuts: list[int]) -> Tensor:
    """The sum of the losses of consecutive parts, each in a thread of its own."""
    slices = [slice(a, b) for a, b in itertools.pairwise(cuts)]
    one = loss.replace(totals=Shared(len(slices)))
    with ThreadPoolExecutor(len(slices)) as pool:
        found = list(pool.map(lambda part: one(input, target, anchors=part), slices))
    return torch.stack(found).sum()


def inputs(column: str, d: int = 3) -> tuple[Any, Any, list[Tensor]]:
    z, x = normal(N, d, grad=True), normal(N, 5, seed=3).numpy()
    graph = np.abs(x @ x.T) * dense.others(N)
    target: Any = {
        "gaussian": x,
        "student-t": x,
        "graph": graph,
        "knn": x,
        "pairs": np.arange(N) // 2,
        "classes": np.arange(N) % 4,
        "data-label": np.arange(N) % 4,
    }.get(column)
    if column in ("cross-modal", "data-label"):
        other = normal(N if column == "cross-modal" else 4, d, seed=1, grad=True)
        return (z, other), target, [z, other]
    return z, target, [z]


def hyper_of(slug: str) -> dict[str, Any]:
    record = next(r for r in icon.methods() if r.slug == slug)
    hyper: dict[str, Any] = {}
    if "perplexity" in record.hyper:
        hyper["perplexity"] = 3.0
    if "n_neighbors" in record.hyper:
        hyper["n_neighbors"] = 3
    return hyper


@pytest.mark.parametrize("cuts", [[0, 5, N], [0, 3, 4, N]], ids=str)
@pytest.mark.parametrize("slug", METHODS)
def test_parts_add_up_to_the_whole(slug: str, cuts: list[int]) -> None:
    loss = icon.method(slug, **hyper_of(slug)).double().eval()
    input, target, leaves = inputs(loss.column or "")
    leaves = leaves + [p for p in loss.parameters() if p.requires_grad]
    assert_same(in_parts(loss, input, target, cuts), loss(input, target), leaves, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"normalization": "joint"}, {"divergence": "js"}, {"reduction": "sum"},
                                     {"normalization": "joint", "divergence": "hellinger"}], ids=str)  # fmt: skip
@pytest.mark.parametrize("debias", [0.0, 0.3])
@pytest.mark.parametrize("row", ["gaussian", "student-t", "clusters"])
@pytest.mark.parametrize("column", ["knn", "pairs", "classes", "gaussian"])
def test_parts_of_every_form(row: str, column: str, debias: float, options: dict[str, Any]) -> None:
    hyper = {"gaussian": {"perplexity": 4.0}, "knn": {"n_neighbors": 3}}.get(column, {})
    loss = icon.loss(row, column, **hyper, debias=debias, **options)
    input, target, leaves = inputs(column)
    assert_same(in_parts(loss, input, target, [0, 5, N]), loss(input, target), leaves, rtol=1e-12)


@pytest.mark.parametrize("weights", ["stationary", None])
def test_parts_with_anchors_without_a_positive(weights: str | None) -> None:
    graph = np.abs(normal(N, N).numpy()) * dense.others(N)
    graph = graph + graph.T
    graph[3] = graph[:, 3] = 0
    z = normal(N, 3, grad=True)
    loss = icon.Loss(icon.p.Graph(), icon.q.StudentT(), anchor_weights=weights)
    with pytest.warns(UserWarning, match="without a positive"):
        assert_same(in_parts(loss, z, graph, [0, 4, N]), loss(z, graph), [z], rtol=1e-12)


@pytest.mark.filterwarnings("ignore:target. got 1 of")
def test_joint_divergences_in_parts_with_anchors_without_a_positive() -> None:
    graph = np.abs(normal(N, N).numpy()) * dense.others(N)
    graph[3] = 0
    z = normal(N, 3, grad=True)
    loss = icon.Loss(icon.p.Graph(), icon.q.StudentT(), normalization="joint", divergence="tv")
    assert_same(in_parts(loss, z, graph, [0, 4, N]), loss(z, graph), [z], rtol=1e-12)


def test_batch_statistics_and_penalties_are_those_of_all_parts() -> None:
    z, ids = normal(N, 3, grad=True), np.arange(N) // 2
    for loss in (
        icon.loss("gaussian-wide", "pairs", metric="dot", partition="second-order", preprocess="standardize"),
        icon.loss("clusters", "pairs", entropy_weight=0.7, log_prior=0.1),
    ):
        assert_same(in_parts(loss, z, ids, [0, 7, N]), loss(z, ids), [z], rtol=1e-12)
    a, b = normal(N, 3, grad=True), normal(N, 3, seed=1, grad=True)
    loss = icon.loss("gaussian", "pairs", metric="dot", temperature=2.0, preprocess="standardize")
    assert_same(in_parts(loss, (a, b), None, [0, 7, N]), loss((a, b)), [a, b], rtol=1e-12)


def test_prepared_rows_in_parts() -> None:
    z, x = normal(N, 3, grad=True), normal(N, 4, seed=1)
    loss = icon.loss("student-t", "knn", n_neighbors=3, debias=0.2)
    rows = loss.p(x)
    parts = [loss.replace(reduction="sum")(z, rows, anchors=slice(*cut)) for cut in ((0, 4), (4, N))]
    assert_same(parts[0] + parts[1], loss(z, x) * N, [z], rtol=1e-12)
    own = [loss.replace(reduction="sum")((z[a:b], z), rows.part(a, b)) for a, b in ((0, 4), (4, N))]
    assert_same(own[0] + own[1], loss(z, x) * N, [z], rtol=1e-12)


# -- a memory ----------------------------------------------------------------------------------------------------------


def with_memory(scores: Callable[[Tensor, Tensor], Tensor], z: Tensor, memory: Tensor, labels: np.ndarray) -> Tensor:
    """KL of the batch against itself and a memory, by matrices."""
    every = torch.cat([z, memory])
    mask = np.ones((len(z), len(every)), dtype=bool)
    mask[np.arange(len(z)), np.arange(len(z))] = False
    same = (labels[: len(z), None] == labels[None]) & mask
    return dense.row_kl(scores(z, every), dense.p_graph(same.astype(float)), mask).mean()


@pytest.mark.parametrize("row", ["gaussian", "student-t"])
def test_a_batch_against_itself_and_a_memory(row: str) -> None:
    z, memory, labels = normal(6, 3, grad=True), normal(9, 3, seed=1), np.arange(15) % 3
    scores = {
        "gaussian": lambda a, c: dense.gaussian_scores(a, c, "cosine", 0.4),
        "student-t": lambda a, c: dense.student_t_scores(a, c, 1.0),
    }[row]
    hyper = {"temperature": 0.4} if row == "gaussian" else {}
    loss = icon.loss(row, "classes", **hyper)
    value = loss(torch.cat([z, memory]), labels, anchors=slice(0, 6))
    assert_same(value, with_memory(scores, z, memory, labels), [z])


def test_clusters_of_a_batch_and_a_memory_have_the_sizes_of_both() -> None:
    z, memory, labels = normal(6, 4, grad=True), normal(9, 4, seed=1), np.arange(15) % 3
    every = torch.cat([z, memory])
    same = (labels[:6, None] == labels[None]).astype(float)
    same[np.arange(6), np.arange(6)] = 0
    scores = dense.cluster_log_q(z, every)
    expected = dense.row_kl(scores, dense.p_graph(same), dense.everyone(6, 15), "none").mean()
    value = icon.loss("clusters", "classes")(every, labels, anchors=slice(0, 6))
    assert_same(value, expected, [z])


@pytest.mark.parametrize(
    ("part", "kind"),
    [((0, 4), TypeError), (slice(4, 4), ValueError), (slice(0, 99), ValueError), (slice(0, 8, 2), ValueError)],
)
def test_a_part_that_is_none(part: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^anchors: got .* expected"):
        icon.method("simclr")(normal(N, 3), np.arange(N) // 2, anchors=part)


def test_the_gradient_of_a_part_reaches_the_candidates() -> None:
    z, ids = normal(N, 3, grad=True), np.arange(N) // 2
    (found,) = gradients(icon.method("simclr")(z, ids, anchors=slice(0, 4)), [z])
    assert bool((found[4:] != 0).any())


def test_a_support_with_an_offset() -> None:
    support = icon.Support(3, 8, True, 4)
    tile = support.hide(torch.ones(3, 8), 0, 0.0)
    assert (tile == 0).nonzero().tolist() == [[0, 4], [1, 5], [2, 6]]
    assert support.part(1, 3) == icon.Support(2, 8, True, 5)
    assert_close(support.hide(torch.ones(2, 8), 1, 0.0), support.part(1, 3).hide(torch.ones(2, 8), 0, 0.0))
    with pytest.raises(ValueError, match=r"^support: got offset 6 for 3 anchors among 8"):
        icon.Support(3, 8, True, 6)


def test_anchor_weights_are_of_the_whole_input() -> None:
    z, labels, weights = normal(N, 3, grad=True), np.arange(N) % 3, np.linspace(0, 1, N)
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), anchor_weights=weights)
    assert_same(in_parts(loss, z, labels, [0, 5, N]), loss(z, labels), [z], rtol=1e-12)
    with pytest.raises(ValueError, match=r"^anchor_weights: got 12, expected 9 \(one per anchor\)"):
        loss(z[:9], labels[:9], anchors=slice(0, 4))


def test_what_is_global_is_named_in_the_problem() -> None:
    z, ids = normal(N, 3), np.arange(N) // 2
    (problem,) = icon.loss("clusters", "pairs").problems(z, ids, anchors=slice(0, 4))
    assert_close(problem.statistics["log sizes"].exp(), z.softmax(dim=1).sum(dim=0))
    (problem,) = icon.loss("student-t", "pairs").problems(z, ids, anchors=slice(0, 4))
    assert_close(problem.statistics["centre"], z.mean(dim=0))
    views = normal(N, 3), normal(N, 3, seed=1)
    forth, back = icon.loss("gaussian", "cross-modal", preprocess="center").problems(views)
    for problem, mine, theirs in ((forth, *views), (back, *views[::-1])):
        assert_close(problem.statistics["anchor mean"], mine.mean(dim=0))
        assert_close(problem.statistics["candidate mean"], theirs.mean(dim=0))


@pytest.mark.parametrize(
    "q",
    [
        icon.q.Gaussian(sigma=0.7),
        icon.q.Gaussian(sigma=0.7, preprocess="center"),
        icon.q.Gaussian(sigma=0.7, preprocess="standardize"),
        icon.q.Gaussian("cosine", temperature=0.5, preprocess="standardize"),
        icon.q.StudentT(2.0),
    ],
    ids=repr,
)
def test_scores_between_parts_that_are_prepared_apart(q: icon.q.Kernel) -> None:
    """As ranks of a ring do, which know of all points what the statistics hold."""
    z = normal(12, 3)
    statistics = q.statistics(Batch(z, z, Support(12, 12, True, 0)))
    whole, first, last = (q.prepare(x, x, statistics) for x in (z, z[:5], z[5:]))
    assert_close(q.score(first[0], last[1]), q.score(*whole)[:5, 5:])
