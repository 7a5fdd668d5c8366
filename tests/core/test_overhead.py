"""What a small batch costs, in counts that do not depend on the machine."""

from __future__ import annotations

import gc

import pytest

from benchmarks.contenders import CONTENDERS, of_icon
from benchmarks.overhead import overhead

#: Calls into the package and tensor operations of one step at n = 64; the first engine had 151 and 295 (SimCLR).
MOST = {"simclr": (39, 72), "supcon": (41, 72), "clip": (43, 86), "cross-entropy": (32, 34)}


@pytest.mark.parametrize("task", list(CONTENDERS))
def test_calls_and_operations_of_a_small_batch(task: str) -> None:
    _, loss = of_icon(task, 64)
    found = overhead(loss)
    calls, operations = MOST[task]
    assert found.calls <= calls
    assert found.operations <= operations


@pytest.mark.parametrize("task", list(CONTENDERS))
def test_what_a_call_made_is_freed_with_it(task: str) -> None:
    """Tensors in a cycle of objects would stay until the garbage collector runs, tiles of a batch among them."""
    _, loss = of_icon(task, 64)
    loss().backward()
    gc.collect()
    gc.disable()
    try:
        loss().backward()
        assert gc.collect() == 0
    finally:
        gc.enable()
