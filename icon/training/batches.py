"""What a step of `icon.training.fit` sees: all points, pairs drawn from p, or a batch of points with its targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from icon import _checks as check
from icon.core.loss import Loss
from icon.core.weights import report_empty
from icon.nn.mappers import as_seen
from icon.p.base import Sets
from icon.p.labels import DataLabel
from icon.p.rows import Rows
from icon.q.partitions import tells_positives
from icon.training.sampler import PairSampler, prepare
from icon.training.shares import Ranks

Draw = Callable[[], tuple[Any, Any]]


@runtime_checkable
class Sampler(Protocol):
    """Whatever draws batches. `PairSampler` and `PointSampler` do, and so may a class of your own."""

    def draw(self, size: int) -> tuple[Any, ...]:
        """The row numbers ``[b]`` of each view of a batch, and last what the loss takes as the target of the batch.

        Draw with torch's global generator, and a run can be repeated from its seed. What else a sampler keeps from draw
        to draw, such as a place in an epoch, is in no checkpoint: it is new where a run is resumed.

        Args:
            size: b, how many rows.
        """


@dataclass(frozen=True, eq=False)
class PointSampler:
    """Draws batches of points, each point as probable as any other, with its row of the target.

    Args:
        target: ``[n]`` or ``[n, ...]``, a row per point, such as labels.
    """

    target: Tensor

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        """Row numbers ``[b]``, with replacement, and their rows of the target.

        Args:
            size: b, how many points.
        """
        index = torch.randint(len(self.target), (size,))
        return index, self.target[index.to(self.target.device)]


def what_is_seen(
    loss: Loss, mapper: nn.Module, inputs: Any, target: Any, batch_size: int | None, negatives: int | None, ranks: Ranks
) -> Draw:
    """What gives the embedding and p of a step, of all points or of a batch of which each rank embeds its share.

    The arguments are those of `icon.training.fit`.
    """
    if batch_size is None and negatives is not None:
        raise ValueError(f"negatives: got {negatives} without batch_size, expected None: every step sees all points")
    if batch_size is None and isinstance(target, Sampler):
        raise ValueError("batch_size: got None with a sampler, expected how many rows it draws")
    if batch_size is None:
        return all_points(loss, mapper, inputs, target, ranks)
    size = check.count(batch_size, "batch_size", 2)
    device = next((p.device for p in mapper.parameters()), ranks.device)
    try:
        n, _ = len(inputs), rows_of(inputs, torch.tensor([0]), device)
    except (TypeError, ValueError, KeyError) as error:
        told = f"inputs: got {type(inputs).__name__} ({error}), expected a tensor or an array with batch_size"
        raise TypeError(told) from None
    sampler = _sampler(loss, n, target, negatives)
    _refuse_negatives_as_positives(loss, sampler)

    def draw() -> tuple[Any, Any]:
        *views, target = sampler.draw(size)
        target = ranks.share(target, len(views[0]))
        views = [ranks.share(view, len(view)) for view in views]
        x = rows_of(inputs, torch.cat([*map(torch.as_tensor, views)]), device)
        with ranks.own_draws:
            z = _embedded(mapper, x if isinstance(inputs, Tensor) else as_seen(mapper, x))
        if len(views) > 1 and not (isinstance(z, Tensor) and len(z) == len(x)):
            given = f"shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
            raise ValueError(f"mapper: got an output of {given}, expected a row for each of {len(x)} points")
        return (z if len(views) == 1 else z.split([len(view) for view in views])), target

    return draw


def _embedded(mapper: nn.Module, x: Any) -> Any:
    """What the mapper gives: points, or several sets of them."""
    z = mapper(x)
    if not isinstance(z, (Tensor, tuple, list)):
        raise TypeError(f"mapper: got an output of {type(z).__name__}, expected a tensor, or a pair of them")
    return z


def all_points(loss: Loss, mapper: nn.Module, inputs: Any, target: Any, ranks: Ranks) -> Draw:
    """Every step sees all points; p is made at the first one, when the sizes of both sets are known."""
    prepared: list[Any] = []
    n = len(inputs[0] if isinstance(inputs, (tuple, list)) else inputs) if ranks.world > 1 else 0
    share = ranks.share(inputs, n)

    def draw() -> tuple[Any, Any]:
        with ranks.own_draws:
            z = _embedded(mapper, share)
        if not prepared:
            views = (z,) if isinstance(z, Tensor) else tuple(z)
            one_way = len(loss.p.directions(len(views))) == 1
            candidates = len(views[-1]) if len(views) > 1 and loss.p.column == "data-label" else n
            sizes = (n, candidates) if ranks.world > 1 else (len(views[0]), len(views[-1]))
            sets = Sets(*sizes, len(views) > 1)
            prepared.append(prepare(loss, target, sets) if one_way else ranks.share(target, n))
        return z, prepared[0]

    return draw


def _sampler(loss: Loss, n: int, target: Any, negatives: int | None) -> Sampler:
    """The target itself where it is a sampler, rows of labels where p is between points and labels, else pairs."""
    if isinstance(target, Sampler):
        if negatives is not None and negatives != (own := getattr(target, "negatives", None)):
            raise ValueError(
                f"negatives: got {negatives} with a sampler that has {own}, expected None: the sampler decides"
            )
        if isinstance(target, PairSampler):
            check.as_many(target.rows.n, n, "target", "row", "row of the inputs")
        return target
    if isinstance(loss.p, DataLabel):
        if isinstance(target, Rows):
            raise TypeError("target: got prepared rows with batch_size, expected labels: a batch makes its own rows")
        labels = check.as_tensor(target, "labels")
        check.as_many(len(labels), n, "labels", "entry", "row of the inputs")
        return PointSampler(labels)
    weighted = loss.normalization == "joint" or loss.stationary_anchors
    sampler = PairSampler.of(loss, target, Sets(n, n), weighted, negatives)
    if loss.on_no_positive == "raise" and sampler.rows.n_empty and not loss.p.leaves_out:
        report_empty(sampler.rows, loss.on_no_positive)
    if negatives is not None and not sampler.spreads_mass:
        raise ValueError(f"negatives: got {negatives} for a p without uniform mass to spread, expected p.debias(...)")
    return sampler


def _refuse_negatives_as_positives(loss: Loss, sampler: Sampler) -> None:
    """Random partners stand for uniform mass: to what tells positives from negatives they would be positives."""
    if not isinstance(sampler, PairSampler) or sampler.negatives is None or not sampler.spreads_mass:
        return
    if loss.q.margin or tells_positives(loss.q.partition):
        raise ValueError(
            f"negatives: got {sampler.negatives}, expected None: {loss.q!r} tells positives from negatives, which p "
            "mixed with the uniform distribution does not"
        )


def rows_of(inputs: Any, index: Tensor, device: torch.device) -> Tensor:
    """Rows of features as a tensor: of a tensor where it lies, of an array on disk only those asked for."""
    if isinstance(inputs, Tensor):
        return inputs.index_select(0, index.to(inputs.device)).to(device)
    order = index.numpy()
    return torch.as_tensor(inputs[order]).to(device)
