"""Settings of the process that are changed for a while, also by several threads at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Setting:
    """A setting of the process that several threads change for a while: the last one restores what the first one found.

    Some libraries keep it for each thread, so that each thread also restores its own.
    """

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
        self.read, self.write = read, write
        self.lock, self.open, self.before = threading.Lock(), 0, None
        self.own = threading.local()

    @contextmanager
    def set(self, value: Any) -> Iterator[None]:
        stack = self.own.__dict__.setdefault("stack", [])
        with self.lock:
            if not self.open:
                self.before = self.read()
            self.open += 1
            stack.append(value)
            self.write(value)
        try:
            yield
        finally:
            with self.lock:
                self.open -= 1
                stack.pop()
                self.write(stack[-1] if stack else self.before)


#: Of the products of matrices in single precision.
PRECISION = Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
