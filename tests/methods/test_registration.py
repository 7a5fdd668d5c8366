"""What is registered has a name in code, and is a part of its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import icon
from tests.cases import N, normal

pytestmark = pytest.mark.usefixtures("registry")


class Row(icon.q.Kernel):
    def __init__(self, walks: int = 1, block: float = 1.0, name: str = "", own: float = 1.0) -> None:
        super().__init__()
        self.arguments = walks, block, name, own


class Column(icon.p.Distribution):
    made_from = "nothing"

    def __init__(self, debias: float = 0.5, **rest: Any) -> None:
        super().__init__(**rest)
        self.debias_ = debias

    def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
        assert sets.n is not None
        return icon.p.Precomputed()(torch.roll(torch.eye(sets.n), 1, dims=1), sets)


class Unfinished(icon.p.Distribution):
    """It has no rows."""


class Half:
    is_normalizer = False

    def __call__(self, scores: Tensor, row: Any) -> Tensor:
        return row.hide(scores, -torch.inf).logsumexp(dim=1) / 2


class Scaled:
    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
        return self.by * (p - q).abs().sum(dim=1)


class Whole(icon.Evaluator):
    def per_anchor(self, problem: icon.Problem) -> tuple[Tensor, ...]:
        return problem.per_anchor(problem.anchors, 0)


class Sized(Whole):
    def __init__(self, size: int) -> None:
        self.size = size


class Abstract(icon.Evaluator):
    """It has no per_anchor."""


REGISTERS: dict[str, tuple[Callable[[str], Callable[[Any], Any]], Any]] = {
    "row": (icon.register_row, Row),
    "column": (icon.register_column, Column),
    "partition": (icon.register_partition, Half),
    "divergence": (icon.register_divergence, Scaled(1.0).__call__),
    "evaluator": (icon.register_evaluator, Whole),
}


@pytest.mark.parametrize("kind", list(REGISTERS))
@pytest.mark.parametrize("name", [3, None, "", "a/b u\n x", [1], "ä", "two words", "a\n"])
def test_a_name_has_letters_digits_and_dashes(kind: str, name: Any) -> None:
    with pytest.raises(ValueError, match=r"^(slug|name): got .*, expected letters, digits, '-' and '_'$"):
        REGISTERS[kind][0](name)


@pytest.mark.parametrize("kind", list(REGISTERS))
def test_a_name_and_a_part_are_registered_once(kind: str) -> None:
    register, part = REGISTERS[kind]
    assert register("My_own-1")(part) is part
    article = "an" if kind == "evaluator" else "a"
    with pytest.raises(ValueError, match=rf"^(slug|name): got 'My_own-1', which is {article} {kind} already"):
        register("My_own-1")
    with pytest.raises(ValueError, match=rf"^{kind}: got .*, which is {article} {kind} already"):
        register("another")(part)


@pytest.mark.parametrize("kind", list(REGISTERS))
@pytest.mark.parametrize("part", [3, "kl", None, dict, Abstract, Sized(3), Scaled])
def test_a_part_is_of_its_kind(kind: str, part: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{kind}: got .*, expected a "):
        REGISTERS[kind][0]("another")(part)


@pytest.mark.parametrize(
    ("register", "part", "message"),
    [
        (icon.register_row, icon.q.Kernel, "row: got .*, expected a subclass of Kernel"),
        (icon.register_row, icon.q.Radial, "row: got Radial without radial, expected"),
        (icon.register_column, icon.p.Distribution, "column: got .*, expected a subclass of Distribution"),
        (icon.register_column, Unfinished, "column: got Unfinished without rows, expected"),
        (icon.register_evaluator, Sized, "evaluator: got .*, expected a subclass of icon.Evaluator with per_anchor"),
        (icon.register_evaluator, lambda problem: 0, "evaluator: got .*, expected a subclass of icon.Evaluator"),
    ],
)
def test_a_part_is_complete(register: Callable[[str], Callable[[Any], Any]], part: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        register("another")(part)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", 3])
def test_a_printed_name_is_a_line_of_words(name: Any) -> None:
    with pytest.raises(ValueError, match=r"^name: got .*, expected some words in one line"):
        icon.register_row("another", name)
    with pytest.raises(ValueError, match=r"^name: got 'Student-t', which is a row already"):
        icon.register_row("another", "Student-t")


def test_a_function_that_is_registered_twice_keeps_one_name() -> None:
    def squares(p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
        return (p - q).square().sum(dim=1)

    icon.register_divergence("squares")(squares)
    with pytest.raises(ValueError, match=r"^divergence: got squares, which is a divergence already"):
        icon.register_divergence("again")(squares)


@pytest.mark.parametrize("key", ["walks", "block", "name", "debias"])
def test_an_argument_that_two_places_could_take_is_refused(key: str) -> None:
    icon.register_row("own")(Row)
    icon.register_column("own")(Column)
    kind = "an operation on p" if key in ("walks", "debias") else "a setting of the loss"
    message = rf"^{key}: got 0.5 for own x own, which could be {kind} or the argument of a part of your own, expected "
    with pytest.raises(TypeError, match=message):
        icon.loss("own", "own", **{key: 0.5})
    assert icon.loss("own", "own", own=3.0).q.arguments == (1, 1.0, "", 3.0)


def test_nothing_of_the_package_shares_a_name_with_a_setting() -> None:
    for row in ("gaussian", "gaussian-narrow", "student-t", "clusters"):
        icon.loss(row, "pairs", name="mine", block=3, debias=0.1, **({"leak": 0.1} if row == "gaussian-narrow" else {}))


def test_arguments_that_a_class_passes_on_are_its_own() -> None:
    icon.register_column("own")(Column)
    assert icon.loss("student-t", "own", exclude_self=False).p.exclude_self is False
    with pytest.raises(TypeError, match=r"^rest: unknown hyper-parameter of student-t x own"):
        icon.loss("student-t", "own", rest=3)


def test_an_own_p_in_a_method_can_be_given_other_arguments() -> None:
    class Near(Column):
        def __init__(self, steps: int = 1) -> None:
            super().__init__()
            self.steps = steps

    icon.register_column("near")(Near)

    @icon.register_method("own", "Own", cell=("student-t", "near"), family="gap", relation="exact: KL = definition")
    def own() -> icon.Loss:
        return icon.Loss(Near(2).debias(0.1), icon.q.StudentT())

    assert repr(icon.method("own", steps=3).p) == "Near(steps=3).debias(0.1)"
    assert repr(icon.method("own", debias=0.3).p) == "Near(steps=2).debias(0.3)"
    assert torch.isfinite(icon.method("own")(normal(N, 2)))


def test_a_setting_of_a_method_leaves_a_p_as_it_is() -> None:
    """Also one that keeps an argument under another name, from which nobody could make it again."""

    class Hides(Column):
        def __init__(self, steps: int = 1) -> None:
            super().__init__()
            self._steps = steps

    icon.register_column("hides")(Hides)

    @icon.register_method("own", "Own", cell=("student-t", "hides"), family="gap", relation="exact: KL = definition")
    def own() -> icon.Loss:
        return icon.Loss(Hides(2), icon.q.StudentT())

    assert icon.method("own", debias=0.1, block=4).p._steps == 2


def test_a_method_with_arrays_among_its_arguments_is_named() -> None:
    class Scaled(Column):
        def __init__(self, scales: Any = (1.0,)) -> None:
            super().__init__()
            self.scales = np.asarray(scales)

    icon.register_column("scaled")(Scaled)

    @icon.register_method("own", "Own", cell=("student-t", "scaled"), family="gap", relation="exact: KL = definition")
    def own() -> icon.Loss:
        return icon.Loss(Scaled([1.0, 2.0]), icon.q.StudentT())

    assert repr(icon.loss("student-t", "scaled", scales=[1.0, 2.0])).startswith("Loss(Own:")
    assert repr(icon.loss("student-t", "scaled", scales=[1.0, 3.0])).startswith("Loss(unnamed:")
