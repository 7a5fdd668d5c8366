"""The contract checks accept icon's parts and find what is wrong with others."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import icon
from icon import testing
from icon.core.divergence import DIVERGENCES, Alpha
from icon.p.masses import Dense, Grouped, Jaccard, Listed, Masses, Mixture, Overlap, Uniform
from icon.q.partitions import PARTITIONS, AlreadyNormalized, Debiased
from tests.cases import normal

N, M = 9, 9
X = normal(15, 3)
LABELS = np.arange(15) % 4
GROUPS = torch.tensor([0, 1, 1, 2, 0])
SETS, SOFT = (normal(N, 4) > 0).double(), normal(N, 4).abs()


def overlap(kind: type[Overlap], a: Tensor, b: Tensor, support: icon.Support) -> Masses:
    return kind.of(a, b, support, torch.linspace(1, 2, len(b), dtype=torch.float64))


PARTS: dict[str, Callable[[], Masses]] = {
    "sparse": lambda: icon.p.Graph()(np.abs(normal(N, N).numpy()) * (1 - np.eye(N))).masses,
    "listed": lambda: Listed(torch.tensor([[1, 2], [0, 2], [0, 1]]), 3),
    "listed-weighted": lambda: Listed(torch.tensor([[1], [2]]), 3, torch.tensor([1.0, 0.5], dtype=torch.float64)),
    "listed-or-none": lambda: icon.p.DataLabel(4, ignore_index=3)(torch.arange(9) % 4).masses,
    "grouped": lambda: Grouped(GROUPS, GROUPS, icon.Support(5, 5, True)),
    "grouped-part": lambda: Grouped(GROUPS[2:4], GROUPS, icon.Support(2, 5, True, 2)),
    "grouped-two-sets": lambda: Grouped(torch.tensor([0, 5, 1]), torch.tensor([0, 1, 1, 0]), icon.Support(3, 4), 0.5),
    "grouped-weighted": lambda: Grouped(
        torch.arange(4) // 2, torch.arange(4) // 2, icon.Support(4, 4, True), torch.rand(4).double()
    ),
    "overlap": lambda: overlap(Overlap, SOFT, SOFT, icon.Support(N, N, True)),
    "overlap-part": lambda: overlap(Overlap, SOFT, SOFT, icon.Support(N, N, True)).part(3, 5),
    "overlap-two-sets": lambda: overlap(Overlap, SETS[:4], SOFT, icon.Support(4, N)).scaled(0.3),
    "jaccard": lambda: overlap(Jaccard, SETS, SETS, icon.Support(N, N, True)),
    "jaccard-two-sets": lambda: overlap(Jaccard, SETS[:4], SETS, icon.Support(4, N)),
    "dense": lambda: Dense(normal(4, 5).softmax(dim=1)),
    "dense-logs": lambda: icon.p.Gaussian(sigma=0.1)(X).masses,
    "dense-logs-scaled": lambda: icon.p.Gaussian(sigma=0.1)(X).masses.scaled(0.5),
    "dense-logs-symmetric": lambda: icon.p.Gaussian(sigma=0.1).symmetrize()(X).masses,
    "uniform": lambda: Uniform(icon.Support(6, 6, True), torch.ones(6).double()),
    "uniform-two-sets": lambda: Uniform(icon.Support(4, 6), torch.full((4,), 0.3).double()),
    "mixture": lambda: Mixture((icon.p.KNN(3)(X).masses.scaled(0.6), icon.p.Classes()(LABELS).masses.scaled(0.4))),
    "mixture-of-groups": lambda: Mixture(
        tuple(
            Grouped(keys, keys, icon.Support(5, 5, True)).scaled(torch.full((5,), 0.5)) for keys in (GROUPS, 1 - GROUPS)
        )
    ),
    "debiased": lambda: icon.p.KNN(3).debias(0.2)(X).masses,
    "debiased-groups": lambda: icon.p.Classes().debias(0.4)(LABELS).masses,
}


def test_a_part_of_uniform_rows_has_no_transpose() -> None:
    part = Uniform(icon.Support(6, 6, True), torch.ones(6).double()).part(1, 4)
    assert part.tile(0, 3, torch.empty(0)).diagonal(1).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"^transpose: got 3 of 6 points without self, expected all"):
        part.transposed()


@pytest.mark.parametrize("name", ["grouped", "overlap", "uniform"])
def test_candidates_among_which_only_some_anchors_are_have_no_masses(name: str) -> None:
    """Each anchor is left out, and who is not there cannot be."""
    with pytest.raises(ValueError, match=r"^columns: got 0 to 3, expected all of the anchors 0 to \d, or none of them"):
        PARTS[name]().columns(0, 3)


def test_every_structure_is_there() -> None:
    """The contract is run on each class of the algebra."""

    def derived(kind: type) -> set[type]:
        return {kind}.union(*map(derived, kind.__subclasses__()))

    own = {kind for kind in derived(Masses) if kind.__module__.startswith("icon.") and not inspect.isabstract(kind)}
    assert own == {type(make()) for make in PARTS.values()}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", list(PARTS))
def test_masses(name: str, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:  # the form that groups take where a matrix of pairs would be too large
        monkeypatch.setattr("icon.p.masses.grouped.WHOLE", 0)
    masses = PARTS[name]()
    testing.check_masses(masses, masses.tile(0, masses.n, torch.empty(0, dtype=torch.float64)).clone())


DISTRIBUTIONS: dict[str, tuple[icon.p.Distribution, Any]] = {
    "gaussian": (icon.p.Gaussian(perplexity=4), X),
    "gaussian-sparse": (icon.p.Gaussian(perplexity=2, n_neighbors=6), X),
    "gaussian-self": (icon.p.Gaussian(sigma=1.0, exclude_self=False), X),
    "student-t": (icon.p.StudentT(), X),
    "identity": (icon.p.Identity(), 7),
    "identity-of-any-size": (icon.p.Identity().debias(0.2), None),
    "graph": (icon.p.Graph(), np.abs(normal(N, N).numpy()) * (1 - np.eye(N))),
    "knn": (icon.p.KNN(4), X),
    "knn-composed": (icon.p.KNN(3).symmetrize("union").walks(2).debias(0.3), X),
    "pairs": (icon.p.Pairs(), np.arange(11) // 2),
    "cross-modal": (icon.p.CrossModal().debias(0.1), (np.arange(6) % 3, np.arange(9) % 3)),
    "classes": (icon.p.Classes(), LABELS),
    "soft-classes": (icon.p.Classes(), normal(8, 3).softmax(dim=1)),
    "data-label": (icon.p.DataLabel().debias(0.1), LABELS),
    "soft-labels": (icon.p.DataLabel(), normal(8, 3).softmax(dim=1)),
    "mixed": (icon.p.KNN(3).mix(icon.p.StudentT(), 0.4), X),
    "joint": (icon.p.Gaussian(perplexity=4).symmetrize(), X),
}


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
def test_distributions(name: str) -> None:
    testing.check_distribution(*DISTRIBUTIONS[name])


@pytest.mark.parametrize("kind", list(PARTITIONS))
def test_partitions(kind: str) -> None:
    partition = PARTITIONS[kind]
    testing.check_partition(Debiased(-2.0, 0.1, 0.5) if partition is Debiased else partition())


def test_a_known_normaliser() -> None:
    testing.check_partition(AlreadyNormalized())


@pytest.mark.parametrize("kind", [name for name, make in DIVERGENCES.items() if make is not None])
def test_divergences(kind: str) -> None:
    make = DIVERGENCES[kind]
    assert make is not None
    testing.check_divergence(make())
    testing.check_divergence(Alpha(0.2))


@pytest.mark.parametrize(
    "q",
    [
        icon.q.Gaussian(sigma=0.7),
        icon.q.Gaussian(temperature=0.2),
        icon.q.Gaussian(temperature=0.01, learnable=True),
        icon.q.Gaussian(partition="mean"),
        icon.q.Gaussian("dot"),
        icon.q.Gaussian("dot", log_weights=torch.linspace(0, 1, 5)),
        icon.q.Gaussian("dot", temperature=2.0, preprocess="standardize"),
        icon.q.StudentT(2.0, log_weights=torch.linspace(0, 1, 5)),
        icon.q.Clusters(leak=0.1),
        icon.q.Argmax(),
    ],
    ids=repr,
)
def test_scores(q: icon.q.Kernel) -> None:
    before = {name: value.dtype for name, value in q.state_dict().items()}
    testing.check_score(q)
    assert {name: value.dtype for name, value in q.state_dict().items()} == before


# -- what is wrong is found --------------------------------------------------------------------------------------------


class Twice:
    is_normalizer = True

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return row.hide(scores, -torch.inf).logsumexp(dim=1) * 2


class SeesSelf:
    is_normalizer = False

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return scores.mean(dim=1)


class Writes:
    is_normalizer = False

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        value = row.hide(scores, 0.0).sum(dim=1)
        if not scores.requires_grad:
            scores.zero_()
        return value


class Overflows:
    is_normalizer = True

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return row.hide(scores, -torch.inf).exp().sum(dim=1).log()


class WithoutDerivative:
    is_normalizer = False

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return row.hide(scores, -torch.inf).detach().logsumexp(dim=1)


class PerTile:
    is_normalizer = False

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return row.hide(scores, 0.0).sum()


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        (Twice(), "sum of exp|does not sum to one"),
        (SeesSelf(), "another score of the excluded self"),
        (Writes(), "writes over its argument|another score"),
        (PerTile(), r"shape \(\), expected \(6,\)"),
        (Overflows(), "the sum of exp.* of scores of a thousand"),
        (WithoutDerivative(), "differs from central differences"),
        (lambda scores, row: row.hide(scores, -torch.inf).logsumexp(dim=0), r"has shape \(6,\), expected \(3,\)"),
    ],
)
def test_wrong_partitions(partition: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_partition(partition)


@pytest.mark.parametrize(
    ("divergence", "message"),
    [
        (lambda p, q, log_q: (p - q).sum(dim=1) + 1, "itself differs"),
        (lambda p, q, log_q: -(p - q).square().sum(dim=1), "negative"),
        (lambda p, q, log_q: (p - q).square(), r"expected \(5,\)"),
        (lambda p, q, log_q: (p * (p.log() - log_q)).sum(dim=1), "not finite where p is 0"),
        (lambda p, q, log_q: (p - q.detach()).square().sum(dim=1) + 0 * q.sum(), "differs from central differences"),
        (lambda p, q, log_q: (p - q.detach()).square().sum(dim=1), "differs from central differences"),
        (lambda p, q, log_q: (q * (log_q - q.log())).sum(dim=1), "is 0 where q is not p"),
        (lambda p, q, log_q: (p - q).square().sum(dim=1) / len(p), "the divergence of a block"),
        (lambda p, q, log_q: p.sub_(q).square().sum(dim=1), "writes over its arguments"),
        (lambda p, q, log_q: ((p - q).square() / q).sum(dim=1), "a candidate outside the support, .* by nan"),
        (lambda p, q, log_q: (p.sqrt() - (log_q / 2).exp()).square().sum(dim=1), "a candidate outside .* by 1"),
    ],
)
def test_wrong_divergences(divergence: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_divergence(divergence)


def test_a_score_that_says_it_keeps_points() -> None:
    class Kept(icon.q.Gaussian):
        keeps_points = True

    with pytest.raises(AssertionError, match="keeps_points is True, and the features are other points"):
        testing.check_score(Kept(temperature=0.2))


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda a, c: a @ c.mT - a.mean(), "the score of blocks"),
        (lambda a, c: a.detach() @ c.mT, "the derivative of the score differs from central differences"),
        (lambda a, c: a @ c.detach().mT, "the derivative of the score by the candidates differs"),
        (lambda a, c: a.detach() @ c.detach().mT, "the derivative of the score differs from central differences"),
        (lambda a, c: -(a[:, None] - c[None]).square().sum(-1), r"single pairs has shape \(25,\), expected \(5,\)"),
        (lambda a, c: -(a[..., None, :] - c[..., None, :, :]).square().sum(-1).sqrt(), "where two points are the same"),
    ],
)
def test_wrong_scores(score: Any, message: str) -> None:
    class Own(icon.q.Kernel):
        def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
            return score(anchors, candidates)

    with pytest.raises(AssertionError, match=message):
        testing.check_score(Own())


def test_a_score_that_is_not_the_one_of_its_distance() -> None:
    class Own(icon.q.StudentT):
        def radial(self, squared: Tensor) -> Tensor:
            return -squared

    with pytest.raises(AssertionError, match="the score by radial differs by"):
        testing.check_score(Own())


def test_a_parameter_without_its_gradient() -> None:
    class Own(icon.q.Kernel):
        def __init__(self) -> None:
            super().__init__()
            self.factor = torch.nn.Parameter(torch.ones(()))

        def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
            return self.factor.detach() * anchors @ candidates.mT

    with pytest.raises(AssertionError, match="the derivative of the score by the parameter factor differs from"):
        testing.check_score(Own())


def test_arguments_that_are_not_kept() -> None:
    """A method with other settings would make the part again with the defaults."""

    class Forgets(icon.q.Kernel):
        def __init__(self, width: float = 1.0) -> None:
            super().__init__()
            self.width = width

    class Renames(Forgets):
        def hyper_parameters(self) -> dict[str, Any]:
            return {"breadth": self.width}

    class Hides(icon.p.Distribution):
        def __init__(self, k: int = 2, **others: Any) -> None:
            super().__init__(**others)
            self._k = k

        def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
            return icon.p.KNN(self._k)(target, sets)

    testing.check_score(Forgets())
    with pytest.raises(AssertionError, match=r"^hyper_parameters\(\) of Forgets make another one"):
        testing.check_score(Forgets(2.0))
    with pytest.raises(AssertionError, match=r"^Renames is not made again from hyper_parameters\(\): .*'breadth'"):
        testing.check_score(Renames(2.0))
    with pytest.raises(AssertionError, match=r"^hyper_parameters\(\) of Hides make another one"):
        testing.check_distribution(Hides(3), X)


def test_a_p_may_keep_what_is_no_argument() -> None:
    """Whatever it is: the p that its arguments make has the same rows."""

    class Counts(icon.p.Distribution):
        def __init__(self, weights: Any, **others: Any) -> None:
            super().__init__(**others)
            self.weights = torch.as_tensor(weights) / sum(weights)  # whose last digits change when it is made again
            self.square = lambda x: x.square()
            self.steps = 0

        def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
            self.steps += 1
            return icon.p.KNN(3)(self.square(target) * self.weights.sum(), sets)

    p = Counts([0.1, 0.2, 0.4])
    for _ in range(2):
        testing.check_distribution(p, X)


@pytest.mark.parametrize("target", [torch.nn.Parameter(X.clone()), (X @ X.mT).abs().fill_diagonal_(0).to_sparse()])
def test_targets_of_any_kind(target: Tensor) -> None:
    p = icon.p.Graph() if target.is_sparse else icon.p.StudentT(detach=False)
    testing.check_distribution(p, target)


def test_a_divergence_may_refuse_masses_of_zero() -> None:
    def reverse(p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
        if (p == 0).any():
            raise ValueError("p: got a mass of zero, expected every one above zero")
        return (q * (log_q - p.log())).sum(dim=1)

    testing.check_divergence(reverse)


def test_statistics_may_be_those_of_each_anchor() -> None:
    class Local(icon.q.Kernel):
        def statistics(self, batch: Any) -> dict[str, Tensor]:
            return {"scale": torch.cdist(batch.anchors, batch.candidates).mean(dim=1, keepdim=True)}

        def prepare(self, anchors: Tensor, candidates: Tensor, statistics: Any) -> tuple[Tensor, Tensor]:
            return anchors / statistics["scale"], candidates

    testing.check_score(Local())


def test_features_that_depend_on_the_other_anchors() -> None:
    """They would be others where only some of the points are anchors."""

    class Centred(icon.q.Kernel):
        def prepare(self, anchors: Tensor, candidates: Tensor, statistics: Any) -> tuple[Tensor, Tensor]:
            return anchors - anchors.mean(dim=0), candidates

    with pytest.raises(AssertionError, match="prepare for some of the anchors"):
        testing.check_score(Centred())


def test_a_distribution_that_writes_over_its_target() -> None:
    class Centred(icon.p.Distribution):
        def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
            target -= target.mean(0)
            return icon.p.KNN(3)(target, sets)

    for target in (X.clone(), X.numpy().copy()):
        with pytest.raises(AssertionError, match="rows writes over its target"):
            testing.check_distribution(Centred(), target)


def test_wrong_rows() -> None:
    good = icon.p.KNN(3)(X)
    with pytest.raises(AssertionError, match="rows sum neither to one nor to zero"):
        testing.check_distribution(good.exaggerated(12.0))
    with pytest.raises(AssertionError, match="mass lies outside the support"):
        testing.check_distribution(icon.Rows(Dense(torch.eye(4).double()), icon.Support(4, 4, True)))
