"""Parts of a user's own: registered, shown, saved and loaded by name, accepted by `icon.loss` and the estimators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import icon
from icon.methods.axes import ROWS
from tests.cases import N, assert_close, digits, normal

Z, IDS = normal(N, 3), torch.arange(N) // 2


class Laplace(icon.q.Kernel):
    """``s_ij = -‖z_i - z_j‖_1 / width``."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.width = width

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return -torch.cdist(anchors, candidates, p=1) / self.width

    def hyper_parameters(self) -> dict[str, Any]:
        return {"width": self.width} | super().hyper_parameters()


class Ring(icon.p.Distribution):
    """Each point and the next one of its batch."""

    made_from = "nothing"

    def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
        assert sets.n is not None
        following = np.roll(np.eye(sets.n), 1, axis=1)
        return icon.p.Precomputed()((following + following.T) / 2, sets)


class Soft:
    """``A = 2 log sum_k exp(s_k / 2)``."""

    is_normalizer = False

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return 2 * row.hide(scores / 2, -torch.inf).logsumexp(dim=1)


def chi_squared(p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    """``sum_j (p_j - q_j)² / q_j``."""
    return ((p - q).square() / torch.where(q > 0, q, 1.0)).sum(dim=1)


class Whole(icon.Evaluator):
    """All pairs in one tile."""

    def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
        return problem.per_anchor(problem.anchors, 0)


pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture
def registered(registry: None) -> None:
    icon.register_row("laplace", "Laplace")(Laplace)
    icon.register_column("ring", "Ring")(Ring)
    icon.register_partition("soft")(Soft)
    icon.register_divergence("chi-squared")(chi_squared)
    icon.register_evaluator("whole")(Whole)


LOSSES = {
    "row": lambda: icon.loss("laplace", "pairs", width=2.0),
    "column": lambda: icon.loss("student-t", "ring"),
    "both": lambda: icon.loss("laplace", "ring", debias=0.1),
    "partition": lambda: icon.loss("gaussian", "pairs", temperature=0.3, partition="soft"),
    "divergence": lambda: icon.loss("student-t", "pairs", divergence="chi-squared"),
    "evaluator": lambda: icon.loss("student-t", "pairs", evaluator="whole"),
}


@pytest.mark.parametrize("kind", list(LOSSES))
def test_registered_shown_saved_and_loaded_by_name(kind: str, tmp_path: Path) -> None:
    loss = LOSSES[kind]()
    target = IDS if loss.column == "pairs" else None
    value = loss(Z, target)
    assert torch.isfinite(value)
    shown = {
        "row": "laplace x pairs",
        "column": "student-t x ring",
        "both": "Ring().debias(0.1)",
        "partition": "'soft'",
        "divergence": "'chi-squared'",
        "evaluator": "'whole'",
    }
    assert shown[kind] in repr(loss)
    icon.save(loss, tmp_path / "loss")
    again = icon.load(tmp_path / "loss")
    assert repr(again) == repr(loss)
    assert torch.equal(again(Z, target), value)


def test_values_of_ones_own_parts() -> None:
    scores = -(Z[:, None] - Z).abs().sum(dim=2) / 2
    expected = -scores.fill_diagonal_(-torch.inf).log_softmax(dim=1)[torch.arange(N), torch.arange(N) ^ 1].mean()
    assert_close(LOSSES["row"]()(Z, IDS), expected)
    assert_close(LOSSES["evaluator"]()(Z, IDS), icon.loss("student-t", "pairs")(Z, IDS), rtol=1e-12)
    frame = icon.table()
    assert "laplace" in frame.index
    assert "ring" in frame.columns


@pytest.mark.parametrize("options", [{"row": "laplace"}, {"column": "ring"}, {"evaluator": "whole"},
                                     {"row": "gaussian", "hyper": {"partition": "soft"}},
                                     {"hyper": {"divergence": "chi-squared"}}])  # fmt: skip
def test_the_embedding_takes_them(options: dict[str, Any], tmp_path: Path) -> None:
    settings = {"row": "student-t", "column": "gaussian", "max_iter": 20, "random_state": 0} | options
    if settings["column"] == "gaussian":
        settings["hyper"] = {"perplexity": 5} | settings.get("hyper", {})
    x, _ = digits(40)
    model = icon.Embedding(2, mapper="linear", **settings).fit(x)
    icon.save(model, tmp_path / "model")
    assert np.array_equal(icon.load(tmp_path / "model").transform(x), model.transform(x))


@pytest.mark.parametrize("options", [{"column": "ring"}, {"evaluator": "whole"}])
def test_the_clustering_takes_them(options: dict[str, Any]) -> None:
    x, _ = digits(60)
    model = icon.Clustering(3, n_neighbors=5, n_init=1, max_iter=20, init="random", random_state=0, **options).fit(x)
    assert model.labels_.shape == (60,)


def test_what_is_not_registered_says_so(tmp_path: Path) -> None:
    class Other(icon.q.Kernel):
        pass

    with pytest.raises(TypeError, match=r"^loss: got Other, .* expected .* registered \(icon.register_row"):
        icon.save(icon.Loss(icon.p.Pairs(), Other()), tmp_path / "loss")
    icon.save(LOSSES["row"](), tmp_path / "loss")
    del ROWS["laplace"]
    with pytest.raises(ValueError, match=r"^path: got a loss with 'laplace', expected it to be registered first"):
        icon.load(tmp_path / "loss")
    with pytest.raises(ValueError, match=r"^slug: got 'gaussian', which is a row already"):
        icon.register_row("gaussian")
    with pytest.raises(TypeError, match=r"^row: got .*, expected a subclass of Kernel"):
        icon.register_row("nothing")(dict)
    with pytest.raises(TypeError, match=r"^x: got int, expected a loss or an estimator"):
        icon.save(3, tmp_path / "loss")


def test_a_file_that_would_lose_an_argument_is_not_written(tmp_path: Path) -> None:
    class Narrow(Laplace):
        def hyper_parameters(self) -> dict[str, Any]:
            return {}

    class Halved(icon.q.Kernel):
        def __init__(self) -> None:
            super().__init__(partition=Soft())

    class Once(icon.q.Kernel):
        def __init__(self, partition: Any = None) -> None:
            super().__init__(partition=partition)

    for name, kind in (("narrow", Narrow), ("halved", Halved), ("once", Once)):
        icon.register_row(name)(kind)
    icon.save(icon.Loss(icon.p.Pairs(), Halved()), tmp_path / "loss")
    for lost in (Narrow(2.0), Once(Soft())):
        with pytest.raises(TypeError, match=r"which a file would lose, expected hyper_parameters\(\) to name"):
            icon.save(icon.Loss(icon.p.Pairs(), lost), tmp_path / "loss")


@pytest.mark.parametrize("part", [chi_squared, Soft(), dict], ids=["a function", "an object", "no partition"])
def test_a_partition_is_registered_as_a_class(part: Any) -> None:
    with pytest.raises(TypeError, match=r"^partition: got .*, expected a class that is made without arguments"):
        icon.register_partition("another")(part)


def test_files_name_a_part_by_its_slug(tmp_path: Path) -> None:
    class Laplace(icon.q.Kernel):  # another class of the same name
        """With a tensor among its hyper-parameters."""

        def __init__(self, scales: Any) -> None:
            super().__init__()
            self.register_buffer("scales", torch.as_tensor(scales, dtype=torch.float64))

        def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
            return -torch.cdist(anchors, candidates, p=1) * self.scales.sum()

        def hyper_parameters(self) -> dict[str, Any]:
            return {"scales": self.scales.tolist()}

    icon.register_row("scaled")(Laplace)
    loss = icon.loss("scaled", "pairs", scales=[0.5, 0.25])
    icon.save(loss, tmp_path / "loss")
    assert torch.equal(icon.load(tmp_path / "loss")(Z, IDS), loss(Z, IDS))
    icon.save(LOSSES["row"](), tmp_path / "other")
    assert torch.equal(icon.load(tmp_path / "other")(Z, IDS), LOSSES["row"]()(Z, IDS))
    with pytest.raises(ValueError, match=r"^row: got Laplace, which is a row already"):
        icon.register_row("again")(Laplace)
    with pytest.raises(ValueError, match=r"^row: got StudentT, which is a row already"):
        icon.register_row("my-student")(icon.q.StudentT)


@pytest.mark.usefixtures("registry")
def test_what_a_part_keeps_while_it_runs_is_no_argument_of_it(tmp_path: Path) -> None:
    @icon.register_divergence("counting")
    class Counting:
        def __call__(self, p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
            self.calls = getattr(self, "calls", 0) + 1
            return (p - q).abs().sum(dim=1)

    x = torch.randn(12, 3)
    loss = icon.Loss(icon.p.KNN(3), icon.q.StudentT(), divergence="counting")
    value = loss(x, x)
    loss.save(tmp_path / "loss.icon")
    assert "divergence='counting'" in repr(loss)
    torch.testing.assert_close(icon.load(tmp_path / "loss.icon")(x, x), value)


def test_a_temperature_that_has_become_nan_is_saved(tmp_path: Path) -> None:
    loss = icon.method("simclr", learnable=True)
    loss.q.log_scale.data.fill_(torch.nan)
    loss.save(tmp_path / "loss.icon")
    assert bool(icon.load(tmp_path / "loss.icon").q.log_scale.isnan())
