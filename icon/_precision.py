"""How torch rounds the factors of products: autocast, and the settings of TF32 and bfloat16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from icon._threads import Setting


def can_autocast(x: Tensor) -> bool:
    """Whether there is autocast on the device of a tensor: the one of tensors without numbers has none."""
    is_usual = x.is_cpu or x.is_cuda  # PyTorch before 2.10 does not compile the question
    return is_usual or (not x.is_meta and torch.amp.is_autocast_available(x.device.type))


@contextmanager
def without_autocast(input: Any) -> Iterator[None]:
    """Every kind of autocast that is on, off: of the CPU, of the device of the input, and of CUDA."""
    first = input[0] if isinstance(input, (tuple, list)) and input else input
    device = first.device.type if isinstance(first, Tensor) and can_autocast(first) else "cpu"
    on_cuda = torch.autocast("cuda", enabled=False) if torch.cuda.is_available() else nullcontext()
    with torch.autocast(device, enabled=False), torch.autocast("cpu", enabled=False), on_cuda:
        yield


def full_precision(input: Tensor) -> AbstractContextManager[None]:
    """Products of float32 whose factors are not rounded: autocast off, and neither TF32 nor bfloat16."""
    if is_dynamo_compiling() or (input.is_cpu and _rounds_nothing()):
        return without_autocast(input)
    return _full_precision(input)


@contextmanager
def _full_precision(input: Tensor) -> Iterator[None]:
    with float32_products.set("highest"), without_autocast(input):
        yield


_CUDA: Any = torch.backends.cuda
_CPU: Any = torch.backends.mkldnn
#: Torch has other names for how products are rounded from version 2.9 on, of each device, and its older one raises once
#: they are used.
_HAS_NEW_NAMES = hasattr(_CUDA.matmul, "fp32_precision")


def _rounds_nothing() -> bool:
    """Whether products on the CPU are as exact as their factors, and nobody is about to change that."""
    return _HAS_NEW_NAMES and not float32_products.open and _CPU.matmul.fp32_precision in ("none", "ieee")


def _read() -> tuple[str | None, tuple[str, str] | None]:
    """The older name, if it is of use, and the newer ones of CUDA and of the CPU."""
    if not _HAS_NEW_NAMES:
        return torch.get_float32_matmul_precision(), None
    try:
        old = torch.get_float32_matmul_precision()
    except RuntimeError:
        old = None
    return old, (_CUDA.matmul.fp32_precision, _CPU.matmul.fp32_precision)


def _write(setting: str | tuple[str | None, tuple[str, str] | None]) -> None:
    """The older name, which sets the newer ones as well; or what was read."""
    old, new = (setting, None) if isinstance(setting, str) else setting
    torch.set_float32_matmul_precision(old or "highest")  # what it is until somebody uses it
    if new is not None:
        _CUDA.matmul.fp32_precision, _CPU.matmul.fp32_precision = new


#: How products of float32 are rounded, by the names of `torch.set_float32_matmul_precision`.
float32_products = Setting(_read, _write)
