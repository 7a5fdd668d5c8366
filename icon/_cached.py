"""A property that is computed once per object: `functools.cached_property` without its lock, which compilers refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class cached(Generic[T]):
    """Computed at the first look and kept in the object's ``__dict__``; a replaced dataclass computes it anew."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> cached[T]: ...

    @overload
    def __get__(self, owner: object, kind: type) -> T: ...

    def __get__(self, owner: object | None, kind: type) -> cached[T] | T:
        if owner is None:
            return self
        value = self.compute(owner)
        object.__setattr__(owner, self.name, value)
        return value
