"""The size of a block does not matter."""

from __future__ import annotations

import pytest

import icon
from tests.cases import COORDINATES, N, assert_close, coordinate_input, gradients


@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_the_block_does_not_matter_in_float32(row: str, column: str) -> None:
    """Float64 is tested against dense autograd in test_against_dense."""
    case = coordinate_input(row, column)
    results = []
    for block in (1, 7, N, None):
        leaves = [leaf.detach().float().requires_grad_() for leaf in case.leaves]
        input = leaves[0] if len(leaves) == 1 else tuple(leaves)
        value = icon.loss(row, column, **case.hyper, block=block)(input, case.target)
        results.append((value, gradients(value, leaves)))
    for value, grads in results[1:]:
        assert_close(value, results[0][0], rtol=1e-5)
        for g, e in zip(grads, results[0][1], strict=True):
            assert_close(g, e, rtol=1e-4)
