"""The one training loop: a loss, a mapper and what p is made from; callbacks, progress, early stop, resume."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from icon import _checks as check
from icon.core.loss import Loss
from icon.nn import EMA
from icon.p.base import Sets
from icon.p.rows import Rows
from icon.training.sampler import PairSampler

Callback = Callable[[int, float, Tensor], object]


class Fit(NamedTuple):
    """What a run did: the loss before each step, and whether it stopped early."""

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
    teacher: EMA | None = None,
    tol: float = 0.0,
    patience: int = 50,
    seed: int = 0,
    callback: Callback | None = None,
    verbose: bool = False,
    label: str = "fit",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
) -> Fit:
    """Minimise ``loss(mapper(inputs), target)`` over the parameters of both, in place.

    The same seed on the same machine gives the same numbers, and so does a run that was interrupted and called again
    with its checkpoint. The global random state is left as it was.

    Args:
        mapper: gives the input of the loss: ``[n, d]``, or a pair (`icon.nn.Prototypes`).
        inputs: what the mapper is called with; row numbers ``[n]`` for a `Lookup`, else features ``[n, ...]``.
        target: what p is made from, once, or prepared `Rows`.
        optimizer: from parameters to an optimiser; None is Adam with ``learning_rate``.
        batch_size: None evaluates all points at each step. A number b draws b anchors i, and with each one partner j
            from p(.|i), and evaluates the pairs (z_i, z_j) against each other: unbiased for ``sum_j p_ij s_ij``, while
            the partition runs over the b partners. The loss is then that of the sampled p. Walks and debiasing at the
            end of p's operations are never computed: partners are drawn by walking, and uniform mass is spread over
            the batch.
        negatives: with ``batch_size``, spread the uniform mass over so many partners drawn at random for each anchor
            instead of over the whole batch: an unbiased estimate of its mean score which, where q's partition is known
            (clusters), costs O(b) instead of O(b²).
        teacher: a moving average of the mapper, updated after each step.
        decay: let the learning rate fall linearly to zero over the second half of the steps.
        tol: stop when the mean loss of the last ``patience`` steps improves on that of the ``patience`` steps before by
            less than ``tol`` times its size; 0 never stops.
        callback: called with (step from 1, loss, embedding ``[n, d]``) as they were before the step's update.
        verbose: a progress bar with the loss and the time left, on standard error.
        checkpoint: a file to resume from where it exists, and to write every ``checkpoint_every`` steps and at the end.

    Raises:
        FloatingPointError: the loss or the embedding is no longer finite.
        ValueError: a checkpoint of another run, or a broken one.
    """
    check.count(steps, "steps")
    check.count(patience, "patience")
    check.count(checkpoint_every, "checkpoint_every")
    parameters = [p for p in (*mapper.parameters(), *loss.parameters()) if p.requires_grad]
    if not parameters:
        raise ValueError("mapper: got no parameter to learn, expected at least one")
    method = optimizer(parameters) if optimizer else Adam(parameters, check.positive(learning_rate, "learning_rate"))
    losses: list[float] = []
    follow: Callable[[nn.Module], object] = (lambda module: None) if teacher is None else teacher.update
    mapper.train()
    with seeded(seed, parameters[0].device):
        if batch_size is None:
            draw = _whole(loss, mapper, inputs, target)
        else:
            draw = _sampled(loss, mapper, inputs, target, check.count(batch_size, "batch_size", 2), negatives)
        settings: dict[str, Any] = {"seed": seed, "batch_size": batch_size, "tol": tol, "patience": patience}
        settings |= {"steps": steps, "decay": True} if decay else {}
        rates = [group["lr"] for group in method.param_groups]
        settings |= {"format": 1, "loss": repr(loss), "optimizer": type(method).__name__}
        run = _Run(loss, mapper, method, teacher, settings)
        if checkpoint is not None and Path(checkpoint).exists():
            losses = run.load(Path(checkpoint))
        with _progress(verbose, label, steps, len(losses)) as report:
            while len(losses) < steps and not _stalled(losses, tol, patience):
                z, rows = draw()
                if losses and not _finite(z):
                    raise _diverged("embedding: got NaN or infinity", len(losses))
                value = loss(z, rows)
                current = float(value.detach())
                if not math.isfinite(current):
                    raise _diverged(f"loss: got {current}", len(losses))
                for group, rate in zip(method.param_groups, rates, strict=True) if decay else ():
                    group["lr"] = rate * min(1.0, 2 * (1 - len(losses) / steps))
                method.zero_grad()
                value.backward()
                method.step()
                follow(mapper)
                losses.append(current)
                report(current)
                if callback is not None:
                    callback(len(losses), current, (z if isinstance(z, Tensor) else z[0]).detach())
                if checkpoint is not None and len(losses) % checkpoint_every == 0:
                    run.save(Path(checkpoint), losses)
        if checkpoint is not None:
            run.save(Path(checkpoint), losses)
    mapper.eval()
    return Fit(losses, _stalled(losses, tol, patience))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draws inside start from the seed; those outside are as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def prepare(loss: Loss, target: Any, sets: Sets) -> Rows:
    """p, once, in the form in which the loss uses it at every step."""
    rows = loss.p(target, sets)
    if loss.normalization == "joint" and not rows.is_joint and not sets.paired:
        return rows.symmetrized
    return rows


# -- what a step sees -------------------------------------------------------------------------------------------------

Draw = Callable[[], tuple[Any, Any]]


def _whole(loss: Loss, mapper: nn.Module, inputs: Any, target: Any) -> Draw:
    """All points; p is made at the first step, when the sizes of both sets are known."""
    prepared: list[Any] = []

    def draw() -> tuple[Any, Any]:
        z = mapper(inputs)
        if not prepared:
            views = (z,) if isinstance(z, Tensor) else tuple(z)
            one_way = len(loss.p.directions(len(views))) == 1
            sets = Sets(len(views[0]), len(views[-1]), len(views) > 1)
            prepared.append(prepare(loss, target, sets) if one_way else target)
        return z, prepared[0]

    return draw


def _sampled(loss: Loss, mapper: nn.Module, inputs: Any, target: Any, size: int, negatives: int | None) -> Draw:
    if not hasattr(inputs, "__len__") or isinstance(inputs, (list, tuple)):
        raise TypeError(f"inputs: got {type(inputs).__name__}, expected a tensor or an array with batch_size")
    n = len(inputs)
    if isinstance(target, PairSampler):
        if negatives is not None and negatives != target.negatives:
            raise ValueError(
                f"negatives: got {negatives} with a sampler that has {target.negatives}, expected None: it decides"
            )
        pairs = target
    else:
        weighted = loss.normalization == "joint" or loss.stationary_anchors
        pairs = PairSampler.of(loss, target, Sets(n, n), weighted, negatives)
    device = next(mapper.parameters()).device

    def draw() -> tuple[Any, Any]:
        anchors, partners, sampled = pairs.draw(size)
        z = mapper(rows_of(inputs, torch.cat([anchors, partners]), device))
        return (z[: len(anchors)], z[len(anchors) :]), sampled

    return draw


def rows_of(inputs: Any, index: Tensor, device: torch.device) -> Tensor:
    """Rows of features as a tensor: of a tensor where it lies, of an array on disk only those asked for."""
    if isinstance(inputs, Tensor):
        return inputs[index.to(inputs.device)].to(device)
    order = index.numpy()
    return torch.as_tensor(inputs[order]).float().to(device)


def _finite(z: Any) -> bool:
    return all(bool(torch.isfinite(view).all()) for view in ((z,) if isinstance(z, Tensor) else z))


def _diverged(found: str, steps: int) -> FloatingPointError:
    return FloatingPointError(
        f"{found} after {steps} steps, expected finite numbers: the run diverged (is the loss bounded for this mapper? "
        "is the learning rate too high?)"
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


# -- checkpoints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """All that a step depends on, as one safetensors file whose header carries the rest as JSON; no pickle."""

    loss: Loss
    mapper: nn.Module
    optimizer: Optimizer
    teacher: EMA | None
    identity: dict[str, Any]  # what must agree for a run to go on

    @property
    def _on_gpu(self) -> bool:
        return any(p.is_cuda for p in self.mapper.parameters())

    def _modules(self) -> list[tuple[str, nn.Module]]:
        modules: list[tuple[str, nn.Module]] = [("mapper", self.mapper), ("loss", self.loss)]
        return modules if self.teacher is None else [*modules, ("teacher", self.teacher)]

    def save(self, path: Path, losses: list[float]) -> None:
        from safetensors.torch import save_file

        tensors = {"losses": torch.tensor(losses, dtype=torch.float64), "random.cpu": torch.get_rng_state()}
        if self._on_gpu:
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        for name, module in self._modules():
            tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        state = self.optimizer.state_dict()
        numbers: dict[str, Any] = {}
        for index, entries in state["state"].items():
            for key, value in entries.items():
                (tensors if isinstance(value, Tensor) else numbers)[f"optimizer.{index}.{key}"] = value
        header = {"run": self.identity, "numbers": numbers, "groups": state["param_groups"]}
        partial = path.with_name(path.name + ".part")
        save_file(
            {k: v.detach().contiguous().clone() for k, v in tensors.items()}, partial, {"icon": json.dumps(header)}
        )
        os.replace(partial, path)  # the file is the old one or the new one, never half of it

    def load(self, path: Path) -> list[float]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                header = json.loads((file.metadata() or {})["icon"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary
        except (SafetensorError, KeyError, OSError, ValueError) as error:
            raise ValueError(f"checkpoint: got {path} ({error}), expected a checkpoint of icon") from None
        for key, value in self.identity.items():
            if header["run"].get(key) != value:
                raise ValueError(
                    f"checkpoint: got {path} of a run with {key} {header['run'].get(key)!r}, expected {value!r}"
                )
        try:
            for name, module in self._modules():
                module.load_state_dict(_under(name, tensors))
        except RuntimeError as error:
            raise ValueError(f"checkpoint: got {path} of another model, expected this one ({error})") from None
        state: dict[int, dict[str, Any]] = {}
        for key, value in (_under("optimizer", tensors) | _under("optimizer", header["numbers"])).items():
            index, entry = key.split(".", 1)
            state.setdefault(int(index), {})[entry] = value
        self.optimizer.load_state_dict({"state": state, "param_groups": header["groups"]})
        torch.set_rng_state(tensors["random.cpu"])
        if self._on_gpu and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"])
        losses: list[float] = tensors["losses"].tolist()
        return losses


def _under(name: str, entries: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(f"{name}."): value for key, value in entries.items() if key.startswith(f"{name}.")}
