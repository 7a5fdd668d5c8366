"""How ranks share a run of `fit`: each embeds its share of the points of a step, and all make the same update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from icon._scales import precise
from icon.core import exchange
from icon.p.rows import Rows
from icon.training.state import Draws

T = TypeVar("T")


class Ranks:
    """The ranks of a run, each of which has all points and p, embeds its part of a step, and evaluates its anchors.

    Args:
        group: ``"world"`` or a process group; None for one process, which has nothing to exchange.
        seed: of the run; None lets the first rank of a group draw one.
        device: of the parameters.
    """

    def __init__(self, group: exchange.Group | None, seed: int | None, device: torch.device) -> None:
        self.rank, self.world, self.device, self.alone = 0, 1, device, group is None
        self.seed = seed  # of what all ranks draw alike
        self.own_draws: Draws | nullcontext[None] = nullcontext()  # draws inside are those of this rank: dropout, say
        if group is not None:
            self.group = exchange.process_group(group)
            self.rank, self.world = dist.get_rank(self.group), dist.get_world_size(self.group)
            self.seed = int(exchange.objects(int(torch.randint(2**31, ())) if seed is None else seed, self.group)[0])
            self.own_draws = Draws(self.seed + 1 + self.rank, device)

    def part(self, n: int) -> slice:
        """Which of n points this rank embeds."""
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def share(self, x: Any, n: int) -> Any:
        """The rows of this rank of what has a row for each of n points; prepared p stays whole."""
        if self.alone or isinstance(x, Rows):
            return x
        if isinstance(x, (tuple, list)):
            return type(x)(self.share(each, n) for each in x)
        return x[self.part(n)] if hasattr(x, "__getitem__") and len(x) == n else x

    @torch.no_grad()
    def take_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Give all ranks the parameters, or the buffers (batch statistics), of the first one."""
        for x in () if self.alone else tensors:
            if x.numel():
                first = 0 if self.group is None else dist.get_global_rank(self.group, 0)
                dist.broadcast(x.data, first, group=self.group)

    def same(self, made_of: Mapping[str, Any]) -> None:
        """Raise where ranks have something else by the same name."""
        every = [] if self.alone else exchange.objects(dict(made_of), self.group)
        for rank, other in enumerate(every):
            for name, value in every[0].items():
                if other.get(name) != value:
                    raise ValueError(f"{name}: got different values on ranks 0 and {rank}, expected the same on all")

    def checked(self, given: Callable[[], T]) -> T:
        """What is given here; an error of any rank is raised on all."""
        return given() if self.alone else exchange.checked(given, self.group, self.device)

    def mean(self, value: float) -> float:
        """The mean over ranks."""
        if self.alone:
            return value
        total = torch.tensor(value, dtype=precise(self.device), device=self.device)
        return float(exchange.total(total, self.group)) / self.world

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return flag if self.alone else self.mean(flag) > 0

    @torch.no_grad()
    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients over ranks; a parameter without gradient on all of them stays so."""
        kinds: dict[torch.dtype, list[nn.Parameter]] = {}
        for parameter in () if self.alone else parameters:
            kinds.setdefault(parameter.dtype, []).append(parameter)
        for alike in kinds.values():
            # One exchange for all of them, and beside the gradients whether there was one.
            flat = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in alike]
            present = torch.tensor([float(p.grad is not None) for p in alike]).to(flat[0])
            whole = exchange.total(torch.cat([*flat, present]), self.group)
            *sums, counts = torch.split(whole, [*map(len, flat), len(alike)])
            for parameter, gradient, count in zip(alike, sums, counts.tolist(), strict=True):
                parameter.grad = (gradient / self.world).view_as(parameter) if count else None

    def states(self) -> dict[str, Tensor]:
        """Where the draws of each rank stand, by name."""
        if self.alone:
            return {}
        with self.own_draws:  # which begins the stream where nothing was drawn yet
            mine = torch.get_rng_state()
        return {f"random.rank.{k}": state for k, state in enumerate(exchange.objects(mine, self.group))}

    def set_states(self, states: Mapping[str, Tensor]) -> None:
        """Go on from `states`."""
        if not self.alone:
            with self.own_draws:
                torch.set_rng_state(states[f"random.rank.{self.rank}"])
