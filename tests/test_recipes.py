"""A part comes back from a file as the same value, or is refused when it is saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import icon
from icon.core.evaluators import EVALUATORS, Autograd, Grid
from icon.q.partitions import PARTITIONS, Mean, SecondOrder
from icon.recipes import decoded, recorded
from tests.cases import N, normal

Z, IDS = normal(N, 3), torch.arange(N) // 2


class Weighted(icon.q.Kernel):
    """A score with a state that may be anything."""

    def __init__(self, weights: Any = None, inner: Any = None) -> None:
        super().__init__()
        self.weights, self.inner = weights, inner

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        weights = torch.ones(3) if self.weights is None else torch.as_tensor(self.weights)
        weighted = (anchors * weights.to(anchors)) @ candidates.mT
        return weighted if self.inner is None else self.inner.margin * weighted


class Told(Weighted):
    def hyper_parameters(self) -> dict[str, Any]:
        own = {"weights": self.weights, "inner": self.inner}
        return {name: value for name, value in own.items() if value is not None} | super().hyper_parameters()


class Buffered(icon.q.Kernel):
    """Its state has a shape that it does not tell."""

    def __init__(self, count: int = 1) -> None:
        super().__init__()
        self.register_buffer("scales", torch.ones(count))


class Ring(icon.p.Distribution):
    """Each point, and those so many steps before and after it in its batch."""

    made_from = "nothing"

    def __init__(self, steps: int = 1, **rest: Any) -> None:
        super().__init__(**rest)
        self.steps = steps

    def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
        assert sets.n is not None
        following = np.roll(np.eye(sets.n), self.steps, axis=1)
        return icon.p.Precomputed()((following + following.T) / 2, sets)


class Hidden(Ring):
    """It keeps its argument under another name."""

    def __init__(self, steps: int = 1, **rest: Any) -> None:
        super().__init__(**rest)
        self._steps = steps


@dataclass(frozen=True)
class Field(icon.p.Distribution):
    scales: Any = None
    steps: int = 1

    made_from = "nothing"

    def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
        return Ring(self.steps)(target, sets)


@dataclass
class Tempered:
    t: float = 2.0
    is_normalizer = False

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return self.t * row.hide(scores / self.t, -torch.inf).logsumexp(dim=1)


@dataclass(frozen=True)
class Powers:
    power: float = 2.0

    def __call__(self, p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
        return (p - q).abs().pow(self.power).sum(dim=1)


def cubes(p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    return (p - q).abs().pow(3).sum(dim=1)


class Chunks(icon.Evaluator):
    def __init__(self, size: int = 7) -> None:
        self.size = size

    def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
        starts = range(0, len(problem.anchors), self.size)
        parts = [problem.per_anchor(problem.anchors[i : i + self.size], i) for i in starts]
        return tuple(torch.cat(each) for each in zip(*parts, strict=True))


class Counting(icon.Evaluator):
    """It wraps another one, and notes how often it was asked."""

    def __init__(self, inner: icon.Evaluator | None = None) -> None:
        self.inner = inner or Autograd()
        self.calls = 0

    def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
        self.calls += 1
        return self.inner.per_anchor(problem)


class Unnamed(icon.Evaluator):
    def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
        return problem.per_anchor(problem.anchors, 0)


pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture
def registered(registry: None) -> None:
    register_all()


def register_all() -> None:
    for name, row in (("weighted", Weighted), ("told", Told), ("buffered", Buffered)):
        icon.register_row(name)(row)
    for name, column in (("ring", Ring), ("hidden", Hidden), ("field", Field)):
        icon.register_column(name)(column)
    icon.register_partition("tempered")(Tempered)
    icon.register_divergence("powers")(Powers)
    icon.register_divergence("cubes")(cubes)
    icon.register_evaluator("chunks")(Chunks)
    icon.register_evaluator("counting")(Counting)


def of(p: Any = None, q: Any = None, **settings: Any) -> icon.Loss:
    return icon.Loss(p or icon.p.Pairs(), q or icon.q.StudentT(), **settings)


KEPT: dict[str, tuple[Callable[[], icon.Loss], str]] = {
    "a list": (lambda: of(q=Told([1.0, 5.0, 9.0])), "Told(weights=[1.0, 5.0, 9.0])"),
    "a tuple": (lambda: of(q=Told((1.0, 5.0, 9.0))), "Told(weights=(1.0, 5.0, 9.0))"),
    "a score": (lambda: of(q=Told(inner=icon.q.Kernel(margin=0.5))), "Told(inner=Kernel(margin=0.5))"),
    "a tensor": (lambda: of(q=Told(torch.tensor([1.0, 5.0, 9.0]))), "Told(weights=[1.0, 5.0, 9.0])"),
    "an array": (lambda: of(q=Told(np.array([1.0, 5.0, 9.0]))), "Told(weights=[1.0, 5.0, 9.0])"),
    "a p with an __init__": (lambda: of(Ring(3)), "p=Ring(steps=3),"),
    "a p with an __init__ and operations": (
        lambda: of(Ring(3, exclude_self=True).symmetrize().walks(2).debias(0.1)),
        "p=Ring(steps=3, exclude_self=True).symmetrize('average').walks(2).debias(0.1)",
    ),
    "a p with fields": (lambda: of(Field(np.array([1.0, 2.0]), 3)), "p=Field(scales=[1.0, 2.0], steps=3),"),
    "a p with fields and operations": (lambda: of(Field(steps=3).walks(2)), "p=Field(steps=3).walks(2),"),
    "a mixture": (lambda: of(Ring(3).mix(Field(steps=2).walks(2), 0.5)), "Ring(steps=3).mix(Field(steps=2).walks(2)"),
    "a partition": (lambda: of(q=icon.q.Gaussian(partition=Tempered(3.0))), "partition=Tempered(t=3.0)"),
    "a partition of its default": (lambda: of(q=icon.q.Gaussian(partition=Tempered())), "partition='tempered'"),
    "a partition of the package": (lambda: of(q=icon.q.Gaussian("dot", partition=SecondOrder(2.0))), "SecondOrder("),
    "a divergence": (lambda: of(divergence=Powers(3.0)), "divergence=Powers(power=3.0)"),
    "a divergence of its default": (lambda: of(divergence=Powers()), "divergence='powers'"),
    "a function": (lambda: of(divergence=cubes), "divergence='cubes'"),
    "a divergence of the package": (lambda: of(divergence=icon.divergence.JensenShannon()), "divergence='js'"),
    "an evaluator": (lambda: of(evaluator=Chunks(5)), "evaluator=Chunks(size=5)"),
    "an evaluator of its default": (lambda: of(evaluator=Chunks()), "evaluator='chunks'"),
    "an evaluator that wraps another": (lambda: of(evaluator=Counting()), "evaluator='counting'"),
    "an evaluator with another one": (lambda: of(evaluator=Counting(Chunks(5))), "Counting(inner=Chunks(size=5))"),
    "a grid": (lambda: of(evaluator=Grid(1e-2)), "evaluator=Grid(tolerance=0.01"),
    "a precision": (lambda: of(q=icon.q.Gaussian("dot"), matmul_precision="tf32"), "matmul_precision='tf32'"),
}


@pytest.mark.parametrize("kind", list(KEPT))
def test_a_part_comes_back_with_its_arguments(kind: str, tmp_path: Path) -> None:
    make, expected = KEPT[kind]
    loss = make()
    target = None if loss.p.made_from == "nothing" else IDS
    z = Z[:, :2] if kind == "a grid" else Z
    value = loss(z, target)
    assert expected in repr(loss)
    icon.save(loss, tmp_path / "loss")
    again = icon.load(tmp_path / "loss")
    assert repr(again) == repr(loss)
    assert torch.equal(again(z, target), value)
    assert again.p == loss.p
    assert again.replace(reduction="sum").hyper_parameters().keys() == {*loss.hyper_parameters(), "reduction"}


class Twice(icon.Loss):
    def forward(self, *given: Any, **options: Any) -> Tensor:
        return 2 * super().forward(*given, **options)


class Halves:
    """Sums over two equal parts of a batch."""

    def sum(self, x: Tensor) -> Tensor:
        return 2 * x

    def max(self, x: Tensor) -> Tensor:
        return x.detach()


class Refused(NamedTuple):
    make: Callable[[], icon.Loss]
    message: str


LOST = r"which a file would lose, expected hyper_parameters\(\) to name every argument of its constructor$"
REFUSED = {
    "a list": Refused(
        lambda: of(q=Weighted([1.0, 5.0, 9.0])), rf"got Weighted with weights = \[1.0, 5.0, 9.0\], {LOST}"
    ),
    "a tensor": Refused(lambda: of(q=Weighted(torch.ones(3))), rf"got Weighted with weights = .*, {LOST}"),
    "a buffer": Refused(lambda: of(q=Buffered(3)), r"got Buffered \(Error.* size mismatch for scales.*\), expected"),
    "a function": Refused(lambda: of(q=Weighted(inner=torch.tanh)), rf"got Weighted with inner = .*, {LOST}"),
    "a function that is told": Refused(
        lambda: of(q=Told(inner=cosine)), "got cosine, which no file can hold, expected plain"
    ),
    "a p": Refused(lambda: of(Hidden(3)), rf"got Hidden with _steps = 3, {LOST}"),
    "a p with operations": Refused(lambda: of(Hidden(3).walks(2)), rf"got Hidden with _steps = 3, {LOST}"),
    "a subclass": Refused(lambda: Twice(icon.p.Pairs(), icon.q.StudentT()), "got Twice, expected an icon.Loss and no"),
    "an evaluator": Refused(
        lambda: of(evaluator=Unnamed()), "got Unnamed, which no file can hold, .*icon.register_evaluator"
    ),
    "a divergence": Refused(lambda: of(divergence=unnamed), "got unnamed, which no file can hold"),
    "a partition": Refused(lambda: of(q=icon.q.Gaussian(partition=cosine)), "got cosine, which no file can hold"),
    "a partition of the base": Refused(
        lambda: of(q=icon.q.Kernel(partition=Tempered())), rf"got Kernel with partition = Tempered.*, {LOST}"
    ),
    "sums over parts": Refused(lambda: of(totals=Halves()), "got totals=.*Halves.*, which no file can hold"),
    "prepared rows": Refused(
        lambda: of(icon.p.KNN(2).mix(icon.p.KNN(3)(normal(N, 3)), 0.5)), "got a p mixed with prepared rows"
    ),
}


def unnamed(p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    return (p - q).abs().sum(dim=1)


def cosine(scores: Tensor, row: Any = None) -> Tensor:
    return scores.cos().sum(dim=1)


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_a_file_would_lose_is_refused(kind: str, tmp_path: Path) -> None:
    make, message = REFUSED[kind]
    loss = make()
    repr(loss)
    with pytest.raises(TypeError, match=f"^loss: {message}"):
        icon.save(loss, tmp_path / "loss")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "q",
    [
        lambda: icon.q.Gaussian("cosine", temperature=0.3, learnable=True),
        lambda: icon.q.Gaussian(sigma=torch.rand(N) + 0.5, log_weights=torch.randn(N)),
        lambda: icon.q.StudentT(scale=0.5, learnable=True),
        lambda: icon.q.Clusters(weights=torch.arange(1.0, N + 1)),
        lambda: icon.q.Clusters(marginals="moving"),
    ],
)
def test_a_state_that_was_learned_comes_back_in_its_dtype(
    q: Callable[[], icon.q.Kernel], dtype: torch.dtype, tmp_path: Path
) -> None:
    z, loss = normal(N, 3, grad=True), icon.Loss(icon.p.Pairs(exclude_self=False), q()).to(dtype)
    loss(z, IDS).backward()
    with torch.no_grad():
        for parameter in loss.parameters():
            parameter.add_(0.123)
    loss(z, IDS)
    icon.save(loss, tmp_path / "loss")
    again = icon.load(tmp_path / "loss")
    assert torch.equal(again.eval()(z, IDS), loss.eval()(z, IDS))
    for name, value in loss.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
        assert again.state_dict()[name].dtype == value.dtype
    assert {name for name, x in again.named_parameters() if x.requires_grad} == dict(loss.named_parameters()).keys()


def test_a_temperature_that_was_set_comes_back(tmp_path: Path) -> None:
    loss = of(q=icon.q.Gaussian("cosine"))
    loss.temperature = 0.5
    icon.save(loss, tmp_path / "loss")
    assert icon.load(tmp_path / "loss").temperature == 0.5


@pytest.mark.parametrize(
    "value", [(1, [2.0, None]), {"type": "a", "part": 2}, {1: "a"}, np.arange(3), torch.rand(2, 1)]
)
def test_any_plain_value_is_recorded(value: Any) -> None:
    assert icon._values.same(decoded(recorded(value, "x")), value)


def test_a_partition_is_the_same_by_its_name_and_as_an_object() -> None:
    for name in ("logsumexp", "mean", "max", "constant", "tempered"):
        by_name, given = (icon.q.Gaussian("dot", partition=x) for x in (name, PARTITIONS[name]()))
        assert by_name.row == given.row
        assert repr(by_name) == repr(given)
    with pytest.raises(ValueError, match=r"^sigma: got 0.5 with partition='mean', expected none"):
        icon.q.Gaussian(sigma=0.5, partition=Mean())


@pytest.mark.parametrize(
    ("registry_of", "name", "kind", "loss"),
    [
        ("PARTITIONS", "tempered", "partition", lambda: icon.loss("gaussian", "pairs", partition="tempered")),
        ("PARTITIONS", "tempered", "partition", lambda: of(q=icon.q.Gaussian(partition=Tempered(3.0)))),
        ("DIVERGENCES", "cubes", "divergence", lambda: of(divergence="cubes")),
        ("DIVERGENCES", "powers", "divergence", lambda: of(divergence=Powers(3.0))),
        ("EVALUATORS", "chunks", "evaluator", lambda: of(evaluator="chunks")),
        ("COLUMNS", "ring", "column", lambda: of(icon.p.KNN(2).mix(Ring(), 0.5))),
    ],
)
def test_a_file_whose_part_is_not_registered_says_which(
    registry_of: str, name: str, kind: str, loss: Callable[[], icon.Loss], tmp_path: Path
) -> None:
    known = {
        "PARTITIONS": PARTITIONS,
        "DIVERGENCES": icon.core.divergence.DIVERGENCES,
        "EVALUATORS": EVALUATORS,
        "COLUMNS": icon.methods.axes.COLUMNS,
    }[registry_of]
    icon.save(loss(), tmp_path / "loss")
    del known[name]
    expected = rf"^path: got a loss with '{name}', expected it to be registered first \(icon.register_{kind}\)"
    with pytest.raises(ValueError, match=expected):
        icon.load(tmp_path / "loss")


@pytest.mark.parametrize("name", ["Unheard", "Sets.of", "PARTITIONS"])
def test_a_file_with_a_part_of_another_version_says_so(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^path: got a loss with '{name}', expected the name of a row of this version"
    ):
        decoded({"part": "row", "type": name, "hyper": {}})
