"""Which candidates compete for an anchor, and where the anchors stand among them: shared by p and q."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Shaped
from torch import Tensor


@dataclass(frozen=True)
class Support:
    """The candidates of each of ``n`` anchors among ``m``: all of them, or all but the anchor itself.

    Args:
        n: number of anchors.
        m: number of candidates.
        exclude_self: whether the anchor itself is left out.
        offset: anchor i is candidate ``offset + i`` (a batch against itself: 0; a part of a batch against the whole of
            it: where the part begins). None where anchors and candidates are two sets.

    Raises:
        ValueError: the anchors do not fit among the candidates, or a row would have no candidate.
    """

    n: int
    m: int
    exclude_self: bool = False
    offset: int | None = None
    #: Candidate ``own + i`` is left out for anchor i; None where nobody is.
    own: int | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.exclude_self and self.offset is None:
            if self.n != self.m:
                raise ValueError(
                    f"support: got {self.n} anchors and {self.m} candidates, expected one set where self is excluded, "
                    "or an offset of the anchors among the candidates"
                )
            object.__setattr__(self, "offset", 0)
        if self.offset is not None and not 0 <= self.offset <= self.m - self.n:
            raise ValueError(
                f"support: got offset {self.offset} for {self.n} anchors among {self.m} candidates, expected "
                "all of them to be candidates"
            )
        if self.m < 1 + self.exclude_self:
            raise ValueError(
                f"support: got {self.m} candidate(s), expected at least two points, each the other's candidate"
            )
        object.__setattr__(self, "own", self.offset if self.exclude_self else None)

    @property
    def size(self) -> int:
        """``|S_i|``, the same for every anchor."""
        return self.m - int(self.exclude_self)  # sizes that torch.export leaves open subtract no truth value

    def excluded(self, features: Shaped[Tensor, "m r"]) -> Shaped[Tensor, "n r"] | float:
        """The features ``[n, r]`` of the candidates that are left out; 0 where nobody is.

        Args:
            features: ``[m, r]`` of all candidates.
        """
        return 0.0 if self.own is None else features[self.own : self.own + self.n]

    def hide(self, tile: Shaped[Tensor, "b m"], start: int, value: float) -> Shaped[Tensor, "b m"]:
        """A tile ``[b, m]`` of the anchors from ``start`` on, with ``value`` where self is excluded (a copy there).

        Args:
            tile: ``[b, m]`` of anchors.
            start: the number of its first anchor.
            value: what is written where self is excluded.
        """
        if self.own is None:
            return tile
        return torch.diagonal_scatter(tile, tile.new_full((tile.shape[0],), value), self.own + start)

    def hide_(self, tile: Shaped[Tensor, "b m"], start: int, value: float) -> Shaped[Tensor, "b m"]:
        """`hide`, written over the tile.

        Args:
            tile: ``[b, m]``, which is written over.
            start: as in `hide`.
            value: as in `hide`.
        """
        if self.own is not None:
            tile.diagonal(self.own + start).fill_(value)
        return tile

    def part(self, start: int, stop: int) -> Support:
        """The support of the anchors ``start`` to ``stop``.

        Args:
            start: the first anchor.
            stop: the one after the last.
        """
        offset = None if self.offset is None else self.offset + start
        return Support(stop - start, self.m, self.exclude_self, offset)

    def columns(self, start: int, stop: int) -> Support:
        """The support among the candidates ``start`` to ``stop``, where all anchors have themselves, or none has.

        Args:
            start: the first candidate.
            stop: the one after the last.

        Raises:
            ValueError: self is excluded and only some of the anchors are among them, or nobody would have a candidate.
        """
        offset = self.offset
        if offset is None or offset >= stop or offset + self.n <= start:
            return Support(self.n, stop - start)
        if start <= offset and offset + self.n <= stop:
            return Support(self.n, stop - start, self.exclude_self, offset - start)
        if self.exclude_self:
            anchors = f"{offset} to {offset + self.n}"
            raise ValueError(f"columns: got {start} to {stop}, expected all of the anchors {anchors}, or none of them")
        return Support(self.n, stop - start)

    def is_alone(self, start: int, stop: int) -> bool:
        """Whether the candidates ``start`` to ``stop`` are the one anchor, which is left out.

        Args:
            start: the first candidate.
            stop: the one after the last.
        """
        return self.exclude_self and self.n == 1 and (start, stop) == (self.offset, start + 1)

    def flipped(self) -> Support:
        """The anchors of each candidate.

        Raises:
            ValueError: self is excluded, and only some of the candidates are anchors.
        """
        if self.exclude_self and self.n != self.m:
            raise ValueError(
                f"transpose: got {self.n} of {self.m} points without self, expected all: candidates differ in how many "
                "anchors they have"
            )
        return Support(self.m, self.n, self.exclude_self, self.offset if self.n == self.m else None)

    def including_self(self) -> Support:
        """The same sets with every candidate in the support."""
        return Support(self.n, self.m, False, self.offset)
