"""The authors' own program of a method: where it is, and how its number follows from the loss."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pkgutil import resolve_name
from typing import Any

from torch import Tensor

from icon import _checks as check
from icon.core.loss import Loss

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Program:
    """What the authors of a method run, or the closest thing where they published no program.

    The number that it reports is ``scale · x + offset``, x being the cross-entropy form or the loss itself.

    Args:
        repository: owner and name on GitHub; empty where there is no program.
        path: of the file.
        commit: the version that was read.
        call: the function or class, as it is called there.
        of: what the number is a multiple of: ``"cross-entropy"``, ``"loss"``, or empty where it does not follow.
        scale: factors: numbers, quotients, τ (temperature), σ, n (anchors), k (neighbours), C (columns of the input).
        offset: such a term, or ``log`` of one.
        settings: hyper-parameters of the authors' default run, for ``icon.method(slug, settings="authors")``.
        differs: what the method is not that its name may promise; empty where the program is the same.
        traps: what one who comes from the program would get wrong.
        number: where no scale and offset say it, ``module:function`` of (loss, input, target) that gives the number.
    """

    repository: str = ""
    path: str = ""
    commit: str = ""
    call: str = ""
    of: str = "cross-entropy"
    scale: tuple[str, ...] = ()
    offset: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    differs: str = ""
    traps: tuple[str, ...] = ()
    number: str = ""

    @property
    def url(self) -> str | None:
        """The file, in the version that was read."""
        return f"https://github.com/{self.repository}/blob/{self.commit}/{self.path}" if self.repository else None

    @property
    def factor(self) -> str:
        """How the number follows from the loss, in symbols; empty where it does not."""
        if self.number:
            return str(resolve_name(self.number).__doc__).partition("\n")[0]
        if not self.of:
            return ""
        product = " · ".join([*self.scale, {"cross-entropy": "CE", "loss": "L"}[self.of]])
        return f"{product} + {self.offset}" if self.offset else product

    def published(self, loss: Loss, input: Any, target: Any) -> Tensor:
        """The number of the program, differentiable; see `Loss.published`."""
        if loss.reduction == "sum":
            loss = loss.replace(reduction="mean")
        if self.number:
            number: Tensor = resolve_name(self.number)(loss, input, target)
            return number
        value = loss(input, target) if self.of == "loss" else loss.terms(input, target).cross_entropy
        first = check.as_tensor(input[0] if isinstance(input, (tuple, list)) else input, "input")
        known: dict[str, Any] = {"n": len(first), "C": first.shape[1]}
        known |= {"τ": getattr(loss.q, "scale", None), "k": getattr(loss.p, "n_neighbors", None)}
        for factor in self.scale:
            value = value * _value(factor, known)
        return value + _value(self.offset, known) if self.offset else value


def _value(term: str, known: Mapping[str, Any]) -> Any:
    """The value of a symbol, a number, a quotient ``a/b``, or ``log a``."""
    if term.startswith("log "):
        return math.log(_value(term.removeprefix("log "), known))
    if "/" in term:
        above, below = term.split("/")
        return _value(above, known) / _value(below, known)
    return known[term] if term in known else float(term)


@cache
def programs() -> dict[str, Program]:
    """The entries of ``programs.toml`` by the slug of their method."""
    with (files("icon.methods") / "programs.toml").open("rb") as file:
        entries = tomllib.load(file)
    for entry in entries.values():
        entry.update({name: tuple(entry[name]) for name in ("scale", "traps") if name in entry})
    return {slug: Program(**entry) for slug, entry in entries.items()}
