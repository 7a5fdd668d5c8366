"""How torch rounds the factors of products: autocast, and the settings of TF32 and bfloat16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from icon._threads import Setting


def can_autocast(x: Tensor) -> bool:
    """Whether there is autocast on the device of a tensor: the one of tensors without numbers has none."""
    return torch.amp.is_autocast_available(x.device.type)


@contextmanager
def without_autocast(input: Any) -> Iterator[None]:
    """Every kind of autocast that is on, off: of the CPU, of the device of the input, and of CUDA."""
    first = input[0] if isinstance(input, (tuple, list)) and input else input
    device = first.device.type if isinstance(first, Tensor) and can_autocast(first) else "cpu"
    on_cuda = torch.autocast("cuda", enabled=False) if torch.cuda.is_available() else nullcontext()
    with torch.autocast(device, enabled=False), torch.autocast("cpu", enabled=False), on_cuda:
        yield


@contextmanager
def full_precision(input: Any) -> Iterator[None]:
    """Products of float32 whose factors are not rounded: autocast off, and neither TF32 nor bfloat16."""
    with float32_products.set(("ieee", "ieee")), without_autocast(input):
        yield


#: Torch's older names of how products are rounded, and the newer ones, from version 2.9 on, of CUDA and of the CPU.
_NAMES = {"highest": ("ieee", "ieee"), "high": ("tf32", "tf32"), "medium": ("tf32", "bf16")}
_CUDA: Any = torch.backends.cuda
_CPU: Any = torch.backends.mkldnn
_HAS_NEW_NAMES = hasattr(_CUDA.matmul, "fp32_precision")


def _read() -> tuple[str, ...]:
    if not _HAS_NEW_NAMES:
        return _NAMES[torch.get_float32_matmul_precision()]
    return _CUDA.matmul.fp32_precision, _CPU.matmul.fp32_precision


def _write(names: tuple[str, ...]) -> None:
    if _HAS_NEW_NAMES:  # the older ones raise once somebody has used these
        _CUDA.matmul.fp32_precision, _CPU.matmul.fp32_precision = names
    else:
        torch.set_float32_matmul_precision(next(old for old, new in _NAMES.items() if new == names))


#: How products of float32 are rounded on CUDA and on the CPU: ``"ieee"`` for not at all, ``"tf32"`` or ``"bf16"``.
float32_products = Setting(_read, _write)
