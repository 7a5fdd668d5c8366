"""How many threads a fit computes with: as many as pay for the size of its operations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import nn

from icon import _checks as check

Fit = TypeVar("Fit", bound=Callable[..., Any])

#: Multiply-adds of one operation that pay for a thread. Threads wait for each other by spinning at the end of every
#: operation. Measured on two cores, in CPU time with two threads over that with one: products of 2^30 multiply-adds
#: 1.00 to 1.25 on an idle machine, 1.06 to 1.17 beside two other processes; of 2^24 to 2^28, 1.5 to 2.7 beside them.
PAYS = 2**29

_most: ContextVar[int] = ContextVar("threads that a fit may take for a large operation", default=0)
_lock = threading.Lock()
_open: list[int] = []  # the numbers of threads of the blocks that are open, in any thread
_before = 0  # what torch was set to before the first of them


def chosen(n_jobs: int | None) -> int | None:
    """The number of threads that is asked for; None leaves it to the size of the operations.

    Raises:
        TypeError, ValueError: not an integer, or 0.
    """
    if n_jobs is None:
        return None
    expected = "None, a number of threads, or -1 for all cores"
    if check.integer(n_jobs, "n_jobs", expected) == 0:
        raise ValueError(f"n_jobs: got 0, expected {expected}")
    from joblib import effective_n_jobs

    return int(effective_n_jobs(int(n_jobs)))


def threaded(fit: Fit) -> Fit:
    """A method of an estimator that computes with the threads of its ``n_jobs``, and leaves torch's setting as it was.

    With None, small operations take one thread, and large ones (`paying`) as many as torch is set to. A module of the
    user's own, whose cost is unknown, keeps torch's setting.
    """

    @wraps(fit)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        threads = chosen(self.n_jobs)
        if threads is not None:
            from threadpoolctl import threadpool_limits

            with threadpool_limits(threads), _torch_threads(threads):
                return fit(self, *args, **kwargs)
        if isinstance(self.mapper, nn.Module):
            return fit(self, *args, **kwargs)
        token = _most.set(torch.get_num_threads())
        try:
            with _torch_threads(1):
                return fit(self, *args, **kwargs)
        finally:
            _most.reset(token)

    return call  # type: ignore[return-value]


@contextmanager
def paying(work: int) -> Iterator[None]:
    """Within a fit that leaves it to the size: the threads that pay for operations of so many multiply-adds."""
    most = _most.get()
    if not most:
        yield
        return
    with _torch_threads(max(1, min(most, work // PAYS))):
        yield


@contextmanager
def _torch_threads(number: int) -> Iterator[None]:
    """Torch's setting belongs to the process: the last of several fits at once restores what the first one found."""
    global _before  # noqa: PLW0603
    with _lock:
        if not _open:
            _before = torch.get_num_threads()
        _open.append(number)
        torch.set_num_threads(number)
    try:
        yield
    finally:
        with _lock:
            _open.remove(number)
            torch.set_num_threads(_open[-1] if _open else _before)
