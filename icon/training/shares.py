"""How ranks share a run of `fit`: each embeds its share of the points of a step, and all make the same update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from icon.core import exchange
from icon.p.rows import Rows
from icon.training.state import Draws

T = TypeVar("T")


class Alone:
    """A run of one process, which has all points."""

    rank, world = 0, 1

    def part(self, n: int) -> slice:
        """Which of n points this rank embeds."""
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def share(self, x: Any, n: int) -> Any:
        """The rows of this rank of what has a row for each of n points; prepared p stays whole."""
        return x

    def seed(self, seed: int | None) -> int | None:
        """The seed of what all ranks draw alike."""
        return seed

    def own_draws(self) -> AbstractContextManager[None]:
        """Draws inside are those of this rank: dropout, say."""
        return nullcontext()

    def begin(self, modules: Iterable[nn.Module]) -> None:
        """Let all ranks start from the same parameters and buffers."""

    def same(self, made_of: Mapping[str, Any]) -> None:
        """Raise where ranks have something else by the same name."""

    def checked(self, given: Callable[[], T]) -> T:
        """What is given here; an error of any rank is raised on all."""
        return given()

    def mean(self, value: float) -> float:
        """The mean over ranks."""
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return flag

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients over ranks; a parameter without gradient on all of them stays so."""

    def buffers(self, modules: Iterable[nn.Module]) -> None:
        """Give all ranks the buffers (batch statistics) of the first one."""

    def states(self) -> dict[str, Tensor]:
        """Where the draws of each rank stand, by name."""
        return {}

    def set_states(self, states: Mapping[str, Tensor]) -> None:
        """Go on from `states`."""


class Shares(Alone):
    """A run over the ranks of a group. Each has all points and p, embeds its part of a step, and evaluates its anchors.

    Args:
        group: ``"world"`` or a process group.
        seed: of the run; None lets the first rank draw one.
        device: of the parameters.
    """

    def __init__(self, group: exchange.Group, seed: int | None, device: torch.device) -> None:
        self.group, self.device = exchange.process_group(group), device
        self.rank, self.world = dist.get_rank(self.group), dist.get_world_size(self.group)
        first = int(torch.randint(2**31, ())) if seed is None else seed
        self.common = int(exchange.objects(first, self.group)[0])
        self.own = Draws(self.common + 1 + self.rank, device)

    def share(self, x: Any, n: int) -> Any:
        if isinstance(x, (tuple, list)):
            return type(x)(self.share(each, n) for each in x)
        if isinstance(x, Rows) or not hasattr(x, "__getitem__") or len(x) != n:
            return x
        return x[self.part(n)]

    def seed(self, seed: int | None) -> int:
        return self.common

    def own_draws(self) -> AbstractContextManager[None]:
        return self.own

    @torch.no_grad()
    def begin(self, modules: Iterable[nn.Module]) -> None:
        for module in modules:
            for x in (*module.parameters(), *module.buffers()):
                self._from_first(x.data)

    def same(self, made_of: Mapping[str, Any]) -> None:
        every = exchange.objects(dict(made_of), self.group)
        for rank, other in enumerate(every):
            for name, value in every[0].items():
                if other.get(name) != value:
                    raise ValueError(f"{name}: got different values on ranks 0 and {rank}, expected the same on all")

    def checked(self, given: Callable[[], T]) -> T:
        return exchange.checked(given, self.group, self.device)

    def mean(self, value: float) -> float:
        total = torch.tensor(value, dtype=torch.float64 if self.device.type != "mps" else None, device=self.device)
        return float(exchange.total(total, self.group)) / self.world

    def any(self, flag: bool) -> bool:
        return float(exchange.largest(torch.tensor(float(flag), device=self.device), self.group)) > 0

    @torch.no_grad()
    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        kinds: dict[torch.dtype, list[nn.Parameter]] = {}
        for parameter in parameters:
            kinds.setdefault(parameter.dtype, []).append(parameter)
        for alike in kinds.values():
            # One exchange for all of them, and beside the gradients whether there was one.
            flat = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in alike]
            present = torch.tensor([float(p.grad is not None) for p in alike]).to(flat[0])
            whole = exchange.total(torch.cat([*flat, present]), self.group)
            *sums, counts = torch.split(whole, [*map(len, flat), len(alike)])
            for parameter, gradient, count in zip(alike, sums, counts.tolist(), strict=True):
                parameter.grad = (gradient / self.world).view_as(parameter) if count else None

    @torch.no_grad()
    def buffers(self, modules: Iterable[nn.Module]) -> None:
        for module in modules:
            for x in module.buffers():
                self._from_first(x)

    def states(self) -> dict[str, Tensor]:
        with self.own:  # which begins the stream where nothing was drawn yet
            mine = torch.get_rng_state()
        return {f"random.rank.{k}": state for k, state in enumerate(exchange.objects(mine, self.group))}

    def set_states(self, states: Mapping[str, Tensor]) -> None:
        with self.own:
            torch.set_rng_state(states[f"random.rank.{self.rank}"])

    def _from_first(self, x: Tensor) -> None:
        if x.numel():
            first = 0 if self.group is None else dist.get_global_rank(self.group, 0)
            dist.broadcast(x, first, group=self.group)
