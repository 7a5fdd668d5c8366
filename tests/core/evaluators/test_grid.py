"""Maps on a grid: values and gradients against exact sums, within one tolerance, wherever the points are."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import icon
from icon.core.evaluators import Autograd, Grid, edges, nodes
from icon.core.evaluators.nodes import Nodes, Pairs
from icon.core.evaluators.spacing import SAMPLE, SPARSE
from icon.p.rows import Rows
from tests.cases import Largest
from tests.combinations import few_are_fast

N = 1500


class Rational(icon.q.Radial):
    def radial(self, squared: Tensor) -> Tensor:
        return -torch.log1p(squared + 0.1 * squared**2)


SCORES: dict[str, icon.q.Kernel] = {
    "Student-t": icon.q.StudentT(),
    "heavy tails": icon.q.StudentT(dof=0.5),
    "light tails": icon.q.StudentT(dof=100),
    "exponent and scale": icon.q.StudentT(dof=2, exponent=1, scale=0.5),
    "Gaussian": icon.q.Gaussian(sigma=0.7),
    "a user's own": Rational(),
}


def maps(n: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    z, clusters = torch.randn(n, 2).double(), 12 * torch.randn(20, 2).double()
    return {
        "clusters": z + clusters[torch.arange(n) % 20],
        "tiny": 1e-4 * z,
        "duplicates": (z + clusters[torch.arange(n) % 20])[torch.arange(n) % (n // 3)],
        "far spread": 1000 * z,
        "an outlier": torch.cat([5 * z[1:], z.new_tensor([[60.0, 60.0]])]),
        "a line": 10 * z[:, :1],
    }


MAPS = list(maps(30))


def rows_of(n: int, debias: float) -> tuple[Any, Rows]:
    torch.manual_seed(1)
    p = icon.p.KNN(5)
    if debias:
        p = p.debias(debias)
    return p, p(torch.randn(n, 6))


def with_gradient(loss: icon.Loss, z: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    z = z.clone().requires_grad_()
    value = loss(z, rows)
    return value.detach(), torch.autograd.grad(value, z)[0]


def of_partition(loss: icon.Loss, z: Tensor, rows: Rows, gradient: Tensor) -> Tensor:
    """The gradient of the partitions alone: that of the whole less that of the attraction along p's own edges."""
    z = z.clone().requires_grad_()
    row, col, mass = rows.masses.own_part.edges(0, rows.n)
    squared = (z[row] - z[col]).square().sum(dim=1)
    attraction = (mass.double() * rows.marginal[row] * loss.q.radial(squared)).sum()
    return gradient + torch.autograd.grad(attraction, z)[0]


def off_by(score: str, where: str, normalization: str, debias: float, tolerance: float, n: int = N) -> None:
    p, rows = rows_of(n, debias)
    exact = icon.Loss(p, copy.deepcopy(SCORES[score]), normalization=normalization, evaluator="autograd")
    grid, z = Grid(tolerance), maps(n)[where]
    rows = rows.symmetrized if normalization == "joint" else rows
    expected, direction = with_gradient(exact, z, rows)
    value, gradient = with_gradient(exact.replace(evaluator=grid), z, rows)
    scale = max(float(of_partition(exact, z, rows, direction).norm()), 1e-9)
    assert abs(float(value - expected)) <= tolerance + 1e-6 * abs(float(expected))
    assert float((gradient - direction).norm()) <= 3 * tolerance * scale + 1e-6 * float(direction.norm())
    assert grid.error is None or max(grid.error[:2]) <= tolerance


@pytest.mark.parametrize(("score", "where"), few_are_fast(list(SCORES), MAPS))
def test_row_form(score: str, where: str) -> None:
    off_by(score, where, "row", 0.0, 1e-3)


@pytest.mark.parametrize(("score", "where"), few_are_fast(list(SCORES), MAPS))
def test_joint_form(score: str, where: str) -> None:
    off_by(score, where, "joint", 0.0, 1e-3)


@pytest.mark.parametrize(("score", "normalization"), few_are_fast(list(SCORES), ["row", "joint"]))
def test_debiased(score: str, normalization: str) -> None:
    off_by(score, "clusters", normalization, 0.3, 1e-3)


@pytest.mark.parametrize("score", ["heavy tails", "Gaussian"])
def test_a_tolerance_is_kept(score: str) -> None:
    off_by(score, "clusters", "row", 0.0, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("where", MAPS)
@pytest.mark.parametrize("score", ["Student-t", "Gaussian"])
def test_five_thousand_points(score: str, where: str) -> None:
    off_by(score, where, "row", 0.0, 1e-3, n=5000)


@pytest.mark.parametrize(
    ("debias", "score", "where"),
    few_are_fast([0.0, 0.2], ["Student-t", "exponent and scale", "Gaussian", "a user's own"], MAPS),
)
def test_points_against_others(score: str, where: str, debias: float) -> None:
    """Anchors and candidates are two sets, both of which have a gradient, or the anchors alone."""
    torch.manual_seed(2)
    n, m = 300, N - 300
    p = icon.p.KNN(4).debias(debias) if debias else icon.p.KNN(4)
    rows = p((torch.randn(n, 5), torch.randn(m, 5)), icon.p.Sets(n, m, True))
    z, grid = maps(N)[where], Grid()
    exact = icon.Loss(p, copy.deepcopy(SCORES[score]), evaluator="autograd")
    for moves in (True, False):
        found = []
        for loss in (exact, exact.replace(evaluator=grid)):
            pair = [z[:n].clone().requires_grad_(), z[n:].clone().requires_grad_(moves)]
            value = loss(tuple(pair), rows)
            found.append([value.detach(), *torch.autograd.grad(value, pair[: 1 + moves])])
        size = max(float(found[0][1].norm()), 1e-6)
        assert abs(float(found[1][0] - found[0][0])) < 1e-3 + 1e-6 * abs(float(found[0][0]))
        for one, other in zip(found[0][1:], found[1][1:], strict=True):
            assert float((one - other).norm()) < 5e-3 * size


def of_classes() -> tuple[icon.p.Distribution, Rows]:
    """Three large classes, some small ones, and points that are alone in theirs."""
    labels = torch.cat([torch.arange(3).repeat_interleave(450), torch.arange(3, 33).repeat_interleave(4)])
    labels = torch.cat([labels, torch.arange(33, 33 + N - len(labels))])
    labels = labels[torch.randperm(N, generator=torch.Generator().manual_seed(3))]
    p = icon.p.Classes()
    return p, p(labels)


FORMS = {"row": ("row", 0.0), "joint": ("joint", 0.0), "debiased": ("row", 0.2)}


@pytest.mark.filterwarnings("ignore:target. got 30 of")
@pytest.mark.parametrize(
    ("form", "score", "where"),
    few_are_fast(list(FORMS), ["Student-t", "light tails", "Gaussian", "a user's own"], MAPS),
)
def test_classes(form: str, score: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The members of a class are not listed: their scores are sums on a grid of their own."""
    normalization, debias = FORMS[form]
    p, rows = of_classes()
    rows = rows.debias(debias) if debias else rows.symmetrized if normalization == "joint" else rows
    exact = icon.Loss(p, copy.deepcopy(SCORES[score]), normalization=normalization, evaluator="autograd")
    z = maps(N)[where]
    expected, direction = with_gradient(exact, z, rows)
    scale = float(of_partition(exact.replace(p=p), z, rows, direction).norm())
    monkeypatch.setattr(edges.Links, "__init__", None)
    value, gradient = with_gradient(exact.replace(evaluator=Grid(1e-3)), z, rows)
    assert abs(float(value - expected)) <= 1e-3 + 1e-6 * abs(float(expected))
    assert float((gradient - direction).norm()) <= 3e-3 * max(scale, 1e-9) + 1e-6 * float(direction.norm())


def test_forces_that_cancel_need_no_exact_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes that have become points: what is left of the repulsion is small, and no grid tells it to a thousandth."""
    n, angles = 5000, torch.arange(10) * torch.pi / 5
    labels = torch.arange(n) % 10
    centres = 60 * torch.stack([angles.cos(), angles.sin()], dim=1).double()
    z = centres[labels] + 0.01 * torch.randn(n, 2, generator=torch.Generator().manual_seed(0)).double()
    p = icon.p.Classes()
    exact = icon.Loss(p, icon.q.StudentT(), evaluator="autograd")
    expected, direction = with_gradient(exact, z, p(labels))
    monkeypatch.setattr(Autograd, "per_anchor", None)
    grid = Grid()
    value, gradient = with_gradient(exact.replace(evaluator=grid), z, p(labels))
    assert abs(float(value - expected)) < 1e-3
    # n times the gradient of the mean is that of one anchor, whose own attraction has a slope of 2.
    assert float((gradient - direction).norm(dim=1).max()) * n < 2e-3
    assert grid.error is not None


def test_memory_of_classes_is_linear() -> None:
    n = 20_000
    rows = icon.p.Classes()(torch.arange(n) % 7)
    z = (10 * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))).requires_grad_()
    loss = icon.Loss(icon.p.Classes(), icon.q.Gaussian(sigma=1.0), evaluator="grid")
    with Largest() as largest:
        loss(z, rows).backward()
    assert largest.numbers < n**2 / 7 / 20  # of the pairs of the classes


def test_pairs_are_exact() -> None:
    z, charges = maps(N)["clusters"], torch.rand(N).double()
    found = Pairs(z, (0.5, 2.0)).sums(charges, z.new_empty(0))
    z = z.requires_grad_()
    apart = z[:, None].detach() - z
    kernel = 0.5 / (0.5 + 2 * (z[:, None] - z.detach()).square().sum(dim=2))
    sums = kernel @ charges
    (slopes,) = torch.autograd.grad(sums.sum(), z)
    assert apart.shape == (N, N, 2)
    torch.testing.assert_close(found[:, 0], sums.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(found[:, 1:], slopes, rtol=1e-9, atol=1e-9)


def test_without_numba_the_numbers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    z = maps(N)["clusters"]
    p, rows = rows_of(N, 0.2)
    loss = icon.Loss(p, icon.q.StudentT(dof=2), evaluator=Grid())
    expected = with_gradient(loss, z, rows)
    for module in (nodes, edges):
        monkeypatch.setattr(module, "loops_for", lambda x: None)
    found = with_gradient(loss.replace(evaluator=Grid()), z, rows)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_float32_is_evaluated_in_it() -> None:
    z = maps(N)["clusters"].float().requires_grad_()
    p, rows = rows_of(N, 0.0)
    value = icon.Loss(p, icon.q.StudentT(dof=2), evaluator="grid")(z, rows)
    value.backward()
    assert value.dtype == z.grad.dtype == torch.float32
    exact, _ = with_gradient(icon.Loss(p, icon.q.StudentT(dof=2), evaluator="autograd"), z.detach(), rows)
    assert abs(float(value.detach() - exact)) < 1e-3


@pytest.mark.slow
def test_memory_is_linear() -> None:
    """No tensor has more numbers than the sample of exact sums, the grid or the edges."""
    n = 20_000
    p, rows = rows_of(n, 0.0)
    z = (10 * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))).requires_grad_()
    loss = icon.Loss(p, icon.q.StudentT(), evaluator="grid")
    with Largest() as largest:
        loss(z, rows).backward()
    assert largest.numbers <= (SAMPLE + SPARSE) * n
    assert not isinstance(next(iter(loss.evaluator._of.values())).nodes, Pairs)


def test_it_is_chosen_for_many_points() -> None:
    p, rows = rows_of(5000, 0.0)
    for d, expected in ((1, "grid"), (2, "grid"), (3, "autograd")):
        loss = icon.Loss(p, icon.q.StudentT())
        (problem,) = loss.problems(torch.randn(5000, d), rows)
        assert type(icon.core.evaluators.choose(problem)).__name__.lower() == expected
    assert not Grid.can(icon.Loss(p, icon.q.StudentT(learnable=True)).problems(torch.randn(5000, 2), rows)[0])


@pytest.mark.parametrize(
    ("q", "d"),
    [
        (icon.q.StudentT(), 3),
        (icon.q.StudentT(learnable=True), 2),
        (icon.q.StudentT(margin=0.5), 2),
        (icon.q.Gaussian(temperature=0.1), 2),
        (icon.q.Gaussian(partition="mean"), 2),
    ],
)
def test_what_it_does_not_evaluate_is_refused(q: icon.q.Kernel, d: int) -> None:
    p, rows = rows_of(60, 0.0)
    with pytest.raises(ValueError, match=r"^evaluator: got 'grid', expected points in at most two"):
        icon.Loss(p, q, evaluator="grid")(torch.randn(60, d), rows)


def test_a_second_derivative_is_refused() -> None:
    p, rows = rows_of(N, 0.0)
    z = maps(N)["clusters"].requires_grad_()
    value = icon.Loss(p, icon.q.StudentT(), evaluator="grid")(z, rows)
    with pytest.raises(RuntimeError, match=r"^create_graph: got True with evaluator='grid'"):
        torch.autograd.grad(value, z, create_graph=True)


def test_a_bandwidth_that_is_set_anew_counts() -> None:
    p, rows = rows_of(N, 0.0)
    loss, z = icon.Loss(p, icon.q.Gaussian(sigma=1.0), evaluator="grid"), maps(N)["clusters"]
    loss(z, rows)
    loss.q.set_scale(2.0)
    exact = icon.Loss(p, icon.q.Gaussian(sigma=2.0), evaluator="autograd")
    assert float(loss(z, rows)) == pytest.approx(float(exact(z, rows)), abs=1e-3)


class Kinked(icon.q.Radial):
    def radial(self, squared: Tensor) -> Tensor:
        return -(squared + 1e-24).sqrt()


class Infinite(icon.q.Radial):
    def radial(self, squared: Tensor) -> Tensor:
        return -squared.log()


def test_a_score_that_no_grid_can_tell_is_summed_exactly() -> None:
    """Its kernel has a kink, so that no grid that pays is within the tolerance."""
    p, rows = rows_of(N, 0.0)
    loss, z = icon.Loss(p, Kinked(), evaluator=Grid(1e-6)), maps(N)["clusters"]
    exact = loss.replace(evaluator="autograd")
    for _ in range(2):
        for found, expected in zip(with_gradient(loss, z, rows), with_gradient(exact, z, rows), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_points_that_all_coincide() -> None:
    z = torch.full((300, 2), 3.3, dtype=torch.float64, requires_grad=True)
    value = icon.Loss(icon.p.Classes().debias(0.2), icon.q.StudentT(), evaluator="grid")(z, torch.arange(300) % 3)
    (gradient,) = torch.autograd.grad(value, z)
    expected = icon.Loss(icon.p.Classes().debias(0.2), icon.q.StudentT())(z, torch.arange(300) % 3)
    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    assert float(gradient.abs().max()) < 1e-9


def test_points_that_all_coincide_tell_nothing_of_the_next_map() -> None:
    p, rows = rows_of(300, 0.0)
    loss, z = icon.Loss(p, icon.q.StudentT(), evaluator="grid"), maps(300)["far spread"] / 3000
    loss(0 * z, rows)
    expected, direction = with_gradient(loss.replace(evaluator="autograd"), z, rows)
    value, gradient = with_gradient(loss, z, rows)
    assert float(value) == pytest.approx(float(expected), abs=1e-4)
    assert float((gradient - direction).norm()) <= 1e-3 * float(of_partition(loss, z, rows, direction).norm())


def test_a_score_without_an_end_is_refused() -> None:
    p, rows = rows_of(N, 0.0)
    with pytest.raises(ValueError, match=r"^radial: got inf at the distance 0, expected a finite score"):
        icon.Loss(p, Infinite(), evaluator="grid")(maps(N)["clusters"], rows)


def test_it_is_copied_and_shown() -> None:
    p, rows = rows_of(N, 0.0)
    loss = icon.Loss(p, icon.q.StudentT(), evaluator=Grid(1e-4))
    z = maps(N)["clusters"]
    value = loss(z, rows)
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert other.evaluator.tolerance == 1e-4
        assert other(z, rows) == value
    assert repr(loss.evaluator).startswith("Grid(tolerance=0.0001, ")


def test_weights_splines_and_shapes() -> None:
    u = torch.rand(100, dtype=torch.float64).requires_grad_()
    weights, slopes = nodes.spline_weights(u)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones_like(u))
    (expected,) = torch.autograd.grad(weights[:, 2].sum(), u)
    torch.testing.assert_close(slopes[:, 2].detach(), expected)
    laid = Nodes(maps(N)["clusters"], 0.4)
    assert min(laid.shape) >= 2 * int(float((laid.z.amax(0) - laid.z.amin(0)).min()) / 0.4)


def test_bad_tolerance() -> None:
    with pytest.raises(ValueError, match=r"^tolerance: got 0"):
        Grid(0)
