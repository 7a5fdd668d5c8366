"""Contract checks for parts of your own: what icon's parts are tested with.

Each check raises an AssertionError that says what does not hold, and returns nothing.

>>> import icon
>>> from icon import testing
>>> testing.check_partition(icon.q.PARTITIONS["logsumexp"]())
>>> testing.check_divergence(lambda p, q, log_q: (p - q).square().sum(dim=1))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from icon import p as icon_p
from icon import q as icon_q
from icon._values import changed, same
from icon.core.divergence import Divergence, takes_log_p
from icon.core.evaluators import Autograd, Evaluator
from icon.core.loss import Loss
from icon.methods.axes import COLUMNS, ROWS, loss
from icon.p.base import Distribution, Sets
from icon.p.masses import Masses
from icon.p.rows import Rows
from icon.p.support import Support
from icon.q.base import Batch, Kernel
from icon.q.partitions import Competition, Constant, Mergeable, Partition, as_partition

TOLERANCE = 1e-12
_N, _D = 12, 3


def check_distribution(p: Distribution | Rows, target: Any = None) -> None:
    """Prepared rows are distributions, and every verb of their masses agrees with the dense matrix.

    Args:
        p: a supervisory distribution, or rows that were prepared already.
        target: what it is made from; ten to a few hundred points will do. A p that is made from nothing needs none.

    Raises:
        TypeError: neither a distribution nor rows.
        AssertionError: a row is negative or does not sum to one (or to zero), mass lies outside the support, or a verb
            (expectation, tile, average, entropy, part, transposed, draw, ...) disagrees with the matrix; the target, a
            tensor or an array, is another one after it; or the arguments of p, from which methods make it again with
            others, are not kept.
    """
    _is_a("p", p, (Distribution, Rows), "a distribution of icon.p, or prepared rows")
    kept = _copied(target)
    rows = p if isinstance(p, Rows) else _rows_of_both(p, target)
    _that(same(_copied(target), kept), "rows writes over its target")
    dense = rows.to_dense().detach().double()
    _that(dense.shape == (rows.n, rows.m), f"to_dense has shape {tuple(dense.shape)}, expected {(rows.n, rows.m)}")
    _that(bool((dense >= 0).all()), "some masses are negative")
    sums = dense.sum(dim=1)
    _that(bool((((sums - 1).abs() < 1e-9) | (sums == 0)).all()), "some rows sum neither to one nor to zero")
    hidden = rows.support.hide(torch.ones_like(dense), 0, 0.0)
    _that(bool((dense[hidden == 0] == 0).all()), "some mass lies outside the support")
    _close(rows.empty.double(), (sums == 0).double(), "empty")
    _close(rows.entropy(), -torch.xlogy(dense, dense).sum(dim=1), "entropy")
    _close(rows.marginal.sum(), 1.0, "the sum of marginal")
    check_masses(rows.masses, dense)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        anchors = (sums > 0).nonzero().flatten()
        drawn = rows.masses.draw(anchors)
        _that(bool((dense[anchors, drawn] > 0).all()), "draw gives candidates without mass")


def check_masses(masses: Masses, dense: Tensor) -> None:
    """Every verb of a structure of p against its matrix ``[n, m]`` in float64."""
    n, m = dense.shape
    like = torch.empty(0, dtype=torch.float64)
    tile = torch.linspace(-1, 2, n * m, dtype=torch.float64).reshape(n, m)
    features = torch.linspace(-2, 1, m * 2, dtype=torch.float64).reshape(m, 2)
    for start, stop in {(0, n), (0, min(3, n)), (n // 2, n)}:
        some = slice(start, stop)
        _close(masses.tile(start, stop, like), dense[some], "tile")
        _close(masses.expectation(tile[some], start), (dense[some] * tile[some]).sum(dim=1), "expectation")
        _close(masses.part(start, stop).tile(0, stop - start, like), dense[some], "part")
        added, factor = tile[some].clone(), torch.linspace(1, 2, stop - start, dtype=torch.float64)
        masses.add_to(added, start, factor)
        _close(added, tile[some] + factor[:, None] * dense[some], "add_to")
        own = masses.own_part
        if own.is_listed:
            row, col, mass = own.edges(start, stop)
            listed = torch.zeros(stop - start, m, dtype=torch.float64).index_put((row, col), mass.double(), True)
            _close(listed, own.tile(start, stop, like), "edges")
        _that(
            bool((masses.positives(start, stop) == (own.tile(start, stop, like) > 0)).all()),
            "positives are not where p itself has mass",
        )
        whole = masses.part(start, stop)
        for first, last in ((0, start), (start, stop), (stop, m), (0, m)):  # all anchors are among them, or none is
            if min(last, m) - first > 1:
                last = min(last, m)  # noqa: PLW2901 - of two sets, there may be fewer candidates than anchors
                here = whole.columns(first, last)
                _close(here.tile(0, stop - start, like), dense[some, first:last], "columns")
                own_mass = whole.own_part.columns(first, last).tile(0, stop - start, like)
                _that(bool((here.positives(0, stop - start) == (own_mass > 0)).all()), "positives of columns")
    _close(masses.sums(), dense.sum(dim=1), "sums")
    _close((masses.presence() > 0).double(), (dense.sum(dim=1) > 0).double(), "presence")
    _close(masses.average(features), dense @ features, "average")
    weights = torch.linspace(0.5, 2, n, dtype=torch.float64)
    _close(masses.scaled(0.25).tile(0, n, like), 0.25 * dense, "scaled")
    _close(masses.scaled(weights).tile(0, n, like), weights[:, None] * dense, "scaled by row")
    plain = masses.own_part.tile(0, n, like)
    flipped = plain.T / plain.sum(dim=0)[:, None].clamp_min(1e-300)
    _close(masses.own_part.transposed().tile(0, m, like), flipped, "transposed")
    narrow = masses.to(torch.device("cpu"), torch.float32)
    _close(narrow.tile(0, n, torch.empty(0)).double(), dense, "to float32", 1e-6)


def check_score(q: Kernel, d: int = _D) -> None:
    """A score is the same for a block as for the whole, broadcasts, and has a right and finite derivative.

    The derivative is by anchors, candidates and `score_parameters`, not by candidates with ``detach_candidates=True``.
    It is finite also where two points are the same, unless the score `refuses_self`; and what `prepare` makes of an
    anchor depends on no other one, `statistics` apart. Its `hyper_parameters` make it again. A score whose partition is
    known may be of whole rows alone, where it says so by `edges_suffice`; one that `is_radial` is the one of `radial`.

    Args:
        q: a learned distribution.
        d: columns of its input.

    Raises:
        TypeError: no learned distribution.
        AssertionError: what does not hold.
    """
    _is_a("q", q, Kernel, "an object of a subclass of icon.q.Kernel")
    again = _made_again(q, lambda: type(q)(**q.hyper_parameters()))
    _that(same(_plain_arguments(again), _plain_arguments(q)), _another(q))
    q = deepcopy(q).double()  # the caller's own keeps its dtype
    n = d + 7  # neither that of the candidates nor of the columns
    anchors, candidates, score = _points(n, d, 0), _points(5, d, 1), _Score(q)
    a, c, statistics = q.features(Batch(anchors, candidates, Support(n, 5)))
    of_some = {name: x[:3] if x.shape[:1] == (n,) else x for name, x in statistics.items()}
    some = q.prepare(anchors[:3], candidates, of_some)[0]
    _close(some, a[:3, : some.shape[1]], "prepare for some of the anchors")
    are_kept = torch.equal(a, anchors) and torch.equal(c, candidates)
    _that(are_kept or not q.keeps_points, "keeps_points is True, and the features are other points")
    whole = q.weighted_score(a, c)
    _that(whole.shape == (n, 5), f"score has shape {tuple(whole.shape)}, expected {(n, 5)}")
    _close(torch.cat([q.weighted_score(a[:3], c), q.weighted_score(a[3:], c)]), whole, "the score of blocks")
    if q.edges_suffice or not isinstance(q.partition, Constant):
        pairs = q.weighted_score(a[:5].unsqueeze(1), c.unsqueeze(1)).reshape(-1)
        _close(pairs, whole[:5].diagonal(), "the score of single pairs")
    if q.is_radial:
        x, y = q.coordinates(a, c)
        _close(q.radial((x[:, None] - y[None]).square().sum(dim=2)), whole, "the score by radial")
    kept = a.clone(), c.clone()
    q.weighted_score(a, c)
    _that(torch.equal(a, kept[0]) and torch.equal(c, kept[1]), "score writes over its arguments")
    _gradient(lambda z: score(z, candidates), anchors, "score")
    if not q.detach_candidates:
        _gradient(lambda z: score(anchors, z), candidates, "score by the candidates")
    for name, x in q.named_parameters():
        if any(x is own for own in q.score_parameters):
            _gradient(partial(score.of, f"q.{name}", anchors, candidates), x.detach(), f"score by the parameter {name}")
    if not q.refuses_self:
        same_points = candidates.clone().requires_grad_()
        _finite_slope(score(same_points, candidates), same_points, "score", " where two points are the same")


class _Score(torch.nn.Module):
    """The scores of points, also with another value of a parameter."""

    def __init__(self, q: Kernel) -> None:
        super().__init__()
        self.q = q

    def forward(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        features = self.q.features(Batch(anchors, candidates, Support(len(anchors), len(candidates))))
        return self.q.weighted_score(*features[:2])

    def of(self, name: str, anchors: Tensor, candidates: Tensor, value: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(self, {name: value}, (anchors, candidates))
        return found


def check_partition(partition: Partition | Callable[..., torch.Tensor]) -> None:
    """A partition gives one number per row, sees no hidden candidate, and has a right derivative.

    One that can be merged gives the same from summaries of tiles. One that calls itself a normaliser makes
    ``exp(s - A)`` sum to one, also of large scores.

    Args:
        partition: the function of a tile of scores and who competes.

    Raises:
        AssertionError: what does not hold.
    """
    partition = as_partition(partition)
    scores = _points(6, 6, 3)
    masses = torch.eye(6, dtype=torch.float64).roll(1, dims=1)
    row = Competition(Support(6, 6, True, 0), 0, lambda: masses)
    value = partition(scores, row)
    _that(value.shape == (6,), f"the partition has shape {tuple(value.shape)}, expected (6,)")
    other = scores.clone()
    other.diagonal().fill_(50.0)
    _close(partition(other, row), value, "the partition with another score of the excluded self")
    _that(torch.equal(other.diagonal(), torch.full((6,), 50.0).double()), "the partition writes over its argument")
    part = Competition(Support(3, 6, True, 2), 0, lambda: masses[2:5])
    _close(partition(scores[2:5], part), value[2:5], "the partition of a block")
    _gradient(lambda s: partition(s, row), scores, "partition")
    if isinstance(partition, Mergeable):
        summaries = []
        for first, last in ((0, 2), (2, 5), (5, 6)):  # rows 2 to 5 of all candidates, in three tiles
            own = Support(3, 6, True, 2).columns(first, last)
            seen = Competition(own, 0, partial(masses[2:5].narrow, 1, first, last - first))
            summaries.append(partition.summary(scores[2:5, first:last], seen))
        together = partition.merged(*(torch.stack(number) for number in zip(*summaries, strict=True)))
        _close(together, value[2:5], "the partition from summaries of tiles")
    if partition.is_normalizer:
        tiles = {"log-probabilities": row.hide(scores, -torch.inf).log_softmax(dim=1)}
        if bool((value != 0).any()):  # it is not one of log-probabilities alone
            tiles |= {"scores": scores, "scores of a thousand": 1000 * scores}
        for kind, s in tiles.items():
            found = (row.hide(s, -torch.inf) - partition(s, row)[:, None]).exp().sum(dim=1)
            _close(found, 1.0, f"the sum of exp(s - A) of {kind}, of a partition with is_normalizer=True,")


def check_divergence(divergence: Divergence) -> None:
    """A divergence is one number per row, of this row alone; 0 at p = q, else above; and finite with its derivative
    where p is 0. A candidate outside the support, where p, q and log q are 0, changes nothing.

    Args:
        divergence: the function of tiles ``(p, q, log_q)``.

    Raises:
        TypeError: not such a function.
        AssertionError: what does not hold.
    """
    if not callable(divergence) or isinstance(divergence, type):
        raise TypeError(f"divergence: got {divergence!r}, expected a function of (p, q, log_q)")
    logs, p = _points(5, 6, 4), _points(5, 6, 5).softmax(dim=1)

    def of(logits: Tensor, p: Tensor, outside: int = 0) -> Tensor:
        log_q = logits.log_softmax(dim=1)
        given = [torch.nn.functional.pad(x, (0, outside)) for x in (p, log_q.exp(), log_q)]
        kept = [x.clone() for x in given]
        extra = {"log_p": given[0].log()} if takes_log_p(divergence) else {}
        found = divergence(*given, **extra)
        _that(all(map(torch.equal, given, kept)), "the divergence writes over its arguments")
        return found

    value = of(logs, p)
    _that(value.shape == (5,), f"the divergence has shape {tuple(value.shape)}, expected (5,): one number per row")
    _that(bool((value >= -TOLERANCE).all()), "the divergence is negative somewhere")
    _that(bool((value > TOLERANCE).all()), "the divergence is 0 where q is not p")
    _close(of(p.log(), p), 0.0, "the divergence of p from itself")
    _close(of(logs[:2], p[:2]), value[:2], "the divergence of a block")
    _gradient(lambda z: of(z, p), logs, "divergence")
    sparse = torch.where(p > p.median(), p, 0.0)
    try:
        at_zero = logs.clone().requires_grad_()
        found = of(at_zero, sparse / sparse.sum(dim=1, keepdim=True))
    except ValueError:  # it may refuse p = 0
        pass
    else:
        _finite_slope(found, at_zero, "divergence", " where p is 0")
    try:
        beside = of(logs, p, outside=1)
    except ValueError:  # it may refuse p = 0 there, too
        return
    _close(beside, value, "the divergence with a candidate outside the support, p = q = log_q = 0,")
    _gradient(lambda z: of(z, p, outside=1), logs, "divergence")


class Cell(NamedTuple):
    """A small valid input of a coordinate of the table."""

    row: str
    column: str
    input: Any
    target: Any
    hyper: dict[str, Any]


def cells() -> Iterator[Cell]:
    """A valid input and target of every coordinate of the table, in float64."""
    x, ids, labels = _points(_N, 4, 6), torch.arange(_N) // 2, torch.arange(_N) % 4
    graph = (x @ x.T).abs().fill_diagonal_(0)
    targets = {"identity": None, "graph": graph, "pairs": ids, "cross-modal": None}
    targets |= {"classes": labels, "data-label": labels}  # those of the other columns are features
    hyper: dict[str, dict[str, Any]] = {"gaussian": {"perplexity": 4.0}, "knn": {"n_neighbors": 3}}
    z = _points(_N, _D, 7)
    inputs = {"cross-modal": (z, _points(_N, _D, 8)), "data-label": (z, _points(4, _D, 9))}
    for row, column in product(ROWS, COLUMNS):
        yield Cell(row, column, inputs.get(column, z), targets.get(column, x), dict(hyper.get(column, {})))


def check_evaluator(evaluator: Evaluator, tolerance: float = TOLERANCE) -> None:
    """An evaluator agrees with plain autograd on every cell of the table, in value and gradient, in float64.

    Each cell is tried plain, debiased, and with each reduction; and with margins, log-weights, the joint form, other
    divergences and blocks where they apply. The gradient is also that of what p and q learn.

    Args:
        evaluator: the one to check.
        tolerance: largest relative difference.

    Raises:
        TypeError: no evaluator.
        AssertionError: the cell and what differs.
    """
    _is_a("evaluator", evaluator, Evaluator, "an object of a subclass of icon.Evaluator")
    for cell in cells():
        for options in _variants(cell):
            made = partial(loss, cell.row, cell.column, **cell.hyper, **options)
            _agree(evaluator, made, (cell.input, cell.target), f"{cell.row} x {cell.column} with {options}", tolerance)
    z, labels = _points(_N, _D, 7), torch.arange(_N) % 4
    logs = torch.linspace(-1, 1, _N, dtype=torch.float64)
    for q in (
        icon_q.Gaussian("dot", log_weights=logs),
        icon_q.StudentT(log_weights=logs),
        icon_q.Gaussian("cosine", temperature=0.5, margin=0.3),
        icon_q.Gaussian("cosine", temperature=0.5, learnable=True),
        icon_q.StudentT(learnable=True),
        _Learned(),
    ):
        _agree(evaluator, partial(Loss, icon_p.Classes().debias(0.1), q), (z, labels), repr(q), tolerance)
    learned = icon_p.StudentT(detach=False)
    features = _points(_N, 4, 6).requires_grad_()
    _agree(evaluator, partial(Loss, learned, icon_q.StudentT()), (z, features), repr(learned), tolerance)


class _Learned(Kernel):
    """A score that computes with a parameter, which those of the package leave to `prepare`."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.ones(()))

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return -self.factor * torch.cdist(anchors, candidates, p=1)


def _variants(cell: Cell) -> Iterator[dict[str, Any]]:
    for debias in (0.0, 0.2):
        yield {"debias": debias}
        yield {"debias": debias, "reduction": "none"}
    if cell.row not in ("gaussian-wide", "gaussian-narrow"):
        yield {"divergence": "js"}
        yield {"normalization": "joint"}
        yield {"normalization": "joint", "divergence": "hellinger"}


def _agree(
    evaluator: Evaluator, make: Callable[..., Loss], given: tuple[Any, Any], name: str, tolerance: float
) -> None:
    found, reference = (_with_gradient(make(evaluator=each).double(), *given) for each in (evaluator, Autograd()))
    for what, mine, theirs in zip(("value", "gradient"), found, reference, strict=True):
        _close(mine, theirs, f"{what} of {name}", tolerance)


def _with_gradient(loss: Loss, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    views = [v.detach().clone().requires_grad_() for v in (input if isinstance(input, tuple) else (input,))]
    value = loss(tuple(views) if isinstance(input, tuple) else views[0], target)
    of_p = [target] if isinstance(target, Tensor) and target.requires_grad else []
    slopes = _slopes(value, *views, *of_p, *loss.parameters())
    return value.detach(), torch.cat([slope.flatten() for slope in slopes])


def _points(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _rows_of_both(p: Distribution, target: Any) -> Rows:
    """The rows of p, and of the one that its arguments make: both are the same, or their rows are."""

    def rows_of(p: Distribution) -> Rows:
        return p(sets=Sets(_N, _N)) if target is None and p.made_from == "nothing" else p(target)

    again = _made_again(p, p.replace)
    is_same = same(again, p)  # before p is called, which may keep something
    rows = rows_of(p)
    if not is_same:
        mine, other = (each.to_dense().detach().double() for each in (rows, rows_of(again)))
        _that(mine.shape == other.shape and torch.allclose(mine, other), _another(p))
    return rows


def _made_again(part: Any, make: Callable[[], Any]) -> Any:
    """What the arguments that a part tells make."""
    try:
        return make()
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{type(part).__name__} is not made again from hyper_parameters(): {error}") from None


def _another(part: Any) -> str:
    return f"hyper_parameters() of {type(part).__name__} make another one, expected every argument in them"


def _plain_arguments(part: Any) -> dict[str, Any]:
    """The arguments that a part keeps, those apart that are tensors by now, whose digits and dtype may be others."""
    return {name: value for name, value in changed(part).items() if not isinstance(value, Tensor)}


def _copied(given: Any) -> Any:
    """A copy of a dense tensor or an array; anything else as it is."""
    if isinstance(given, Tensor) and given.layout is torch.strided:
        return given.detach().clone()
    return given.copy() if isinstance(given, np.ndarray) else given


def _gradient(function: Callable[[Tensor], Tensor], at: Tensor, name: str) -> None:
    """The derivative against central differences in one direction, and finite."""
    leaf = at.clone().requires_grad_()
    slope = _finite_slope(function(leaf), leaf, name)
    direction = torch.randn(at.shape, generator=torch.Generator().manual_seed(11), dtype=torch.float64)
    up, down = (_weighted(function(at + s * direction)) for s in (1e-6, -1e-6))
    numeric = float((up - down).detach() / 2e-6)
    error = abs(float((slope * direction).sum()) - numeric)
    _that(error <= 1e-6 * max(1.0, abs(numeric)), f"the derivative of the {name} differs from central differences")


def _finite_slope(value: Tensor, at: Tensor, name: str, where: str = "") -> Tensor:
    """The derivative of numbers, both of which have to be finite."""
    (slope,) = _slopes(value, at)
    is_finite = bool(torch.isfinite(value).all() and torch.isfinite(slope).all())
    _that(is_finite, f"the {name} or its derivative is not finite{where}")
    return slope


def _slopes(value: Tensor, *at: Tensor) -> tuple[Tensor, ...]:
    """The derivatives of the weighted sum of some numbers; 0 by what they do not depend on."""
    nothing = torch.stack([0 * x.sum() for x in at]).sum()
    return torch.autograd.grad(_weighted(value) + nothing, at)


def _weighted(value: Tensor) -> Tensor:
    weights = torch.linspace(1, 2, value.numel(), dtype=torch.float64).reshape(value.shape)
    return (value * weights).sum()


def _close(found: Tensor, expected: Tensor | float, what: str, tolerance: float = 1e-10) -> None:
    expected = torch.as_tensor(expected, dtype=torch.float64).detach()
    is_alike = expected.ndim == 0 or found.shape == expected.shape
    _that(is_alike, f"{what} has shape {tuple(found.shape)}, expected {tuple(expected.shape)}")
    error = float((found.detach().double() - expected).abs().max())
    _that(error <= tolerance * max(1.0, float(expected.abs().max())), f"{what} differs by {error:.3g}")


def _is_a(name: str, given: Any, kinds: type | tuple[type, ...], expected: str) -> None:
    if not isinstance(given, kinds):
        raise TypeError(f"{name}: got {given!r}, expected {expected}")


def _that(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
