"""The one loss: ``L = sum_i w_i KL(p(.|i) ‖ q(.|i))``, with ``KL_i = A_i - sum_j p_ij s_ij - H_i``."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from icon import _checks as check
from icon import _late
from icon._precision import without_autocast
from icon._values import name_of, parameters, with_names
from icon.core import evaluators
from icon.core.autocast import lost_in_half_precision
from icon.core.cross_entropy import cross_entropies, cross_entropy
from icon.core.directions import Directions
from icon.core.divergence import DIVERGENCES, Divergence, called, resolve
from icon.core.evaluators import EVALUATORS, Evaluator
from icon.core.evaluators.ring import refuse_without_all
from icon.core.exchange import Group, copied
from icon.core.inputs import views_of
from icon.core.local import HAS_RANKS, warn_of_other_ranks
from icon.core.memory import bytes_needed
from icon.core.problem import Problem
from icon.core.ranks import Ranks
from icon.core.reduction import Direction, Reduction, Terms
from icon.core.weights import AnchorWeights
from icon.p.base import Distribution, is_between_sets
from icon.p.rows import Rows
from icon.q.arguments import buffer_or_plain, shares
from icon.q.base import Kernel
from icon.q.totals import WHOLE, Totals


class Loss(nn.Module):
    """``sum_i w_i D(p(.|i) ‖ q(.|i))`` of a supervisory p and a learned q; D is the true KL by default.

    >>> import icon, torch
    >>> x, z = torch.randn(100, 8), torch.randn(100, 2, requires_grad=True)
    >>> loss = icon.Loss(p=icon.p.Gaussian(perplexity=30), q=icon.q.StudentT(dof=1), normalization="joint")
    >>> loss(z, x).backward()   # a scalar; its gradient reaches z and every learnable parameter
    >>> print(loss)
    Loss(t-SNE: student-t x gaussian, p=Gaussian(perplexity=30), q=StudentT(dof=1.0), normalization='joint')
    >>> rows = loss.p(x)        # prepare p once ...
    >>> value = loss(z, rows)   # ... and use it at every step

    Settings are read-only: `replace` gives a loss with others.

    Args:
        p: supervisory distribution (`icon.p`).
        q: learned distribution (`icon.q`).
        normalization: ``"row"``: every anchor has its own distribution; ``"joint"``: one over all pairs, with
            ``P_ij = (p_j|i + p_i|j) / 2n`` unless p comes with weights of its own (t-SNE).
        divergence: ``"kl"``, ``"reverse-kl"``, ``"js"``, ``"tv"``, ``"hellinger"``, ``"alpha"``, or a function of
            tiles ``(p, q, log_q)`` that gives one number per row.
        reduction: ``"none"`` gives ``w_i D_i``, one value per anchor (two directions one after the other), ``"sum"``
            their sum, ``"mean"`` the sum divided by that of the weights.
        on_no_positive: what happens to anchors without a positive: ``"skip"`` leaves them out of the mean (0 under
            ``"none"``), ``"zero"`` counts them as 0, ``"raise"`` refuses them. Their number is reported by a warning.
            Where no anchor has a positive, the loss is 0.
        anchor_weights: ``w_i``: None (1), ``"stationary"`` (p's marginal: degree / volume of a graph), or ``[n]``.
        block: anchors evaluated at a time; None chooses. The result does not depend on it.
        name: what `repr` calls this loss; None looks the parts up in the table.
        evaluator: None chooses by capability and size; ``"autograd"``, ``"fused"``, ``"grid"``, or an
            `icon.Evaluator`. A grid, which is chosen for maps of 2^24 pairs and more in one or two dimensions, is right
            within a tolerance of 1e-3 (`icon.core.evaluators.Grid`); the others are exact.
        matmul_precision: ``"tf32"`` or ``"bfloat16"``: the factors of the fused evaluator's products are rounded to
            that precision where the hardware can, and summed in float32. None leaves torch's own setting.
        totals: sums over the other parts of a batch whose anchors are evaluated in parts; see `forward`.
        group: ``"world"`` or a process group of `torch.distributed`: the loss is that of the batches of all its ranks
            together, which may be of any sizes. A rank gets W times its share, so that the average over W ranks of
            values, and of gradients as `DistributedDataParallel` takes it, is that of one process with all of them.
            Points, targets and the weights of a call are given as in one process, each rank its own. Prototypes,
            parameters of the loss, prepared rows and ``anchor_weights`` (of the points of all ranks, in their order)
            are the same on all. With ``"none"`` a rank gets the values of its own anchors, not multiplied.
        exchange: how points reach the other ranks of the group. ``"gather"``: each rank has those of all; ``"ring"``:
            it has those of one other at a time, which travel twice. Targets are gathered in both.
        empty: the former name of ``on_no_positive``.

    Raises:
        ValueError, TypeError: one line with the argument, what was given and what was expected. With ``group``, an
            error of one rank is raised on all.

    Source: Alshammari et al., I-Con, ICLR 2025 (arXiv 2504.16929).
    """

    def __init__(
        self,
        p: Distribution,
        q: Kernel,
        *,
        normalization: str = "row",
        divergence: str | Divergence = "kl",
        reduction: str = "mean",
        on_no_positive: str = "skip",
        anchor_weights: Any = None,
        block: int | None = None,
        name: str | None = None,
        evaluator: str | Evaluator | None = None,
        matmul_precision: str | None = None,
        totals: Totals = WHOLE,
        group: Group | None = None,
        exchange: str = "gather",
        empty: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(p, Distribution):
            raise TypeError(f"p: got {type(p).__name__}, expected a distribution of icon.p")
        if not isinstance(q, Kernel):
            raise TypeError(f"q: got {type(q).__name__}, expected a distribution of icon.q")
        self.p, self.q = p, q
        self.normalization = check.choice(normalization, "normalization", ("row", "joint"))
        self.reduction = check.choice(reduction, "reduction", ("mean", "sum", "none"))
        if empty is not None:
            on_no_positive = _renamed(empty, None if on_no_positive == "skip" else on_no_positive)
        self.on_no_positive = check.choice(on_no_positive, "on_no_positive", ("skip", "zero", "raise"))
        self.divergence = resolve(divergence)
        self.divergence_name = called(self.divergence)
        self.block = None if block is None else check.count(block, "block")
        self.evaluator = evaluators.resolve(evaluator, matmul_precision)
        self.name, self.group = name, group
        self.exchange = check.choice(exchange, "exchange", ("gather", "ring"))
        self._ranks = None if group is None else Ranks(group, exchange == "ring", p.column == "data-label")
        self.totals = totals
        self.stationary_anchors = isinstance(anchor_weights, str)
        if self.stationary_anchors:
            check.choice(anchor_weights, "anchor_weights", ("stationary",))
        given = None if self.stationary_anchors or anchor_weights is None else shares(anchor_weights, "anchor_weights")
        self.anchor_weights: Tensor | None
        buffer_or_plain(self, "anchor_weights", given)
        self._refuse_combinations(weighted=anchor_weights is not None)
        joint, mean = self.normalization == "joint", self.reduction == "mean"
        of_rows = WHOLE if self._ranks else totals  # a rank has the rows of all
        weigh = AnchorWeights(mean, self.on_no_positive, self.stationary_anchors, p.leaves_out, of_rows)
        settings = (self.divergence, self.block, self.evaluator, totals, self._ranks, weigh)
        # It has the parts without the search of nn.Module for the second, which a small batch feels.
        self._directions = Directions(p, q, joint, mean, *settings)
        self._reduce = Reduction(joint, self.reduction == "none", self.divergence)
        is_whole = self._ranks is None and totals is WHOLE
        is_plain = mean and is_whole and not (joint or self.divergence or self.stationary_anchors)
        chosen_here = self.evaluator is None and self.block is None
        self._cross_entropies = cross_entropies(p, q) if is_plain and chosen_here else 0
        self._is_built = True

    __deepcopy__ = copied

    def _refuse_combinations(self, weighted: bool) -> None:
        """Raise ValueError where settings that are right by themselves are not together."""
        p, q = self.p, self.q
        if not q.partition.is_normalizer:
            limit = f"q is a rescaled limit or no distribution ({type(q.partition).__name__}), expected a normalised q"
            if self.normalization == "joint":
                raise ValueError(f"normalization: got 'joint', but {limit}")
            if self.divergence is not None:
                raise ValueError(f"divergence: got {self.divergence_name}, but {limit}")
        if self.normalization == "joint" and (weighted or q.has_factors):
            what, other = ("agreement: got True", False) if q.has_factors else ("anchor_weights: got weights", None)
            raise ValueError(f"{what} with normalization='joint', expected {other}: p weights its pairs")
        if self.normalization == "joint" and self.reduction == "none":
            raise ValueError("reduction: got 'none' with normalization='joint', expected 'mean' or 'sum' of all pairs")
        if self.exchange == "ring" and p.column != "data-label":
            refuse_without_all(q, self.divergence_name, self.evaluator)
        if self.exchange == "ring" and self.group is None:
            raise ValueError("exchange: got 'ring' without group=, expected a group of ranks to exchange with")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _READ_ONLY and self.__dict__.get("_is_built", False):
            raise AttributeError(f"{name}: got a new value for a read-only setting, expected loss.replace({name}=...)")
        super().__setattr__(name, value)

    def _load_from_state_dict(self, *given: Any) -> None:
        object.__setattr__(self, "_is_built", False)  # with ``assign=True`` the weights are set, and not filled
        try:
            super()._load_from_state_dict(*given)
        finally:
            object.__setattr__(self, "_is_built", True)

    def replace(self, **changes: Any) -> Loss:
        """A loss with other parts or settings (any argument of the class), checked as if it were built anew.

        With another p, q or divergence it has no given name any more: `repr` looks its parts up in the table.

        Args:
            changes: arguments of the class by name.

        Raises:
            ValueError, TypeError: as the class raises them.
        """
        kept = {name: getattr(self, name) for name in _SETTINGS}
        kept["divergence"] = "kl" if self.divergence is None else self.divergence
        kept["anchor_weights"] = "stationary" if self.stationary_anchors else self.anchor_weights
        if "matmul_precision" in changes:
            del kept["evaluator"]
        if any(changes.get(part, kept[part]) is not kept[part] for part in ("p", "q", "divergence")):
            kept["name"] = None  # other parts are another method, if any
        if "empty" in changes:
            changes["on_no_positive"] = _renamed(changes.pop("empty"), changes.get("on_no_positive"))
        return type(self)(**{**kept, **changes}).train(self.training)

    @property
    def empty(self) -> str:
        """The former name of ``on_no_positive``."""
        return _renamed(self.on_no_positive)

    # -- use ----------------------------------------------------------------------------------------------------------

    if TYPE_CHECKING:  # of a module, mypy knows no more than Any

        def __call__(
            self, input: Any, target: Any = None, *, anchors: slice | None = None, weights: Any = None
        ) -> Tensor: ...

    def forward(
        self, input: Any, target: Any = None, *, anchors: slice | None = None, weights: Any = None
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """The loss, a scalar (``[n]`` with ``reduction="none"``).

        Args:
            input: embeddings ``[n, d]`` (cluster logits ``[n, C]`` for the clusters row); a pair
                ``(anchors [n, d], candidates [m, d])`` of queries and keys, two modalities, or points and prototypes;
                several aligned views for cross-modal pairs.
            target: what p is made from (see its class), or prepared `Rows`. Of aligned pairs it may be the second set:
                ``loss(z1, z2)`` is ``loss((z1, z2))``.
            anchors: which points of the input are anchors; None: all. The others are candidates only: a memory behind
                the batch (``loss(torch.cat([z, memory]), ids, anchors=slice(0, len(z)))``), or the points of other
                ranks. Parts that cover all points, with `Totals` that sum over them, add up to the whole loss.
            weights: ``[n]`` >= 0 of the anchors in this call, in place of ``anchor_weights``; of views that are joined,
                of the points.

        Raises:
            ValueError, TypeError: one line with the argument, what was given and what was expected.
        """
        if torch._C._is_any_autocast_enabled():
            # Of several ranks, all are to go the same way.
            if self._ranks is None and (lost := lost_in_half_precision(input)) is not None:
                return lost
            # Autocast would round the scores to half precision, whose partition is to be summed in float32.
            with without_autocast(input):
                return self.forward(input, target, anchors=anchors, weights=weights)
        if self._ranks is not None and not self._ranks.inside:
            together: Tensor = self._together(self.forward, input, target, anchors, weights)
            return together
        if self._ranks is None and HAS_RANKS and dist.is_initialized():
            warn_of_other_ranks()
        if self._cross_entropies and anchors is None and weights is None and self.anchor_weights is None:
            parts = self._directions
            short = cross_entropy(parts.p, parts.q, input, target, both=self._cross_entropies == 2)
            if short is not None:
                return short
        directions = self._directions_of(input, target, anchors, weights)
        value = self._reduce.value(directions)
        q = directions[0].problem.q
        if q.has_state and q.training:
            q.advance()
        return value

    def terms(self, input: Any, target: Any = None, *, anchors: slice | None = None, weights: Any = None) -> Terms:
        """KL, cross-entropy and entropy of the same call, whichever divergence the loss uses.

        Args:
            input: as in `forward`.
            target: as in `forward`.
            anchors: as in `forward`.
            weights: as in `forward`.

        Raises:
            ValueError, TypeError: as `forward` raises them.
        """
        if torch._C._is_any_autocast_enabled():
            with without_autocast(input):
                return self.terms(input, target, anchors=anchors, weights=weights)
        if self._ranks is not None and not self._ranks.inside:
            together: Terms = self._together(self.terms, input, target, anchors, weights)
            return together
        return self._reduce.terms(self._directions_of(input, target, anchors, weights))

    def published(self, input: Any, target: Any = None) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """The number that the authors' own program reports of this method, so that learning rates carry over.

        It is a multiple of the cross-entropy form or of the loss, plus a constant; ``docs/authors.md`` says which one.
        Differentiable. ``reduction="none"`` gives one number per anchor, whose mean it is; ``"sum"`` changes nothing.

        >>> icon.method("mocov3").published((queries, keys))   # 2τ · cross-entropy, as in moco-v3

        Args:
            input: as in a call.
            target: as in a call.

        Raises:
            ValueError: no named method, one whose program computes another thing, or another form than it has (another
                score, partition, p, divergence or normalisation; numbers such as temperatures may be any).
        """
        number: Tensor = _late.registry().published(self, input, target)
        return number

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the loss to a file, see `icon.save`.

        Args:
            path: where to.
        """
        _late.serialization().save(self, path)

    def problems(self, input: Any, target: Any = None, *, anchors: slice | None = None) -> list[Problem]:
        """What an evaluator is given in such a call, one problem for each direction.

        Args:
            input: as in `forward`.
            target: as in `forward`.
            anchors: as in `forward`.
        """
        return [d.problem for d in self._directions_of(input, target, anchors, None)]

    def memory_estimate(self, n: int, d: int, m: int | None = None) -> int:
        """Bytes that value and gradient take above the input and p, in float32; about right, not a bound.

        Args:
            n: anchors.
            d: dimensions.
            m: candidates, where they are another set.
        """
        m = check.count(n, "n") if m is None else check.count(m, "m")
        return bytes_needed(self.block, self.q.is_product, n, check.count(d, "d"), m)

    def _together(
        self, evaluate: Callable[..., Any], input: Any, target: Any, anchors: slice | None, weights: Any
    ) -> Any:
        """The loss of the batches of all ranks."""
        if anchors is not None:
            raise ValueError("anchors: got a slice with group=, expected None: the anchors are those of each rank")
        assert self._ranks is not None
        return self._ranks.together(evaluate, partial(self._own, input, target, weights), self.named_parameters())

    def _own(self, input: Any, target: Any, weights: Any, rank: int) -> tuple[Any, Any, Any]:
        """What a rank gives to all, its input, target and weights: the points of its views are its own."""
        if weights is not None:
            weights = check.as_tensor(weights, "weights")
        if isinstance(target, Tensor) and target.ndim == 2 and self.p.may_be_aligned and target.is_floating_point():
            input, target = (input, target), None
        if not isinstance(input, (tuple, list)) or not self.p.join:
            return input, target, weights
        if isinstance(target, Rows):
            if is_between_sets(target):
                return input, target, weights
            raise TypeError(
                "target: got prepared rows for joined views with group=, expected ids of the points or None"
            )
        views, joined = self.p.joined([check.as_tensor(view, f"input[{k}]") for k, view in enumerate(input)], target)
        if target is None and joined is not None:
            joined = joined + (rank << 40)
        if weights is not None:
            weights = weights.repeat(len(input))
        return (views[0] if len(views) == 1 else tuple(views)), joined, weights

    def _directions_of(self, input: Any, target: Any, anchors: slice | None, weights: Any) -> list[Direction]:
        """The directions of a call, of its views as they are given."""
        given = None if self.anchor_weights is None else ("anchor_weights", self.anchor_weights)
        if weights is not None:
            given = "weights", self._weights_of_a_call(weights)
        if isinstance(target, Tensor) and target.ndim == 2 and self.p.may_be_aligned and target.is_floating_point():
            input, target = (input, target), None  # loss(z1, z2)
        if isinstance(input, (tuple, list)):
            ranks = self._ranks if self._ranks is not None and self._ranks.inside else None
            views = views_of(input, target if ranks is None else ranks.own(target), self.p, self.q)
            if self.p.join and ranks is None:  # over ranks what is to be joined is so, see `_own`
                views, target = self.p.joined(views, target)
                if weights is not None and given is not None and len(views) < len(input):
                    given = "weights", given[1].repeat(len(input))
        else:
            views = [check.matrix(input, "input")]
        return self._directions(views, target, anchors, given)

    def _weights_of_a_call(self, weights: Any) -> Tensor:
        """The weights of the anchors of one call, in place of those of the loss."""
        if self.normalization == "joint" or self.stationary_anchors:
            how = "normalization='joint'" if self.normalization == "joint" else "anchor_weights='stationary'"
            raise ValueError(f"weights: got numbers with {how}, expected None: p weights its anchors")
        return shares(weights, "weights")

    @property
    def temperature(self) -> float | Tensor | None:
        """The temperature of q, a tensor (without gradient) where it is learned; None where q has none.

        It can be set, within its range.

        Raises:
            ValueError: set to no number > 0, beyond the range of a learned one, or where q has none that can be set.
        """
        q: Any = self.q
        if getattr(q, "scale_name", "") != "temperature":
            return None
        scale: float | Tensor = q.scale
        return scale.detach() if isinstance(scale, Tensor) else scale

    @temperature.setter
    def temperature(self, value: float | Tensor) -> None:
        if self.temperature is None:
            raise ValueError(
                f"temperature: got {value!r} for {self.row} x {self.column}, expected a loss with a temperature"
            )
        q: Any = self.q
        q.set_scale(value)

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def row(self) -> str | None:
        """Row of the table."""
        return self.q.row

    @property
    def column(self) -> str | None:
        """Column of the table."""
        return self.p.column

    def hyper_parameters(self) -> dict[str, Any]:
        """What differs from the defaults, p and q apart, as constructor arguments."""
        given: dict[str, Any] = {name: getattr(self, name) for name in _SETTINGS}
        for name, known in (("divergence", DIVERGENCES), ("evaluator", EVALUATORS)):
            given[name] = name_of(given[name], known) or given[name]
        defaults, apart = parameters(Loss), ("p", "q", "name", "totals")
        changed = {name: value for name, value in given.items() if name not in apart and value != defaults[name]}
        if self.stationary_anchors:
            changed["anchor_weights"] = "stationary"
        elif self.anchor_weights is not None:
            changed["anchor_weights"] = self.anchor_weights.tolist()
        return changed

    def __repr__(self) -> str:
        name = self.name or _late.registry().names_of(self) or "unnamed"
        parts = with_names({"p": self.p, "q": self.q, **self.hyper_parameters()})
        return f"Loss({name}: {self.row or 'custom'} x {self.column or 'custom'}, {parts})"


_SETTINGS = ("p", "q", "normalization", "divergence", "reduction", "on_no_positive", "block", "evaluator", "name",
             "totals", "group", "exchange")  # fmt: skip
_READ_ONLY = (*_SETTINGS, "divergence_name", "anchor_weights", "stationary_anchors")


def _renamed(empty: str, on_no_positive: str | None = None) -> str:
    """``on_no_positive`` where its former name is used."""
    check.warn("empty is now on_no_positive", DeprecationWarning)
    if on_no_positive is not None:
        raise ValueError(f"empty: got {empty!r} with on_no_positive={on_no_positive!r}, expected the latter alone")
    return empty
