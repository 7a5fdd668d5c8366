"""The one training loop: a loss, a mapper and what p is made from; callbacks, progress, early stop, resume."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from icon import _checks as check
from icon._threads import paying
from icon.core.loss import Loss
from icon.nn import EMA
from icon.p import adjacency
from icon.p.base import Sets
from icon.p.rows import Rows
from icon.training.batches import Draw, Sampler, what_is_seen
from icon.training.checkpoint import Checkpoint
from icon.training.digest import digest, without_addresses
from icon.training.schedules import advance, described, scheduler_of
from icon.training.shares import Ranks
from icon.training.state import Draws, seeded, settled

Callback = Callable[[int, float, Tensor], object]


class Fit(NamedTuple):
    """What a run did: the loss before each step, and whether it stopped early.

    Attributes:
        losses: one for each step, before its update.
        converged: whether the run stopped early.
    """

    losses: list[float]
    converged: bool


def fit(
    loss: Loss,
    mapper: nn.Module,
    inputs: Any,
    target: Any = None,
    *,
    steps: int = 300,
    learning_rate: float = 1e-3,
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None,
    batch_size: int | None = None,
    negatives: int | None = None,
    decay: bool = False,
    schedule: Callable[[Optimizer], LRScheduler] | None = None,
    max_norm: float | None = None,
    teacher: EMA | None = None,
    tol: float = 0.0,
    patience: int = 50,
    min_grad_norm: float = 0.0,
    seed: int | None = 0,
    callback: Callback | None = None,
    verbose: bool = False,
    label: str = "fit",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
    resume: bool = True,
    identity: Mapping[str, Any] | None = None,
) -> Fit:
    """Minimise ``loss(mapper(inputs), target)`` over the parameters of both, in place.

    The same seed on the same machine gives the same numbers, and so does a run that was interrupted and called again
    with its checkpoint. Torch's global state (generator, modes, defaults) plays no part and is left as it was.

    A loss with ``group=`` is minimised over its ranks, each of which calls this with the same arguments and embeds its
    share of the points of a step. All make the same update: that of one process with all points, to rounding, where
    the mapper treats points one by one (batch normalisation does not, unless it is synchronised). What the mapper
    draws (dropout) is drawn by each rank, and its buffers and the teacher's are in the end those of the first one.

    Args:
        loss: what is minimised.
        mapper: gives the input of the loss: ``[n, d]``, or a pair (`icon.nn.Prototypes`). All its modules are in
            training mode during the run, and in evaluation mode after it.
        inputs: what the mapper is called with; row numbers ``[n]`` for a `Lookup`, else features ``[n, ...]``. With
            ``batch_size`` also an array, also on disk, whose rows are read when drawn, in the mapper's precision.
        target: what p is made from, once, or prepared `Rows`; with ``batch_size`` also a sampler of batches
            (`icon.training.Sampler`), which then decides what a step sees.
        steps: updates of the parameters.
        learning_rate: of Adam.
        optimizer: from parameters to an optimiser whose step takes one gradient; None is Adam with ``learning_rate``.
        batch_size: None evaluates all points at each step. A number b draws b anchors i with a positive, and with each
            one partner j from p(.|i), and evaluates the pairs (z_i, z_j) against each other: unbiased for
            ``sum_j p_ij s_ij``, while the partition runs over the b partners. The loss is then that of the sampled p.
            Walks and debiasing at the end of p's operations are never computed: partners are drawn by walking, and
            uniform mass is spread over the batch. Where p is between points and labels (cross-entropy), b points are
            drawn with their labels.
        negatives: with ``batch_size``, spread the uniform mass over this many partners drawn at random for each anchor
            instead of over the whole batch: an unbiased estimate of its mean score which, where q's partition is known
            (clusters), costs O(b) instead of O(b²). One that is drawn twice counts as two, in the entropy of p as well,
            so that the loss (not its gradient) is below that of the same p without repetitions.
        teacher: a moving average of the mapper, updated after each step.
        decay: let the learning rate fall linearly to zero over the second half of the steps.
        schedule: from the optimiser to a scheduler of `torch.optim.lr_scheduler`, which moves once per step; one that
            watches a number (``ReduceLROnPlateau``) is given the loss. A checkpoint is compared with its class, its
            numbers and the learning rates that it gave until then; what a function of your own gives later is not.
        max_norm: > 0; longer gradients, of all parameters together, are scaled to this length before each update.
        tol: stop when the mean loss of the last ``patience`` steps improves on that of the ``patience`` steps before by
            less than ``tol`` times its size; 0 never stops.
        patience: length of these windows, in steps.
        min_grad_norm: stop after a step whose gradient, of all parameters together, is shorter; 0 never stops.
        seed: of all that a run draws; None goes on with torch's global generator as it is.
        callback: called with (step from 1, loss, embedding ``[n, d]``) as they were before the step's update. One that
            returns True ends the run after that step, which keeps what it has. On several ranks the embedding is that
            of the rank's share.
        verbose: a progress bar with the loss and the time left, on standard error.
        label: what the progress bar calls the run.
        checkpoint: a file to resume from where it exists, and to write every ``checkpoint_every`` steps and at the end.
            It is refused where it is of another run: of other data, another network or optimiser, another setting,
            and where it has more than ``steps``.
        checkpoint_every: steps between two writes.
        resume: False starts afresh and overwrites a checkpoint that exists.
        identity: what else makes this run, by name: a checkpoint of other values is refused by that name.

    Raises:
        FloatingPointError: the loss or the embedding is no longer finite.
        TypeError: a loss or a mapper that is no module; no such optimiser; an argument of another kind; with a
            checkpoint, a state of a module that no file can hold.
        ValueError: a checkpoint of another run (of other data, another p, start or setting), a broken one, or a place
            that cannot be written, found before the first step; ranks with other data, p or settings.
    """
    for name, number in {"steps": steps, "patience": patience, "checkpoint_every": checkpoint_every}.items():
        check.count(number, name)
    check.number(tol, "tol", least=0)
    check.number(min_grad_norm, "min_grad_norm", least=0)
    limit, seed = None if max_norm is None else check.positive(max_norm, "max_norm"), check.seed(seed, "seed")
    _check_kinds(teacher, checkpoint, identity, optimizer=optimizer, schedule=schedule, callback=callback)
    modules = [check.module(mapper, "mapper"), check.module(loss, "loss"), *([] if teacher is None else [teacher])]
    # Those that the loss shares with the mapper come once.
    parameters = [p for p in nn.ModuleList(modules[:2]).parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("mapper: got no parameter to learn, expected at least one")
    method = _optimizer_of(parameters, optimizer, learning_rate)
    follow: Callable[[nn.Module], object] = (lambda module: None) if teacher is None else teacher.update
    device = next((p.device for p in parameters if p.is_cuda), parameters[0].device)
    ranks = Ranks(getattr(loss, "group", None), seed, device)  # any module of the form of a loss will do
    draws, stopped = Draws(ranks.seed, device), False
    ranks.take_from_first(x for module in modules for x in (*module.parameters(), *module.buffers()))
    with settled(), draws:
        draw = ranks.checked(partial(what_is_seen, loss, mapper, inputs, target, batch_size, negatives, ranks))
        rates = scheduler_of(method, schedule, decay, steps)
        made: dict[str, Any] = {name: str(value) for name, value in (identity or {}).items()}
        if checkpoint is not None or ranks.world > 1:
            own = {"seed": seed, "batch_size": batch_size, "negatives": negatives, "tol": tol, "decay": decay,
                   "min_grad_norm": min_grad_norm, "patience": patience, "steps": steps if decay else None,
                   "max_norm": limit, "schedule": described(rates),
                   "ranks": ranks.world if ranks.world > 1 else None}  # fmt: skip
            own |= _made_of(loss, mapper, teacher, method, inputs, target)
            made |= own | {f"identity.{name}": value for name, value in made.items() if name in own}
            ranks.same(made)
        file = None if checkpoint is None else Path(checkpoint)
        run = Checkpoint(loss, mapper, method, rates, teacher, made, file, ranks)
        losses, flat = run.begin(resume, steps)
    mapper.train()
    work = partial(_work, mapper, inputs, batch_size)
    with check.said_once(), _progress(verbose and ranks.rank == 0, label, steps, len(losses)) as report, paying(work):
        while len(losses) < steps and not (stopped or flat or _stalled(losses, tol, patience)):
            with settled():
                with draws:
                    z, rows = ranks.checked(partial(_drawn, draw, len(losses)))
                # The mapper may give a parameter itself, which the update changes.
                seen: Any = None if callback is None else (z if isinstance(z, Tensor) else z[0]).detach().clone()
                current = _updated(loss, method, z, rows, len(losses), ranks, limit)
                flat = min_grad_norm > 0 and _length(method) < min_grad_norm
                follow(mapper)
            losses.append(current)
            advance(rates, current)
            report(current)
            stopped = ranks.any(callback is not None and is_true(callback(len(losses), current, seen)))
            if len(losses) % checkpoint_every == 0:
                with draws:
                    run.save(losses, flat)
    with draws:
        run.save(losses, flat)
    ranks.take_from_first(x for module in modules for x in module.buffers())
    mapper.eval()
    return Fit(losses, flat or _stalled(losses, tol, patience))


def _check_kinds(teacher: Any, checkpoint: Any, identity: Any, **functions: Any) -> None:
    """Whether arguments that are no numbers are of their kinds."""
    for name, function in functions.items():
        check.function(function, name)
    if teacher is not None and not callable(getattr(check.module(teacher, "teacher"), "update", None)):
        raise TypeError(f"teacher: got {type(teacher).__name__}, expected an icon.nn.EMA")
    check.path(checkpoint, "checkpoint")
    if not isinstance(identity, (Mapping, type(None))):
        raise TypeError(f"identity: got {identity!r}, expected a mapping of names")


def _optimizer_of(
    parameters: list[nn.Parameter], optimizer: Callable[[list[nn.Parameter]], Optimizer] | None, learning_rate: float
) -> Optimizer:
    """The optimiser of these parameters, or of some of them."""
    if optimizer is None:
        return Adam(parameters, check.positive(learning_rate, "learning_rate"))
    method: Any = optimizer(parameters)
    if not isinstance(method, Optimizer) or isinstance(method, LBFGS):
        raise TypeError(
            f"optimizer: got one that gives {type(method).__name__}, expected an optimiser of torch.optim whose step "
            "takes one gradient (LBFGS takes several)"
        )
    if not {*map(id, parameters)} & {*map(id, _moved_by(method))}:
        raise ValueError("optimizer: got one of other parameters, expected one of those that it is given")
    return method


def _moved_by(method: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in method.param_groups for parameter in group["params"]]


def _length(method: Optimizer) -> float:
    """The norm of the gradient of all parameters of an optimiser together; those of others are never set to zero."""
    return float(nn.utils.clip_grad_norm_(_moved_by(method), math.inf))  # which leaves them as they are


def _work(mapper: nn.Module, inputs: Any, batch_size: int | None) -> int:
    """Multiply-adds of a step: of the network, or of the products of all pairs of a lookup's rows."""
    if not isinstance(inputs, Tensor):
        return 0
    from torch.utils.flop_counter import FlopCounterMode

    points, tried = int(batch_size or len(inputs)), min(2, len(inputs))
    was_training = mapper.training
    # What a module draws here is no part of the run.
    with settled(), seeded(0, inputs.device), torch.no_grad(), FlopCounterMode(display=False) as counter:
        mapper.eval()(inputs[:tried])
    mapper.train(was_training)
    of_pairs = 0 if inputs.is_floating_point() else points * max(p.numel() for p in mapper.parameters())
    return max(of_pairs, points * int(counter.get_total_flops()) // (2 * tried))


def is_true(said: object) -> bool:
    """Whether a callback has returned True: Python's, NumPy's or torch's, as comparisons of an embedding give them."""
    is_tensor = isinstance(said, Tensor) and said.dtype is torch.bool and said.ndim == 0
    return (is_tensor or isinstance(said, (bool, np.bool_))) and bool(said)


def _drawn(draw: Draw, done: int) -> tuple[Any, Any]:
    """The embedding of a step, which is finite, and its p."""
    z, rows = draw()
    views = (z,) if isinstance(z, Tensor) else z
    # A finite sum is one of finite numbers, and is sooner known.
    if done and not all(math.isfinite(float(view.detach().sum())) or torch.isfinite(view).all() for view in views):
        raise _diverged("embedding: got NaN or infinity", done)
    return z, rows


def _updated(
    loss: Loss, method: Optimizer, z: Any, rows: Any, done: int, ranks: Ranks, max_norm: float | None
) -> float:
    """The loss before an update of the parameters, which it makes."""
    value = check.one_number(loss(z, rows), "loss")
    current = ranks.mean(float(value.detach()))
    if not math.isfinite(current):
        raise _diverged(f"loss: got {current}", done)
    method.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]
    parameters = _moved_by(method)
    ranks.average(parameters)
    if max_norm is not None:
        nn.utils.clip_grad_norm_(parameters, max_norm)
    method.step()
    return current


def _made_of(
    loss: Loss, mapper: nn.Module, teacher: EMA | None, method: Optimizer, inputs: Any, target: Any
) -> dict[str, Any]:
    """What a run is made of, by the name under which another one is refused."""
    if not isinstance(target, (Rows, Sampler)) and loss.p.made_from == "graph":
        target = adjacency.weights(target, "target", Sets()).astype(float)  # the same graph in whatever form
    groups, apart = method.param_groups, ("params", "lr", "initial_lr")
    settings = [{name: value for name, value in group.items() if name not in apart} for group in groups]
    decay = getattr(teacher, "decay", None)  # of what else has an update, none is known
    decay = f"a schedule from {decay(0)} and {decay(1)}" if callable(decay) else decay
    made: dict[str, Any] = {"format": "4", "loss": repr(loss), "optimizer": type(method).__name__}
    made |= {"learning_rate": str([group["lr"] for group in groups]), "optimizer settings": str(settings)}
    made |= {"teacher": decay, "data": digest(inputs), "p": digest(target), "start": digest(mapper, loss)}
    # Of the same numbers, other layers (another activation, other dropout) compute and others learn something else.
    learned = [[tuple(parameter.shape) for parameter in group["params"]] for group in groups]
    return made | {"model": digest(without_addresses(repr(mapper)), learned)}


def _diverged(found: str, steps: int) -> FloatingPointError:
    return FloatingPointError(
        f"{found} after {steps} step{'' if steps == 1 else 's'}, expected finite numbers: the run diverged (are the "
        "inputs finite? is the loss bounded for this mapper? is the learning rate too high?)"
    )


def _stalled(losses: list[float], tol: float, patience: int) -> bool:
    """Whether a window of steps has just ended that was hardly better than the one before."""
    if tol <= 0 or len(losses) < 2 * patience or len(losses) % patience:
        return False
    before, last = (sum(window) / patience for window in (losses[-2 * patience : -patience], losses[-patience:]))
    return before - last < tol * abs(before)


@contextmanager
def _progress(verbose: bool, label: str, steps: int, done: int) -> Iterator[Callable[[float], None]]:
    if not verbose:
        yield lambda value: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.5g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=steps, completed=done, loss=math.nan)
        yield lambda value: bar.update(task, advance=1, loss=value)
