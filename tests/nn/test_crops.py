"""Multi-crop against its sum over pairs of views, written from the papers in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from tests.cases import assert_close, gradients, normal

N, C, D = 6, 4, 3


def by_pairs(codes: list[np.ndarray], views: list[np.ndarray], prototypes: np.ndarray, temperature: float) -> float:
    """Every global code, predicted from every other view (Caron et al. 2020, eq. 1 and appendix; 2021, eq. 3)."""
    total = []
    for g, code in enumerate(codes):
        for v, view in enumerate(views):
            if v != g:
                unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (view, prototypes)]
                scores = unit[0] @ unit[1].T / temperature
                log_q = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
                total.append(-(code * log_q).sum(axis=1).mean())
    return float(np.mean(total))


@pytest.mark.parametrize(("n_global", "n_views"), [(2, 2), (2, 5), (1, 3), (3, 4)])
def test_multi_crop(n_global: int, n_views: int) -> None:
    codes = [normal(N, C, seed=g).softmax(dim=1) for g in range(n_global)]
    views = [normal(N, D, seed=10 + v, grad=True) for v in range(n_views)]
    prototypes = normal(C, D, seed=30, grad=True)
    crops, targets, weights = icon.nn.multi_crop(views, codes)
    loss, input = icon.method("swav", temperature=0.3), (crops, prototypes)
    as_numpy = [x.detach().numpy() for x in views]
    expected = by_pairs([code.numpy() for code in codes], as_numpy, prototypes.detach().numpy(), 0.3)
    assert loss.terms(input, targets, weights=weights).cross_entropy.item() == pytest.approx(expected, rel=1e-12)
    (found,) = gradients(loss(input, targets, weights=weights), [views[-1]])
    for i, j in ((0, 0), (2, 1)):  # against differences of the sum over pairs
        ends = []
        for step in (1e-6, -1e-6):
            moved = [x.copy() for x in as_numpy]
            moved[-1][i, j] += step
            ends.append(by_pairs([code.numpy() for code in codes], moved, prototypes.detach().numpy(), 0.3))
        assert_close(found[i, j], np.asarray((ends[0] - ends[1]) / 2e-6), rtol=1e-6)


@pytest.mark.parametrize(
    ("views", "codes", "told"),
    [
        ([(3, 2)] * 2, [], "codes: got none"),
        ([], [(3, 2)], "views: got none"),
        ([(3, 2)] * 2, [(3, 2), (2, 2)], r"codes: got shapes \(3, 2\), \(2, 2\)"),
        ([(3, 2), (3, 4)], [(3, 2)], r"views: got shapes \(3, 2\), \(3, 4\)"),
        ([(3, 2)] * 2, [(3, 2)] * 3, "views: got 2, expected at least 3"),
        ([(3, 2)], [(3, 2)], "views: got 1, expected at least 2"),
        ([(3, 2)] * 2, [(2, 5)], r"codes: got 2 rows, expected 3"),
    ],
)
def test_bad_input(views: list[tuple[int, int]], codes: list[tuple[int, int]], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        icon.nn.multi_crop([torch.ones(shape) for shape in views], [torch.ones(shape) for shape in codes])


def test_what_is_no_list_of_views_is_refused() -> None:
    for views, codes, name in ((None, [torch.ones(3, 2)], "views"), ([torch.ones(3, 2)] * 2, None, "codes")):
        with pytest.raises(TypeError, match=rf"^{name}: got NoneType, expected a list of matrices"):
            icon.nn.multi_crop(views, codes)  # type: ignore[arg-type]


def test_the_part_of_a_rank_may_be_empty() -> None:
    crops, targets, weights = icon.nn.multi_crop([torch.ones(0, D)] * 3, [torch.ones(0, C)] * 2)
    assert [tuple(x.shape) for x in (crops, targets, weights)] == [(0, D), (0, C), (0,)]
