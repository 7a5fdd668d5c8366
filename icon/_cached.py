"""What is computed once per object: `functools.cached_property` without its lock, which compilers refuse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.compiler import is_compiling, is_dynamo_compiling

T = TypeVar("T")

#: The mode, if one is on, in which tensors have no numbers, as `torch.export` has it.
mode_without_numbers = partial(torch._C._get_dispatch_mode, torch._C._TorchDispatchModeKey.FAKE)


def of_ordinary_tensors(compute: Callable[[], T]) -> T:
    """What is computed in inference mode and kept: a later gradient does not take the tensors of that mode."""
    with torch.inference_mode(False), torch.no_grad():
        return compute()


def keep(owner: object, name: str, value: Any) -> None:
    """Keep what was computed in an object's ``__dict__``.

    Not where it has no numbers, which a later call would miss, nor in a graph, which cannot give objects back.
    """
    if not is_dynamo_compiling() and mode_without_numbers() is None:
        object.__setattr__(owner, name, value)


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
            # A compiler refuses to tell whether it is in inference mode.
            if not is_compiling() and torch.is_inference_mode_enabled():
                value = of_ordinary_tensors(partial(self.compute, owner))
            else:
                value = self.compute(owner)
            if is_dynamo_compiling() or mode_without_numbers() is None:  # in a graph, a tensor can be kept
                object.__setattr__(owner, self.name, value)
            return value


__all__ = ["cached", "keep", "mode_without_numbers", "of_ordinary_tensors"]
