"""What a small batch costs, in counts that do not depend on the machine."""

from __future__ import annotations

import gc

import pytest
import torch

from benchmarks.contenders import CONTENDERS, PROTOTYPES, of_icon
from benchmarks.overhead import overhead
from tests.versions import recent_torch

#: Calls into the package and tensor operations of one step at n = 64; the first engine had 151 and 295 (SimCLR).
MOST = {"simclr": (39, 62), "supcon": (39, 62), "clip": (17, 55), "cross-entropy": (8, 22)}


@recent_torch
@pytest.mark.parametrize("task", list(CONTENDERS))
def test_calls_and_operations_of_a_small_batch(task: str) -> None:
    _, loss = of_icon(task, 64)
    found = overhead(loss)
    calls, operations = MOST[task]
    assert found.calls <= calls
    assert found.operations <= operations


#: Operations of a step up to a tile (2,048 points), new memory of 4,096 points in matrices of all pairs, and how often
#: values are looked at.
UP_TO_A_TILE = {"simclr": (110, 1.3, 3), "supcon": (110, 1.3, 3), "clip": (135, 2.6, 2), "cross-entropy": (50, 4.0, 4)}


@pytest.mark.slow
@pytest.mark.parametrize("task", list(CONTENDERS))
def test_operations_do_not_grow_with_the_batch_up_to_a_tile(task: str) -> None:
    """Nor do waits for an accelerator at any size; beyond a tile, operations grow with the number of tiles."""
    found = {n: overhead(of_icon(task, n)[1]) for n in (64, 256, 362, 1024, 2048, 4096)}
    operations, matrices, looks = UP_TO_A_TILE[task]
    assert len({found[n].operations for n in (64, 256, 362)}) == 1
    assert max(found[n].operations for n in (1024, 2048)) <= operations
    assert max(counts.looks for counts in found.values()) <= looks
    pairs = 4096 * (PROTOTYPES if task == "cross-entropy" else 4096)
    assert found[4096].bytes <= matrices * 4 * pairs


@recent_torch
@pytest.mark.parametrize("task", list(CONTENDERS))
def test_what_a_call_made_is_freed_with_it(task: str) -> None:
    """Tensors in a cycle of objects would stay until the garbage collector runs, tiles of a batch among them."""
    _, loss = of_icon(task, 64)
    loss().backward()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        loss().backward()
        gc.collect()
        assert not any(isinstance(each, torch.Tensor) for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
