"""The state of a training run on disk: written as it goes on, read back after an interruption."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from icon.core.loss import Loss
from icon.nn import EMA
from icon.recipes import decoded, recorded
from icon.serialization import put
from icon.training.digest import digest
from icon.training.schedules import catch_up
from icon.training.shares import Ranks

_DIGESTS = ("data", "p", "start", "model")  # of which a value says nothing to a reader


@dataclass(frozen=True)
class Checkpoint:
    """All that a step depends on, as one safetensors file whose header carries the rest as JSON; no pickle.

    Args:
        identity: what must agree for a run to go on from the file, by names that a refusal says.
        path: of the file, where a link is followed; None neither reads nor writes.
        ranks: of which the first one writes the file, and all read it.
    """

    loss: Loss
    mapper: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler | None
    teacher: EMA | None
    identity: dict[str, Any]
    path: Path | None
    ranks: Ranks

    def _modules(self) -> list[tuple[str, nn.Module]]:
        modules: list[tuple[str, nn.Module]] = [("mapper", self.mapper), ("loss", self.loss)]
        return modules if self.teacher is None else [*modules, ("teacher", self.teacher)]

    def begin(self, resume: bool, steps: int) -> tuple[list[float], bool]:
        """The losses of the steps that the file has, whose state is put back, and whether the gradient was short enough
        then; no losses where it starts afresh.

        A place that cannot be written, a state that no file can hold, a file of another run, of one with more steps,
        and a broken one are refused.
        """
        if self.path is None:
            return [], False
        self.ranks.checked(self._entries)  # what no file can hold is refused before the first step
        losses, flat = self.ranks.checked(partial(self._load, self.path, resume, steps))
        self.ranks.same({"checkpoint": len(losses)})
        return losses, flat

    def save(self, losses: list[float], flat: bool) -> None:
        """Write the state after these losses; a kill leaves the old file or the new one."""
        if self.path is None:
            return
        self.ranks.take_from_first(x for _, module in self._modules() for x in module.buffers())
        states = self.ranks.states()
        write = partial(self._save, self.path, losses, flat, states)
        self.ranks.checked(write if self.ranks.rank == 0 else lambda: None)

    def _save(self, path: Path, losses: list[float], flat: bool, draws: dict[str, Tensor]) -> None:
        from safetensors.torch import save

        tensors = {"losses": torch.tensor(losses, dtype=torch.float64), "random.cpu": torch.get_rng_state(), **draws}
        if self.ranks.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.ranks.device)
        entries, groups = self._entries()
        tensors |= {name: value for name, value in entries.items() if isinstance(value, Tensor)}
        numbers = {name: value for name, value in entries.items() if name not in tensors}
        header = {"run": self.identity, "flat": flat, "numbers": numbers, "groups": groups}
        stored = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
        text = json.dumps(header, default=_number)
        put(path, save(stored, {"icon": text, "digest": digest(text, dict(sorted(stored.items())))}))

    def _entries(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The state of the modules and of the optimiser by name, tensors or what JSON holds, and the latter's groups.

        A TypeError for what no file can hold.
        """
        state = self.optimizer.state_dict()
        states = [(name, module.state_dict()) for name, module in self._modules()]
        states += [(f"optimizer.{index}", entries) for index, entries in state["state"].items()]
        every = {f"{name}.{key}": value for name, entries in states for key, value in entries.items()}
        found = {name: x if isinstance(x, Tensor) else recorded(x, name) for name, x in every.items()}
        return found, state["param_groups"]

    def _load(self, path: Path, resume: bool, steps: int) -> tuple[list[float], bool]:
        """Put back the state of the file, where there is one to go on from, and return what `begin` returns."""
        try:
            if self.ranks.rank == 0:
                TemporaryFile(dir=path.resolve().parent).close()
        except OSError as error:
            told = f"checkpoint: got {path} ({error.strerror}), expected a file in a folder that can be written"
            raise ValueError(told) from None
        if not (resume and path.exists()):
            return [], False
        header, tensors = _read(path)
        run = header["run"]
        for key in run | self.identity:
            if (theirs := run.get(key)) != (value := self.identity.get(key)):
                differs = f"another {key}" if key in _DIGESTS else f"{key} {theirs}, expected {value}"
                raise ValueError(f"checkpoint: got {path} of a run with {differs} (delete it to start afresh)")
        losses: list[float] = tensors["losses"].tolist()
        if len(losses) > steps:
            differs = f"{len(losses)} steps, expected at most {steps}"
            raise ValueError(f"checkpoint: got {path} after {differs} (delete it to start afresh)")
        if self.scheduler is not None:
            catch_up(self.scheduler, losses)
            rates, theirs = (
                [each["lr"] for each in groups] for groups in (self.optimizer.param_groups, header["groups"])
            )
            if rates != theirs:
                raise ValueError(f"checkpoint: got {path} of a run with another schedule (delete it to start afresh)")
        entries = tensors | decoded(header["numbers"])
        try:
            for name, module in self._modules():
                module.load_state_dict(_under(name, entries))
        except RuntimeError as error:
            raise ValueError(f"checkpoint: got {path} of another model, expected this one ({error})") from None
        self._set_optimizer(_under("optimizer", entries), header["groups"])
        self.ranks.set_states(tensors)
        torch.set_rng_state(tensors["random.cpu"])
        if self.ranks.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.ranks.device)
        return losses, header.get("flat", False)

    def _set_optimizer(self, entries: dict[str, Any], groups: list[dict[str, Any]]) -> None:
        """Put back the state of the optimiser; numbers of its groups that are tensors stay so."""
        state: dict[int, dict[str, Any]] = {}
        for key, value in entries.items():
            index, entry = key.split(".", 1)
            state.setdefault(int(index), {})[entry] = value
        before = [dict(group) for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        for group, own in zip(self.optimizer.param_groups, before, strict=True):
            tensors = {name: value for name, value in own.items() if isinstance(value, Tensor)}
            group.update({name: torch.full_like(value, group[name]) for name, value in tensors.items()})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a file holds, a ValueError if it is no checkpoint or is damaged; those of older versions have no digest."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
        header = json.loads(metadata["icon"])
        header["run"] = dict(header["run"])
        if "digest" in metadata and metadata["digest"] != digest(metadata["icon"], tensors):
            raise ValueError("damaged")
    except (SafetensorError, KeyError, OSError, ValueError, TypeError) as error:
        raise ValueError(f"checkpoint: got {path} ({error}), expected a checkpoint of icon") from None
    return header, tensors


def _number(value: Any) -> Any:
    """A number of NumPy or torch as JSON has it."""
    return value.item()


def _under(name: str, entries: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(f"{name}."): value for key, value in entries.items() if key.startswith(f"{name}.")}
