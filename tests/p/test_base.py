"""A p of one's own: a frozen dataclass, or an ``__init__`` that keeps its arguments under their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import icon


class Made(icon.p.Distribution):
    """With an ``__init__``."""

    made_from = "nothing"

    def __init__(self, steps: int = 1, scales: Any = None, **rest: Any) -> None:
        super().__init__(**rest)
        self.steps, self.scales = steps, scales

    def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
        return rows_of(self, sets)


@dataclass(frozen=True)
class Fields(icon.p.Distribution):
    """A dataclass that asks for no `repr` of its own, nor leaves it out."""

    steps: int = 1
    scales: Any = None

    made_from = "nothing"

    def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
        return rows_of(self, sets)


class Told(icon.p.Distribution):
    """It keeps its argument as something else, and says what makes it again."""

    made_from = "nothing"

    def __init__(self, steps: int = 1) -> None:
        self._before = -steps

    def hyper_parameters(self) -> dict[str, Any]:
        return {"steps": -self._before}

    def rows(self, target: Any, sets: icon.p.Sets) -> icon.Rows:
        return rows_of(Fields(-self._before), sets)


def rows_of(p: Any, sets: icon.p.Sets) -> icon.Rows:
    assert sets.n is not None
    return icon.p.Precomputed()(torch.roll(torch.eye(sets.n), p.steps, dims=1), sets)


KINDS = [Made, Fields, Told]


@pytest.mark.parametrize("kind", KINDS)
def test_operations_keep_the_arguments(kind: Any) -> None:
    sets = icon.p.Sets(7)
    plain = kind(steps=3)
    for p in (plain.walks(2), plain.debias(0.25), plain.symmetrize(), plain.mix(kind(steps=2), 0.5)):
        assert repr(p).startswith(f"{kind.__name__}(steps=3).")
    expected = torch.roll(torch.eye(7), 3, dims=1).double()
    assert torch.equal(plain(None, sets).to_dense(), expected)
    assert torch.equal(plain.walks(2)(None, sets).to_dense(), (expected + expected @ expected) / 2)
    assert plain.operations == ()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_shown_with_its_arguments_and_operations(kind: Any) -> None:
    assert repr(kind(steps=3).walks(2).debias(0.5)) == f"{kind.__name__}(steps=3).walks(2).debias(0.5)"
    assert repr(kind(steps=3).walks(2).replace(steps=4)) == f"{kind.__name__}(steps=4).walks(2)"


@pytest.mark.parametrize("kind", [Made, Fields])
def test_arrays_among_the_arguments(kind: Any) -> None:
    a, b = (kind(scales=np.array(scales)).debias(0.1) for scales in ([1.0, 2.0], [1.0, 3.0]))
    assert repr(a) == f"{kind.__name__}(scales=[1.0, 2.0]).debias(0.1)"
    assert a == kind(scales=np.array([1.0, 2.0])).debias(0.1)
    assert hash(a) == hash(kind(scales=np.array([1.0, 2.0])).debias(0.1))
    assert a != b
    assert a != a.walks(2)
    assert kind(exclude_self=False).hyper_parameters() == {"exclude_self": False}


def test_a_bandwidth_stands_for_the_one_that_p_had() -> None:
    p = icon.p.Gaussian().walks(2)
    assert repr(p) == "Gaussian(perplexity=30.0).walks(2)"
    assert repr(p.replace(sigma=2.0)) == "Gaussian(sigma=2.0).walks(2)"
    assert repr(p.replace(n_neighbors=5)) == "Gaussian(n_neighbors=5, perplexity=30.0).walks(2)"


def test_what_it_is_made_from_is_known() -> None:
    with pytest.raises(ValueError, match=r"^made_from: got 'label' .did you mean 'labels'"):
        type("Misspelt", (icon.p.Distribution,), {"made_from": "label"})
