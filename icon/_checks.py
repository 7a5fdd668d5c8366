"""Validation of arguments: one clear first line that names the argument, what was given and what was expected."""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch._C import _are_functorch_transforms_active
from torch.autograd import forward_ad
from torch.compiler import is_compiling

_SHOWN = 5
_enabled = True


class set_validation:
    """Switch the checks of values on or off, here or for a block of code.

    A check of values (finite embeddings, labels in range, anchors without a positive) waits for the device. Shapes and
    types are always checked. Under `torch.compile`, `torch.func` and on tensors without data, values are never looked
    at.

    >>> import icon
    >>> with icon.set_validation(False):
    ...     pass

    Args:
        enabled: whether values are checked.

    Raises:
        TypeError: neither True nor False.
    """

    def __init__(self, enabled: bool) -> None:
        global _enabled
        if not isinstance(enabled, bool):
            raise TypeError(f"enabled: got {enabled!r}, expected True or False")
        self._before, _enabled = _enabled, enabled

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        global _enabled  # noqa: PLW0603
        _enabled = self._before


def is_traced() -> bool:
    """Whether a compiler, a transform of `torch.func` or forward mode looks on: it is to see ordinary PyTorch."""
    transformed = _are_functorch_transforms_active() or forward_ad._current_level >= 0
    return transformed or is_compiling()


def values_matter(tensor: Tensor) -> bool:
    """Whether the values of a tensor may be looked at now."""
    # A compiler or a transform, as in `is_traced`, written out: this runs several times in every call of a loss.
    if not _enabled or is_compiling() or _are_functorch_transforms_active():
        return False
    if tensor.is_meta:
        return False
    # A subclass that takes operations over may have no values; others are tensors under another name.
    kind = type(tensor)
    return kind in _WITH_VALUES or kind.__torch_dispatch__ is Tensor.__torch_dispatch__


_WITH_VALUES = (Tensor, torch.nn.Parameter)


def some(things: Iterable[object]) -> str:
    """A short, readable list, such as the numbers of rows."""
    given = list(things)
    return ", ".join(str(i) for i in given[:_SHOWN]) + (f", ... ({len(given)} in all)" if len(given) > _SHOWN else "")


def counted(n: int, what: str, form: str = "") -> str:
    """A number of things in words: 1 row, 2 rows, 2 classes, 2 entries; ``form`` is how the number is written."""
    several = what[:-1] + "ies" if what.endswith("y") else what + ("es" if what.endswith("s") else "s")
    return f"{n:{form}} {what if n == 1 else several}"


def reason(error: BaseException) -> str:
    """The first line of what an exception says; its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def as_many(found: int, expected: int, name: str, what: str, per: str = "row of the input") -> None:
    """Raise ValueError where there are more or fewer things than there have to be, one per something."""
    if found != expected:
        raise ValueError(f"{name}: got {counted(found, what)}, expected {expected} (one per {per})")


def as_tensor(value: Any, name: str) -> Tensor:
    """NumPy, pandas, lists and tensors to a tensor; what cannot be one is a TypeError."""
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_nested:
            kind = "nested" if value.is_nested else "sparse"
            raise TypeError(f"{name}: got a {kind} tensor, expected a dense one")
        return value
    if value is None:
        raise TypeError(f"{name}: got None, expected an array or tensor")
    if isinstance(value, (list, tuple)) and value and all(isinstance(each, Tensor) for each in value):
        if any(each.shape != value[0].shape for each in value):
            shapes = ", ".join(str(tuple(each.shape)) for each in value)
            raise TypeError(f"{name}: got tensors of shapes {shapes}, expected one array or tensor")
        return torch.stack(list(value))
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError(f"{name}: got a masked array with masked entries, expected known numbers (fill or drop them)")
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"dtype {array.dtype}")
        # torch wants its own byte order, forward strides and the right to write.
        return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]).reshape(array.shape))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: got {type(value).__name__} ({error}), expected a numeric array or tensor") from None


def constant(value: Any, name: str, otherwise: str = "") -> Tensor:
    """A copy of numbers that are set and not learned: no tensor that requires a gradient, which it would never get.
    ``otherwise`` says in words how they are learned."""
    tensor = as_tensor(value, name)
    if tensor.requires_grad:
        raise TypeError(f"{name}: got a tensor that requires a gradient, expected numbers that stay{otherwise}")
    return tensor.clone()


def matrix(value: Any, name: str, *, finite: bool = True, may_be_empty: bool = False) -> Tensor:
    """A floating-point matrix ``[n, d]`` without NaN or infinity; integers become float64. It has a row, unless it may
    be empty, as the part of a rank."""
    is_plain = type(value) in _WITH_VALUES and value.layout is torch.strided and not value.is_nested
    tensor = value if is_plain else as_tensor(value, name)
    if tensor.ndim != 2:
        raise ValueError(f"{name}: got shape {tuple(tensor.shape)}, expected two dimensions (n, d)")
    if tensor.numel() == 0 and not (may_be_empty and tensor.shape[1] > 0):
        raise ValueError(f"{name}: got shape {tuple(tensor.shape)}, expected at least one row and one column")
    if tensor.is_complex():
        raise TypeError(f"{name}: got dtype {tensor.dtype}, expected real numbers")
    if not tensor.is_floating_point():
        tensor = tensor.to(torch.float64)
    elif tensor.itemsize < 2:
        raise TypeError(f"{name}: got dtype {tensor.dtype}, expected numbers of at least 16 bits")
    # One sum tells of NaN and infinity; where it overflows, or something is wrong, each entry is looked at.
    if finite and values_matter(tensor) and not math.isfinite(float(tensor.detach().sum())):
        bad = (~torch.isfinite(tensor)).any(dim=1).nonzero().flatten().tolist()
        if bad:
            raise ValueError(f"{name}: got NaN or infinity in rows {some(bad)}, expected finite numbers")
    return tensor


def module(value: Any, name: str) -> nn.Module:
    """A torch module."""
    if not isinstance(value, nn.Module):
        raise TypeError(f"{name}: got {type(value).__name__}, expected an nn.Module")
    return value


def with_numbers(tensor: Tensor, name: str) -> Tensor:
    """The tensor itself, which has to have data; for results that depend on values, and not on shapes alone."""
    if tensor.is_meta:
        raise TypeError(
            f"{name}: got a tensor on the meta device, which holds no numbers, expected one on another device"
        )
    return tensor


def array(tensor: Tensor) -> NDArray[Any]:
    """The numbers of a tensor, on the CPU and without gradient, also where a transform of `torch.func` has wrapped it.

    Raises:
        TypeError: it is a batch of tensors, each of which would have numbers of its own.
    """
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        if functorch.is_batchedtensor(tensor):
            raise TypeError(
                "target: got one for each of a batch of torch.func.vmap, expected the same for all: of this p no batch "
                "can be made"
            )
        tensor = functorch.get_unwrapped(tensor)
    with torch._C._DisableFuncTorch():  # also of a tensor from outside, any operation would wrap the result
        found: NDArray[Any] = tensor.detach().cpu().numpy()
    return found


def integers(value: Any, name: str, length: int | None = None, below: int | None = None) -> Tensor:
    """A vector ``[n]`` of non-negative integers (labels, instance ids) as int64, where given all below a number."""
    tensor = value if type(value) is Tensor and value.dtype is torch.int64 else as_tensor(value, name)
    if not isinstance(value, Tensor):
        tensor = tensor.clone()  # nobody would notice if an array that autograd keeps were filled anew
    if tensor.ndim != 1:
        raise ValueError(f"{name}: got shape {tuple(tensor.shape)}, expected one dimension (n,)")
    if tensor.numel() == 0 and length != 0:
        raise ValueError(f"{name}: got an empty vector, expected at least one entry")
    if tensor.dtype is not torch.int64:
        if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
            raise TypeError(f"{name}: got dtype {tensor.dtype}, expected integers")
        if tensor.dtype is torch.uint64 and values_matter(tensor) and bool((tensor.to(torch.int64) < 0).any()):
            raise ValueError(f"{name}: got numbers above 2^63 - 1, expected integers that fit 64 bits with a sign")
        tensor = tensor.to(torch.int64)
    if length is not None and tensor.shape[0] != length:
        as_many(tensor.shape[0], length, name, "entry")
    if not values_matter(tensor) or len(tensor) == 0:
        return tensor
    least, most = torch.aminmax(tensor)
    if int(least) < 0:
        negative = (tensor < 0).nonzero().flatten().tolist()
        raise ValueError(f"{name}: got negative entries in rows {some(negative)}, expected integers >= 0")
    if below is not None and int(most) >= below:
        large = (tensor >= below).nonzero().flatten().tolist()
        raise ValueError(f"{name}: got {name} >= {below} in rows {some(large)}, expected 0..{below - 1}")
    return tensor


def weights(value: Any, name: str, n: int) -> Tensor:
    """Finite numbers ``[n]`` >= 0, some of them above, without gradient."""
    given = as_tensor(value, name).detach()
    wrong = "" if given.shape == (n,) else f"shape {tuple(given.shape)}"
    if not wrong and not bool((torch.isfinite(given) & (given >= 0)).all()):
        wrong = "negative, NaN or infinite entries"
    if wrong or not bool((given > 0).any()):
        raise ValueError(f"{name}: got {wrong or 'only zeros'}, expected {n} finite numbers >= 0, some of them > 0")
    return given


def flag(value: bool, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: got {value!r}, expected True or False")
    return bool(value)


def _real(value: float, name: str, expected: str, fits: Callable[[float], bool]) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name}: got {value!r}, expected {expected}")
    if not fits(value):
        raise ValueError(f"{name}: got {value!r}, expected {expected}")
    return float(value)


def positive(value: float, name: str) -> float:
    return _real(value, name, "a finite number > 0", lambda x: 0 < x < math.inf)


def number(value: float, name: str, least: float = -math.inf) -> float:
    expected = "a finite number" + ("" if least == -math.inf else f" >= {least:g}")
    return _real(value, name, expected, lambda x: math.isfinite(x) and x >= least)


def fraction(value: float, name: str) -> float:
    return _real(value, name, "a number in [0, 1]", lambda x: 0 <= x <= 1)


def integer(value: int, name: str, expected: str = "an integer") -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: got {value!r}, expected {expected}")
    return int(value)


def count(value: int, name: str, least: int = 1) -> int:
    value = integer(value, name, f"an integer >= {least}")
    if value < least:
        raise ValueError(f"{name}: got {value}, expected an integer >= {least}")
    return value


def seed(value: int | None, name: str) -> int | None:
    """What torch's generator takes as a seed, or None."""
    if value is None:
        return None
    value = integer(value, name, "None or an integer")
    if not -(2**63) <= value < 2**64:
        raise ValueError(f"{name}: got {value}, expected None or an integer of 64 bits")
    return value


def function(value: Any, name: str) -> None:
    """Whether there is a function, or None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name}: got {' '.join(repr(value).split())}, expected None or a function")


def path(value: Any, name: str) -> None:
    """Whether there is a path, or None."""
    if not isinstance(value, (str, os.PathLike, type(None))):
        raise TypeError(f"{name}: got {value!r}, expected a path")


def one_number(value: Tensor, name: str) -> Tensor:
    """A loss that can be minimised."""
    if value.numel() != 1:
        raise ValueError(
            f"{name}: got a value of shape {tuple(value.shape)}, expected one number, as of reduction='mean'"
        )
    return value


def choice(value: str, name: str, options: Sequence[str]) -> str:
    """``value`` when it is one of ``options``; otherwise a ValueError that suggests the nearest."""
    if isinstance(value, str) and value in options:  # of an array each entry would be compared
        return value
    near = difflib.get_close_matches(str(value).lower(), list(options), n=3, cutoff=0.4)
    hint = f" (did you mean {' or '.join(repr(n) for n in near)}?)" if near else ""
    given = " ".join(repr(value).split())  # that of an array has several lines
    raise ValueError(f"{name}: got {given}{hint}, expected one of {', '.join(map(repr, options))}")


def available_memory() -> int:
    """Bytes of main memory that are available."""
    import psutil

    return int(psutil.virtual_memory().available)


def refuse_if_too_large(needed: int, what: str, advice: str) -> None:
    """Raise MemoryError before an allocation that this machine cannot hold."""
    free = available_memory()
    if needed > free:
        raise MemoryError(f"{what} needs {needed / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are free; {advice}")


@contextmanager
def said_once() -> Iterator[None]:
    """Within it, each kind of warning is given once, whatever its numbers are."""
    token = _said.set(set()) if _said.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _said.reset(token)


_said: ContextVar[set[str] | None] = ContextVar("kinds of warnings that were given", default=None)


class _Message(str):
    """A message that equals those of its kind, whatever the numbers are: Python shows the first of them at a line."""

    @property
    def kind(self) -> str:
        return re.sub(r"[0-9]+", "", self)

    def __hash__(self) -> int:
        return hash(self.kind)

    def __eq__(self, other: object) -> bool:
        return self.kind == other.kind if isinstance(other, _Message) else str.__eq__(self, other)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning that points to the user's own line, past the frames of this package and of what carries it."""
    message, said = _Message(message), _said.get()
    if said is not None:
        if message in said:
            return
        said.add(message)
    depth, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in _CARRIERS:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, category, stacklevel=depth)


_CARRIERS = ("icon", "torch", "contextlib", "sklearn", "joblib")
