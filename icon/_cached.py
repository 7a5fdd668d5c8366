"""A property that is computed once per object: `functools.cached_property` without its lock, which compilers refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functools import cached_property as cached
else:

    class cached:
        """Computed at the first look and kept in the object's ``__dict__``; a replaced dataclass computes it anew."""

        def __init__(self, compute):
            self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

        def __get__(self, owner, kind=None):
            if owner is None:
                return self
            value = self.compute(owner)
            object.__setattr__(owner, self.name, value)
            return value


__all__ = ["cached"]
