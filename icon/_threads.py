"""How many threads a fit computes with: as many as pay for the size of its operations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

import torch

from icon import _checks as check

Fit = TypeVar("Fit", bound=Callable[..., Any])

#: Multiply-adds of one operation that pay for a thread. Threads wait for each other by spinning at the end of every
#: operation. Measured on two cores, in CPU time with two threads over that with one: products of 2^30 multiply-adds
#: 1.00 to 1.25 on an idle machine, 1.06 to 1.17 beside two other processes; of 2^24 to 2^28, 1.5 to 2.7 beside them.
PAYS = 2**29

_most: ContextVar[int] = ContextVar("threads that a fit may take for a large operation", default=0)


def chosen(n_jobs: int | None) -> int | None:
    """The number of threads that is asked for, at most the cores; None leaves it to the size of the operations."""
    if n_jobs is None:
        return None
    expected = "None, a number of threads, or -1 for all cores"
    if check.integer(n_jobs, "n_jobs", expected) == 0:
        raise ValueError(f"n_jobs: got 0, expected {expected}")
    from joblib import cpu_count, effective_n_jobs

    return min(int(effective_n_jobs(int(n_jobs))), int(cpu_count()))


def threaded(fit: Fit) -> Fit:
    """A method of an estimator that computes with the threads of its ``n_jobs``, and leaves the setting as it was.

    With None, small operations take one thread, and large ones (`paying`) as many as torch is set to. What is said of
    the input is said once.
    """

    @wraps(fit)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        threads = chosen(self.n_jobs)
        token = _most.set(torch.get_num_threads() if threads is None else 0)
        try:
            # The pools of the other libraries (BLAS, OpenMP) are set where a number of threads is asked for.
            pools = nullcontext() if threads is None else _POOLS.set(threads)
            with check.said_once(), pools, _TORCH.set(threads or 1):
                return fit(self, *args, **kwargs)
        finally:
            _most.reset(token)

    return call  # type: ignore[return-value]


@contextmanager
def paying(work: Callable[[], int]) -> Iterator[None]:
    """Within a fit that leaves it to the size: the threads that pay for so many multiply-adds, asked for there
    alone."""
    most = _most.get()
    with _TORCH.set(max(1, min(most, work() // PAYS))) if most else nullcontext():
        yield


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
            self.write(value)
            self.open += 1
            stack.append(value)
        try:
            yield
        finally:
            with self.lock:
                self.open -= 1
                stack.pop()
                self.write(stack[-1] if stack else self.before)


def _read_pools() -> dict[str, int]:
    from threadpoolctl import ThreadpoolController

    return {pool.filepath: pool.num_threads for pool in ThreadpoolController().lib_controllers}


def _write_pools(threads: int | dict[str, int]) -> None:
    from threadpoolctl import ThreadpoolController

    for pool in ThreadpoolController().lib_controllers:
        number = threads if isinstance(threads, int) else threads.get(pool.filepath)
        if number is not None:
            pool.set_num_threads(number)


_TORCH, _POOLS = Setting(torch.get_num_threads, torch.set_num_threads), Setting(_read_pools, _write_pools)
