"""Points placed about a map that stays as it is: new ones, and those of a large set beside its landmarks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing
from torch import Tensor, nn

from icon import _checks as check
from icon.core.evaluators import Grid
from icon.core.loss import Loss
from icon.estimators.base import BLOCK, Beside, apply
from icon.estimators.momentum import MomentumGains
from icon.neighbors import exact_neighbors
from icon.neighbors.blocks import parts
from icon.nn import Lookup
from icon.p.base import Sets
from icon.training.fit import fit

STEPS, RATE = 100, 0.5
_PAIRS = 2**24  # of new and known points at a time, where sums are exact


def placed(loss: Loss, X: Any, mapper: Lookup) -> NDArray[np.float32]:
    """``[b, d]`` where the lookup puts points ``[b, f]``, of which new ones are then moved to where they belong."""
    known_x, known = mapper.features, mapper.weight.detach()
    assert known_x is not None
    x, start = check.as_tensor(X, "X").to(known_x), torch.from_numpy(apply(mapper, X)).to(known)
    new = exact_neighbors(x, known_x, 1)[1][:, 0] > 0  # a known point stays where it is
    if bool(new.any()):
        start[new] = moved(loss, x[new], known_x, start[new], known)
    return start.cpu().numpy()


def moved(loss: Loss, x: Tensor, known_x: Tensor, start: Tensor, known: Tensor) -> Tensor:
    """``[b, d]`` where new points have come to lie. Each is placed by itself, whichever others there are.

    What is minimised is ``KL(p(.|i) ‖ q(.|i))`` of each new point i over the known ones, with p from the features and q
    from the map.

    Source: Poličar et al. 2023 (embedding into a reference t-SNE map), whose q has one normaliser for all new points.
    """
    given = None if isinstance(loss.evaluator, Grid) else loss.evaluator  # a grid is chosen where it can
    own, n = loss.replace(normalization="row", reduction="sum", evaluator=given, anchor_weights=None), len(known)
    rows = own.p((x, known_x), Sets(len(x), n, True))
    (problem,) = own.problems((start, known), rows)
    step = max(1, _PAIRS // n)
    if given is None and Grid.can(problem):
        own, step = own.replace(evaluator=Grid()), len(x)
    places = torch.empty_like(start)
    for part in parts(len(x), step):
        free = Lookup(part.stop - part.start, start.shape[1], start=start[part])
        numbers = torch.arange(part.stop - part.start, device=x.device)
        fit(own, nn.Sequential(free, Beside(known)), numbers, rows.part(part.start, part.stop), steps=STEPS, seed=0,
            optimizer=partial(MomentumGains, lr=RATE, momentum=0.5))  # fmt: skip
        places[part] = free.weight.detach()
    return places


def part_of(X: Any, rows: NDArray[np.int64]) -> Any:
    """Some rows of features, of labels or of weights, in memory; None of None."""
    if X is None:
        return None
    return np.array(X[rows]) if isinstance(X, np.memmap) else _safe_indexing(X, rows)


def spread(model: Any, X: Any, rows: NDArray[np.int64], n: int) -> NDArray[np.float32]:
    """``[n, d]`` the map of some rows of X, and about it the places of the others, which are read in blocks."""
    places = np.empty((n, model.embedding_.shape[1]), np.float32)
    places[rows] = model.embedding_
    others = np.setdiff1d(np.arange(n), rows, assume_unique=True)
    for part in parts(len(others), BLOCK):
        places[others[part]] = model.transform(part_of(X, others[part]))
    return places
