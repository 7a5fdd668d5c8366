"""Operations on any p, as records that a distribution keeps and applies to its rows in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from icon.rows import Rows

Prepare = Callable[[Any, Any, Any], Rows]


class Operation(Protocol):
    """A step from rows to rows; it also gets the target, for operations that need a second p."""

    def __call__(self, rows: Rows, target: Any, sets: Any, prepare: Prepare) -> Rows: ...


@dataclass(frozen=True)
class Walks:
    k: int
    average: bool = True
    prune: int | None = None

    def __call__(self, rows: Rows, target: Any, sets: Any, prepare: Prepare) -> Rows:
        return rows.walks(self.k, self.average, self.prune)

    def __str__(self) -> str:
        extra = ("" if self.average else ", average=False") + ("" if self.prune is None else f", prune={self.prune}")
        return f"walks({self.k}{extra})"


@dataclass(frozen=True)
class Debias:
    alpha: float

    def __call__(self, rows: Rows, target: Any, sets: Any, prepare: Prepare) -> Rows:
        return rows.debias(self.alpha)

    def __str__(self) -> str:
        return f"debias({self.alpha:g})"


@dataclass(frozen=True)
class Symmetrize:
    how: str = "average"

    def __call__(self, rows: Rows, target: Any, sets: Any, prepare: Prepare) -> Rows:
        return rows.symmetrize(self.how)

    def __str__(self) -> str:
        return f"symmetrize({self.how!r})"


@dataclass(frozen=True)
class Mix:
    other: Any
    weight: float

    def __call__(self, rows: Rows, target: Any, sets: Any, prepare: Prepare) -> Rows:
        return rows.mix(prepare(self.other, target, sets), self.weight)

    def __str__(self) -> str:
        return f"mix({self.other!r}, {self.weight:g})"
