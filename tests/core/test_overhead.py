"""What a small batch costs, in counts that do not depend on the machine."""

from __future__ import annotations

import pytest

from benchmarks.contenders import CONTENDERS, of_icon
from benchmarks.overhead import overhead

#: Calls into the package and tensor operations of one step at n = 64; the first engine had 151 and 295 (SimCLR).
MOST = {"simclr": (42, 82), "supcon": (44, 82), "clip": (62, 112), "cross-entropy": (34, 38)}


@pytest.mark.parametrize("task", list(CONTENDERS))
def test_calls_and_operations_of_a_small_batch(task: str) -> None:
    _, loss = of_icon(task, 64)
    found = overhead(loss)
    calls, operations = MOST[task]
    assert found.calls <= calls
    assert found.operations <= operations
