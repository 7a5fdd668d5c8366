"""The caller's torch state: what a fit draws, and in which modes and dtypes it computes, is its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from icon._precision import without_autocast

_LOCK = threading.RLock()  # torch has one generator for all threads, and it is lent to one of them at a time


class Draws:
    """A stream of random numbers of a run's own, which torch's global generator continues while this is entered.

    Outside, the global generator is as if nothing had been drawn, and draws there change nothing inside.

    Args:
        seed: of the stream; None draws from the global generator as it is.
        device: a CUDA device has a generator of its own beside that of the CPU.
    """

    def __init__(self, seed: int | None, device: torch.device) -> None:
        self.seed, self.device = seed, device
        self.cuda = device if device.type == "cuda" else None
        self._inside: tuple[Tensor, Tensor | None] | None = None

    def __enter__(self) -> None:
        if self.seed is None:
            return
        _LOCK.acquire()
        try:
            self._outside = self._states()
            if self._inside is None:
                # torch.manual_seed would also set the generators of devices that play no part, and nobody sets back.
                (torch if self.device.type != "cpu" else torch.default_generator).manual_seed(self.seed)
            else:
                self._set(self._inside)
        except BaseException:  # also Ctrl-C: without the lock, other threads would wait for ever
            _LOCK.release()
            raise

    def __exit__(self, *error: object) -> None:
        if self.seed is None:
            return
        try:
            self._inside = self._states()
            self._set(self._outside)
        finally:
            _LOCK.release()

    def _states(self) -> tuple[Tensor, Tensor | None]:
        return torch.get_rng_state(), None if self.cuda is None else torch.cuda.get_rng_state(self.cuda)

    def _set(self, states: tuple[Tensor, Tensor | None]) -> None:
        torch.set_rng_state(states[0])
        if states[1] is not None:
            torch.cuda.set_rng_state(states[1], self.cuda or "cuda")


seeded = Draws  # of one block, which starts from the seed


@contextmanager
def settled() -> Iterator[None]:
    """Gradients on, no inference mode, no autocast, float32 and the CPU as defaults, whatever the caller has set."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch._C._is_any_autocast_enabled():
            stack.enter_context(without_autocast(None))
        if (dtype := torch.get_default_dtype()) is not torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        if torch.empty(0).device.type != "cpu":  # older PyTorch forgets `with torch.device` in `get_default_device`
            stack.enter_context(torch.device("cpu"))
        yield
